//! Looking at what belongs to other processes: nothing is changed, mapped or opened for writing.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// The size of the file in which glibc keeps a semaphore.
const SEMAPHORE_SIZE: u64 = size_of::<libc::sem_t>() as u64;

/// Opens the plain file at `path` to read it; `None` if there is none.
pub(crate) fn open(path: &Path) -> io::Result<Option<File>> {
    // Not following a link, nor waiting for the other end of a pipe.
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        // A link, or a socket.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ELOOP | libc::ENXIO)) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    Ok(file.metadata()?.is_file().then_some(file))
}

/// Whether this is what a semaphore's file looks like.
pub(crate) fn is_semaphore(metadata: &Metadata) -> bool {
    metadata.is_file() && metadata.size() == SEMAPHORE_SIZE
}

/// The value of the semaphore that glibc keeps at `path`; `None` if there is none.
pub(crate) fn semaphore_value(path: &Path) -> io::Result<Option<u32>> {
    let Some(mut file) = open(path)? else {
        return Ok(None);
    };
    if !is_semaphore(&file.metadata()?) {
        return Ok(None);
    }
    // glibc keeps the value in the lower half of the first eight bytes.
    let mut value = [0; 4];
    file.read_exact(&mut value)?;
    Ok(Some(u32::from_le_bytes(value)))
}

/// The name of the program that the process `pid` runs.
pub(crate) fn command_name(pid: u64) -> Option<String> {
    let name = fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(String::from_utf8_lossy(&name).trim_end().to_owned())
}

/// Whether somebody holds the lock of the file at `path`. It is tried for a moment, as by those who
/// sweep the folder.
pub(crate) fn is_locked(path: &Path) -> io::Result<bool> {
    let Some(file) = open(path)? else {
        return Ok(false);
    };
    match file.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The process that has locked a file, as the system lists it; no lock is tried.
///
/// Some file systems give one device in that list and another one to who looks at a file; there only
/// a lock that the process `expected` has taken is found.
pub(crate) fn lock_holder(file: &Metadata, expected: u64) -> io::Result<Option<u64>> {
    let locks = fs::read_to_string("/proc/locks")?;
    Ok(holder_in(&locks, file.dev(), file.ino(), expected))
}

/// As [`lock_holder`], in lines like `3: FLOCK  ADVISORY  WRITE 4711 fe:00:1234 0 EOF`.
fn holder_in(locks: &str, device: u64, inode: u64, expected: u64) -> Option<u64> {
    let device = format!("{:02x}:{:02x}", libc::major(device), libc::minor(device));
    locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [_, "FLOCK", _, _, pid, file, ..] = words[..] else {
            return None;
        };
        let pid = pid.parse().ok()?;
        let (on, number) = file.rsplit_once(':')?;
        let is_it = number.parse() == Ok(inode) && (on == device || pid == expected);
        is_it.then_some(pid)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_files_are_opened() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("file"), "").unwrap();
        std::os::unix::fs::symlink("file", at("link")).unwrap();
        nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        fs::create_dir(at("folder")).unwrap();
        assert!(open(&at("file")).unwrap().is_some());
        for other in ["link", "pipe", "folder", "none"] {
            assert!(open(&at(other)).unwrap().is_none(), "{other}");
        }
    }

    #[test]
    fn a_lock_and_who_holds_it_are_seen() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let own = u64::from(std::process::id());
        let holder = || lock_holder(&file.as_file().metadata().unwrap(), own).unwrap();
        assert!(!is_locked(file.path()).unwrap());
        assert_eq!(holder(), None);
        let locked = File::open(file.path()).unwrap();
        locked.lock().unwrap();
        assert!(is_locked(file.path()).unwrap());
        assert_eq!(holder(), Some(own));
    }

    #[test]
    fn a_lock_is_that_of_its_file() {
        let locks = "1: POSIX  ADVISORY  WRITE 1 08:01:77 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 2 08:02:77 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 9 08:01:77 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 3 08:01:77 0 EOF\n";
        let device = libc::makedev(8, 1);
        assert_eq!(holder_in(locks, device, 77, 0), Some(3));
        assert_eq!(holder_in(locks, device, 78, 0), None);
        assert_eq!(holder_in(locks, libc::makedev(0, 40), 77, 0), None);
        assert_eq!(holder_in(locks, libc::makedev(0, 40), 77, 3), Some(3));
    }

    #[test]
    fn a_process_has_a_name() {
        let own = command_name(std::process::id().into());
        assert!(own.is_some_and(|name| !name.is_empty()));
        assert_eq!(command_name(u64::from(u32::MAX)), None);
    }
}
