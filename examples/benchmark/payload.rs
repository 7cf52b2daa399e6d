//! What frames are filled with, so that a wrong byte is found.

/// Bytes at the beginning of a frame that bear its number.
pub const STAMP: usize = 8;

/// How much of a frame is written and read each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// The number at the beginning: all bytes are copied by whoever carries them.
    Stamp,
    /// Every byte: nobody copies, so the data is made and looked at in place.
    Whole,
    /// None.
    Nothing,
}

impl Touch {
    /// Makes frame `number`.
    pub fn write(self, frame: &mut [u8], number: u64) {
        match self {
            Touch::Stamp => stamp(frame, number),
            Touch::Whole => {
                frame.fill(number as u8);
                stamp(frame, number);
            }
            Touch::Nothing => {}
        }
    }

    /// Whether this is frame `number`, as far as it was touched.
    pub fn is_written(self, frame: &[u8], number: u64) -> bool {
        match self {
            Touch::Stamp => stamp_of(frame) == number,
            Touch::Whole => stamp_of(frame) == number && is_all(&frame[STAMP..], number as u8),
            Touch::Nothing => true,
        }
    }

    /// Makes frame `number` with a pattern of its own in every byte.
    pub fn write_pattern(self, frame: &mut [u8], number: u64) {
        if self != Touch::Nothing {
            for (index, byte) in frame.iter_mut().enumerate() {
                *byte = pattern(index, number);
            }
            stamp(frame, number);
        }
    }

    /// Whether every byte is as [`Touch::write_pattern`] has made it.
    pub fn is_pattern(self, frame: &[u8], number: u64) -> bool {
        let is_right = |(index, byte): (usize, &u8)| *byte == pattern(index, number);
        self == Touch::Nothing
            || stamp_of(frame) == number && frame.iter().enumerate().skip(STAMP).all(is_right)
    }
}

/// Differs with the place, also between blocks of 256, and with the number.
fn pattern(index: usize, number: u64) -> u8 {
    (index + 7 * (index >> 8)) as u8 ^ (13 * number) as u8
}

fn stamp(frame: &mut [u8], number: u64) {
    frame[..STAMP].copy_from_slice(&number.to_le_bytes());
}

fn stamp_of(frame: &[u8]) -> u64 {
    let stamp = frame
        .first_chunk()
        .expect("no frame is shorter than 8 bytes");
    u64::from_le_bytes(*stamp)
}

fn is_all(bytes: &[u8], value: u8) -> bool {
    // Eight at a time and without a way out in between, which is what compilers make fast.
    let (words, rest) = bytes.as_chunks();
    let word = u64::from_ne_bytes([value; 8]);
    let difference = words.iter().fold(0, |found, bytes| {
        found | (u64::from_ne_bytes(*bytes) ^ word)
    });
    difference == 0 && rest.iter().all(|byte| *byte == value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_byte_is_found() {
        let mut frame = [0; 700];
        for touch in [Touch::Stamp, Touch::Whole] {
            touch.write_pattern(&mut frame, 5);
            assert!(touch.is_pattern(&frame, 5));
            for index in 0..frame.len() {
                frame[index] ^= 1;
                assert!(!touch.is_pattern(&frame, 5), "{touch:?}: byte {index}");
                frame[index] ^= 1;
            }
        }
        Touch::Whole.write(&mut frame, 300);
        assert!(Touch::Whole.is_written(&frame, 300));
        for index in 0..frame.len() {
            frame[index] ^= 1;
            assert!(!Touch::Whole.is_written(&frame, 300), "byte {index}");
            frame[index] ^= 1;
        }
    }

    #[test]
    fn one_frame_is_not_taken_for_another() {
        let (mut frame, mut other) = ([0; 700], [0; 700]);
        Touch::Stamp.write_pattern(&mut frame, 5);
        Touch::Stamp.write_pattern(&mut other, 6);
        assert!(frame.iter().zip(&other).skip(STAMP).all(|(a, b)| a != b));
        assert!(!Touch::Stamp.is_pattern(&frame, 6));
        assert!(!Touch::Stamp.is_written(&frame, 6));
    }
}
