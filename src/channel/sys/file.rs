//! Which file stands behind a name.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A file's identity, whatever names it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    pub(crate) fn of_metadata(metadata: &fs::Metadata) -> FileId {
        FileId {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }

    /// The file now at `path`, not following a link; `None` if there is none.
    pub(crate) fn at(path: &Path) -> io::Result<Option<FileId>> {
        match fs::symlink_metadata(path) {
            Ok(metadata) => Ok(Some(FileId::of_metadata(&metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the file at `path` is this one; a file that cannot be looked at is not.
    pub(crate) fn is_at(self, path: &Path) -> bool {
        matches!(FileId::at(path), Ok(Some(found)) if found == self)
    }

    /// Removes `path` if it still names this file.
    pub(crate) fn unlink(self, path: &Path) -> io::Result<()> {
        if self.is_at(path) {
            remove(path)
        } else {
            Ok(())
        }
    }
}

/// Removes the file at `path`; one that is not there is fine.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_is_another_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        assert_eq!(FileId::at(&path).unwrap(), None);
        fs::write(&path, "a").unwrap();
        let first = FileId::at(&path).unwrap().unwrap();
        // Kept under another name, so that its inode cannot be used again.
        fs::rename(&path, dir.path().join("g")).unwrap();
        fs::write(&path, "b").unwrap();
        assert!(!first.is_at(&path));
        first.unlink(&path).unwrap();
        assert!(path.exists(), "another file was removed");
        FileId::at(&path).unwrap().unwrap().unlink(&path).unwrap();
        assert!(!path.exists());
        remove(&path).unwrap();
    }
}
