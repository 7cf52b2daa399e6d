//! Names of buffers, and the names of the things that a buffer consists of.

use std::fmt;
use std::path::{Path, PathBuf};

use super::{Error, Result};

/// The longest buffer name, in bytes: with it every derived name still fits into a file name.
pub const MAX_NAME: usize = 245;

pub(super) const SHM_DIR: &str = "/dev/shm";
pub(super) const LOCK_DIR: &str = "/tmp/zerobuffer";

/// A valid buffer name: not empty, no `/`, no NUL, not `.` or `..`, at most [`MAX_NAME`] bytes.
///
/// ```
/// use zerobuffer::{BufferName, Error};
/// assert_eq!(BufferName::new("camera-1").unwrap().as_str(), "camera-1");
/// assert!(matches!(BufferName::new("a/b"), Err(Error::InvalidName { .. })));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BufferName(String);

impl BufferName {
    /// Checks a name.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidName`] with the reason.
    pub fn new(name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        match objection(&name, MAX_NAME) {
            None => Ok(BufferName(name)),
            Some(why) => Err(Error::InvalidName { name, why }),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segment's path.
    pub(crate) fn segment_path(&self) -> PathBuf {
        Path::new(SHM_DIR).join(&self.0)
    }

    /// The name under which the data semaphore, posted by the writer, is opened.
    pub(crate) fn data_semaphore(&self) -> String {
        format!("sem-w-{}", self.0)
    }

    /// The name under which the space semaphore, posted by the reader, is opened.
    pub(crate) fn space_semaphore(&self) -> String {
        format!("sem-r-{}", self.0)
    }

    /// The lock file's path.
    pub(crate) fn lock_path(&self) -> PathBuf {
        Path::new(LOCK_DIR).join(format!("{}.lock", self.0))
    }
}

impl fmt::Display for BufferName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The path at which glibc keeps the named semaphore `name`.
pub(crate) fn semaphore_path(name: &str) -> PathBuf {
    Path::new(SHM_DIR).join(format!("sem.{name}"))
}

/// Why `name` cannot be used as a name of at most `longest` bytes.
pub(crate) fn objection(name: &str, longest: usize) -> Option<String> {
    if name.is_empty() {
        Some("it is empty".into())
    } else if name == "." || name == ".." {
        Some("it means a folder".into())
    } else if name.contains('/') {
        Some("it contains a '/'".into())
    } else if name.contains('\0') {
        Some("it contains a NUL byte".into())
    } else if name.len() > longest {
        Some(format!(
            "it has {} bytes, {longest} is the most",
            name.len()
        ))
    } else {
        None
    }
}

#[cfg(test)]
impl BufferName {
    /// A name that no other test and no other test run uses.
    pub(crate) fn for_test(label: &str) -> BufferName {
        BufferName::new(format!("zb-test-{label}-{}", std::process::id())).expect("a legal name")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legal_names_are_kept_as_they_are() {
        for name in ["a", "with space", "..a", "umlaut-\u{fc}", "a.b_c-d:e"] {
            assert_eq!(BufferName::new(name).unwrap().to_string(), name);
        }
        assert!(BufferName::new("x".repeat(MAX_NAME)).is_ok());
    }

    #[test]
    fn illegal_names_are_refused_with_the_reason() {
        let too_long = "x".repeat(MAX_NAME + 1);
        for (name, reason) in [
            ("", "empty"),
            (".", "folder"),
            ("..", "folder"),
            ("a/b", "'/'"),
            ("a\0b", "NUL"),
            (too_long.as_str(), "246 bytes"),
        ] {
            let error = BufferName::new(name).unwrap_err();
            assert!(matches!(error, Error::InvalidName { .. }));
            assert!(error.to_string().contains(reason), "{name:?}: {error}");
        }
    }

    #[test]
    fn all_derived_names_fit_into_a_file_name() {
        let name = BufferName::new("x".repeat(MAX_NAME)).unwrap();
        for path in [
            name.segment_path(),
            name.lock_path(),
            semaphore_path(&name.data_semaphore()),
            semaphore_path(&name.space_semaphore()),
        ] {
            assert!(path.file_name().unwrap().len() <= 255, "{path:?}");
        }
    }
}
