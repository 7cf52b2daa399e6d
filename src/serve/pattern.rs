//! Test data: the bytes that every step server, in whatever language, writes for a given step, and
//! their comparison with what was read.

use super::failure::{Failure, StepOutcome};
use super::room::room_for;

/// Size in bytes of a frame whose step gives a sequence number and no size.
pub const DEFAULT_FRAME_SIZE: usize = 1024;

/// The data of a frame with this sequence number: byte i is (i + sequence) mod 256.
///
/// ```
/// assert_eq!(zerobuffer::serve::pattern::sequenced(3, 255).unwrap(), [255, 0, 1]);
/// ```
///
/// # Errors
///
/// If there is no memory for it.
pub fn sequenced(size: usize, sequence: u64) -> Result<Vec<u8>, Failure> {
    let mut data = room_for(size)?;
    let piece = sequenced_piece(sequence);
    data.extend_from_slice(&piece[..size.min(piece.len())]);
    // Twice as much each time: frames of 100 MiB are made of it, by builds that are not optimised as well.
    while data.len() < size {
        let more = data.len().min(size - data.len());
        data.extend_from_within(..more);
    }
    Ok(data)
}

/// The first 256 bytes of [`sequenced`] data, which repeat themselves.
pub fn sequenced_piece(sequence: u64) -> [u8; 256] {
    let first = sequence as u8;
    std::array::from_fn(|i| first.wrapping_add(i as u8))
}

/// Data of a frame or a request whose step gives only a size, and metadata: byte i is i mod 256.
///
/// # Errors
///
/// If there is no memory for it.
pub fn plain(size: usize) -> Result<Vec<u8>, Failure> {
    sequenced(size, 0)
}

/// The data of frames with any sequence number and up to some size, made once for many frames.
#[derive(Debug)]
pub struct Stock(Vec<u8>);

impl Stock {
    /// For frames of up to `longest` bytes.
    ///
    /// # Errors
    ///
    /// If there is no memory for it.
    pub fn new(longest: usize) -> Result<Stock, Failure> {
        Ok(Stock(sequenced(longest.saturating_add(256), 0)?))
    }

    /// As [`sequenced`].
    ///
    /// # Panics
    ///
    /// If the stock is not for frames of that size.
    pub fn sequenced(&self, size: usize, sequence: u64) -> &[u8] {
        &self.0[(sequence % 256) as usize..][..size]
    }
}

/// The data of the i-th of many requests, counted from 0.
pub fn numbered_request(index: usize) -> Vec<u8> {
    format!("Request {index}").into_bytes()
}

/// Compares every byte.
///
/// # Errors
///
/// A failure that names `what` was compared, and both lengths, or the first byte that differs.
pub fn compare(what: &str, expected: &[u8], found: &[u8]) -> StepOutcome {
    if expected.len() != found.len() {
        return Err(Failure::new(format!(
            "{what}: expected {} bytes, found {}",
            expected.len(),
            found.len()
        )));
    }
    // As a whole first: of 100 MiB, a build that is not optimised looks at single bytes for seconds.
    if expected == found {
        return Ok(());
    }
    match expected.iter().zip(found).position(|(e, f)| e != f) {
        None => Ok(()),
        Some(offset) => Err(Failure::new(format!(
            "{what}: byte {offset} of {}: expected 0x{:02x}, found 0x{:02x}",
            expected.len(),
            expected[offset],
            found[offset]
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_the_same_in_all_languages() {
        let sequenced = |size, sequence| sequenced(size, sequence).unwrap();
        assert!(sequenced(0, 1).is_empty());
        assert_eq!(sequenced(4, 1), [1, 2, 3, 4]);
        assert_eq!(sequenced(3, 254), [254, 255, 0]);
        assert_eq!(sequenced(2, 300), [44, 45]);
        assert_eq!(sequenced(258, 0)[255..], [255, 0, 1]);
        assert_eq!(plain(258).unwrap(), sequenced(258, 0));
        let long = sequenced(1000, 77);
        assert_eq!(long.len(), 1000);
        assert!((0..1000).all(|i| long[i] == (i + 77) as u8));
        assert_eq!(sequenced_piece(300).repeat(2), sequenced(512, 300));
        for (size, sequence) in [(10, 0), (1, 255), (10, 300)] {
            let stock = Stock::new(10).unwrap();
            assert_eq!(stock.sequenced(size, sequence), sequenced(size, sequence));
        }
        assert_eq!(numbered_request(0), b"Request 0");
    }

    #[test]
    fn a_difference_is_named() {
        assert_eq!(compare("x", &[1, 2, 3], &[1, 2, 3]), Ok(()));
        let failure = compare("frame 7", &[1, 2, 3], &[1, 2, 4]).unwrap_err();
        let expected = "frame 7: byte 2 of 3: expected 0x03, found 0x04";
        assert_eq!(failure.to_string(), expected);
        let failure = compare("x", &[1], &[]).unwrap_err();
        assert_eq!(failure.to_string(), "x: expected 1 bytes, found 0");
    }
}
