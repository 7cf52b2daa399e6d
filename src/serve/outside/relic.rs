//! What a dead reader has left of a buffer, made by hand.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use super::files::BufferFiles;

use super::segment::{Field, OIEB_SIZE, RawSegment};
use crate::BufferName;
use crate::serve::failure::{Failure, StepOutcome, expect_equal};
use crate::serve::strain::crowd::make_semaphore;

/// Block sizes of the orphaned segment, in bytes.
const METADATA: u64 = 64;
const PAYLOAD: u64 = 1024;

/// How often the dead reader's semaphores were posted.
const POSTS: u32 = 3;

/// The id of a process that has ended.
///
/// # Errors
///
/// Those of the system, when none can be started.
pub fn dead_pid() -> io::Result<u32> {
    let mut child = Command::new("true").spawn()?;
    child.wait()?;
    Ok(child.id())
}

/// Makes a lock file that nobody has locked.
///
/// # Errors
///
/// Those of the system.
pub fn leave_lock(buffer: &BufferName) -> io::Result<()> {
    let path = BufferFiles::of(buffer).lock;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    File::create_new(path).map(drop)
}

/// Makes a segment whose reader is dead.
///
/// # Errors
///
/// Those of the system.
pub fn leave_segment(buffer: &BufferName) -> StepOutcome {
    let path = BufferFiles::of(buffer).segment;
    File::create_new(&path)?.set_len(OIEB_SIZE + METADATA + PAYLOAD)?;
    let segment = RawSegment::open(buffer)?;
    for (field, value) in [
        (Field::OiebSize, OIEB_SIZE),
        (Field::Version, 1),
        (Field::MetadataSize, METADATA),
        (Field::MetadataFreeBytes, METADATA),
        (Field::PayloadSize, PAYLOAD),
        (Field::PayloadFreeBytes, PAYLOAD),
        (Field::ReaderPid, dead_pid()?.into()),
    ] {
        segment.set(field, value)?;
    }
    Ok(())
}

/// Makes semaphores that were posted.
///
/// # Errors
///
/// Those of the system.
pub fn leave_semaphores(buffer: &BufferName) -> io::Result<()> {
    let files = BufferFiles::of(buffer);
    make_semaphore(&files.data_semaphore, POSTS)?;
    make_semaphore(&files.space_semaphore, POSTS)
}

/// What was left of a buffer before it was made anew.
#[derive(Debug)]
pub struct Relics {
    buffer: BufferName,
    /// Inodes of segment and semaphores.
    inodes: Vec<Option<u64>>,
    is_lock_there: bool,
    is_locked: bool,
    reader: Option<u64>,
}

impl Relics {
    /// Looks at what is there.
    ///
    /// # Errors
    ///
    /// If something is there that cannot be looked at.
    pub fn of(buffer: &BufferName) -> Result<Relics, Failure> {
        let files = BufferFiles::of(buffer);
        let reader = match RawSegment::open(buffer) {
            Ok(segment) => Some(segment.get(Field::ReaderPid)?),
            Err(_) if !files.segment.exists() => None,
            Err(failure) => return Err(failure),
        };
        Ok(Relics {
            inodes: inodes(&files),
            is_lock_there: files.lock.exists(),
            is_locked: is_locked(&files.lock)?,
            buffer: buffer.clone(),
            reader,
        })
    }

    /// Checks that all was there, and that nobody lived who used it.
    ///
    /// # Errors
    ///
    /// A failure that says what was not.
    pub fn expect_stale(&self) -> StepOutcome {
        let there = self.inodes.iter().flatten().count() + usize::from(self.is_lock_there);
        expect_equal("files that were there before", 4, there)?;
        expect_equal("the lock was held before", false, self.is_locked)?;
        let reader = self.reader.unwrap_or(0);
        let alive = fs::exists(format!("/proc/{reader}"))?;
        if reader == 0 || alive {
            return Err(Failure::new(format!(
                "expected a segment whose reader is dead, found reader {reader}, alive: {alive}"
            )));
        }
        Ok(())
    }

    /// Checks that none of it is there any more: segment and semaphores are others, and unposted,
    /// and the lock is held.
    ///
    /// # Errors
    ///
    /// A failure that names what is still there.
    pub fn expect_replaced(&self) -> StepOutcome {
        let files = BufferFiles::of(&self.buffer);
        let now = inodes(&files);
        let paths = files.all();
        for ((path, before), now) in paths.iter().zip(&self.inodes).zip(now) {
            if before.is_none() || now.is_none() || *before == now {
                return Err(Failure::new(format!(
                    "{}: expected another file than inode {before:?}, found {now:?}",
                    path.display()
                )));
            }
        }
        let segment = RawSegment::open(&self.buffer)?;
        expect_equal("value of the data semaphore", 0, segment.data_posts()?)?;
        expect_equal("value of the space semaphore", 0, segment.space_posts()?)?;
        expect_equal("the lock is held", true, is_locked(&files.lock)?)
    }
}

fn inodes(files: &BufferFiles) -> Vec<Option<u64>> {
    let shm = [
        &files.data_semaphore,
        &files.space_semaphore,
        &files.segment,
    ];
    let inode = |path: &Path| fs::metadata(path).ok().map(|metadata| metadata.ino());
    shm.into_iter().map(|path| inode(path)).collect()
}

/// Whether somebody holds the lock: tried from outside.
fn is_locked(path: &Path) -> Result<bool, Failure> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    match file.try_lock() {
        Ok(()) => Ok(false),
        Err(fs::TryLockError::WouldBlock) => Ok(true),
        Err(fs::TryLockError::Error(error)) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BufferConfig, Reader};

    #[test]
    fn relics_are_stale_until_a_reader_replaces_them() {
        let name = format!("serve-relic-{}", std::process::id());
        let name = BufferName::new(name).unwrap();
        assert!(Relics::of(&name).unwrap().expect_stale().is_err());
        leave_lock(&name).unwrap();
        leave_semaphores(&name).unwrap();
        assert!(Relics::of(&name).unwrap().expect_stale().is_err());
        leave_segment(&name).unwrap();
        let relics = Relics::of(&name).unwrap();
        relics.expect_stale().unwrap();
        assert!(relics.expect_replaced().is_err());
        let reader = Reader::create(&name, &BufferConfig::new(0, 64)).unwrap();
        relics.expect_replaced().unwrap();
        assert!(Relics::of(&name).unwrap().expect_stale().is_err());
        drop(reader);
        assert!(BufferFiles::of(&name).existing().is_empty());
    }
}
