//! A ring from the outside: its account, and what stands in it unread.

use std::io;

use super::segment::{Field, HEADER, RawHeader, RawSegment};
use crate::BufferName;
use crate::serve::failure::{Failure, StepOutcome, expect_equal};

/// The number of each writer's first frame.
const FIRST_SEQUENCE: u64 = 1;

/// The account of a ring at one moment, as its control block tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingState {
    /// Size of the payload block, in bytes.
    pub size: u64,
    /// Bytes that the writer may use.
    pub free: u64,
    /// Where the next frame is to be written.
    pub write_pos: u64,
    /// Where the next frame is to be read.
    pub read_pos: u64,
    /// Frames and wraps that were ever written.
    pub written_count: u64,
    /// Frames and wraps that were ever read.
    pub read_count: u64,
}

impl RingState {
    /// The account at this moment.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn of(raw: &RawSegment) -> io::Result<RingState> {
        Ok(RingState {
            size: raw.get(Field::PayloadSize)?,
            free: raw.get(Field::PayloadFreeBytes)?,
            write_pos: raw.get(Field::PayloadWritePos)?,
            read_pos: raw.get(Field::PayloadReadPos)?,
            written_count: raw.get(Field::PayloadWrittenCount)?,
            read_count: raw.get(Field::PayloadReadCount)?,
        })
    }

    /// The account of a buffer at this moment.
    ///
    /// # Errors
    ///
    /// If there is no such buffer.
    pub fn now(buffer: &BufferName) -> Result<RingState, Failure> {
        Ok(RingState::of(&RawSegment::open(buffer)?)?)
    }

    /// Frames and wraps that were written and not read.
    pub fn unread(&self) -> u64 {
        self.written_count.wrapping_sub(self.read_count)
    }

    /// Bytes from the write position to the end, all of them if it stands there.
    pub fn to_end(&self) -> u64 {
        self.size - self.write_pos % self.size
    }

    /// Bytes that a frame of `size` bytes takes where the writer stands: with its header, and with
    /// those up to the end if they are too few for it.
    pub fn needed_for(&self, size: u64) -> u64 {
        let (to_end, total) = (self.to_end(), HEADER + size);
        if to_end >= total {
            total
        } else {
            to_end + total
        }
    }

    /// Compares the number of bytes that are written and not given back.
    ///
    /// # Errors
    ///
    /// A failure with both numbers.
    pub fn expect_used(&self, expected: u64) -> StepOutcome {
        let used = self.size.saturating_sub(self.free);
        expect_equal("bytes in use", expected, used)
    }

    /// Checks that no more is unread than the ring has room for: so many frames of `size` bytes, and
    /// a wrap; and that no more is free than there is.
    ///
    /// # Errors
    ///
    /// A failure with the numbers.
    pub fn expect_within_bounds(&self, size: u64) -> StepOutcome {
        let most = self.size / (HEADER + size) + 1;
        if self.unread() > most {
            return Err(Failure::new(format!(
                "expected at most {most} unread frames and wraps of {size} bytes in a ring of {}, \
                 found {} ({} written, {} read)",
                self.size,
                self.unread(),
                self.written_count,
                self.read_count
            )));
        }
        if self.free > self.size {
            return Err(Failure::new(format!(
                "expected at most {} free bytes, found {}",
                self.size, self.free
            )));
        }
        Ok(())
    }
}

/// A frame in the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnreadFrame {
    /// Where its header stands.
    pub offset: u64,
    /// Its header.
    pub header: RawHeader,
}

impl UnreadFrame {
    fn expect_number(&self, expected: u64) -> StepOutcome {
        let what = format!("sequence number of the unread frame at {}", self.offset);
        expect_equal(&what, expected, self.header.sequence)
    }
}

/// What stands in a ring unread.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unread {
    /// The frames, in the order of writing.
    pub frames: Vec<UnreadFrame>,
    /// How often the rest of the ring is skipped.
    pub wraps: u64,
    /// Bytes of the frames, with their headers, and of what is skipped.
    pub bytes: u64,
}

impl Unread {
    /// Goes from header to header, as many as were written and not read.
    ///
    /// # Errors
    ///
    /// If a header does not fit, or the last frame does not end at the write position.
    pub fn walk(raw: &RawSegment) -> Result<Unread, Failure> {
        let state = RingState::of(raw)?;
        state.expect_within_bounds(1)?;
        let mut unread = Unread::default();
        let mut position = state.read_pos % state.size;
        for _ in 0..state.unread() {
            position = unread.step(raw, state.size, position)?;
        }
        let what = "write position, walking from the read position";
        expect_equal(what, state.write_pos % state.size, position)?;
        Ok(unread)
    }

    /// Takes in the entry at `position`; where the next one stands.
    fn step(&mut self, raw: &RawSegment, size: u64, position: u64) -> Result<u64, Failure> {
        let to_end = size - position;
        let header = match to_end {
            HEADER.. => raw.header_at(position)?,
            _ => RawHeader::WRAP,
        };
        if header == RawHeader::WRAP {
            self.wraps += 1;
            self.bytes += to_end;
            return Ok(0);
        }
        if header.size == 0 || header.size > to_end - HEADER {
            return Err(Failure::new(format!(
                "expected a frame of 1 to {} bytes at {position}, found {header}",
                to_end - HEADER
            )));
        }
        let offset = position;
        self.frames.push(UnreadFrame { offset, header });
        self.bytes += HEADER + header.size;
        Ok((position + HEADER + header.size) % size)
    }

    /// The headers of the frames.
    pub fn headers(&self) -> Vec<RawHeader> {
        self.frames.iter().map(|frame| frame.header).collect()
    }

    /// The first frame.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn first(&self) -> Result<UnreadFrame, Failure> {
        let first = self.frames.first().copied();
        first.ok_or_else(|| Failure::new("expected an unread frame in the ring, found none"))
    }

    /// Checks that the frames' numbers follow each other, the last one being `last`.
    ///
    /// # Errors
    ///
    /// A failure that names the first number that does not.
    pub fn expect_sequence_up_to(&self, last: u64) -> StepOutcome {
        let count = self.frames.len() as u64;
        self.expect_sequence_from((last + 1).saturating_sub(count))
    }

    /// Checks that the frames' numbers follow each other, the first one being `first`.
    ///
    /// # Errors
    ///
    /// A failure that names the first number that does not.
    pub fn expect_sequence_from(&self, first: u64) -> StepOutcome {
        for (frame, expected) in self.frames.iter().zip(first..) {
            frame.expect_number(expected)?;
        }
        Ok(())
    }

    /// As [`expect_sequence_from`](Self::expect_sequence_from), but with a frame numbered 1 a new writer
    /// may begin.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn expect_sequences_from(&self, first: u64) -> StepOutcome {
        let mut expected = first;
        for frame in &self.frames {
            let found = frame.header.sequence;
            if found != FIRST_SEQUENCE {
                frame.expect_number(expected)?;
            }
            expected = found.wrapping_add(1);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BufferConfig, Reader, Writer};
    use std::time::Duration;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn pair(test: &str) -> (Reader, Writer, RawSegment) {
        let name = format!("serve-ring-{test}-{}", std::process::id());
        let name = BufferName::new(name).unwrap();
        let reader = Reader::create(&name, &BufferConfig::new(0, 1024)).unwrap();
        let writer = Writer::connect(&name, Duration::ZERO).unwrap();
        (reader, writer, RawSegment::open(&name).unwrap())
    }

    fn frames(unread: &Unread) -> Vec<(u64, u64, u64)> {
        let frames = unread.frames.iter();
        frames
            .map(|frame| (frame.offset, frame.header.size, frame.header.sequence))
            .collect()
    }

    #[test]
    fn unread_frames_are_found_across_the_end_of_the_ring() {
        let (mut reader, mut writer, raw) = pair("walk");
        assert_eq!(Unread::walk(&raw).unwrap(), Unread::default());
        for size in [384, 284, 184] {
            writer.write(&vec![1; size]).unwrap();
        }
        drop(reader.read(PATIENCE).unwrap().unwrap());
        writer.write(&[1; 92]).unwrap();
        let unread = Unread::walk(&raw).unwrap();
        assert_eq!(
            frames(&unread),
            [(400, 284, 2), (700, 184, 3), (900, 92, 4)]
        );
        assert_eq!((unread.wraps, unread.bytes), (0, 300 + 200 + 108));
        writer.write(&[1; 200]).unwrap();
        let unread = Unread::walk(&raw).unwrap();
        assert_eq!((unread.wraps, unread.bytes), (1, 624 + 216));
        assert_eq!(frames(&unread).last(), Some(&(0, 200, 5)));
        unread.expect_sequence_up_to(5).unwrap();
        unread.expect_sequence_from(2).unwrap();
        assert!(unread.expect_sequence_from(1).is_err());
        assert!(unread.expect_sequence_up_to(6).is_err());
        assert!(unread.expect_sequence_up_to(1).is_err());
    }

    #[test]
    fn a_new_writer_begins_at_one_and_counts_on() {
        let (_reader, mut writer, raw) = pair("writers");
        let name = writer.name().clone();
        for size in [1, 2] {
            writer.write(&vec![1; size]).unwrap();
        }
        drop(writer);
        let mut writer = Writer::connect(&name, PATIENCE).unwrap();
        for size in [1, 2] {
            writer.write(&vec![1; size]).unwrap();
        }
        let mut unread = Unread::walk(&raw).unwrap();
        unread.expect_sequences_from(1).unwrap();
        assert!(unread.expect_sequence_from(1).is_err());
        assert!(
            unread.expect_sequences_from(2).is_ok(),
            "nothing but a new writer's"
        );
        unread.frames[3].header.sequence = 3;
        let failure = unread.expect_sequences_from(1).unwrap_err().to_string();
        assert!(failure.contains("expected 2, found 3"), "{failure}");
        unread.frames.remove(0);
        assert!(
            unread.expect_sequences_from(1).is_err(),
            "2 is not the first"
        );
    }

    #[test]
    fn a_full_ring_is_not_an_empty_one() {
        let (mut reader, mut writer, raw) = pair("full");
        writer.write(&[1; 1008]).unwrap();
        let state = RingState::of(&raw).unwrap();
        assert_eq!((state.free, state.unread(), state.to_end()), (0, 1, 1024));
        state.expect_used(1024).unwrap();
        assert!(state.expect_used(1023).is_err());
        assert_eq!(
            Unread::walk(&raw).unwrap().first().unwrap().header.size,
            1008
        );
        drop(reader.read(PATIENCE).unwrap().unwrap());
        assert!(Unread::walk(&raw).unwrap().first().is_err());
    }

    #[test]
    fn what_does_not_add_up_is_an_error() {
        let (_reader, mut writer, raw) = pair("wrong");
        writer.write(&[1; 100]).unwrap();
        let wrong = RawHeader {
            size: 101,
            sequence: 1,
        };
        raw.put_header(0, wrong).unwrap();
        let failure = Unread::walk(&raw).unwrap_err().to_string();
        assert!(failure.contains("expected 116, found 117"), "{failure}");
        for size in [0, 1009, u64::MAX] {
            raw.put_header(0, RawHeader { size, ..wrong }).unwrap();
            assert!(Unread::walk(&raw).is_err(), "{size}");
        }
        raw.set(Field::PayloadWrittenCount, u64::MAX).unwrap();
        assert!(Unread::walk(&raw).is_err());
    }

    #[test]
    fn bounds_are_those_of_the_ring() {
        let state = RingState {
            size: 1024,
            free: 0,
            write_pos: 0,
            read_pos: 0,
            written_count: 9,
            read_count: 0,
        };
        state.expect_within_bounds(112).unwrap();
        assert_eq!(
            (state.needed_for(1008), state.needed_for(1009)),
            (1024, 2049)
        );
        let write_pos = 1000;
        let near_the_end = RingState { write_pos, ..state };
        assert_eq!(
            (near_the_end.needed_for(8), near_the_end.needed_for(9)),
            (24, 49)
        );
        assert!(state.expect_within_bounds(113).is_err());
        let free = 1025;
        assert!(RingState { free, ..state }.expect_within_bounds(1).is_err());
    }
}
