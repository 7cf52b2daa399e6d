//! A buffer from the outside: its control block, its semaphores' values, its bytes.
//!
//! Steps that check or corrupt what is in shared memory do it here, by reading and writing the
//! files: nothing of the library's own view is involved, and no memory is mapped.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

use super::files::BufferFiles;
use super::semaphore;
use crate::BufferName;
use crate::serve::failure::Failure;

/// Size of the control block, in bytes.
pub const OIEB_SIZE: u64 = 128;

/// Size of a frame's header, in bytes.
pub const HEADER: u64 = 16;

/// A number in the control block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the protocol's")]
pub enum Field {
    OiebSize,
    Version,
    MetadataSize,
    MetadataFreeBytes,
    MetadataWrittenBytes,
    PayloadSize,
    PayloadFreeBytes,
    PayloadWritePos,
    PayloadReadPos,
    PayloadWrittenCount,
    PayloadReadCount,
    WriterPid,
    ReaderPid,
}

impl Field {
    /// Every field, with the protocol's name of it, its offset and its size in bytes.
    pub const ALL: [(Field, &'static str, u64, usize); 13] = [
        (Field::OiebSize, "oieb_size", 0x00, 4),
        (Field::Version, "version", 0x04, 4),
        (Field::MetadataSize, "metadata_size", 0x08, 8),
        (Field::MetadataFreeBytes, "metadata_free_bytes", 0x10, 8),
        (
            Field::MetadataWrittenBytes,
            "metadata_written_bytes",
            0x18,
            8,
        ),
        (Field::PayloadSize, "payload_size", 0x20, 8),
        (Field::PayloadFreeBytes, "payload_free_bytes", 0x28, 8),
        (Field::PayloadWritePos, "payload_write_pos", 0x30, 8),
        (Field::PayloadReadPos, "payload_read_pos", 0x38, 8),
        (Field::PayloadWrittenCount, "payload_written_count", 0x40, 8),
        (Field::PayloadReadCount, "payload_read_count", 0x48, 8),
        (Field::WriterPid, "writer_pid", 0x50, 8),
        (Field::ReaderPid, "reader_pid", 0x58, 8),
    ];

    /// The field that the protocol calls `name`.
    ///
    /// # Errors
    ///
    /// If it calls none so.
    pub fn named(name: &str) -> Result<Field, Failure> {
        let found = Self::ALL.into_iter().find(|(_, own, ..)| *own == name);
        found.map(|(field, ..)| field).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|(_, own, ..)| *own).collect();
            Failure::new(format!(
                "the control block has no field '{name}'; it has {}",
                names.join(", ")
            ))
        })
    }

    fn place(self) -> (u64, usize) {
        let (_, _, offset, size) = Self::ALL[self as usize];
        (offset, size)
    }
}

/// A frame's header, or a wrap marker: both numbers 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawHeader {
    /// Number of data bytes.
    pub size: u64,
    /// Sequence number.
    pub sequence: u64,
}

impl RawHeader {
    /// What stands where the rest of the ring is skipped.
    pub const WRAP: RawHeader = RawHeader {
        size: 0,
        sequence: 0,
    };
}

impl std::fmt::Display for RawHeader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "size {} and sequence {}", self.size, self.sequence)
    }
}

/// The segment of a buffer, opened once more.
#[derive(Debug)]
pub struct RawSegment {
    files: BufferFiles,
    file: File,
}

impl RawSegment {
    /// Opens the segment that has this name now.
    ///
    /// # Errors
    ///
    /// If there is none, or it may not be opened.
    pub fn open(buffer: &BufferName) -> Result<RawSegment, Failure> {
        Self::try_open(buffer).map_err(|error| {
            let segment = BufferFiles::of(buffer).segment;
            Failure::from(error).while_doing(segment.display())
        })
    }

    /// As [`open`](Self::open); nothing if there is no segment of this name any more.
    ///
    /// # Errors
    ///
    /// If there is one that may not be opened.
    pub fn find(buffer: &BufferName) -> Result<Option<RawSegment>, Failure> {
        match Self::try_open(buffer) {
            Ok(segment) => Ok(Some(segment)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn try_open(buffer: &BufferName) -> io::Result<RawSegment> {
        let files = BufferFiles::of(buffer);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).open(&files.segment)?;
        Ok(RawSegment { files, file })
    }

    /// Where the buffer's files are.
    pub fn files(&self) -> &BufferFiles {
        &self.files
    }

    /// The segment's size in bytes.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Reads a field.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn get(&self, field: Field) -> io::Result<u64> {
        let (offset, size) = field.place();
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes[..size], offset)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Overwrites a field.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn set(&self, field: Field, value: u64) -> io::Result<()> {
        let (offset, size) = field.place();
        self.file.write_all_at(&value.to_le_bytes()[..size], offset)
    }

    /// Bytes that were written and whose memory was not given back yet.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn used(&self) -> io::Result<u64> {
        let free = self.get(Field::PayloadFreeBytes)?;
        Ok(self.get(Field::PayloadSize)?.saturating_sub(free))
    }

    /// The metadata block.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn metadata_block(&self) -> io::Result<Vec<u8>> {
        let mut block = vec![0; self.get(Field::MetadataSize)? as usize];
        self.file.read_exact_at(&mut block, OIEB_SIZE)?;
        Ok(block)
    }

    /// Bytes of the payload block.
    ///
    /// # Errors
    ///
    /// Those of the system; a range beyond the end of the segment.
    pub fn payload(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let at = self.payload_start()? + offset;
        self.file.read_exact_at(&mut bytes, at)?;
        Ok(bytes)
    }

    /// Overwrites bytes of the payload block.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn put_payload(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file
            .write_all_at(bytes, self.payload_start()? + offset)
    }

    /// The header at an offset of the payload block.
    ///
    /// # Errors
    ///
    /// Those of the system; an offset at which no header has room.
    pub fn header_at(&self, offset: u64) -> io::Result<RawHeader> {
        let bytes = self.payload(offset, HEADER as usize)?;
        let number = |half: &[u8]| half.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b));
        Ok(RawHeader {
            size: number(&bytes[..8]),
            sequence: number(&bytes[8..]),
        })
    }

    /// Overwrites the header at an offset of the payload block.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn put_header(&self, offset: u64, header: RawHeader) -> io::Result<()> {
        let bytes = [header.size.to_le_bytes(), header.sequence.to_le_bytes()];
        self.put_payload(offset, bytes.as_flattened())
    }

    /// The value of the semaphore that the writer posts.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn data_posts(&self) -> io::Result<u32> {
        semaphore::value(&self.files.data_semaphore)
    }

    /// How many threads sleep until the writer posts its semaphore.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn data_waiters(&self) -> io::Result<u32> {
        semaphore::sleepers(&self.files.data_semaphore)
    }

    /// Overwrites the value of the semaphore that the writer posts; whoever sleeps on it sleeps on.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn set_data_posts(&self, value: u32) -> io::Result<()> {
        semaphore::set_value(&self.files.data_semaphore, value)
    }

    /// The value of the semaphore that the reader posts.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn space_posts(&self) -> io::Result<u32> {
        semaphore::value(&self.files.space_semaphore)
    }

    /// How many threads sleep until the reader posts its semaphore.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn space_waiters(&self) -> io::Result<u32> {
        semaphore::sleepers(&self.files.space_semaphore)
    }

    /// Overwrites the value of the semaphore that the reader posts; whoever sleeps on it sleeps on.
    ///
    /// # Errors
    ///
    /// Those of the system.
    #[cfg(test)]
    pub fn set_space_posts(&self, value: u32) -> io::Result<()> {
        semaphore::set_value(&self.files.space_semaphore, value)
    }

    fn payload_start(&self) -> io::Result<u64> {
        Ok(OIEB_SIZE + self.get(Field::MetadataSize)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BufferConfig, Reader, Writer};
    use std::time::Duration;

    fn name(test: &str) -> BufferName {
        BufferName::new(format!("serve-segment-{test}-{}", std::process::id())).unwrap()
    }

    #[test]
    fn what_both_ends_do_is_seen_from_outside() {
        let name = name("seen");
        let mut reader = Reader::create(&name, &BufferConfig::new(64, 1000)).unwrap();
        let mut writer = Writer::connect(&name, Duration::ZERO).unwrap();
        writer.set_metadata(b"abc").unwrap();
        writer.write(&[7; 100]).unwrap();
        let raw = RawSegment::open(&name).unwrap();
        let pid = u64::from(std::process::id());
        for (field, expected) in [
            (Field::OiebSize, OIEB_SIZE),
            (Field::Version, 1),
            (Field::MetadataSize, 64),
            (Field::MetadataFreeBytes, 53),
            (Field::MetadataWrittenBytes, 11),
            (Field::PayloadSize, 1024),
            (Field::PayloadFreeBytes, 1024 - 116),
            (Field::PayloadWritePos, 116),
            (Field::PayloadReadPos, 0),
            (Field::PayloadWrittenCount, 1),
            (Field::PayloadReadCount, 0),
            (Field::WriterPid, pid),
            (Field::ReaderPid, pid),
        ] {
            assert_eq!(raw.get(field).unwrap(), expected, "{field:?}");
        }
        let header = RawHeader {
            size: 100,
            sequence: 1,
        };
        assert_eq!(raw.header_at(0).unwrap(), header);
        assert_eq!(raw.payload(16, 100).unwrap(), [7; 100]);
        assert_eq!(&raw.metadata_block().unwrap()[8..11], b"abc");
        assert_eq!((raw.used().unwrap(), raw.data_posts().unwrap()), (116, 1));
        assert_eq!(raw.length().unwrap(), 128 + 64 + 1024);
        assert_eq!(raw.space_posts().unwrap(), 0);
        raw.set_data_posts(2).unwrap();
        assert_eq!(raw.data_posts().unwrap(), 2);
        drop(reader.read(Duration::from_secs(5)).unwrap().unwrap());
        assert_eq!((raw.used().unwrap(), raw.space_posts().unwrap()), (0, 1));
        assert_eq!(raw.data_waiters().unwrap(), 0);
        drop((reader, writer));
        assert!(RawSegment::open(&name).is_err());
    }

    #[test]
    fn who_sleeps_is_seen_from_outside() {
        let name = name("asleep");
        let mut reader = Reader::create(&name, &BufferConfig::new(64, 1024)).unwrap();
        let raw = RawSegment::open(&name).unwrap();
        assert_eq!(raw.data_waiters().unwrap(), 0);
        let sleeping = std::thread::spawn(move || reader.read(Duration::from_millis(500)).unwrap());
        let begun = std::time::Instant::now();
        while raw.data_waiters().unwrap() == 0 {
            assert!(
                begun.elapsed() < Duration::from_secs(5),
                "nobody falls asleep"
            );
        }
        assert!(sleeping.join().unwrap().is_none());
    }

    #[test]
    fn what_is_changed_from_outside_is_read_by_the_reader() {
        let name = name("changed");
        let mut reader = Reader::create(&name, &BufferConfig::new(64, 1024)).unwrap();
        let mut writer = Writer::connect(&name, Duration::ZERO).unwrap();
        writer.write(&[1, 2, 3]).unwrap();
        let raw = RawSegment::open(&name).unwrap();
        raw.put_payload(HEADER, &[9]).unwrap();
        let found = reader.read(Duration::from_secs(5)).unwrap().unwrap();
        assert_eq!(found.to_vec(), [9, 2, 3]);
        let header = RawHeader {
            size: 1,
            sequence: 5,
        };
        raw.put_header(0, header).unwrap();
        assert_eq!(raw.header_at(0).unwrap(), header);
        raw.set(Field::OiebSize, 7).unwrap();
        assert_eq!(raw.get(Field::OiebSize).unwrap(), 7);
        assert_eq!(raw.get(Field::Version).unwrap(), 1);
    }

    #[test]
    fn fields_are_found_by_name_and_stand_in_order() {
        for (index, (field, name, ..)) in Field::ALL.into_iter().enumerate() {
            assert_eq!(field as usize, index);
            assert_eq!(Field::named(name), Ok(field));
            let (offset, size) = field.place();
            assert!(offset.is_multiple_of(size as u64), "{name}");
        }
        let failure = Field::named("pid").unwrap_err().to_string();
        assert!(failure.contains("reader_pid"), "{failure}");
    }
}
