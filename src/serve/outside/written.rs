//! A frame that this process has written, looked for in the ring from outside.

use super::ring_state::RingState;
use super::segment::{HEADER, RawHeader, RawSegment};
use crate::serve::failure::{Failure, StepOutcome, expect_equal};
use crate::serve::pattern;

/// A frame, and the ring as it was before it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its sequence number.
    pub sequence: u64,
    /// Its bytes.
    pub data: Vec<u8>,
    /// The ring before.
    pub before: RingState,
    /// Whether it had to wait for space.
    pub waited: bool,
}

impl Written {
    fn total(&self) -> u64 {
        HEADER + self.data.len() as u64
    }

    /// Where the frame would have stood if it had not been moved to the beginning.
    fn position(&self) -> u64 {
        self.before.write_pos % self.before.size
    }

    /// Checks that the frame stands where the write position tells, whole, and is the last one in
    /// the account.
    ///
    /// # Errors
    ///
    /// A failure that names what is not so.
    pub fn expect_in_ring(&self, raw: &RawSegment) -> StepOutcome {
        let after = RingState::of(raw)?;
        let offset = expect_last(raw, self.sequence, &self.data)?;
        let skipped = self.expect_skipped(raw, offset)?;
        let entries = if skipped == 0 { 1 } else { 2 };
        let count = self.before.written_count + entries;
        expect_equal("frames and wraps written", count, after.written_count)?;
        if self.waited {
            // The reader has given something back meanwhile.
            return Ok(());
        }
        let free = self.before.free - skipped - self.total();
        expect_equal("free bytes", free, after.free)
    }

    /// Checks that the frame stands behind the one before it, and everything in the account says so.
    ///
    /// # Errors
    ///
    /// As [`expect_in_ring`](Self::expect_in_ring); if it was moved to the beginning.
    pub fn expect_behind_the_last(&self, raw: &RawSegment) -> StepOutcome {
        self.expect_at(raw, self.position())?;
        self.expect_in_ring(raw)
    }

    /// Checks that the frame, having no room behind the others, was moved to the beginning of the
    /// ring, and everything in the account says so.
    ///
    /// # Errors
    ///
    /// As [`expect_in_ring`](Self::expect_in_ring); if there was room.
    pub fn expect_wrapped(&self, raw: &RawSegment) -> StepOutcome {
        self.expect_at_beginning(raw)?;
        self.expect_marker(raw)?;
        self.expect_in_ring(raw)
    }

    /// Checks that the frame stands whole at the beginning of the ring.
    ///
    /// # Errors
    ///
    /// A failure that says what stands there instead.
    pub fn expect_at_beginning(&self, raw: &RawSegment) -> StepOutcome {
        self.expect_at(raw, 0)
    }

    /// Checks that the bytes from the frame's position to the end were too few for it, and that they
    /// begin with a marker.
    ///
    /// # Errors
    ///
    /// A failure that says what stands there instead, or that there was room.
    pub fn expect_marker(&self, raw: &RawSegment) -> StepOutcome {
        let (to_end, total) = (self.before.to_end(), self.total());
        if to_end >= total {
            return Err(Failure::new(format!(
                "expected too little room for {total} bytes at {}, found {to_end}",
                self.position()
            )));
        }
        if to_end < HEADER {
            return Err(Failure::new(format!(
                "expected room for a marker at {}, found {to_end} bytes",
                self.position()
            )));
        }
        let what = format!("wrap marker at {}", self.position());
        let found = raw.header_at(self.position())?;
        expect_equal(&what, RawHeader::WRAP, found)
    }

    /// Checks that the frame and what it has skipped are all that is in use.
    ///
    /// # Errors
    ///
    /// A failure with both numbers.
    pub fn expect_alone_with_skipped(&self, raw: &RawSegment) -> StepOutcome {
        let skipped = self.before.to_end();
        RingState::of(raw)?.expect_used(skipped + self.total())
    }

    fn expect_at(&self, raw: &RawSegment, offset: u64) -> StepOutcome {
        expect_frame(raw, offset, self.sequence, &self.data)
    }

    /// How many bytes were skipped for the frame to stand at `offset`.
    fn expect_skipped(&self, raw: &RawSegment, offset: u64) -> Result<u64, Failure> {
        if offset == self.position() {
            return Ok(0);
        }
        expect_equal("position of the frame", 0, offset)?;
        if self.before.to_end() >= HEADER {
            let what = format!("wrap marker at {}", self.position());
            expect_equal(&what, RawHeader::WRAP, raw.header_at(self.position())?)?;
        }
        Ok(self.before.to_end())
    }
}

/// Checks that the frame that ends at the write position is this one, whole. Where it stands.
///
/// # Errors
///
/// A failure that says what stands there instead.
pub fn expect_last(raw: &RawSegment, sequence: u64, data: &[u8]) -> Result<u64, Failure> {
    let state = RingState::of(raw)?;
    let end = match state.write_pos {
        0 => state.size,
        position => position,
    };
    let total = HEADER + data.len() as u64;
    let offset = end.checked_sub(total).ok_or_else(|| {
        Failure::new(format!(
            "expected the write position behind {total} bytes, found {end}"
        ))
    })?;
    expect_frame(raw, offset, sequence, data)?;
    Ok(offset)
}

fn expect_frame(raw: &RawSegment, offset: u64, sequence: u64, data: &[u8]) -> StepOutcome {
    let size = data.len() as u64;
    let what = format!("header at {offset}");
    let found = raw.header_at(offset)?;
    expect_equal(&what, RawHeader { size, sequence }, found)?;
    let found = raw.payload(offset + HEADER, data.len())?;
    let what = format!("data of frame {sequence} in the ring");
    pattern::compare(&what, data, &found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::outside::segment::Field;
    use crate::{BufferConfig, BufferName, Reader, Writer};
    use std::time::Duration;

    fn pair(test: &str) -> (Reader, Writer, RawSegment) {
        let name = format!("serve-written-{test}-{}", std::process::id());
        let name = BufferName::new(name).unwrap();
        let reader = Reader::create(&name, &BufferConfig::new(0, 1024)).unwrap();
        let writer = Writer::connect(&name, Duration::ZERO).unwrap();
        (reader, writer, RawSegment::open(&name).unwrap())
    }

    fn write(writer: &mut Writer, raw: &RawSegment, size: usize) -> Written {
        let before = RingState::of(raw).unwrap();
        let data = pattern::plain(size).unwrap();
        Written {
            sequence: writer.write(&data).unwrap(),
            data,
            before,
            waited: false,
        }
    }

    #[test]
    fn a_frame_is_where_the_account_says() {
        let (_reader, mut writer, raw) = pair("there");
        let first = write(&mut writer, &raw, 100);
        first.expect_in_ring(&raw).unwrap();
        first.expect_behind_the_last(&raw).unwrap();
        assert!(first.expect_wrapped(&raw).is_err());
        assert!(first.expect_marker(&raw).is_err());
        let second = write(&mut writer, &raw, 892);
        second.expect_in_ring(&raw).unwrap();
        let failure = first.expect_in_ring(&raw).unwrap_err().to_string();
        assert!(failure.starts_with("header at 908"), "{failure}");
        for field in [
            Field::PayloadFreeBytes,
            Field::PayloadWrittenCount,
            Field::PayloadWritePos,
        ] {
            let right = raw.get(field).unwrap();
            raw.set(field, right + 1).unwrap();
            assert!(second.expect_in_ring(&raw).is_err(), "{field:?}");
            raw.set(field, right).unwrap();
        }
        raw.put_payload(1023, &[0]).unwrap();
        assert!(second.expect_in_ring(&raw).is_err());
    }

    #[test]
    fn a_wrap_is_seen_in_the_marker_the_frame_and_the_account() {
        let (mut reader, mut writer, raw) = pair("wrapped");
        write(&mut writer, &raw, 584);
        drop(reader.read(Duration::from_secs(5)).unwrap().unwrap());
        let wrapped = write(&mut writer, &raw, 484);
        wrapped.expect_wrapped(&raw).unwrap();
        assert!(wrapped.expect_behind_the_last(&raw).is_err());
        wrapped.expect_alone_with_skipped(&raw).unwrap();
        raw.put_payload(600, &[1]).unwrap();
        let failure = wrapped.expect_marker(&raw).unwrap_err().to_string();
        assert!(failure.starts_with("wrap marker at 600"), "{failure}");
        assert!(wrapped.expect_in_ring(&raw).is_err());
        raw.put_payload(600, &[0]).unwrap();
        raw.put_payload(0, &[1]).unwrap();
        assert!(wrapped.expect_at_beginning(&raw).is_err());
        raw.set(Field::PayloadFreeBytes, 1).unwrap();
        assert!(wrapped.expect_alone_with_skipped(&raw).is_err());
    }
}
