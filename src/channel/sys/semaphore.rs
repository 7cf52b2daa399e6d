//! Named POSIX semaphores.

use std::ffi::{CString, c_int};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::time::Duration;

use super::file::FileId;

unsafe extern "C" {
    /// glibc 2.30 and later; not in the `libc` crate.
    fn sem_clockwait(
        semaphore: *mut libc::sem_t,
        clock: libc::clockid_t,
        until: *const libc::timespec,
    ) -> c_int;
}

/// The most that a drain takes: some milliseconds' worth.
const DRAINED_AT_ONCE: u32 = 1 << 18;

/// An open named semaphore. It is closed, not removed, when dropped.
#[derive(Debug)]
pub(crate) struct Semaphore {
    handle: NonNull<libc::sem_t>,
    path: PathBuf,
    id: FileId,
}

// SAFETY: a semaphore is made to be used by many threads at once, and `handle` stays valid until
// `drop`, which needs the value alone.
unsafe impl Send for Semaphore {}
// SAFETY: as above.
unsafe impl Sync for Semaphore {}

impl Semaphore {
    /// Makes the semaphore `name` with value 0; it must not exist. `path` is where glibc keeps it.
    pub(crate) fn create(name: &str, path: PathBuf) -> io::Result<Semaphore> {
        let handle = sem_open(name, libc::O_CREAT | libc::O_EXCL)?;
        let id = FileId::at(&path)?.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        Ok(Semaphore { handle, path, id })
    }

    /// Opens the semaphore `name`, kept at `path`; `None` if it is not there, or not whole yet.
    pub(crate) fn open(name: &str, mut path: PathBuf) -> io::Result<Option<Semaphore>> {
        loop {
            let Some(id) = whole_semaphore_at(&path)? else {
                return Ok(None);
            };
            let handle = match sem_open(name, 0) {
                Ok(handle) => handle,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            };
            let semaphore = Semaphore { handle, path, id };
            if semaphore.is_at_its_path() {
                return Ok(Some(semaphore));
            }
            path = semaphore.path.clone();
        }
    }

    /// Whether the name still leads to this semaphore.
    pub(crate) fn is_at_its_path(&self) -> bool {
        self.id.is_at(&self.path)
    }

    pub(crate) fn id(&self) -> FileId {
        self.id
    }

    /// Adds 1. At the largest value the semaphore is signalled as much as it can be: no error.
    pub(crate) fn post(&self) {
        // SAFETY: `handle` is an open semaphore.
        let result = unsafe { libc::sem_post(self.handle.as_ptr()) };
        debug_assert!(result == 0 || last_errno() == libc::EOVERFLOW);
    }

    /// Takes 1 if there is one.
    pub(crate) fn try_wait(&self) -> bool {
        loop {
            // SAFETY: `handle` is an open semaphore.
            if unsafe { libc::sem_trywait(self.handle.as_ptr()) } == 0 {
                return true;
            }
            if last_errno() != libc::EINTR {
                return false;
            }
        }
    }

    /// Takes 1, sleeping at most `timeout` for it; whether there was one.
    pub(crate) fn wait(&self, timeout: Duration) -> bool {
        let until = monotonic_after(timeout);
        loop {
            // SAFETY: `handle` is an open semaphore, `until` a valid time for the whole call.
            let result =
                unsafe { sem_clockwait(self.handle.as_ptr(), libc::CLOCK_MONOTONIC, &until) };
            if result == 0 {
                return true;
            }
            if last_errno() != libc::EINTR {
                return false;
            }
        }
    }

    /// Takes what there is, a great many at most: a value that no honest peer makes must not hold
    /// this side up.
    pub(crate) fn drain(&self) {
        for _ in 0..DRAINED_AT_ONCE {
            if !self.try_wait() {
                return;
            }
        }
    }

    /// The value at this moment.
    pub(crate) fn value(&self) -> u32 {
        let mut value: c_int = 0;
        // SAFETY: `handle` is an open semaphore, `value` is ours to be written.
        let result = unsafe { libc::sem_getvalue(self.handle.as_ptr(), &mut value) };
        assert_eq!(result, 0);
        value.try_into().unwrap_or(0)
    }
}

#[cfg(test)]
impl Semaphore {
    /// Sets the value, as a peer can that writes into the file.
    pub(crate) fn set_value(&self, value: u32) {
        use std::os::unix::fs::FileExt;
        let file = fs::File::options().write(true).open(&self.path).unwrap();
        // glibc keeps the value in the lower half of the first eight bytes.
        file.write_at(&value.to_le_bytes(), 0).unwrap();
    }

    /// Waits until somebody sleeps at it.
    pub(crate) fn await_sleeper(&self) {
        use std::os::unix::fs::FileExt;
        let file = fs::File::open(&self.path).unwrap();
        let begun = std::time::Instant::now();
        let mut sleepers = [0; 4];
        // glibc counts them in the upper half of the first eight bytes.
        while sleepers == [0; 4] {
            assert!(begun.elapsed() < Duration::from_secs(20), "nobody sleeps");
            std::thread::yield_now();
            file.read_exact_at(&mut sleepers, 4).unwrap();
        }
    }
}

impl Drop for Semaphore {
    fn drop(&mut self) {
        // SAFETY: `handle` came from sem_open and is closed once; glibc counts opens of one name.
        unsafe { libc::sem_close(self.handle.as_ptr()) };
    }
}

fn sem_open(name: &str, flags: c_int) -> io::Result<NonNull<libc::sem_t>> {
    let name = CString::new(format!("/{name}"))?;
    let (mode, value): (libc::c_uint, libc::c_uint) = (0o666, 0);
    // SAFETY: `name` is a C string; with O_CREAT the two more arguments are a mode and a value.
    let handle = unsafe { libc::sem_open(name.as_ptr(), flags, mode, value) };
    if handle == libc::SEM_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(handle).ok_or_else(io::Error::last_os_error)
}

/// glibc maps the file without a look at its length, so one that is too short must not be opened.
fn whole_semaphore_at(path: &Path) -> io::Result<Option<FileId>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.size() < size_of::<libc::sem_t>() as u64 => Ok(None),
        Ok(metadata) => Ok(Some(FileId::of_metadata(&metadata))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn last_errno() -> c_int {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

fn monotonic_after(timeout: Duration) -> libc::timespec {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is ours to be written; this clock exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    let nanos = now.tv_nsec + i64::from(timeout.subsec_nanos());
    let seconds = i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX);
    libc::timespec {
        tv_sec: now
            .tv_sec
            .saturating_add(seconds)
            .saturating_add(nanos / 1_000_000_000),
        tv_nsec: nanos % 1_000_000_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::name::semaphore_path;
    use std::time::Instant;

    fn create(label: &str) -> (String, Semaphore) {
        let name = format!("zb-test-{label}-{}", std::process::id());
        let semaphore = Semaphore::create(&name, semaphore_path(&name)).unwrap();
        (name, semaphore)
    }

    fn unlink(semaphore: &Semaphore) {
        semaphore.id.unlink(&semaphore.path).unwrap();
    }

    #[test]
    fn a_post_at_the_largest_value_changes_nothing() {
        let (_, semaphore) = create("largest");
        semaphore.set_value(i32::MAX as u32);
        semaphore.post();
        assert_eq!(semaphore.value(), i32::MAX as u32);
        assert!(semaphore.try_wait());
        unlink(&semaphore);
    }

    #[test]
    fn posts_are_counted_across_two_openings() {
        let (name, semaphore) = create("posts");
        let other = Semaphore::open(&name, semaphore_path(&name))
            .unwrap()
            .unwrap();
        assert!(!other.try_wait());
        semaphore.post();
        semaphore.post();
        assert_eq!(other.value(), 2);
        assert!(other.wait(Duration::from_secs(5)));
        other.drain();
        assert_eq!(semaphore.value(), 0);
        unlink(&semaphore);
        assert!(
            Semaphore::open(&name, semaphore_path(&name))
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn waiting_ends_with_its_time() {
        let (_, semaphore) = create("time");
        unlink(&semaphore);
        let begun = Instant::now();
        assert!(!semaphore.wait(Duration::from_millis(30)));
        assert!(begun.elapsed() >= Duration::from_millis(30));
    }

    #[test]
    fn a_replaced_semaphore_is_noticed_and_left_alone() {
        let (name, semaphore) = create("replaced");
        unlink(&semaphore);
        let second = Semaphore::create(&name, semaphore_path(&name)).unwrap();
        assert!(!semaphore.is_at_its_path());
        unlink(&semaphore);
        assert!(second.is_at_its_path(), "the other semaphore was removed");
        unlink(&second);
    }

    #[test]
    fn a_file_too_short_for_a_semaphore_is_not_opened() {
        let name = format!("zb-test-short-{}", std::process::id());
        let path = semaphore_path(&name);
        fs::write(&path, [0; 4]).unwrap();
        let opened = Semaphore::open(&name, path.clone());
        fs::remove_file(&path).unwrap();
        assert!(opened.unwrap().is_none());
    }
}
