//! Lock files: `flock` on a file that its owner removes when it lets go.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::file::FileId;

/// How long a lock that is held may only have been tried by a process that sweeps the folder.
const SWEEP: Duration = Duration::from_millis(60);

/// How long between two attempts.
const RETRY: Duration = Duration::from_millis(1);

/// How often a file may come and go while it is being opened.
const OPENINGS: usize = 1000;

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
        let until = Instant::now() + SWEEP;
        loop {
            if let Some(lock) = Self::lock(path, open(path)?)? {
                return Ok(Some(lock));
            }
            if Instant::now() >= until {
                return Ok(None);
            }
            std::thread::sleep(RETRY);
        }
    }

    /// Locks `file`, opened at `path`; `None` if somebody holds it, or if a sweeper has unlinked it
    /// meanwhile, so that others would lock another one.
    fn lock(path: &Path, file: File) -> io::Result<Option<LockFile>> {
        match file.try_lock() {
            Ok(()) => {
                let id = FileId::of_metadata(&file.metadata()?);
                Ok(id.is_at(path).then(|| LockFile {
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

/// Opens the file at `path`, making it and its folder where they are missing.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let options = options
        .read(true)
        .write(true)
        .mode(0o666)
        .custom_flags(libc::O_NOFOLLOW);
    for _ in 0..OPENINGS {
        // First without making it: in a folder that all may write to, the system may refuse to have
        // another user's file opened by who would also make it (`fs.protected_regular`).
        match options.create_new(false).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened,
        }
        match options.create_new(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => make_folder(path)?,
            opened => return opened,
        }
    }
    Err(io::Error::other("it comes and goes"))
}

/// Makes the folder that `path` is in: all users' own, like `/tmp` itself.
fn make_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // Whatever the umask is.
        made => made.and_then(|()| fs::set_permissions(folder, Permissions::from_mode(0o1777))),
    }
}

/// What whoever is denied the lock at `path` can do about it.
pub(crate) fn remedy(path: &Path) -> String {
    match fs::symlink_metadata(path) {
        Ok(file) => format!(
            "it belongs to user {}, who has to remove it if nobody uses it",
            file.uid()
        ),
        Err(_) => {
            let folder = path.parent().unwrap_or(path).display();
            format!("make its folder every user's: chmod 1777 {folder}")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use nix::unistd::{Uid, setfsuid};

    use super::*;

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
        // On a busy machine the sweeper may be too late, or who waits for it, but not every time.
        for _ in 0..5 {
            let sweeper = LockFile::acquire(&path).unwrap().expect("free");
            let (ready, is_ready) = mpsc::channel();
            let (taken, waited) = std::thread::scope(|scope| {
                let waiting = scope.spawn(|| {
                    let begun = Instant::now();
                    ready.send(()).unwrap();
                    (LockFile::acquire(&path).unwrap(), begun.elapsed())
                });
                is_ready.recv().unwrap();
                // Time to find it locked; whether it was is seen from how long it took.
                std::thread::sleep(SWEEP / 4);
                sweeper.remove().unwrap();
                waiting.join().unwrap()
            });
            if let Some(lock) = taken
                && waited >= RETRY
            {
                assert!(lock.is_at_its_path(), "a lock on an unlinked file");
                return;
            }
        }
        panic!("it was never waited for");
    }

    #[test]
    fn the_folder_is_every_users() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("locks");
        let mode = || fs::metadata(&folder).unwrap().mode() & 0o7777;
        let first = LockFile::acquire(&folder.join("x.lock")).unwrap();
        assert_eq!(mode(), 0o1777);
        // One that somebody else has made stays as it is.
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        let second = LockFile::acquire(&folder.join("y.lock")).unwrap();
        assert_eq!(mode(), 0o755);
        assert!(first.is_some() && second.is_some());
    }

    /// What `act` gives when another user does it; `None` where this user may not become another.
    /// On a thread of its own, because the user who opens files is a thread's affair.
    fn as_another_user<T: Send>(act: impl FnOnce() -> T + Send) -> Option<T> {
        let nobody = Uid::from_raw(65534);
        std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                setfsuid(nobody);
                (setfsuid(nobody) == nobody).then(act)
            });
            other.join().unwrap()
        })
    }

    #[test]
    fn another_user_gets_locks_of_its_own_or_is_told_what_to_do() {
        // Everybody can get there, whatever TMPDIR says.
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        let folder = dir.path().join("locks");
        let [own, others, late] = ["own", "others", "late"].map(|name| folder.join(name));
        let held = LockFile::acquire(&own).unwrap().expect("free");
        let Some(acquired) = as_another_user(|| LockFile::acquire(&others)) else {
            return;
        };
        drop(acquired.unwrap().expect("free"));
        // Left unlocked, it is locked and removed by who may.
        let left = LockFile::acquire(&others).unwrap();
        left.expect("free").remove().unwrap();

        let denied = |path: &Path| {
            let outcome = as_another_user(|| LockFile::acquire(path)).unwrap();
            let kind = outcome.unwrap_err().kind();
            assert_eq!(kind, io::ErrorKind::PermissionDenied);
            remedy(path)
        };
        fs::set_permissions(&own, Permissions::from_mode(0o644)).unwrap();
        let owner = format!("it belongs to user {}", nix::unistd::Uid::effective());
        assert!(denied(&own).starts_with(&owner));
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        let chmod = format!("chmod 1777 {}", folder.display());
        assert!(denied(&late).ends_with(&chmod));
        held.remove().unwrap();
    }

    #[test]
    fn a_file_that_was_unlinked_before_it_was_locked_is_no_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        let opened = open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(
            LockFile::lock(&path, opened).unwrap().is_none(),
            "there is none at the path"
        );
        let opened = open(&path).unwrap();
        fs::rename(&path, dir.path().join("kept")).unwrap();
        let current = LockFile::acquire(&path).unwrap().expect("free");
        assert!(
            LockFile::lock(&path, opened).unwrap().is_none(),
            "another one is at the path"
        );
        assert!(current.is_at_its_path());
    }
}
