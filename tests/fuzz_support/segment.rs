//! Any bytes in the segment, under a reader and a writer that live on it.
//!
//! Whatever stands there, a call ends at once, with a result or with an error that says what is
//! wrong, and a frame that is handed out lies inside the payload block.

use std::fs;
use std::time::{Duration, Instant};

use arbitrary::Arbitrary;
use zerobuffer::{BufferConfig, BufferName, Error, Frame, Reader, Writer};

use super::raw::{self, Field, OIEB, Raw, Semaphore};

/// No call below has anything to wait for. Generous: the machine may be busy.
const AT_ONCE: Duration = Duration::from_secs(5);

const HEADER: usize = 16;

/// Where no reader can stand.
const UNREAD: u64 = u64::MAX;

#[derive(Debug, Arbitrary)]
pub struct Input {
    metadata_blocks: u8,
    payload_blocks: u8,
    host: Host,
    #[arbitrary(with = super::rest)]
    actions: Vec<Action>,
}

/// Who has made the buffer.
#[derive(Debug, Arbitrary)]
enum Host {
    /// A reader of ours, which goes on living on it.
    Reader,
    /// Somebody else; the segment is so many bytes longer than its control block says.
    Stranger { longer: i8 },
}

#[derive(Debug, Arbitrary)]
enum Action {
    Read,
    Release(u8),
    Compare(u8),
    ReadMetadata,
    IsWriterConnected,
    AwaitNextWriter,
    Connect,
    Disconnect,
    Write(Length),
    Loan {
        length: Length,
        meanwhile: Vec<Change>,
        commit: bool,
    },
    SetMetadata(u8),
    CheckReader,
    Change(Change),
}

/// What a peer that keeps to nothing does to the shared memory.
#[derive(Debug, Arbitrary)]
enum Change {
    Set(Field, Value),
    /// A frame where the reader stands, posted; wrong, if at all, in the number in its header and
    /// in what is said to be free.
    Frame {
        length: Length,
        sequence: Option<i8>,
        free: Option<Value>,
    },
    /// Moves the border between metadata and payload.
    MoveBorder(i16),
    Header {
        at: Value,
        size: Value,
        sequence: Value,
    },
    Metadata {
        length: Value,
    },
    Bytes {
        at: Value,
        bytes: Vec<u8>,
    },
    Semaphore(Semaphore, Value, u8),
    AllSemaphore(Semaphore, u32, u32),
}

/// A number, mostly one that is nearly right.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum Value {
    Small(u8),
    /// Beside what the segment holds there, or would have to.
    Beside(Field, i16),
    BelowMost(u8),
    OwnPid,
    Any(u64),
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Length {
    Small(u8),
    /// Beside what makes it end with the ring, in quarters of a byte.
    ToEnd(i8),
    /// Beside the size of the ring, in quarters of a byte.
    Ring(i8),
    Any(u64),
}

pub fn run(input: Input) {
    let name = raw::unique();
    let mut world = World::new(&name, &input);
    for action in &input.actions {
        let begun = Instant::now();
        world.act(action);
        let took = begun.elapsed();
        assert!(took < AT_ONCE, "{action:?} took {took:?}");
    }
    let is_strangers = world.reader.is_none();
    drop(world);
    if is_strangers {
        for path in raw::paths(&name) {
            let _ = fs::remove_file(path);
        }
    }
    raw::assert_nothing_left(&name);
}

struct World {
    name: BufferName,
    metadata: usize,
    payload: usize,
    raw: Raw,
    reader: Option<Reader>,
    writer: Option<Writer>,
    held: Vec<Held>,
    /// Where the reader stands.
    position: usize,
    /// The number of the frame that it expects.
    expected: u64,
}

struct Held {
    frame: Frame,
    /// Where its data stands in the payload block.
    offset: usize,
}

impl World {
    fn new(name: &BufferName, input: &Input) -> World {
        let metadata = usize::from(input.metadata_blocks % 4) * 64;
        let payload = (usize::from(input.payload_blocks % 64) + 1) * 64;
        let reader = match input.host {
            Host::Reader => Some(raw::create(name, &BufferConfig::new(metadata, payload))),
            Host::Stranger { longer } => {
                make_as_a_stranger(name, metadata, payload, longer);
                None
            }
        };
        World {
            name: name.clone(),
            metadata,
            payload,
            raw: Raw::open(name),
            reader,
            writer: None,
            held: Vec::new(),
            position: 0,
            expected: 1,
        }
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::Read => self.read(),
            Action::Release(choice) => {
                if !self.held.is_empty() {
                    self.held.remove(usize::from(*choice) % self.held.len());
                }
            }
            Action::Compare(choice) => self.compare(usize::from(*choice)),
            Action::ReadMetadata => self.read_metadata(),
            Action::IsWriterConnected => {
                self.reader.as_mut().map(Reader::is_writer_connected);
            }
            Action::AwaitNextWriter => {
                self.reader.as_mut().map(Reader::await_next_writer);
            }
            Action::Connect => self.connect(),
            Action::Disconnect => self.writer = None,
            Action::Write(length) => self.loan(*length, &[], true),
            Action::Loan {
                length,
                meanwhile,
                commit,
            } => self.loan(*length, meanwhile, *commit),
            Action::SetMetadata(length) => self.set_metadata(usize::from(*length)),
            Action::CheckReader => {
                if let Some(Err(error)) = self.writer.as_mut().map(Writer::check_reader) {
                    assert!(matches!(error, Error::ReaderDead { .. }), "{error}");
                }
            }
            Action::Change(change) => self.change(change),
        }
    }

    fn read(&mut self) {
        let Some(reader) = &mut self.reader else {
            return;
        };
        // The reader only ever writes it: left as it is, nothing was read.
        let position = self.raw.get(Field::ReadPosition);
        self.raw.set(Field::ReadPosition, UNREAD);
        let result = reader.read(Duration::ZERO);
        match self.raw.get(Field::ReadPosition) {
            UNREAD => self.raw.set(Field::ReadPosition, position),
            advanced => self.position = advanced as usize,
        }
        match result {
            Ok(Some(frame)) => self.take(frame),
            Ok(None) => {}
            Err(Error::WriterDead { .. } | Error::Corrupt { .. } | Error::Sequence { .. }) => {}
            Err(error) => panic!("reading: {error}"),
        }
        self.position %= self.payload;
    }

    /// The frame ends where the reader now stands.
    fn take(&mut self, frame: Frame) {
        let length = frame.len();
        let offset = self.position.saturating_sub(length);
        assert!(
            offset >= HEADER && self.position <= self.payload,
            "{frame:?} before {} of {}",
            self.position,
            self.payload
        );
        let header = [length as u64, frame.sequence()].map(u64::to_le_bytes);
        assert_eq!(
            self.payload(offset - HEADER, HEADER),
            header.concat(),
            "of {frame:?}"
        );
        let overlapping = self.held.iter().find(|held| {
            let end = held.offset + held.frame.len();
            held.offset - HEADER < self.position && offset - HEADER < end
        });
        if let Some(held) = overlapping {
            panic!("{frame:?} overlaps {:?}, which is held", held.frame);
        }
        self.expected = frame.sequence().wrapping_add(1);
        self.held.push(Held { frame, offset });
        self.compare(self.held.len() - 1);
    }

    fn compare(&self, choice: usize) {
        if self.held.is_empty() {
            return;
        }
        let Held { frame, offset } = &self.held[choice % self.held.len()];
        assert_eq!(frame.to_vec(), self.payload(*offset, frame.len()));
    }

    fn payload(&self, offset: usize, length: usize) -> Vec<u8> {
        let length = length.min(self.payload.saturating_sub(offset));
        self.raw.bytes(OIEB + self.metadata + offset, length)
    }

    fn read_metadata(&mut self) {
        match self.reader.as_ref().map(Reader::metadata) {
            Some(Ok(Some(metadata))) => {
                let block = self.raw.bytes(OIEB, self.metadata);
                assert_eq!(metadata, block[8..8 + metadata.len()]);
            }
            None | Some(Ok(None) | Err(Error::Corrupt { .. })) => {}
            Some(Err(error)) => panic!("reading metadata: {error}"),
        }
    }

    fn connect(&mut self) {
        // A dead writer's place is waited for, which would make every input take its time; the
        // process with id 1 always lives.
        if self.raw.get(Field::WriterPid) != 1 {
            self.raw.set(Field::WriterPid, 0);
        }
        self.writer = None;
        match Writer::connect(&self.name, Duration::ZERO) {
            Ok(mut writer) => {
                writer.set_write_timeout(Duration::ZERO);
                self.writer = Some(writer);
            }
            Err(
                Error::NotReady { .. }
                | Error::IncompatibleVersion { .. }
                | Error::Corrupt { .. }
                | Error::WriterAlreadyConnected { .. },
            ) => {}
            Err(error) => panic!("connecting: {error}"),
        }
    }

    fn loan(&mut self, length: Length, meanwhile: &[Change], commit: bool) {
        let length = self.length(length, self.raw.get(Field::WritePosition));
        let Some(mut writer) = self.writer.take() else {
            return;
        };
        let fill = writer.next_sequence() as u8;
        match writer.loan(length) {
            Ok(mut loan) => {
                assert!(length <= self.raw.bytes(0, usize::MAX).len());
                loan.copy_from(&vec![fill; length]);
                meanwhile.iter().for_each(|change| self.change(change));
                if commit && let Err(error) = loan.commit() {
                    assert!(matches!(error, Error::ReaderDead { .. }), "{error}");
                }
            }
            Err(
                Error::InvalidFrameSize { .. }
                | Error::FrameTooLarge { .. }
                | Error::BufferFull { .. }
                | Error::ReaderDead { .. }
                | Error::Corrupt { .. },
            ) => {}
            Err(error) => panic!("writing: {error}"),
        }
        self.writer = Some(writer);
    }

    fn set_metadata(&mut self, length: usize) {
        let data = vec![7; length];
        match self
            .writer
            .as_mut()
            .map(|writer| writer.set_metadata(&data))
        {
            None
            | Some(
                Ok(())
                | Err(
                    Error::InvalidFrameSize { .. }
                    | Error::MetadataTooLarge { .. }
                    | Error::MetadataAlreadyWritten { .. },
                ),
            ) => {}
            Some(Err(error)) => panic!("writing metadata: {error}"),
        }
    }

    fn change(&self, change: &Change) {
        let payload = OIEB + self.metadata;
        match change {
            Change::Set(field, value) => self.raw.set(*field, self.value(*value)),
            Change::Frame {
                length,
                sequence,
                free,
            } => {
                let length = self.length(*length, self.position as u64) as u64;
                let wrong = i64::from(sequence.unwrap_or_default());
                let sequence = self.expected.wrapping_add_signed(wrong);
                let header = [length, sequence].map(u64::to_le_bytes);
                self.raw.put(payload + self.position, &header.concat());
                let total = length.wrapping_add(HEADER as u64);
                let free = free.map_or(self.account().wrapping_sub(total), |free| self.value(free));
                self.raw.set(Field::FreeBytes, free);
                self.raw.set_semaphore(Semaphore::Data, 1, 0);
            }
            Change::MoveBorder(by) => {
                let by = i64::from(*by) as u64;
                let [metadata, payload] = [Field::MetadataSize, Field::PayloadSize];
                self.raw
                    .set(metadata, self.raw.get(metadata).wrapping_add(by));
                self.raw
                    .set(payload, self.raw.get(payload).wrapping_sub(by));
            }
            Change::Header { at, size, sequence } => {
                let header = [*size, *sequence].map(|value| self.value(value).to_le_bytes());
                self.raw.put(payload + self.offset(*at), &header.concat());
            }
            Change::Metadata { length } => {
                self.raw.put(OIEB, &self.value(*length).to_le_bytes());
            }
            Change::Bytes { at, bytes } => self.raw.put(payload + self.offset(*at), bytes),
            Change::Semaphore(semaphore, value, waiters) => {
                let value = self.value(*value) as u32;
                self.raw
                    .set_semaphore(*semaphore, value, u32::from(*waiters));
            }
            Change::AllSemaphore(semaphore, value, waiters) => {
                self.raw.set_semaphore(*semaphore, *value, *waiters);
            }
        }
    }

    /// What is free once all is read, as long as everything is released in order.
    fn account(&self) -> u64 {
        let held = self.held.iter().map(|held| HEADER + held.frame.len());
        (self.payload as u64).wrapping_sub(held.sum::<usize>() as u64)
    }

    fn value(&self, value: Value) -> u64 {
        match value {
            Value::Small(value) => u64::from(value),
            Value::Beside(field, by) => self.raw.get(field).wrapping_add_signed(i64::from(by)),
            Value::BelowMost(by) => u64::MAX - u64::from(by),
            Value::OwnPid => u64::from(std::process::id()),
            Value::Any(value) => value,
        }
    }

    /// A place in the payload block.
    fn offset(&self, value: Value) -> usize {
        self.value(value) as usize % self.payload
    }

    /// The length of a frame whose header stands at `position`.
    fn length(&self, length: Length, position: u64) -> usize {
        let beside = |value: u64, by: i8| value.wrapping_add_signed(i64::from(by / 4));
        let length = match length {
            Length::Small(length) => u64::from(length),
            Length::ToEnd(by) => {
                let data = position.wrapping_add(HEADER as u64);
                beside((self.payload as u64).wrapping_sub(data), by)
            }
            Length::Ring(by) => beside(self.payload as u64, by),
            Length::Any(length) => length,
        };
        length as usize
    }
}

/// The files of a buffer as another implementation's reader makes them.
fn make_as_a_stranger(name: &BufferName, metadata: usize, payload: usize, longer: i8) {
    let [segment, data, space, _] = raw::paths(name);
    for path in [data, space] {
        let mut semaphore = [0; 32];
        // For semaphores that are shared between processes, as all with a name are.
        semaphore[8..12].copy_from_slice(&128_u32.to_le_bytes());
        fs::write(path, semaphore).unwrap();
    }
    let length = (OIEB + metadata + payload).saturating_add_signed(isize::from(longer));
    // What is needed to map it and to change its control block.
    fs::write(segment, vec![0; length.max(OIEB)]).unwrap();
    let raw = Raw::open(name);
    raw.put(0, &[128, 0, 0, 0, 1, 0, 0, 0]);
    for (field, value) in [
        (Field::MetadataSize, metadata),
        (Field::MetadataFree, metadata),
        (Field::PayloadSize, payload),
        (Field::FreeBytes, payload),
        (Field::ReaderPid, std::process::id() as usize),
    ] {
        raw.set(field, value as u64);
    }
}
