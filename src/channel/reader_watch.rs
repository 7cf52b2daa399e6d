//! Whether a buffer's reader is still there.

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
    process: Watch,
}

impl ReaderWatch {
    /// Watches `process`, the reader of the buffer `name` that is mapped as `segment`.
    pub(crate) fn new(name: BufferName, segment: Arc<Segment>, process: Watch) -> ReaderWatch {
        ReaderWatch {
            name,
            segment,
            process,
        }
    }

    pub(crate) fn pid(&self) -> u64 {
        self.process.pid()
    }

    /// Whether the reader has said that it left.
    pub(crate) fn has_left(&self) -> bool {
        // Acquire: pairs with the release store when the reader leaves.
        self.segment.oieb().reader_pid.load(Ordering::Acquire) == 0
    }

    /// Looks whether the reader still lives and the buffer is still the one of that name.
    ///
    /// # Errors
    ///
    /// [`Error::ReaderDead`] if not.
    pub(crate) fn check(&self) -> Result<()> {
        let segment = self.segment.mapping().id();
        let is_current = segment.is_at(&self.name.segment_path());
        if self.has_left() || !self.process.is_alive() || !is_current {
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
