//! Making and removing a buffer: the reader's side of its life.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::layout::{BlockSizes, BufferConfig, Segment, oieb_of};
use super::name::semaphore_path;
use super::point::Point;
use super::sys::file::{self, FileId};
use super::sys::lock::{self, LockFile};
use super::sys::process::{Watch, own_pid};
use super::sys::semaphore::Semaphore;
use super::sys::shm::{Draft, Mapping};
use super::{BufferName, Error, Result};

/// How often a creation begins anew because a sweeper of another process removed a part of it.
const ATTEMPTS: usize = 50;

/// For so long a segment that names no reader may be one that is being made.
pub(super) const IN_THE_MAKING: Duration = Duration::from_secs(5);

/// The shared parts of a buffer, as both sides use them.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) segment: Arc<Segment>,
    /// Posted by the writer, once a frame.
    pub(crate) data: Semaphore,
    /// Posted by the reader when it has given space back.
    pub(crate) space: Semaphore,
}

/// A buffer that this process has made; dropped, it is left in good order and removed.
#[derive(Debug)]
pub(crate) struct Owner {
    parts: Arc<Parts>,
    removal: Removal,
}

impl Owner {
    /// Makes the buffer `name`: all of its parts, or none.
    pub(crate) fn create(name: &BufferName, config: &BufferConfig) -> Result<Owner> {
        let sizes = BlockSizes::of(name, config)?;
        for _ in 0..ATTEMPTS {
            let owner = Self::create_once(name, sizes)?;
            // Some readers unlink a lock file after they have let go of it, and what belongs to it.
            if owner.removal.is_whole() {
                tracing::debug!(%name, metadata = sizes.metadata, payload = sizes.payload, "created");
                return Ok(owner);
            }
        }
        let swept = io::Error::other("another process keeps removing its parts");
        Err(Error::from_io(name.as_str(), "create", swept))
    }

    fn create_once(name: &BufferName, sizes: BlockSizes) -> Result<Owner> {
        let lock = acquire_lock(name)?.ok_or_else(|| Error::ReaderAlreadyConnected {
            name: name.to_string(),
        })?;
        let mut removal = Removal::new(lock);
        Point::CreateLocked.passed();
        remove_leftovers(name)?;
        Point::CreateCleared.passed();
        let data = create_semaphore(name, name.data_semaphore(), &mut removal)?;
        Point::CreateDataSemaphore.passed();
        let space = create_semaphore(name, name.space_semaphore(), &mut removal)?;
        Point::CreateSpaceSemaphore.passed();
        let segment = create_segment(name, sizes, &mut removal)?;
        Point::CreatePublished.passed();
        Ok(Owner {
            parts: Arc::new(Parts {
                segment: Arc::new(segment),
                data,
                space,
            }),
            removal,
        })
    }

    pub(crate) fn parts(&self) -> &Arc<Parts> {
        &self.parts
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        if self.removal.is_ours() {
            // Release: what this reader did to the ring is done before it is seen to be gone.
            self.parts
                .segment
                .oieb()
                .reader_pid
                .store(0, Ordering::Release);
            Point::CloseSaid.passed();
            // A writer that waits for space sees it at once.
            self.parts.space.post();
            Point::CloseTold.passed();
        }
    }
}

/// The names that were made, to be removed on drop: the lock file last.
#[derive(Debug)]
struct Removal {
    files: Vec<(FileId, PathBuf)>,
    lock: Option<LockFile>,
    /// The process that made them: a forked child removes nothing.
    pid: u64,
}

impl Removal {
    fn new(lock: LockFile) -> Removal {
        Removal {
            files: Vec::new(),
            lock: Some(lock),
            pid: own_pid(),
        }
    }

    fn is_ours(&self) -> bool {
        self.pid == own_pid()
    }

    /// Whether every name still leads to what was made.
    fn is_whole(&self) -> bool {
        self.lock.as_ref().is_some_and(LockFile::is_at_its_path)
            && self.files.iter().all(|(id, path)| id.is_at(path))
    }
}

impl Drop for Removal {
    fn drop(&mut self) {
        if !self.is_ours() {
            return;
        }
        for (id, path) in &self.files {
            warn_if_failed(id.unlink(path), path);
            Point::CloseRemoved.passed();
        }
        if let Some(lock) = self.lock.take() {
            warn_if_failed(lock.remove(), Path::new("lock file"));
            Point::CloseUnlocked.passed();
        }
    }
}

/// For whom a segment has to stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeper {
    /// Its reader, which lives.
    Reader(u64),
    /// Its writer, which lives.
    Writer(u64),
    /// Whoever may be making it.
    Maker,
}

/// For whom a segment of this age has to stay that names these two processes; `None` if nobody is
/// left who uses it.
pub(super) fn keeper(reader: u64, writer: u64, age: Duration) -> Option<Keeper> {
    let lives = |pid: u64| Watch::new(pid).is_alive();
    if lives(reader) {
        Some(Keeper::Reader(reader))
    } else if lives(writer) {
        Some(Keeper::Writer(writer))
    } else if reader == 0 && age < IN_THE_MAKING {
        Some(Keeper::Maker)
    } else {
        None
    }
}

/// Removes what a dead reader has left of the buffer `name`: under its lock, and only if nobody
/// lives who uses it. Whether anything was removed.
///
/// A young segment that names no reader may be one in the making, by a reader that locks another
/// file: it is left alone.
pub(crate) fn sweep(name: &BufferName) -> Result<bool> {
    let path = name.segment_path();
    let failed = |error| Error::from_io(name.as_str(), "remove what a dead reader left", error);
    let Some(mapping) = Mapping::open(&path).map_err(failed)? else {
        return Ok(false);
    };
    let is_dead = |mapping: &Mapping| {
        oieb_of(mapping).is_some_and(|oieb| {
            let [reader, writer] =
                [&oieb.reader_pid, &oieb.writer_pid].map(|pid| pid.load(Ordering::Acquire));
            keeper(reader, writer, mapping.age()).is_none()
        })
    };
    // Looked at before the lock is tried, so that a living reader's lock is left alone.
    if !is_dead(&mapping) {
        return Ok(false);
    }
    let Some(lock) = acquire_lock(name)? else {
        return Ok(false);
    };
    let is_left_over = mapping.id().is_at(&path) && is_dead(&mapping);
    if is_left_over {
        remove_leftovers(name)?;
        tracing::debug!(%name, "removed what a dead reader left");
    }
    lock.remove().map_err(failed)?;
    Ok(is_left_over)
}

/// Takes the lock of the buffer `name`; `None` if somebody else holds it.
pub(super) fn acquire_lock(name: &BufferName) -> Result<Option<LockFile>> {
    let path = name.lock_path();
    LockFile::acquire(&path).map_err(|error| {
        let mut doing = format!("lock {}", path.display());
        if error.kind() == io::ErrorKind::PermissionDenied {
            doing = format!("{doing} ({})", lock::remedy(&path));
        }
        Error::from_io(name.as_str(), doing, error)
    })
}

/// Removes what an earlier reader left, even if its writer lives: that one notices and moves over.
pub(super) fn remove_leftovers(name: &BufferName) -> Result<()> {
    let semaphores = [name.data_semaphore(), name.space_semaphore()];
    for path in semaphores
        .iter()
        .map(|name| semaphore_path(name))
        .chain([name.segment_path()])
    {
        file::remove(&path).map_err(|error| {
            let doing = format!("remove {}, left by an earlier reader", path.display());
            Error::from_io(name.as_str(), doing, error)
        })?;
    }
    Ok(())
}

fn create_semaphore(
    name: &BufferName,
    semaphore: String,
    removal: &mut Removal,
) -> Result<Semaphore> {
    let path = semaphore_path(&semaphore);
    let created = Semaphore::create(&semaphore, path.clone()).map_err(|error| {
        Error::from_io(
            name.as_str(),
            format!("create semaphore {}", path.display()),
            error,
        )
    })?;
    removal.files.push((created.id(), path));
    Ok(created)
}

/// Makes the segment; it gets its name last, so that nobody ever sees half of it.
fn create_segment(name: &BufferName, sizes: BlockSizes, removal: &mut Removal) -> Result<Segment> {
    let path = name.segment_path();
    let total = sizes.total().expect("the sizes were checked to add up");
    let make = || {
        let draft = Draft::new(&path, total)?;
        let segment = Segment::new(draft.map()?, sizes);
        segment.mapping().prefault();
        segment.initialise(own_pid());
        Point::CreateDrafted.passed();
        draft.publish(&path)?;
        Ok(segment)
    };
    let segment = make().map_err(|error| {
        let doing = format!("create segment {} of {total} bytes", path.display());
        Error::from_io(name.as_str(), doing, error)
    })?;
    removal.files.push((segment.mapping().id(), path));
    Ok(segment)
}

fn warn_if_failed(result: io::Result<()>, path: &Path) {
    if let Err(error) = result {
        tracing::warn!(path = %path.display(), %error, "could not remove a part of a buffer");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(name: &BufferName) -> Vec<PathBuf> {
        vec![
            name.segment_path(),
            semaphore_path(&name.data_semaphore()),
            semaphore_path(&name.space_semaphore()),
            name.lock_path(),
        ]
    }

    fn present(name: &BufferName) -> usize {
        paths(name).iter().filter(|path| path.exists()).count()
    }

    const SMALL: BufferConfig = BufferConfig {
        metadata_size: 64,
        payload_size: 1024,
    };

    #[test]
    fn a_buffer_is_four_files_and_leaves_none() {
        let name = BufferName::for_test("owner-four");
        let owner = Owner::create(&name, &SMALL).unwrap();
        assert_eq!(present(&name), 4);
        let second = Owner::create(&name, &SMALL).unwrap_err();
        assert!(
            matches!(second, Error::ReaderAlreadyConnected { .. }),
            "{second}"
        );
        assert_eq!(present(&name), 4, "the refused reader removed something");
        drop(owner);
        assert_eq!(present(&name), 0);
    }

    #[test]
    fn a_buffer_with_a_part_swept_away_is_not_whole() {
        let name = BufferName::for_test("owner-whole");
        for part in 0..4 {
            let owner = Owner::create(&name, &SMALL).unwrap();
            assert!(owner.removal.is_whole());
            std::fs::remove_file(&paths(&name)[part]).unwrap();
            assert!(
                !owner.removal.is_whole(),
                "without {:?}",
                paths(&name)[part]
            );
        }
    }

    #[test]
    fn leftovers_are_replaced() {
        let name = BufferName::for_test("owner-leftovers");
        // Makes the folder of the lock files.
        drop(Owner::create(&name, &SMALL).unwrap());
        for path in paths(&name) {
            std::fs::write(path, "left by a dead reader").unwrap();
        }
        let owner = Owner::create(&name, &SMALL).unwrap();
        assert_eq!(
            owner
                .parts()
                .segment
                .oieb()
                .reader_pid
                .load(Ordering::Relaxed),
            own_pid()
        );
        drop(owner);
        assert_eq!(present(&name), 0);
    }

    #[test]
    fn a_failed_creation_leaves_nothing_of_its_own() {
        let name = BufferName::for_test("owner-failed");
        let obstacle = semaphore_path(&name.space_semaphore());
        std::fs::create_dir(&obstacle).unwrap();
        let error = Owner::create(&name, &SMALL).unwrap_err();
        let left = present(&name);
        std::fs::remove_dir(&obstacle).unwrap();
        assert!(error.to_string().contains("sem-r-"), "{error}");
        assert_eq!(left, 1, "only the obstacle is there");

        let huge = BufferConfig::new(0, 1 << 50);
        let error = Owner::create(&name, &huge).unwrap_err();
        assert!(matches!(error, Error::NoSpace { .. }), "{error}");
        assert_eq!(present(&name), 0);
    }

    #[test]
    fn only_what_the_dead_left_is_swept() {
        let name = BufferName::for_test("owner-swept");
        assert!(!sweep(&name).unwrap());
        let owner = Owner::create(&name, &SMALL).unwrap();
        assert!(!sweep(&name).unwrap(), "a living reader's buffer");
        let oieb = owner.parts().segment.oieb();
        oieb.reader_pid
            .store(u64::from(u32::MAX), Ordering::Relaxed);
        assert!(!sweep(&name).unwrap(), "the lock is held");
        assert_eq!(present(&name), 4);
        // As if the owner had been killed: its lock is free, its files are still there.
        let parts = Arc::clone(owner.parts());
        let mut owner = owner;
        owner.removal.files.clear();
        drop(owner);
        parts
            .segment
            .oieb()
            .reader_pid
            .store(u64::from(u32::MAX), Ordering::Relaxed);
        assert!(sweep(&name).unwrap());
        assert_eq!(present(&name), 0);
    }

    #[test]
    fn a_segment_that_is_being_made_is_not_swept() {
        let name = BufferName::for_test("owner-making");
        std::fs::write(name.segment_path(), [0; 256]).unwrap();
        assert!(!sweep(&name).unwrap(), "it names no reader yet");
        let segment = std::fs::File::options()
            .write(true)
            .open(name.segment_path())
            .unwrap();
        let long_ago = std::time::SystemTime::now() - IN_THE_MAKING;
        segment.set_modified(long_ago).unwrap();
        assert!(sweep(&name).unwrap(), "nobody makes a segment for so long");
        assert_eq!(present(&name), 0);
    }
}
