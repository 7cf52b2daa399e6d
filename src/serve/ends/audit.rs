//! Whether a buffer's account is in order at the end of a scenario, whatever its steps looked at.

use std::time::{Duration, Instant};

use super::reading::ReadingEnd;
use super::{Reader, Writer};
use crate::serve::death::is_alive;
use crate::serve::failure::{Failure, StepOutcome, expect_equal};
use crate::serve::outside::ring_state::{RingState, Unread};
use crate::serve::outside::segment::{Field, RawSegment};

/// How long a writer that is at work may keep an account out of balance.
const PATIENCE: Duration = Duration::from_millis(200);

/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(1);

/// Checks that everything in these buffers is accounted for, as far as a check makes sense, while their
/// readers hold no frame; yields what is not in order. Of each buffer:
///
/// * the bytes that are not free are those of the frames that are still to be read;
/// * their numbers follow each other and that of the frame last read, or begin anew with a new writer,
///   unless a number has been found wrong before;
/// * the data semaphore was posted as often as there were frames.
///
/// A buffer whose writer has died, or goes on writing, is not looked at.
pub fn audit<'r>(readers: impl IntoIterator<Item = &'r mut ReadingEnd>) -> Vec<Failure> {
    let mut complaints = Vec::new();
    let mut open = Vec::new();
    for reading in readers {
        let Some((reader, numbers)) = reading.auditable() else {
            continue;
        };
        match Account::of(reader, numbers) {
            Ok(account) => open.push(account),
            Err(failure) => complaints.push(failure),
        }
    }
    // All of them together: that they are many takes no longer.
    let deadline = Instant::now() + PATIENCE;
    loop {
        open.retain_mut(|account| account.look().is_err());
        if open.is_empty() || Instant::now() >= deadline {
            break;
        }
        std::thread::sleep(LOOK);
    }
    complaints.extend(open.into_iter().filter_map(Account::complaint));
    complaints
}

/// What is wrong with the account of a buffer, said of that buffer.
pub fn not_in_order(buffer: &str, failure: Failure) -> Failure {
    failure.while_doing(format!("the account of buffer '{buffer}' is not in order"))
}

/// The account of a buffer, and what was last seen of it.
struct Account<'r> {
    reader: &'r mut Reader,
    /// Whether the frames' numbers are looked at.
    numbers: bool,
    raw: RawSegment,
    /// What the writer had written before the last look.
    written: u64,
    seen: StepOutcome,
}

impl Account<'_> {
    fn of(reader: &mut Reader, numbers: bool) -> Result<Account<'_>, Failure> {
        let opened = RawSegment::open(reader.name());
        Ok(Account {
            raw: opened.map_err(|failure| not_in_order(reader.name().as_str(), failure))?,
            reader,
            numbers,
            written: 0,
            seen: Ok(()),
        })
    }

    fn look(&mut self) -> StepOutcome {
        self.seen = self.balance();
        self.seen.clone()
    }

    fn balance(&mut self) -> StepOutcome {
        self.written = self.raw.get(Field::PayloadWrittenCount)?;
        let taken = self.reader.settle();
        let state = RingState::of(&self.raw)?;
        let unread = Unread::walk(&self.raw)?;
        let frames = unread.frames.len() as i64;
        let posts = i64::from(self.raw.data_posts()?) + taken;
        expect_equal("posts for frames that are unread", frames, posts)?;
        state.expect_used(unread.bytes)?;
        match self.numbers {
            true => unread.expect_sequences_from(self.reader.expected_sequence()),
            false => Ok(()),
        }
    }

    /// What is wrong, if it is the fault of somebody who could still put it right.
    fn complaint(self) -> Option<Failure> {
        let failure = self.seen.as_ref().err()?.clone();
        let buffer = self.reader.name();
        match self.excuse() {
            Ok(None) => Some(not_in_order(buffer.as_str(), failure)),
            Ok(Some(excuse)) => {
                left_out(buffer.as_str(), &format!("{excuse} ({failure})"));
                None
            }
            Err(error) => Some(not_in_order(buffer.as_str(), error.into())),
        }
    }

    /// Why it need not be in order.
    fn excuse(&self) -> std::io::Result<Option<&'static str>> {
        if self.raw.get(Field::PayloadWrittenCount)? != self.written {
            return Ok(Some("its writer goes on writing"));
        }
        let writer = self.raw.get(Field::WriterPid)?;
        Ok((writer != 0 && !is_alive(writer)).then_some("its writer has died"))
    }
}

/// Says that the account of a buffer is not checked, and why.
pub fn left_out(buffer: &str, why: &str) {
    tracing::info!("the account of buffer '{buffer}' is not checked: {why}");
}

/// Checks the account of a buffer whose reader has died before it read anything, as seen by the
/// writer: every frame that it wrote is there behind those of earlier writers, with its number and its
/// post, and nothing else is in use. A living reader looks for itself.
///
/// # Errors
///
/// A failure that says what is wrong.
pub fn audit_orphan(writer: &Writer) -> StepOutcome {
    let Some(raw) = RawSegment::find(writer.name())? else {
        return Ok(());
    };
    let state = RingState::of(&raw)?;
    let is_own = raw.get(Field::WriterPid)? == u64::from(std::process::id());
    let reader = raw.get(Field::ReaderPid)?;
    // 0: it is closing.
    if !is_own || reader == 0 || is_alive(reader) || state.read_count > 0 {
        return Ok(());
    }
    let mut unread = Unread::walk(&raw)?;
    let (own, frames) = (writer.next_sequence() - 1, unread.frames.len() as u64);
    expect_equal(
        "posts for the frames in the ring",
        frames,
        raw.data_posts()?.into(),
    )?;
    state.expect_used(unread.bytes)?;
    let of_others = frames.checked_sub(own).ok_or_else(|| {
        Failure::new(format!(
            "frames in the ring: expected at least {own}, found {frames}"
        ))
    })?;
    unread.frames.drain(..of_others as usize);
    unread.expect_sequence_from(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use crate::serve::death::ended_pid;
    use crate::serve::outside::segment::{HEADER, RawHeader};
    use crate::{BufferConfig, BufferName};

    fn buffer(test: &str) -> (ReadingEnd, BufferName) {
        let name = format!("serve-audit-{test}-{}", std::process::id());
        let name = BufferName::new(name).unwrap();
        let reader = Reader::create(&name, &BufferConfig::new(64, 1024)).unwrap();
        (ReadingEnd::new(reader), name)
    }

    /// Three frames, the second of which stands behind a skipped end; the first was read.
    fn ring(test: &str) -> (ReadingEnd, Writer, RawSegment) {
        let (mut reading, name) = buffer(test);
        let mut writer = Writer::connect(&name, Duration::ZERO).unwrap();
        writer.write(&[1; 600]).unwrap();
        reading.read().unwrap();
        reading.release().unwrap();
        writer.write(&[2; 450]).unwrap();
        writer.write(&[3; 50]).unwrap();
        let raw = RawSegment::open(&name).unwrap();
        (reading, writer, raw)
    }

    fn complaints(reading: &mut ReadingEnd) -> Vec<String> {
        let found = audit([reading]);
        found.iter().map(ToString::to_string).collect()
    }

    fn wrong(reading: &mut ReadingEnd) -> String {
        let complaints = complaints(reading);
        assert_eq!(complaints.len(), 1, "{complaints:?}");
        complaints[0].clone()
    }

    fn read_on(reading: &mut ReadingEnd, timeout: Duration) -> usize {
        let reader = reading.reader().unwrap();
        std::iter::from_fn(|| reader.read(timeout).unwrap()).count()
    }

    #[test]
    fn what_is_unread_is_in_order_and_so_is_what_was_read() {
        let (mut reading, mut writer, _) = ring("order");
        assert_eq!(complaints(&mut reading), [""; 0]);
        assert_eq!(read_on(&mut reading, Duration::ZERO), 2);
        assert_eq!(complaints(&mut reading), [""; 0]);
        writer.write(&[4; 10]).unwrap();
        drop(writer);
        assert_eq!(complaints(&mut reading), [""; 0]);
    }

    #[test]
    fn a_second_writer_begins_anew() {
        let (mut reading, writer, raw) = ring("second");
        drop(writer);
        let mut writer = Writer::connect(reading.buffer(), Duration::ZERO).unwrap();
        writer.write(&[4; 10]).unwrap();
        writer.write(&[5; 10]).unwrap();
        assert_eq!(complaints(&mut reading), [""; 0]);
        let last = *Unread::walk(&raw).unwrap().frames.last().unwrap();
        let mut header = last.header;
        header.sequence += 1;
        raw.put_header(last.offset, header).unwrap();
        let told = wrong(&mut reading);
        assert!(told.contains("expected 2, found 3"), "{told}");
    }

    #[test]
    fn many_are_given_no_more_time_than_one() {
        let mut rings: Vec<_> = (0..6)
            .map(|number| ring(&format!("many-{number}")))
            .collect();
        for (_, _, raw) in &rings {
            raw.set_data_posts(7).unwrap();
        }
        let begun = Instant::now();
        let found = audit(rings.iter_mut().map(|(reading, ..)| reading));
        assert_eq!(found.len(), 6);
        assert!(begun.elapsed() < PATIENCE * 3);
    }

    #[test]
    fn a_post_too_many_or_too_few_is_told() {
        let (mut reading, _writer, raw) = ring("posts");
        assert_eq!(complaints(&mut reading), [""; 0]);
        let posts = raw.data_posts().unwrap();
        raw.set_data_posts(posts + 1).unwrap();
        let told = wrong(&mut reading);
        assert!(told.contains("expected 2, found 3"), "{told}");
        raw.set_data_posts(posts - 1).unwrap();
        let told = wrong(&mut reading);
        assert!(told.contains("expected 2, found 1"), "{told}");
        // Nor are they forgotten once they have ended a wait in vain.
        raw.set_data_posts(posts + 1).unwrap();
        assert_eq!(read_on(&mut reading, Duration::from_millis(1)), 2);
        assert_eq!(read_on(&mut reading, Duration::from_millis(1)), 0);
        let told = wrong(&mut reading);
        assert!(told.contains("expected 0, found 1"), "{told}");
    }

    #[test]
    fn bytes_that_nobody_has_are_told() {
        let (mut reading, _writer, raw) = ring("bytes");
        let free = raw.get(Field::PayloadFreeBytes).unwrap();
        raw.set(Field::PayloadFreeBytes, free - 1).unwrap();
        let told = wrong(&mut reading);
        assert!(told.contains("bytes in use"), "{told}");
        raw.set(Field::PayloadFreeBytes, free).unwrap();
        assert_eq!(complaints(&mut reading), [""; 0]);
        let reader = reading.reader().unwrap();
        std::mem::forget(reader.read(Duration::ZERO).unwrap().unwrap());
        let told = wrong(&mut reading);
        assert!(told.contains("bytes in use"), "{told}");
    }

    #[test]
    fn a_number_that_was_left_out_is_told() {
        let (mut reading, _writer, raw) = ring("numbers");
        let second = Unread::walk(&raw).unwrap().frames[0];
        assert_eq!(second.offset, 0);
        let mut header = raw.header_at(HEADER + 450).unwrap();
        header.sequence += 1;
        raw.put_header(HEADER + 450, header).unwrap();
        let told = wrong(&mut reading);
        assert!(told.contains("expected 3, found 4"), "{told}");
        // The reader has come upon it, and looks at numbers no more.
        reading.read().unwrap();
        let found = reading.try_read().unwrap();
        assert!(matches!(found, Err(Error::Sequence { .. })), "{found:?}");
        assert_eq!(complaints(&mut reading), [""; 0]);
    }

    #[test]
    fn a_buffer_that_its_reader_has_found_corrupt_is_left_out() {
        let (mut reading, _writer, raw) = ring("corrupt");
        let frame = Unread::walk(&raw).unwrap().frames[0];
        let size = u64::MAX;
        let broken = RawHeader {
            size,
            ..frame.header
        };
        raw.put_header(frame.offset, broken).unwrap();
        assert_eq!(complaints(&mut reading).len(), 1);
        let found = reading.try_read().unwrap();
        assert!(matches!(found, Err(Error::Corrupt { .. })), "{found:?}");
        assert_eq!(complaints(&mut reading), [""; 0]);
    }

    #[test]
    fn a_writer_looks_at_what_a_dead_reader_cannot() {
        let (reader, name) = buffer("orphan");
        let mut writer = Writer::connect(&name, Duration::ZERO).unwrap();
        writer.write(&[1; 600]).unwrap();
        let raw = RawSegment::open(&name).unwrap();
        let (own, free) = (
            raw.get(Field::ReaderPid).unwrap(),
            raw.get(Field::PayloadFreeBytes).unwrap(),
        );
        raw.set_data_posts(2).unwrap();
        assert_eq!(audit_orphan(&writer), Ok(()), "its reader lives");
        let dead = ended_pid().unwrap().into();
        raw.set(Field::ReaderPid, dead).unwrap();
        assert!(audit_orphan(&writer).is_err(), "a post too many");
        raw.set_data_posts(1).unwrap();
        assert_eq!(audit_orphan(&writer), Ok(()));
        raw.set(Field::PayloadFreeBytes, free - 1).unwrap();
        assert!(audit_orphan(&writer).is_err(), "a byte too few");
        raw.set(Field::ReaderPid, 0).unwrap();
        assert_eq!(audit_orphan(&writer), Ok(()), "its reader is closing");
        raw.set(Field::ReaderPid, dead).unwrap();
        raw.set(Field::PayloadFreeBytes, free).unwrap();
        let header = raw.header_at(0).unwrap();
        let renumbered = RawHeader {
            sequence: 2,
            ..header
        };
        raw.put_header(0, renumbered).unwrap();
        assert!(audit_orphan(&writer).is_err(), "a number left out");
        raw.put_header(0, header).unwrap();
        raw.set(Field::ReaderPid, own).unwrap();
        drop(reader);
        assert_eq!(audit_orphan(&writer), Ok(()), "the buffer is gone");
    }

    #[test]
    fn what_an_earlier_writer_left_for_a_dead_reader_is_not_the_next_ones() {
        let (_reader, name) = buffer("heir");
        let mut first = Writer::connect(&name, Duration::ZERO).unwrap();
        for size in [1, 2, 3] {
            first.write(&vec![1; size]).unwrap();
        }
        drop(first);
        let mut writer = Writer::connect(&name, Duration::ZERO).unwrap();
        writer.write(&[4; 10]).unwrap();
        writer.write(&[5; 10]).unwrap();
        let raw = RawSegment::open(&name).unwrap();
        let own = raw.get(Field::ReaderPid).unwrap();
        raw.set(Field::ReaderPid, ended_pid().unwrap().into())
            .unwrap();
        assert_eq!(audit_orphan(&writer), Ok(()));
        let last = *Unread::walk(&raw).unwrap().frames.last().unwrap();
        let sequence = 3;
        let renumbered = RawHeader {
            sequence,
            ..last.header
        };
        raw.put_header(last.offset, renumbered).unwrap();
        assert!(audit_orphan(&writer).is_err(), "a number left out");
        raw.set(Field::ReaderPid, own).unwrap();
    }

    #[test]
    fn what_a_dead_writer_left_is_nobodys_fault() {
        let (mut reading, _writer, raw) = ring("dead");
        raw.set_data_posts(7).unwrap();
        let own = raw.get(Field::WriterPid).unwrap();
        raw.set(Field::WriterPid, ended_pid().unwrap().into())
            .unwrap();
        assert_eq!(complaints(&mut reading), [""; 0]);
        raw.set(Field::WriterPid, own).unwrap();
        assert_eq!(complaints(&mut reading).len(), 1);
    }
}
