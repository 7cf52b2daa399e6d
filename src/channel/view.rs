//! Buffers as anybody on the machine can see them: every part is read, none is changed.
//!
//! The values of a view are not of the very same moment where a buffer is in use.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::BufferName;
use super::attachment::check_sizes;
use super::layout::{BlockSizes, METADATA_PREFIX, OIEB_SIZE, Oieb};
use super::name::{LOCK_DIR, SHM_DIR, semaphore_path};
use super::ring::{Found, HEADER, Header};
use super::sys::look;
use super::sys::process::Watch;

/// How many unread frames are counted; of more, only the counts of the control block are known.
const COUNTED: u64 = 10_000;

/// How often it is tried to count frames that come and go meanwhile.
const ATTEMPTS: usize = 3;

/// What a control block says, with the protocol's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the protocol's")]
pub(crate) struct ControlBlock {
    pub(crate) oieb_size: u32,
    pub(crate) version: [u8; 4],
    pub(crate) metadata_size: u64,
    pub(crate) metadata_free_bytes: u64,
    pub(crate) metadata_written_bytes: u64,
    pub(crate) payload_size: u64,
    pub(crate) payload_free_bytes: u64,
    pub(crate) payload_write_pos: u64,
    pub(crate) payload_read_pos: u64,
    pub(crate) payload_written_count: u64,
    pub(crate) payload_read_count: u64,
    pub(crate) writer_pid: u64,
    pub(crate) reader_pid: u64,
}

impl ControlBlock {
    fn of(oieb: Oieb) -> ControlBlock {
        ControlBlock {
            oieb_size: oieb.oieb_size.into_inner(),
            version: oieb.version.map(|part| part.into_inner()),
            metadata_size: oieb.metadata_size.into_inner(),
            metadata_free_bytes: oieb.metadata_free_bytes.into_inner(),
            metadata_written_bytes: oieb.metadata_written_bytes.into_inner(),
            payload_size: oieb.payload_size.into_inner(),
            payload_free_bytes: oieb.payload_free_bytes.into_inner(),
            payload_write_pos: oieb.payload_write_pos.into_inner(),
            payload_read_pos: oieb.payload_read_pos.into_inner(),
            payload_written_count: oieb.payload_written_count.into_inner(),
            payload_read_count: oieb.payload_read_count.into_inner(),
            writer_pid: oieb.writer_pid.into_inner(),
            reader_pid: oieb.reader_pid.into_inner(),
        }
    }

    /// Bytes of the ring that are not free: unread, or read and not given back.
    pub(crate) fn used(&self) -> u64 {
        self.payload_size.saturating_sub(self.payload_free_bytes)
    }

    /// Frames and wraps that were written and not read.
    pub(crate) fn unread_entries(&self) -> u64 {
        self.payload_written_count
            .wrapping_sub(self.payload_read_count)
    }

    /// What no ring can be in.
    fn broken_ring(&self) -> Option<String> {
        let size = self.payload_size;
        [
            ("payload_free_bytes", self.payload_free_bytes),
            ("payload_write_pos", self.payload_write_pos),
            ("payload_read_pos", self.payload_read_pos),
        ]
        .into_iter()
        .find(|(_, value)| *value > size)
        .map(|(name, value)| format!("{name} is {value}, beyond the ring's {size} bytes"))
    }
}

/// The segment of a buffer.
#[derive(Debug)]
pub(crate) struct SegmentView {
    /// Its size in bytes.
    pub(crate) length: u64,
    /// How long ago it was made.
    pub(crate) age: Duration,
    /// What its control block says; `None` if it is too short to have one.
    pub(crate) block: Option<ControlBlock>,
    /// Why it is no control block of a buffer of this size.
    pub(crate) no_buffer: Option<String>,
    /// What else is wrong with it.
    pub(crate) broken: Option<String>,
    /// How long the metadata are; `None` if none were written.
    pub(crate) metadata: Option<u64>,
    /// How many frames are unread; `None` if they cannot be counted.
    pub(crate) unread: Option<u64>,
}

impl SegmentView {
    /// Reads the segment of `name`; `None` if there is no file of its name.
    pub(crate) fn read(name: &BufferName) -> io::Result<Option<SegmentView>> {
        let Some(file) = look::open(&name.segment_path())? else {
            return Ok(None);
        };
        let metadata = file.metadata()?;
        let mut view = SegmentView {
            length: metadata.len(),
            age: age(&metadata),
            block: None,
            no_buffer: None,
            broken: None,
            metadata: None,
            unread: None,
        };
        let Some(oieb) = read_oieb(&file)? else {
            let what = "it is shorter than a control block";
            view.no_buffer = Some(what.to_owned());
            return Ok(Some(view));
        };
        let sizes = check_sizes(name, &oieb, view.length);
        let block = ControlBlock::of(oieb);
        view.block = Some(block);
        match sizes {
            Ok(Some(sizes)) => {
                view.broken = block.broken_ring();
                view.metadata = metadata_length(&file, &block)?;
                view.unread = unread_frames(&file, sizes)?;
            }
            Ok(None) => view.no_buffer = Some("its control block is not filled in".to_owned()),
            Err(error) => view.no_buffer = Some(error.to_string()),
        }
        Ok(Some(view))
    }
}

/// The control block only, for who looks often; `None` where there is none of a buffer.
pub(crate) fn control_block(name: &BufferName) -> Option<ControlBlock> {
    control_block_at(&name.segment_path(), name)
}

/// The same of a segment that is found elsewhere, as in a folder that other processes see as theirs.
pub(crate) fn control_block_at(path: &Path, name: &BufferName) -> Option<ControlBlock> {
    let file = look::open(path).ok()??;
    let length = file.metadata().ok()?.len();
    let oieb = read_oieb(&file).ok()??;
    matches!(check_sizes(name, &oieb, length), Ok(Some(_))).then(|| ControlBlock::of(oieb))
}

fn read_oieb(file: &File) -> io::Result<Option<Oieb>> {
    let mut bytes = [0; OIEB_SIZE as usize];
    match file.read_exact_at(&mut bytes, 0) {
        Ok(()) => Ok(Some(Oieb::from_bytes(bytes))),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

fn metadata_length(file: &File, block: &ControlBlock) -> io::Result<Option<u64>> {
    if block.metadata_written_bytes == 0 || block.metadata_size < METADATA_PREFIX {
        return Ok(None);
    }
    let mut length = [0; METADATA_PREFIX as usize];
    file.read_exact_at(&mut length, OIEB_SIZE)?;
    Ok(Some(u64::from_le_bytes(length)))
}

/// Walks over what is unread. In a ring in which both sides are at work, that may lead nowhere.
fn unread_frames(file: &File, sizes: BlockSizes) -> io::Result<Option<u64>> {
    for _ in 0..ATTEMPTS {
        let Some(oieb) = read_oieb(file)? else {
            return Ok(None);
        };
        let frames = walk(&ControlBlock::of(oieb), sizes.payload, |position| {
            let mut bytes = [0; HEADER as usize];
            let at = OIEB_SIZE + sizes.metadata + position;
            file.read_exact_at(&mut bytes, at)?;
            Ok(Header::from_bytes(bytes))
        })?;
        if frames.is_some() {
            return Ok(frames);
        }
    }
    Ok(None)
}

fn walk(
    block: &ControlBlock,
    capacity: u64,
    header_at: impl Fn(u64) -> io::Result<Header>,
) -> io::Result<Option<u64>> {
    let entries = block.unread_entries();
    let mut position = block.payload_read_pos;
    if entries > COUNTED || position > capacity {
        return Ok(None);
    }
    let mut frames = 0;
    for _ in 0..entries {
        // Behind an exact fit it is at the end, which is the beginning.
        position %= capacity;
        let header = match Found::has_header(capacity, position) {
            true => Some(header_at(position)?),
            false => None,
        };
        match Found::at(capacity, position, header, capacity) {
            Ok(Found::Wrap { .. }) => position = 0,
            Ok(Found::Frame { total }) => {
                position += total;
                frames += 1;
            }
            Err(_) => return Ok(None),
        }
    }
    let end = block.payload_write_pos;
    Ok((position % capacity == end % capacity).then_some(frames))
}

/// A buffer, as it was found.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) name: BufferName,
    /// Its segment; `None` if there is none.
    pub(crate) segment: io::Result<Option<SegmentView>>,
    /// The value of the semaphore that the writer posts; `None` if there is none.
    pub(crate) data: io::Result<Option<u32>>,
    /// The value of the semaphore that the reader posts; `None` if there is none.
    pub(crate) space: io::Result<Option<u32>>,
    pub(crate) lock: io::Result<Lock>,
}

/// The lock of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lock {
    /// There is no file to be locked.
    Missing,
    /// Nobody has locked the file.
    Free,
    /// This process has.
    Held(u64),
}

impl View {
    /// Looks at the buffer `name`.
    pub(crate) fn of(name: BufferName) -> View {
        let segment = SegmentView::read(&name);
        let block = segment
            .as_ref()
            .ok()
            .and_then(|found| found.as_ref()?.block);
        let value = |semaphore: String| look::semaphore_value(&semaphore_path(&semaphore));
        View {
            data: value(name.data_semaphore()),
            space: value(name.space_semaphore()),
            lock: lock(&name.lock_path(), block.map_or(0, |block| block.reader_pid)),
            segment,
            name,
        }
    }

    /// Whether nothing of it is there.
    pub(crate) fn is_nothing(&self) -> bool {
        matches!(
            (&self.segment, &self.data, &self.space, &self.lock),
            (Ok(None), Ok(None), Ok(None), Ok(Lock::Missing))
        )
    }
}

fn lock(path: &Path, reader: u64) -> io::Result<Lock> {
    match fs::symlink_metadata(path) {
        Ok(file) => {
            let holder = look::lock_holder(&file, reader)?;
            Ok(holder.map_or(Lock::Free, Lock::Held))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Lock::Missing),
        Err(error) => Err(error),
    }
}

/// A process that a control block names: the name of its program, if it lives.
pub(crate) fn living_command(pid: u64) -> Option<String> {
    let watch = Watch::new(pid);
    let name = look::command_name(pid);
    watch.is_alive().then(|| name.unwrap_or_default())
}

/// How long ago a file got its length or was last written to.
pub(super) fn age(file: &Metadata) -> Duration {
    let modified = file.modified().ok();
    modified
        .and_then(|modified| modified.elapsed().ok())
        .unwrap_or_default()
}

/// What is in the folder of shared memory and in that of the lock files.
#[derive(Debug, Default)]
pub(crate) struct Machine {
    /// Every buffer of which a part is there.
    pub(crate) buffers: BTreeSet<BufferName>,
    /// What is part of no buffer.
    pub(crate) strangers: Vec<PathBuf>,
}

impl Machine {
    /// Looks around.
    ///
    /// # Errors
    ///
    /// A folder that cannot be read.
    pub(crate) fn look() -> io::Result<Machine> {
        let mut machine = Machine::default();
        let mut segments = BTreeMap::new();
        for (path, name) in entries(Path::new(SHM_DIR))? {
            match part_of(&path, &name) {
                Some(Part::Semaphore(buffer)) => {
                    machine.buffers.insert(buffer);
                }
                Some(Part::Segment(buffer)) => {
                    segments.insert(buffer, path);
                }
                None => machine.strangers.push(path),
            }
        }
        for (path, name) in entries(Path::new(LOCK_DIR))? {
            let stem = name.and_then(|name| name.strip_suffix(".lock").map(str::to_owned));
            match stem.map(BufferName::new) {
                Some(Ok(buffer)) if is_plain(&path) => {
                    machine.buffers.insert(buffer);
                }
                _ => machine.strangers.push(path),
            }
        }
        // What could be a segment by its name is one if it looks like one, or has other parts.
        for (name, path) in segments {
            if machine.buffers.contains(&name) || is_buffer(&name) {
                machine.buffers.insert(name);
            } else {
                machine.strangers.push(path);
            }
        }
        machine.strangers.sort();
        Ok(machine)
    }
}

fn is_buffer(name: &BufferName) -> bool {
    matches!(SegmentView::read(name), Ok(Some(segment)) if segment.no_buffer.is_none())
}

enum Part {
    Segment(BufferName),
    Semaphore(BufferName),
}

fn part_of(path: &Path, name: &Option<String>) -> Option<Part> {
    let name = name.as_deref()?;
    let metadata = fs::symlink_metadata(path).ok()?;
    let owner = ["sem.sem-w-", "sem.sem-r-"]
        .into_iter()
        .find_map(|prefix| name.strip_prefix(prefix));
    match owner {
        Some(owner) if look::is_semaphore(&metadata) => {
            BufferName::new(owner).ok().map(Part::Semaphore)
        }
        _ if metadata.is_file() => BufferName::new(name).ok().map(Part::Segment),
        _ => None,
    }
}

fn is_plain(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file())
}

/// The entries of a folder, with their names where those are text; a folder that is not there has
/// none.
fn entries(folder: &Path) -> io::Result<Vec<(PathBuf, Option<String>)>> {
    let found = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        found => found?,
    };
    found
        .map(|entry| {
            let entry = entry?;
            Ok((entry.path(), entry.file_name().into_string().ok()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPACITY: u64 = 256;

    /// How many frames are found where `entries` are unread from `read` up to `write`, in a ring
    /// that holds these headers: position, size, sequence.
    fn walked(read: u64, write: u64, entries: u64, headers: &[(u64, u64, u64)]) -> Option<u64> {
        let mut block = ControlBlock::of(Oieb::from_bytes([0; OIEB_SIZE as usize]));
        block.payload_size = CAPACITY;
        block.payload_read_pos = read;
        block.payload_write_pos = write;
        block.payload_written_count = entries;
        walk(&block, CAPACITY, |position| {
            let found = headers.iter().find(|(at, ..)| *at == position);
            let (_, size, sequence) = *found.expect("a header where one stands");
            Ok(Header { size, sequence })
        })
        .unwrap()
    }

    #[test]
    fn unread_frames_are_counted() {
        let headers = [(0, 84, 1), (100, 34, 2)];
        assert_eq!(walked(0, 0, 0, &[]), Some(0));
        assert_eq!(walked(0, 150, 2, &headers), Some(2));
        assert_eq!(walked(100, 150, 1, &headers), Some(1));
    }

    #[test]
    fn a_wrap_is_an_entry_and_no_frame() {
        let marked = [(200, 0, 0), (0, 84, 5)];
        assert_eq!(walked(200, 100, 2, &marked), Some(1));
        let short = [(0, 84, 5)];
        assert_eq!(walked(250, 100, 2, &short), Some(1), "no room for a marker");
    }

    #[test]
    fn behind_an_exact_fit_is_the_beginning() {
        let headers = [(156, 84, 1), (0, 84, 2)];
        assert_eq!(walked(156, 100, 2, &headers), Some(2), "on the way");
        assert_eq!(walked(CAPACITY, 100, 1, &headers), Some(1), "to begin with");
        for end in [0, CAPACITY] {
            assert_eq!(walked(156, end, 1, &headers), Some(1));
            assert_eq!(walked(CAPACITY, end, 0, &[]), Some(0));
        }
    }

    #[test]
    fn what_leads_elsewhere_is_not_counted() {
        assert_eq!(walked(0, 100, 1, &[(0, 83, 1)]), None, "not to the end");
        assert_eq!(walked(0, 100, 1, &[(0, 300, 1)]), None, "out of the ring");
        assert_eq!(walked(CAPACITY + 1, 0, 1, &[]), None);
        assert_eq!(walked(0, 0, COUNTED + 1, &[]), None, "too many");
    }
}
