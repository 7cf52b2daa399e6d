//! Any history of a reader and the writers that come and go, against queues of byte vectors.

use std::collections::VecDeque;
use std::time::Duration;

use arbitrary::Arbitrary;
use zerobuffer::{BufferConfig, BufferName, Error, Frame, Reader, Writer};

use super::raw::{self, Field, OIEB, Raw};

const HEADER: u64 = 16;
const METADATA: usize = 64;

/// From so many blocks on, the ring is large enough for all that a writer does about caches.
const LARGE: u8 = 250;

/// How many frames are streamed in the life of one reader; more would only take longer.
const LONGEST_STREAM: u64 = 200;

/// What only the writer changes when it has written a frame.
const OWN: [Field; 2] = [Field::WritePosition, Field::WrittenCount];

/// No process has this id.
const DEAD: u64 = u32::MAX as u64;

#[derive(Debug, Arbitrary)]
pub struct Input {
    payload_blocks: u8,
    #[arbitrary(with = super::rest)]
    steps: Vec<Step>,
}

#[derive(Debug, Arbitrary)]
enum Step {
    Write(Length),
    /// A loan, filled piece by piece from its end.
    Loan(Length),
    /// A loan that is filled and dropped.
    Abandon(Length),
    Read,
    /// So many small frames are written, read and released, one after another.
    Stream(u8),
    Release(u8),
    SetMetadata(u8),
    ReadMetadata,
    IsWriterConnected,
    Leave,
    Die(Death),
    Connect,
    AwaitNextWriter,
    /// The reader goes and another one makes the buffer anew.
    Replace,
}

/// Where in its work a writer is killed.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum Death {
    BetweenFrames,
    /// It has accounted for a frame, and done nothing else about it.
    WithinFrame(Length),
    /// It has accounted for the end of the ring, which it skips, and not yet for the frame.
    WithinWrap,
}

/// Length of a frame.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum Length {
    Small(u8),
    /// What makes it end with the ring, and so many bytes more.
    ToEnd(i8),
    /// What fills all that is free, and so many bytes more.
    Free(i8),
    /// What fills half of the ring, and so many bytes more.
    Half(i8),
    Any(u16),
}

pub fn run(input: Input) {
    let name = raw::unique();
    let capacity = match input.payload_blocks {
        LARGE.. => 1024 * 1024,
        blocks => (u64::from(blocks % 48) + 1) * 64,
    };
    let mut left = Left::default();
    let mut lives = input
        .steps
        .split(|step| matches!(step, Step::Replace))
        .peekable();
    while let Some(steps) = lives.next() {
        let mut world = World::new(&name, capacity, left);
        for step in steps {
            world.take(step);
            world.check();
        }
        if lives.peek().is_none() {
            world.finish();
            break;
        }
        left = world.leave();
    }
    raw::assert_nothing_left(&name);
}

/// A frame as it was written.
#[derive(Debug)]
struct Sent {
    /// Bytes of the ring that were left out before it.
    skipped: u64,
    sequence: u64,
    data: Vec<u8>,
}

impl Sent {
    fn total(&self) -> u64 {
        HEADER + self.data.len() as u64
    }
}

/// Bytes of the ring that were read; they are not the writer's before all earlier ones are.
struct Passed {
    bytes: u64,
    /// `None` for bytes that were skipped, and once the frame has been released.
    frame: Option<(Frame, Vec<u8>)>,
}

/// What the reader knows of a writer since it last began to wait for one.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
enum Evidence {
    None,
    /// One has come; the reader need not have seen it.
    Possible,
    Certain,
}

/// What outlives a reader.
#[derive(Default)]
struct Left {
    writer: Option<Writer>,
    frames: Vec<(Frame, Vec<u8>)>,
}

struct World {
    name: BufferName,
    capacity: u64,
    raw: Raw,
    reader: Reader,
    writer: Option<Writer>,
    evidence: Evidence,
    /// A dead writer is still in its place.
    dead: bool,
    /// Bytes at the end of the ring that a dead writer has skipped for no frame.
    abandoned: u64,
    metadata: Option<Vec<u8>>,
    unread: VecDeque<Sent>,
    passed: VecDeque<Passed>,
    /// Frames of readers that have gone.
    orphans: Vec<(Frame, Vec<u8>)>,
    expected: u64,
    writes: u64,
    /// Frames in streams.
    streamed: u64,
}

impl World {
    fn new(name: &BufferName, capacity: u64, left: Left) -> World {
        let reader = raw::create(name, &BufferConfig::new(METADATA, capacity as usize));
        if let Some(mut writer) = left.writer {
            let error = writer.write(b"to the old one").unwrap_err();
            assert!(matches!(error, Error::ReaderDead { .. }), "{error}");
        }
        World {
            name: name.clone(),
            capacity,
            raw: Raw::open(name),
            reader,
            writer: None,
            evidence: Evidence::None,
            dead: false,
            abandoned: 0,
            metadata: None,
            unread: VecDeque::new(),
            passed: VecDeque::new(),
            orphans: left.frames,
            expected: 1,
            writes: 0,
            streamed: 0,
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Write(length) => self.write(*length, |writer, data| writer.write(data).map(Some)),
            Step::Loan(length) => self.write(*length, |writer, data| {
                let mut loan = writer.loan(data.len())?;
                let size = data.len() / 3 + 1;
                for (index, piece) in data.chunks(size).enumerate().rev() {
                    loan.write_at(index * size, piece);
                }
                loan.commit().map(Some)
            }),
            Step::Abandon(length) => self.write(*length, |writer, data| {
                writer.loan(data.len())?.copy_from(data);
                Ok(None)
            }),
            Step::Read => self.read(),
            Step::Stream(frames) => {
                for _ in 0..*frames {
                    if self.writer.is_none() || self.streamed >= LONGEST_STREAM {
                        break;
                    }
                    self.streamed += 1;
                    self.take(&Step::Write(Length::Small(*frames)));
                    self.read();
                    self.release(0);
                    self.check();
                }
            }
            Step::Release(choice) => self.release(usize::from(*choice)),
            Step::SetMetadata(length) => self.set_metadata(usize::from(*length)),
            Step::ReadMetadata => assert_eq!(self.reader.metadata().unwrap(), self.metadata),
            Step::IsWriterConnected => {
                let is_attached = self.writer.is_some();
                assert_eq!(self.reader.is_writer_connected(), is_attached);
                if is_attached {
                    self.evidence = Evidence::Certain;
                }
            }
            Step::Leave => self.writer = None,
            Step::Die(death) => self.die(*death),
            Step::Connect => self.connect(),
            Step::AwaitNextWriter => self.await_next_writer(),
            Step::Replace => unreachable!("the end of a reader's life"),
        }
    }

    /// Writes as `how` does, which says the frame's number if it has sent one.
    fn write(
        &mut self,
        length: Length,
        how: impl FnOnce(&mut Writer, &[u8]) -> Result<Option<u64>, Error>,
    ) {
        let (free, to_end) = (self.raw.get(Field::FreeBytes), self.to_end());
        let length = self.length(length);
        let Some(writer) = &mut self.writer else {
            return;
        };
        self.writes += 1;
        let mut data = vec![self.writes as u8; length as usize];
        for (index, byte) in data.iter_mut().take(256).enumerate() {
            *byte = byte.wrapping_add(index as u8);
        }
        let sequence = writer.next_sequence();
        let result = how(writer, &data);

        let total = HEADER + length;
        let fits = total <= to_end;
        let is_impossible = !fits && to_end + total > self.capacity;
        let most = if fits && !(1..HEADER).contains(&(to_end - total)) {
            total
        } else {
            to_end + total
        };
        let now_free = self.raw.get(Field::FreeBytes);
        match result {
            Ok(Some(sent)) => {
                assert!(
                    length > 0 && !is_impossible && total <= free,
                    "{length} bytes were sent"
                );
                assert_eq!(sent, sequence);
                let skipped = free
                    .checked_sub(now_free + total)
                    .expect("its bytes are taken");
                assert!(
                    skipped == 0 || skipped == to_end,
                    "{skipped} of {to_end} bytes skipped"
                );
                let is_short = skipped == 0 && (1..HEADER).contains(&(to_end - total));
                assert!(
                    !is_short || to_end + total > self.capacity,
                    "a short tail without need"
                );
                self.unread.push_back(Sent {
                    skipped,
                    sequence,
                    data,
                });
                self.evidence = Evidence::Certain;
                return;
            }
            Ok(None) => assert!(length > 0 && !is_impossible && total <= free),
            Err(Error::InvalidFrameSize { .. }) => assert_eq!(length, 0),
            Err(Error::FrameTooLarge { .. }) => {
                assert!(
                    is_impossible,
                    "{length} bytes at {to_end} before the end were refused"
                );
            }
            Err(Error::BufferFull { .. }) => {
                assert!(
                    length > 0 && !is_impossible && free < most,
                    "{free} bytes would be enough"
                );
            }
            Err(error) => panic!("writing {length} bytes: {error}"),
        }
        assert_eq!(now_free, free, "nothing was sent");
    }

    fn length(&self, length: Length) -> u64 {
        let beside = |bytes: u64, by: i8| {
            bytes
                .saturating_sub(HEADER)
                .saturating_add_signed(i64::from(by))
        };
        match length {
            Length::Small(length) => u64::from(length),
            Length::ToEnd(by) => beside(self.to_end(), by),
            Length::Free(by) => beside(self.raw.get(Field::FreeBytes).min(self.capacity), by),
            Length::Half(by) => beside(self.capacity / 2, by),
            Length::Any(length) => u64::from(length),
        }
    }

    /// Bytes from where the writer stands to the end of the ring.
    fn to_end(&self) -> u64 {
        self.capacity - self.raw.get(Field::WritePosition) % self.capacity
    }

    fn read(&mut self) {
        let result = self.reader.read(Duration::ZERO);
        let Some(sent) = self.unread.pop_front() else {
            return self.has_read_nothing(result);
        };
        let frame = match result {
            Ok(Some(frame)) => frame,
            other => panic!("{other:?} instead of frame {}", sent.sequence),
        };
        assert_eq!(
            (frame.sequence(), frame.len()),
            (sent.sequence, sent.data.len())
        );
        assert_eq!(frame.restarted(), sent.sequence == 1 && self.expected != 1);
        self.expected = sent.sequence + 1;
        if sent.skipped > 0 {
            self.passed.push_back(Passed {
                bytes: sent.skipped,
                frame: None,
            });
        }
        let (bytes, frame) = (sent.total(), Some((frame, sent.data)));
        self.passed.push_back(Passed { bytes, frame });
        self.settle();
    }

    fn has_read_nothing(&mut self, result: Result<Option<Frame>, Error>) {
        let bytes = std::mem::take(&mut self.abandoned);
        if bytes > 0 {
            self.passed.push_back(Passed { bytes, frame: None });
            self.settle();
        }
        let is_attached = self.writer.is_some();
        match result {
            Ok(None) => {
                let is_gone = !is_attached && self.evidence == Evidence::Certain;
                assert!(!is_gone, "the writer has gone, and the reader waits for it");
            }
            Err(Error::WriterDead { .. }) => {
                assert!(
                    !is_attached && self.evidence > Evidence::None,
                    "no writer has gone"
                );
                self.dead = false;
            }
            other => panic!("{other:?} where nothing was written"),
        }
        if self.evidence > Evidence::None && is_attached {
            self.evidence = Evidence::Certain;
        }
    }

    fn release(&mut self, choice: usize) {
        let mut held: Vec<&mut Passed> = self
            .passed
            .iter_mut()
            .filter(|passed| passed.frame.is_some())
            .collect();
        if held.is_empty() {
            self.orphans.pop().iter().for_each(assert_unchanged);
            return;
        }
        let choice = choice % held.len();
        held[choice].frame.take().iter().for_each(assert_unchanged);
        self.settle();
    }

    /// Forgets what goes back to the writer.
    fn settle(&mut self) {
        while self
            .passed
            .pop_front_if(|passed| passed.frame.is_none())
            .is_some()
        {}
    }

    fn set_metadata(&mut self, length: usize) {
        let data: Vec<u8> = (0..length).map(|i| (i + length) as u8).collect();
        match self
            .writer
            .as_mut()
            .map(|writer| writer.set_metadata(&data))
        {
            None => {}
            Some(Ok(())) => {
                assert!(self.metadata.is_none() && (1..=METADATA - 8).contains(&length));
                self.metadata = Some(data);
                self.evidence = Evidence::Certain;
            }
            Some(Err(Error::MetadataAlreadyWritten { .. })) => assert!(self.metadata.is_some()),
            Some(Err(Error::InvalidFrameSize { .. })) => assert_eq!(length, 0),
            Some(Err(Error::MetadataTooLarge { .. })) => assert!(length > METADATA - 8),
            Some(Err(error)) => panic!("writing metadata: {error}"),
        }
    }

    fn die(&mut self, death: Death) {
        if self.writer.is_none() {
            return;
        }
        match death {
            Death::BetweenFrames => {}
            Death::WithinFrame(length) => {
                let before = OWN.map(|field| self.raw.get(field));
                let unread = self.unread.len();
                self.write(length, |writer, data| writer.write(data).map(Some));
                if self.unread.len() > unread {
                    self.raw.take_back_post();
                    OWN.into_iter()
                        .zip(before)
                        .for_each(|(field, value)| self.raw.set(field, value));
                }
            }
            Death::WithinWrap => {
                let (free, to_end) = (self.raw.get(Field::FreeBytes), self.to_end());
                if to_end < free {
                    let marker = [0; HEADER as usize];
                    let marker = &marker[..to_end.min(HEADER) as usize];
                    let position = self.capacity - to_end;
                    self.raw.put(OIEB + METADATA + position as usize, marker);
                    self.raw.set(Field::FreeBytes, free - to_end);
                    self.abandoned = to_end;
                }
            }
        }
        // In another's place there is nothing that it would leave.
        self.raw.set(Field::WriterPid, DEAD);
        self.writer = None;
        self.evidence = Evidence::Certain;
        self.dead = true;
    }

    fn connect(&mut self) {
        // A dead writer's place is waited for, so that its reader can put things in order.
        // So is one that lives in the reader's own process.
        if self.dead || self.writer.is_some() {
            return;
        }
        match Writer::connect(&self.name, Duration::ZERO) {
            Ok(mut writer) => {
                writer.set_write_timeout(Duration::ZERO);
                self.writer = Some(writer);
                if self.evidence == Evidence::None {
                    self.evidence = Evidence::Possible;
                }
            }
            Err(error) => panic!("connecting: {error}"),
        }
    }

    fn await_next_writer(&mut self) {
        self.reader.await_next_writer();
        if self.writer.is_none() && !self.dead {
            self.metadata = None;
            self.evidence = Evidence::None;
            // What the last one wrote is still to be read, with its numbers.
            if self.unread.is_empty() {
                self.expected = 1;
            }
        }
    }

    /// Drops the reader.
    fn leave(self) -> Left {
        let held = self.passed.into_iter().filter_map(|passed| passed.frame);
        Left {
            writer: self.writer,
            frames: self.orphans.into_iter().chain(held).collect(),
        }
    }

    /// Looks whether everything is as it should be between two steps.
    fn check(&self) {
        if self.dead {
            return;
        }
        let unread: u64 = self
            .unread
            .iter()
            .map(|sent| sent.skipped + sent.total())
            .sum();
        let held: u64 = self.passed.iter().map(|passed| passed.bytes).sum();
        let (free, expected) = (
            self.raw.get(Field::FreeBytes),
            self.capacity - unread - held,
        );
        // What was given back may be accounted for later, but not once there is nothing to read.
        assert!(free <= expected, "{free} bytes are free, {expected} can be");
        if unread == 0 {
            assert_eq!(free, expected, "with nothing to read");
            let counts = [Field::WrittenCount, Field::ReadCount].map(|field| self.raw.get(field));
            assert_eq!(counts[0], counts[1], "entries written and read");
        }
    }

    fn finish(mut self) {
        while !self.unread.is_empty() {
            self.read();
            self.check();
        }
        if self.dead {
            self.read();
            assert!(!self.dead, "a dead writer was not noticed");
        }
        self.check();
        while !self.passed.is_empty() {
            self.release(0);
            self.check();
        }
        assert_eq!(self.raw.get(Field::FreeBytes), self.capacity);
        self.orphans.iter().for_each(assert_unchanged);
    }
}

/// Looks whether a frame is still what was written.
fn assert_unchanged((frame, data): &(Frame, Vec<u8>)) {
    assert!(frame.to_vec() == *data, "{frame:?} was changed");
}
