//! Lock files: `flock` on a file that its owner removes when it lets go.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::file::FileId;

/// How long a lock that is held may only have been tried by a process that sweeps the folder.
const SWEEP: Duration = Duration::from_millis(60);

/// An exclusive lock on a file, held until it is dropped. The file itself stays.
#[derive(Debug)]
pub(crate) struct LockFile {
    path: PathBuf,
    file: File,
    id: FileId,
}

impl LockFile {
    /// Locks the file at `path`, making it and its folder where they are missing.
    ///
    /// `Ok(None)` means that somebody else holds it, and not only for a moment.
    pub(crate) fn acquire(path: &Path) -> io::Result<Option<LockFile>> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let until = Instant::now() + SWEEP;
        loop {
            match Self::try_acquire(path)? {
                Some(lock) if lock.is_at_its_path() => return Ok(Some(lock)),
                // Locked, but a sweeper has unlinked it meanwhile: there is a new one to lock.
                Some(_) => continue,
                None if Instant::now() >= until => return Ok(None),
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    fn try_acquire(path: &Path) -> io::Result<Option<LockFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o666)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => {
                let id = FileId::of_metadata(&file.metadata()?);
                Ok(Some(LockFile {
                    path: path.to_owned(),
                    file,
                    id,
                }))
            }
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Whether the locked file is still the one that others would try to lock.
    pub(crate) fn is_at_its_path(&self) -> bool {
        self.id.is_at(&self.path)
    }

    /// Removes the file and then lets go of it, so that nobody can lock it in between.
    pub(crate) fn remove(self) -> io::Result<()> {
        self.id.unlink(&self.path)?;
        drop(self.file);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn only_one_holds_a_lock_and_its_end_frees_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub/x.lock");
        let first = LockFile::acquire(&path).unwrap().expect("free");
        let begun = Instant::now();
        assert!(LockFile::acquire(&path).unwrap().is_none(), "locked twice");
        assert!(begun.elapsed() >= SWEEP);
        first.remove().unwrap();
        assert!(!path.exists());
        assert!(LockFile::acquire(&path).unwrap().is_some());
    }

    #[test]
    fn a_lock_held_for_a_moment_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        let sweeper = LockFile::acquire(&path).unwrap().expect("free");
        let taken = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| LockFile::acquire(&path).unwrap());
            std::thread::sleep(SWEEP / 4);
            sweeper.remove().unwrap();
            waiting.join().unwrap()
        });
        assert!(
            taken.expect("free again").is_at_its_path(),
            "a lock on an unlinked file"
        );
    }

    #[test]
    fn no_two_hold_it_at_once_however_often_it_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        let held = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut left = 1000;
                    while left > 0 {
                        let Some(lock) = LockFile::acquire(&path).unwrap() else {
                            continue;
                        };
                        assert!(!held.swap(true, Ordering::SeqCst), "two hold the lock");
                        left -= 1;
                        held.store(false, Ordering::SeqCst);
                        lock.remove().unwrap();
                    }
                });
            }
        });
    }
}
