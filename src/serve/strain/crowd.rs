//! Buffers or semaphores until shared memory is full: only where it is small.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use nix::fcntl::posix_fallocate;
use nix::sys::statvfs::statvfs;

use super::census::{self, Census, SHM};
use crate::rpc::message::SKIPPED;
use crate::serve::failure::{Failure, StepOutcome, expect_equal};
use crate::serve::outside::semaphore;
use crate::serve::pattern;
use crate::serve::world::World;
use crate::{BufferConfig, BufferName, Error, Reader, Writer};

/// A `/dev/shm` with more than this is everybody's, and is not filled, in bytes.
const SMALL: u64 = 256 * 1024 * 1024;

/// The buffers that take most of the room.
const LARGE: BufferConfig = BufferConfig {
    metadata_size: 0,
    payload_size: 1024 * 1024,
};

/// The buffers that take the rest: none can be smaller.
pub const SMALLEST: BufferConfig = BufferConfig {
    metadata_size: 0,
    payload_size: 64,
};

/// How many semaphores there is room for, once a single file has taken the rest.
const SEMAPHORES: u64 = 64;

/// More than enough of anything.
const TOO_MANY: usize = 10_000;

/// How long a frame may take to cross.
const CROSSING: Duration = Duration::from_secs(5);

/// What fills `/dev/shm`. Dropped, all of it is removed.
#[derive(Debug)]
pub struct Crowd {
    before: Census,
    /// What was free before, in bytes.
    free_before: u64,
    large: Vec<Reader>,
    smallest: Vec<Reader>,
    fillers: Vec<PathBuf>,
    /// How many large buffers there was room for.
    pub capacity: usize,
}

impl Crowd {
    fn nothing(world: &World) -> Result<Crowd, Failure> {
        expect_small()?;
        Ok(Crowd {
            before: Census::take(&world.mark())?,
            free_before: free_bytes()?,
            large: Vec::new(),
            smallest: Vec::new(),
            fillers: Vec::new(),
            capacity: 0,
        })
    }

    /// Makes buffers until there is no room for the smallest.
    ///
    /// # Errors
    ///
    /// If `/dev/shm` is not small, or a creation fails otherwise than for lack of room.
    pub fn of_buffers(world: &World) -> Result<Crowd, Failure> {
        let mut crowd = Self::nothing(world)?;
        crowd.large = buffers(world, "large", &LARGE)?;
        crowd.smallest = buffers(world, "smallest", &SMALLEST)?;
        crowd.capacity = crowd.large.len();
        tracing::info!(
            "room for {} buffers of {} bytes and {} of {}",
            crowd.large.len(),
            LARGE.payload_size,
            crowd.smallest.len(),
            SMALLEST.payload_size
        );
        Ok(crowd)
    }

    /// Takes all room but a sliver, and makes semaphores until that is full.
    ///
    /// # Errors
    ///
    /// If `/dev/shm` is not small, or making a semaphore fails otherwise than for lack of room.
    pub fn of_semaphores(world: &World) -> Result<Crowd, Failure> {
        let mut crowd = Self::nothing(world)?;
        let room = free_bytes()?.saturating_sub(SEMAPHORES * page_size()?);
        let bulk = world.buffer_name("crowd-bulk")?.segment_path();
        world.registry().note_file(&bulk);
        crowd.fillers.push(bulk.clone());
        posix_fallocate(&File::create_new(&bulk)?, 0, i64::try_from(room)?)?;
        for number in 0..TOO_MANY {
            let name = world.buffer_name(&format!("sem.crowd-{number}"))?;
            let path = name.segment_path();
            world.registry().note_file(&path);
            match semaphore::make(&path, 0) {
                Ok(()) => crowd.fillers.push(path),
                Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                    tracing::info!("room for {number} semaphores");
                    expect_equal("semaphores in the sliver", SEMAPHORES, number as u64)?;
                    return Ok(crowd);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(endless())
    }

    /// Makes room for one semaphore more.
    ///
    /// # Errors
    ///
    /// If there is none that could go.
    pub fn make_room(&mut self) -> StepOutcome {
        let filler = self
            .fillers
            .pop()
            .ok_or_else(|| Failure::new("expected semaphores that fill /dev/shm, found none"))?;
        Ok(fs::remove_file(filler)?)
    }

    /// Checks that every byte of every buffer can be written and read, full as shared memory is.
    ///
    /// # Errors
    ///
    /// A failure that names the first that cannot.
    pub fn expect_usable(&mut self) -> StepOutcome {
        if self.large.is_empty() {
            return Err(Failure::new("expected buffers, found none"));
        }
        for reader in self.large.iter_mut().chain(&mut self.smallest) {
            cross_everywhere(reader)?;
        }
        Ok(())
    }

    /// Checks that the process, the folders and the free room are what they were before.
    ///
    /// # Errors
    ///
    /// A failure that says what is not.
    pub fn expect_released(&self, mark: &str) -> StepOutcome {
        Census::expect_nothing_left(&self.before, mark)?;
        expect_equal("free bytes of /dev/shm", self.free_before, free_bytes()?)
    }

    /// Removes everything; what was there before is still known.
    pub fn release(&mut self) {
        self.large.clear();
        self.smallest.clear();
        for path in self.fillers.drain(..) {
            if let Err(error) = fs::remove_file(&path) {
                tracing::error!("{}: {error}", path.display());
            }
        }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.release();
    }
}

/// Checks that `/dev/shm` is so small that only this run can be using it.
///
/// # Errors
///
/// The failure of a step that cannot be carried out here.
pub fn expect_small() -> StepOutcome {
    let shm = statvfs(SHM)?;
    let size = shm.blocks() * shm.fragment_size();
    if size <= SMALL {
        return Ok(());
    }
    let (size, most) = (census::mebibytes(size), census::mebibytes(SMALL));
    Err(Failure::new(format!(
        "{SKIPPED}{SHM} has {size}; it is filled only where it has at most {most}"
    )))
}

/// Makes buffers of one size until there is no room for another.
fn buffers(world: &World, label: &str, config: &BufferConfig) -> Result<Vec<Reader>, Failure> {
    let mut readers = Vec::new();
    while readers.len() < TOO_MANY {
        let name = world.buffer_name(&format!("crowd-{label}-{}", readers.len()))?;
        match create(world, &name, config) {
            Ok(reader) => readers.push(reader),
            Err(Error::NoSpace { .. }) => return Ok(readers),
            Err(error) => return Err(error.into()),
        }
    }
    Err(endless())
}

fn create(world: &World, name: &BufferName, config: &BufferConfig) -> Result<Reader, Error> {
    world.registry().note_reader(name);
    Reader::create(name, config)
}

fn endless() -> Failure {
    Failure::new(format!(
        "expected {SHM} to be full at some time, found room for {TOO_MANY}"
    ))
}

/// Sends frames through the whole ring of a buffer, twice, and compares every byte.
///
/// # Errors
///
/// If a frame does not cross, or is not what it was.
pub fn cross_everywhere(reader: &mut Reader) -> StepOutcome {
    let mut writer = Writer::connect(reader.name(), CROSSING)?;
    // With its header, half a ring: each frame ends where the next begins, or where the ring ends.
    let size = reader.payload_size() / 2 - 16;
    for _ in 0..4 {
        let data = pattern::sequenced(size, writer.next_sequence())?;
        writer.write(&data)?;
        let frame = reader.read(CROSSING)?;
        let frame = frame.ok_or_else(|| Failure::new("expected a frame, found none"))?;
        pattern::compare(reader.name().as_str(), &data, &frame.to_vec())?;
    }
    Ok(())
}

fn free_bytes() -> Result<u64, Failure> {
    let shm = statvfs(SHM)?;
    Ok(shm.blocks_available() * shm.fragment_size())
}

/// What a file takes at least, in bytes.
fn page_size() -> Result<u64, Failure> {
    Ok(statvfs(SHM)?.fragment_size())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_a_buffer_is_used() {
        let name = format!("serve-crowd-{}", std::process::id());
        let name = BufferName::new(name).unwrap();
        for size in [64, 4096] {
            let mut reader = Reader::create(&name, &BufferConfig::new(0, size)).unwrap();
            cross_everywhere(&mut reader).unwrap();
            let raw = crate::serve::outside::segment::RawSegment::open(&name).unwrap();
            for offset in [0, size as u64 / 2] {
                assert_ne!(raw.header_at(offset).unwrap().size, 0, "{size} {offset}");
            }
        }
    }
}
