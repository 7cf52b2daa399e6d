//! The ends of a buffer, used like the library's own, that commit the fault which is planned.
//!
//! What can be done wrong before a frame is sent is done then, so that the reader cannot miss it,
//! however soon it looks. The rest is done in its [`Sight`], right after that.

use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use super::fault::Fault;
use super::plan::Plan;
use super::sight::Sight;
use crate::{BufferConfig, BufferName, Error};

/// The bit that is flipped: none that makes the data of one frame that of the next one.
const FLIPPED: u8 = 0x80;

/// A writer.
#[derive(Debug)]
pub struct Writer {
    inner: crate::Writer,
    plan: Plan,
    /// The number of the next frame, as the steps are told.
    next: u64,
    /// How many numbers were left out.
    skipped: u64,
}

impl Writer {
    /// As [`crate::Writer::connect`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn connect(name: &BufferName, timeout: Duration) -> Result<Writer, Error> {
        Ok(crate::Writer::connect(name, timeout)?.into())
    }

    fn with(inner: crate::Writer, plan: Plan) -> Writer {
        Writer {
            next: inner.next_sequence(),
            skipped: 0,
            inner,
            plan,
        }
    }

    /// As [`crate::Writer::next_sequence`].
    pub fn next_sequence(&self) -> u64 {
        self.next
    }

    /// As [`crate::Writer::write`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn write(&mut self, data: &[u8]) -> Result<u64, Error> {
        let (next, plan) = (self.next, self.plan.clone());
        let written = self.loan(data.len()).and_then(|mut loan| {
            loan.copy_from(data);
            loan.commit()
        });
        match written {
            Err(error @ Error::ReaderDead { .. })
                if plan.strikes(Fault::DeathNotNoticed, &error) =>
            {
                Ok(next)
            }
            written => written,
        }
    }

    /// As [`crate::Writer::loan`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn loan(&mut self, length: usize) -> Result<Loan<'_>, Error> {
        Ok(Loan {
            name: self.inner.name().clone(),
            inner: self.inner.loan(length)?,
            plan: &self.plan,
            next: &mut self.next,
            skipped: &mut self.skipped,
        })
    }
}

impl From<crate::Writer> for Writer {
    fn from(inner: crate::Writer) -> Writer {
        Writer::with(inner, Plan::of_process())
    }
}

impl Deref for Writer {
    type Target = crate::Writer;

    fn deref(&self) -> &crate::Writer {
        &self.inner
    }
}

impl DerefMut for Writer {
    fn deref_mut(&mut self) -> &mut crate::Writer {
        &mut self.inner
    }
}

/// Memory for a frame.
#[derive(Debug)]
pub struct Loan<'w> {
    name: BufferName,
    inner: crate::Loan<'w>,
    plan: &'w Plan,
    next: &'w mut u64,
    skipped: &'w mut u64,
}

impl Loan<'_> {
    fn what(&self) -> String {
        format!("frame {} of '{}'", self.next, self.name)
    }

    /// As [`crate::Loan::sequence`].
    pub fn sequence(&self) -> u64 {
        *self.next
    }

    /// As [`crate::Loan::copy_from`].
    ///
    /// # Panics
    ///
    /// The same.
    pub fn copy_from(&mut self, data: &[u8]) {
        self.write_at(0, data);
    }

    /// As [`crate::Loan::write_at`].
    ///
    /// # Panics
    ///
    /// The same.
    pub fn write_at(&mut self, offset: usize, data: &[u8]) {
        self.inner.write_at(offset, data);
        if let Some(first) = data.first()
            && self.plan.strikes(Fault::ByteFlipped, &self.what())
        {
            self.inner.write_at(offset, &[first ^ FLIPPED]);
        }
    }

    /// As [`crate::Loan::commit`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn commit(self) -> Result<u64, Error> {
        let sequence = *self.next;
        self.commit_as(sequence)
    }

    /// As [`commit`](Self::commit), with this number.
    pub(crate) fn commit_as(self, sequence: u64) -> Result<u64, Error> {
        let plan = self.plan;
        if plan.strikes(Fault::FrameDropped, &self.what()) {
            *self.next = sequence.wrapping_add(1);
            return Ok(sequence);
        }
        if plan.strikes(Fault::SequenceSkipped, &self.what()) {
            *self.skipped += 1;
        }
        let what = self.what();
        let sight = Sight::before_commit(plan, &self.name);
        match self.inner.commit_as(sequence.wrapping_add(*self.skipped)) {
            Ok(_) => {}
            Err(error @ Error::ReaderDead { .. })
                if plan.strikes(Fault::DeathNotNoticed, &error) => {}
            Err(error) => return Err(error),
        }
        *self.next = sequence.wrapping_add(1);
        let committed = sight.and_then(|sight| match sight {
            Some(sight) => sight.commit(plan, &what),
            None => Ok(()),
        });
        if let Err(failure) = committed {
            tracing::error!("a fault could not be committed: {failure}");
        }
        Ok(sequence)
    }
}

impl<'w> Deref for Loan<'w> {
    type Target = crate::Loan<'w>;

    fn deref(&self) -> &crate::Loan<'w> {
        &self.inner
    }
}

/// A reader.
#[derive(Debug)]
pub struct Reader {
    inner: crate::Reader,
    plan: Plan,
}

impl Reader {
    /// As [`crate::Reader::create`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn create(name: &BufferName, config: &BufferConfig) -> Result<Reader, Error> {
        Ok(crate::Reader::create(name, config)?.into())
    }

    fn with(inner: crate::Reader, plan: Plan) -> Reader {
        Reader { inner, plan }
    }

    /// As [`crate::Reader::read`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn read(&mut self, timeout: Duration) -> Result<Option<Frame>, Error> {
        let begun = Instant::now();
        match self.inner.read(timeout) {
            Err(error @ Error::WriterDead { .. })
                if self.plan.strikes(Fault::DeathNotNoticed, &error) =>
            {
                std::thread::sleep(timeout.saturating_sub(begun.elapsed()));
                Ok(None)
            }
            read => Ok(read?.map(|inner| Frame {
                inner: Some(inner),
                plan: self.plan.clone(),
            })),
        }
    }
}

impl From<crate::Reader> for Reader {
    fn from(inner: crate::Reader) -> Reader {
        Reader::with(inner, Plan::of_process())
    }
}

impl Deref for Reader {
    type Target = crate::Reader;

    fn deref(&self) -> &crate::Reader {
        &self.inner
    }
}

impl DerefMut for Reader {
    fn deref_mut(&mut self) -> &mut crate::Reader {
        &mut self.inner
    }
}

/// A frame that was read.
#[derive(Debug)]
pub struct Frame {
    /// Taken out when it is dropped.
    inner: Option<crate::Frame>,
    plan: Plan,
}

impl Deref for Frame {
    type Target = crate::Frame;

    fn deref(&self) -> &crate::Frame {
        self.inner.as_ref().expect("it is taken out when dropped")
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        if let Some(frame) = self.inner.take() {
            let what = format!("frame {}", frame.sequence());
            if self.plan.strikes(Fault::MemoryNotReleased, &what) {
                std::mem::forget(frame);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::outside::segment::RawSegment;

    const SOON: Duration = Duration::from_millis(100);

    struct Pair {
        reader: Reader,
        writer: Writer,
        raw: RawSegment,
    }

    /// Both ends of a buffer of 1024 bytes, of which one has a fault.
    fn pair(fault: Fault) -> Pair {
        pair_of(fault, "pair")
    }

    fn pair_of(fault: Fault, test: &str) -> Pair {
        let name = format!("serve-faulty-{fault}-{test}-{}", std::process::id());
        let name = BufferName::new(name).unwrap();
        let reader = crate::Reader::create(&name, &BufferConfig::new(64, 1024)).unwrap();
        let writer = crate::Writer::connect(&name, Duration::ZERO).unwrap();
        let raw = RawSegment::open(&name).unwrap();
        let plan = Plan::of(fault);
        let mut writer = Writer::with(writer, plan.clone());
        writer.set_write_timeout(SOON);
        Pair {
            reader: Reader::with(reader, plan),
            writer,
            raw,
        }
    }

    impl Pair {
        fn write(&mut self, size: usize) -> u64 {
            self.writer.write(&vec![7; size]).unwrap()
        }

        fn read(&mut self) -> Result<Option<(u64, Vec<u8>)>, Error> {
            let frame = self.reader.read(SOON)?;
            Ok(frame.map(|frame| (frame.sequence(), frame.to_vec())))
        }
    }

    #[test]
    fn a_dropped_frame_is_counted_and_missing() {
        let mut pair = pair(Fault::FrameDropped);
        assert_eq!((pair.write(3), pair.read().unwrap()), (1, None));
        assert_eq!((pair.write(3), pair.writer.next_sequence()), (2, 3));
        let read = pair.read();
        assert!(
            matches!(read, Err(Error::Sequence { got: 2, .. })),
            "{read:?}"
        );
    }

    #[test]
    fn a_skipped_number_is_seen_by_the_reader_alone() {
        let mut pair = pair(Fault::SequenceSkipped);
        assert_eq!((pair.write(3), pair.write(3)), (1, 2));
        let read = pair.read();
        assert!(
            matches!(read, Err(Error::Sequence { got: 2, .. })),
            "{read:?}"
        );
    }

    #[test]
    fn one_bit_of_one_frame_is_flipped() {
        let mut pair = pair(Fault::ByteFlipped);
        pair.write(3);
        pair.write(3);
        assert_eq!(pair.read().unwrap(), Some((1, vec![7 ^ FLIPPED, 7, 7])));
        assert_eq!(pair.read().unwrap(), Some((2, vec![7, 7, 7])));
    }

    #[test]
    fn a_marker_that_is_missing_is_corruption() {
        let mut pair = pair(Fault::WrapMarkerMissing);
        pair.write(600);
        pair.write(200);
        assert!(pair.read().unwrap().is_some());
        pair.write(300);
        assert!(pair.read().unwrap().is_some());
        let read = pair.read();
        assert!(matches!(read, Err(Error::Corrupt { .. })), "{read:?}");
    }

    #[test]
    fn posts_are_missing_or_too_many() {
        for (fault, expected) in [(Fault::PostMissing, [0, 1]), (Fault::PostDoubled, [2, 3])] {
            let mut pair = pair(fault);
            pair.write(3);
            let first = pair.raw.data_posts().unwrap();
            pair.write(3);
            assert_eq!([first, pair.raw.data_posts().unwrap()], expected, "{fault}");
        }
    }

    #[test]
    fn free_bytes_are_miscounted() {
        let mut pair = pair(Fault::FreeBytesOffByOne);
        pair.write(84);
        pair.write(84);
        assert_eq!(pair.raw.used().unwrap(), 201);
        let mut pair = pair_of(Fault::FreeBytesOffByOne, "full");
        pair.write(1008);
        assert_eq!(pair.raw.used().unwrap(), 1023);
    }

    #[test]
    fn memory_that_is_not_released_is_never_written_again() {
        let mut pair = pair(Fault::MemoryNotReleased);
        for _ in 0..2 {
            pair.write(400);
            assert!(pair.read().unwrap().is_some());
        }
        let written = pair.writer.write(&[7; 400]);
        assert!(
            matches!(written, Err(Error::BufferFull { .. })),
            "{written:?}"
        );
    }

    #[test]
    fn nobody_notices_a_death() {
        let Pair {
            mut reader, writer, ..
        } = pair(Fault::DeathNotNoticed);
        drop(writer);
        assert!(reader.read(SOON).unwrap().is_none());
        drop(reader);
        let Pair {
            reader, mut writer, ..
        } = pair(Fault::DeathNotNoticed);
        drop(reader);
        assert_eq!(writer.write(b"x").unwrap(), 1);
    }
}
