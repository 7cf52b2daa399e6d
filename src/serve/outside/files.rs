//! The files of a buffer: where they are, and which exist.

use std::fs::{OpenOptions, TryLockError};
use std::io;
use std::path::PathBuf;

use crate::BufferName;

/// The files of a buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BufferFiles {
    /// The shared-memory segment.
    pub segment: PathBuf,
    /// The semaphore that the writer posts.
    pub data_semaphore: PathBuf,
    /// The semaphore that the reader posts.
    pub space_semaphore: PathBuf,
    /// The file whose lock the reader holds.
    pub lock: PathBuf,
}

impl BufferFiles {
    /// Where the files of this buffer are, whether they exist or not.
    pub fn of(buffer: &BufferName) -> BufferFiles {
        let segment = buffer.segment_path();
        let semaphore = |name| segment.with_file_name(format!("sem.{name}"));
        BufferFiles {
            data_semaphore: semaphore(buffer.data_semaphore()),
            space_semaphore: semaphore(buffer.space_semaphore()),
            lock: buffer.lock_path(),
            segment,
        }
    }

    /// All of them, the lock last.
    pub fn all(&self) -> [&PathBuf; 4] {
        [
            &self.data_semaphore,
            &self.space_semaphore,
            &self.segment,
            &self.lock,
        ]
    }

    /// Whether somebody holds the lock, in whatever process; it is tried.
    ///
    /// # Errors
    ///
    /// Those of the system; there is no lock file.
    pub fn is_locked(&self) -> io::Result<bool> {
        let file = OpenOptions::new().read(true).write(true).open(&self.lock)?;
        match file.try_lock() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Those that exist.
    pub fn existing(&self) -> Vec<&PathBuf> {
        let all = self.all().into_iter();
        all.filter(|path| path.symlink_metadata().is_ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BufferConfig, Reader};

    #[test]
    fn files_are_there_and_locked_as_long_as_the_reader_is() {
        let name = format!("serve-files-{}", std::process::id());
        let name = BufferName::new(name).unwrap();
        let files = BufferFiles::of(&name);
        let reader = Reader::create(&name, &BufferConfig::new(64, 1000)).unwrap();
        assert_eq!(files.existing(), files.all());
        assert!(files.is_locked().unwrap());
        drop(reader);
        assert!(files.existing().is_empty());
        assert!(files.is_locked().is_err());
    }
}
