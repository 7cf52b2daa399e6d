//! Shared-memory segments: made whole and then given their name, or opened by it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use memmap2::{Advice, MmapOptions, MmapRaw};
use nix::fcntl::{AT_FDCWD, AtFlags, posix_fallocate};
use nix::unistd::linkat;

use super::file::FileId;

/// Files count their memory in pieces of so many bytes.
const BLOCK: u64 = 512;

/// A mapped segment, and the file that it is.
#[derive(Debug)]
pub(crate) struct Mapping {
    map: MmapRaw,
    length: u64,
    /// Bytes of the file that have memory.
    allocated: u64,
    id: FileId,
    modified: Option<SystemTime>,
}

impl Mapping {
    /// Maps the segment at `path` as long as it is now; `None` if there is none.
    pub(crate) fn open(path: &Path) -> io::Result<Option<Mapping>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path);
        match file {
            Ok(file) => Mapping::of(&file).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn of(file: &File) -> io::Result<Mapping> {
        let metadata = file.metadata()?;
        let length = metadata.len();
        let mapped =
            usize::try_from(length).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        // An empty file cannot be mapped; nobody reads a byte beyond `length`.
        let map = MmapOptions::new().len(mapped.max(1)).map_raw(file)?;
        Ok(Mapping {
            map,
            length,
            allocated: metadata.blocks() * BLOCK,
            id: FileId::of_metadata(&metadata),
            modified: metadata.modified().ok(),
        })
    }

    /// Has all of it mapped now, so that no first touch of a page costs time later. A file that does
    /// not have all of its memory yet is not given any: it may be more than there is.
    pub(crate) fn prefault(&self) {
        if self.allocated < self.length {
            return;
        }
        if let Err(error) = self.map.advise(Advice::PopulateWrite) {
            // Before Linux 5.14. The pages come one by one, as they are touched.
            tracing::debug!(%error, "not prefaulted");
        }
    }

    /// The address of the first byte. The mapping is page-aligned.
    pub(crate) fn as_ptr(&self) -> *mut u8 {
        self.map.as_mut_ptr()
    }

    /// The length of the file when it was mapped, in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    pub(crate) fn id(&self) -> FileId {
        self.id
    }

    /// How long ago the file got its length; zero where that cannot be told. Writing through a
    /// mapping does not count.
    pub(crate) fn age(&self) -> Duration {
        self.modified
            .and_then(|modified| modified.elapsed().ok())
            .unwrap_or_default()
    }
}

/// A segment that has all its memory but no name yet; dropped, it leaves no trace.
#[derive(Debug)]
pub(crate) struct Draft {
    file: File,
}

impl Draft {
    /// Takes `length` bytes of zeros in the folder of `path`.
    ///
    /// The memory is really there afterwards: writing into it cannot fail for lack of room.
    pub(crate) fn new(path: &Path, length: u64) -> io::Result<Draft> {
        let folder = path.parent().unwrap_or(Path::new("/"));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .mode(0o666)
            .custom_flags(libc::O_TMPFILE)
            .open(folder)?;
        let length =
            i64::try_from(length).map_err(|_| io::Error::from_raw_os_error(libc::ENOSPC))?;
        posix_fallocate(&file, 0, length).map_err(|errno| match errno {
            // What no file can hold, no segment can.
            nix::errno::Errno::EFBIG => io::Error::from_raw_os_error(libc::ENOSPC),
            errno => io::Error::from(errno),
        })?;
        Ok(Draft { file })
    }

    /// Maps the segment.
    pub(crate) fn map(&self) -> io::Result<Mapping> {
        Mapping::of(&self.file)
    }

    /// Gives the segment its name, which must be free.
    pub(crate) fn publish(self, path: &Path) -> io::Result<()> {
        let unnamed = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        linkat(
            AT_FDCWD,
            unnamed.as_str(),
            AT_FDCWD,
            path,
            AtFlags::AT_SYMLINK_FOLLOW,
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn path(label: &str) -> PathBuf {
        PathBuf::from(format!(
            "/dev/shm/zb-test-shm-{label}-{}",
            std::process::id()
        ))
    }

    #[test]
    fn a_segment_appears_whole_under_its_name() {
        let path = path("whole");
        let draft = Draft::new(&path, 4096).unwrap();
        assert!(Mapping::open(&path).unwrap().is_none(), "visible too early");
        let made = draft.map().unwrap();
        // SAFETY: the mapping has 4096 bytes and nobody else knows it.
        unsafe { *made.as_ptr().add(4095) = 7 };
        draft.publish(&path).unwrap();
        let opened = Mapping::open(&path).unwrap().expect("published");
        assert_eq!((opened.length(), opened.id()), (4096, made.id()));
        // SAFETY: as above.
        assert_eq!(unsafe { *opened.as_ptr().add(4095) }, 7);
        made.id().unlink(&path).unwrap();
    }

    #[test]
    fn prefaulting_takes_no_memory_that_the_file_does_not_have() {
        let path = path("sparse");
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .unwrap();
        file.set_len(1 << 20).unwrap();
        let blocks = || file.metadata().unwrap().blocks();
        Mapping::open(&path).unwrap().unwrap().prefault();
        let sparse = blocks();
        posix_fallocate(&file, 0, 1 << 20).unwrap();
        let whole = Mapping::open(&path).unwrap().unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(sparse, 0);
        whole.prefault();
        assert_eq!(blocks() * BLOCK, 1 << 20);
    }

    #[test]
    fn a_name_is_never_taken_twice() {
        let path = path("twice");
        Draft::new(&path, 64).unwrap().publish(&path).unwrap();
        let error = Draft::new(&path, 64).unwrap().publish(&path).unwrap_err();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn what_no_memory_can_hold_is_refused_before_it_is_touched() {
        for length in [1 << 50, u64::MAX] {
            let error = Draft::new(&path("huge"), length).unwrap_err();
            assert_eq!(
                error.raw_os_error(),
                Some(libc::ENOSPC),
                "{length}: {error}"
            );
        }
    }
}
