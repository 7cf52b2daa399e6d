//! Whether a buffer's account is in order at the end of a scenario, whatever its steps looked at.

use std::time::{Duration, Instant};

use super::{Reader, Writer};
use crate::serve::death::is_alive;
use crate::serve::failure::{StepOutcome, expect_equal};
use crate::serve::outside::ring_state::{RingState, Unread};
use crate::serve::outside::segment::{Field, RawSegment};

/// How long a writer that is at work may keep an account out of balance.
const PATIENCE: Duration = Duration::from_millis(200);

/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(1);

/// Checks that everything in a buffer is accounted for, while its reader holds no frame:
///
/// * the bytes that are not free are those of the frames that are still to be read;
/// * their numbers follow each other and that of the frame last read, unless a number has been found
///   wrong before (`numbers` is false then);
/// * the data semaphore was posted as often as there were frames.
///
/// A buffer whose writer has died, or goes on writing, is not looked at.
///
/// # Errors
///
/// A failure that says what is wrong.
pub fn audit(reader: &mut Reader, numbers: bool) -> StepOutcome {
    let raw = RawSegment::open(reader.name())?;
    let begun = Instant::now();
    loop {
        let written = raw.get(Field::PayloadWrittenCount)?;
        let Err(failure) = balance(reader, numbers, &raw) else {
            return Ok(());
        };
        if begun.elapsed() >= PATIENCE {
            let writer = raw.get(Field::WriterPid)?;
            let is_quiet = raw.get(Field::PayloadWrittenCount)? == written;
            let is_due = is_quiet && (writer == 0 || is_alive(writer));
            return if is_due { Err(failure) } else { Ok(()) };
        }
        std::thread::sleep(LOOK);
    }
}

fn balance(reader: &mut Reader, numbers: bool, raw: &RawSegment) -> StepOutcome {
    let taken = reader.settle();
    let state = RingState::of(raw)?;
    let unread = Unread::walk(raw)?;
    let frames = unread.frames.len() as i64;
    let posts = i64::from(raw.data_posts()?) + taken;
    expect_equal("posts for frames that are unread", frames, posts)?;
    state.expect_used(unread.bytes)?;
    match numbers {
        true => unread.expect_sequence_from(reader.expected_sequence()),
        false => Ok(()),
    }
}

/// Checks the account of a buffer whose reader has died before it read anything, as seen by the
/// writer: every frame that it wrote is there, with its number and its post, and nothing else is in
/// use. A living reader looks for itself.
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
    let unread = Unread::walk(&raw)?;
    let frames = unread.frames.len() as u64;
    expect_equal("frames in the ring", writer.next_sequence() - 1, frames)?;
    expect_equal("posts for them", frames, raw.data_posts()?.into())?;
    state.expect_used(unread.bytes)?;
    unread.expect_sequence_from(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::death::ended_pid;
    use crate::serve::outside::segment::{HEADER, RawHeader};
    use crate::{BufferConfig, BufferName};

    /// Three frames, the second of which stands behind a skipped end; the first was read.
    fn ring(test: &str) -> (Reader, Writer, RawSegment) {
        let name = format!("serve-audit-{test}-{}", std::process::id());
        let name = BufferName::new(name).unwrap();
        let mut reader = Reader::create(&name, &BufferConfig::new(64, 1024)).unwrap();
        let mut writer = Writer::connect(&name, Duration::ZERO).unwrap();
        writer.write(&[1; 600]).unwrap();
        drop(reader.read(Duration::ZERO).unwrap().unwrap());
        writer.write(&[2; 450]).unwrap();
        writer.write(&[3; 50]).unwrap();
        let raw = RawSegment::open(&name).unwrap();
        (reader, writer, raw)
    }

    fn wrong(reader: &mut Reader) -> String {
        audit(reader, true).unwrap_err().to_string()
    }

    #[test]
    fn what_is_unread_is_in_order_and_so_is_what_was_read() {
        let (mut reader, mut writer, _) = ring("order");
        assert_eq!(audit(&mut reader, true), Ok(()));
        while reader.read(Duration::ZERO).unwrap().is_some() {}
        assert_eq!(audit(&mut reader, true), Ok(()));
        writer.write(&[4; 10]).unwrap();
        drop(writer);
        assert_eq!(audit(&mut reader, true), Ok(()));
    }

    #[test]
    fn a_post_too_many_or_too_few_is_told() {
        let (mut reader, _writer, raw) = ring("posts");
        assert_eq!(audit(&mut reader, true), Ok(()));
        let posts = raw.data_posts().unwrap();
        raw.set_data_posts(posts + 1).unwrap();
        let told = wrong(&mut reader);
        assert!(told.contains("expected 2, found 3"), "{told}");
        raw.set_data_posts(posts - 1).unwrap();
        let told = wrong(&mut reader);
        assert!(told.contains("expected 2, found 1"), "{told}");
        // Nor are they forgotten once they have ended a wait in vain.
        raw.set_data_posts(posts + 1).unwrap();
        while reader.read(Duration::from_millis(1)).unwrap().is_some() {}
        assert!(reader.read(Duration::from_millis(1)).unwrap().is_none());
        let told = wrong(&mut reader);
        assert!(told.contains("expected 0, found 1"), "{told}");
    }

    #[test]
    fn bytes_that_nobody_has_are_told() {
        let (mut reader, _writer, raw) = ring("bytes");
        let free = raw.get(Field::PayloadFreeBytes).unwrap();
        raw.set(Field::PayloadFreeBytes, free - 1).unwrap();
        let told = wrong(&mut reader);
        assert!(told.contains("bytes in use"), "{told}");
        raw.set(Field::PayloadFreeBytes, free).unwrap();
        assert_eq!(audit(&mut reader, true), Ok(()));
        std::mem::forget(reader.read(Duration::ZERO).unwrap().unwrap());
        let told = wrong(&mut reader);
        assert!(told.contains("bytes in use"), "{told}");
    }

    #[test]
    fn a_number_that_was_left_out_is_told() {
        let (mut reader, _writer, raw) = ring("numbers");
        let second = Unread::walk(&raw).unwrap().frames[0];
        assert_eq!(second.offset, 0);
        let mut header = raw.header_at(HEADER + 450).unwrap();
        header.sequence += 1;
        raw.put_header(HEADER + 450, header).unwrap();
        let told = wrong(&mut reader);
        assert!(told.contains("expected 3, found 4"), "{told}");
        assert_eq!(audit(&mut reader, false), Ok(()));
    }

    #[test]
    fn a_writer_looks_at_what_a_dead_reader_cannot() {
        let name = format!("serve-audit-orphan-{}", std::process::id());
        let name = BufferName::new(name).unwrap();
        let reader = Reader::create(&name, &BufferConfig::new(64, 1024)).unwrap();
        let mut writer = crate::serve::ends::Writer::connect(&name, Duration::ZERO).unwrap();
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
    fn what_a_dead_writer_left_is_nobodys_fault() {
        let (mut reader, _writer, raw) = ring("dead");
        raw.set_data_posts(7).unwrap();
        let own = raw.get(Field::WriterPid).unwrap();
        raw.set(Field::WriterPid, ended_pid().unwrap().into())
            .unwrap();
        assert_eq!(audit(&mut reader, true), Ok(()));
        raw.set(Field::WriterPid, own).unwrap();
        assert!(audit(&mut reader, true).is_err());
    }
}
