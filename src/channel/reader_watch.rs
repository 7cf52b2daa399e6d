//! Whether a buffer's reader is still there.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::layout::Segment;
use super::sys::process::Watch;
use super::{BufferName, Error, Result};

/// The reader that a writer is attached to, as anyone in the writer's process may look at it: the
/// writer itself, and who waits for an answer to what it wrote.
#[derive(Debug)]
pub(crate) struct ReaderWatch {
    name: BufferName,
    segment: Arc<Segment>,
    segment_path: PathBuf,
    process: Watch,
}

impl ReaderWatch {
    /// Watches `process`, the reader of the buffer `name` that is mapped as `segment`.
    pub(crate) fn new(name: BufferName, segment: Arc<Segment>, process: Watch) -> ReaderWatch {
        ReaderWatch {
            segment_path: name.segment_path(),
            name,
            segment,
            process,
        }
    }

    pub(crate) fn pid(&self) -> u64 {
        self.process.pid()
    }

    /// Whether the reader has said that it left.
    #[inline]
    pub(crate) fn has_left(&self) -> bool {
        // Acquire: pairs with the release store when the reader leaves.
        self.segment.oieb().reader_pid.load(Ordering::Acquire) == 0
    }

    /// Whether the buffer's name still leads to its segment.
    pub(crate) fn has_its_name(&self) -> bool {
        self.segment.mapping().id().is_at(&self.segment_path)
    }

    /// Looks whether the reader still lives and the buffer is still the one of that name.
    ///
    /// # Errors
    ///
    /// [`Error::ReaderDead`] if not.
    pub(crate) fn check(&self) -> Result<()> {
        if self.has_left() || !self.process.is_alive() || !self.has_its_name() {
            return Err(self.dead());
        }
        Ok(())
    }

    /// The error of whoever needs the reader and finds that it has gone.
    pub(crate) fn dead(&self) -> Error {
        Error::ReaderDead {
            name: self.name.to_string(),
            pid: self.pid(),
        }
    }
}
