//! What the reader knows about the writer's side.

use std::sync::atomic::Ordering;

use super::layout::Oieb;
use super::sys::process::Watch;

/// Whether there is a writer, or was one.
#[derive(Debug)]
pub(crate) enum WriterState {
    /// None has been seen since `written` entries were counted.
    Awaited { written: u64 },
    /// This one has been seen.
    Seen(Watch),
    /// One has come and gone, or left in good order.
    Left { pid: u64 },
}

impl WriterState {
    /// Before the first writer, or the next one, after `written` entries.
    pub(crate) fn awaited(written: u64) -> WriterState {
        WriterState::Awaited { written }
    }

    /// After the writer `pid`.
    pub(crate) fn left(pid: u64) -> WriterState {
        WriterState::Left { pid }
    }

    /// Brings it up to date; whether there is another writer than before.
    pub(crate) fn look(&mut self, oieb: &Oieb) -> bool {
        // Acquire: pairs with the release when a writer leaves; its last frames are visible then.
        let present = oieb.writer_pid.load(Ordering::Acquire);
        match self {
            WriterState::Seen(watch) if watch.pid() == present => {}
            WriterState::Seen(watch) if present == 0 => {
                *self = WriterState::Left { pid: watch.pid() };
            }
            WriterState::Awaited { written } if present == 0 => {
                let has_been_here = oieb.payload_written_count.load(Ordering::Relaxed) != *written
                    || oieb.metadata_written_bytes.load(Ordering::Relaxed) != 0;
                if has_been_here {
                    *self = WriterState::Left { pid: 0 };
                }
            }
            WriterState::Left { .. } if present == 0 => {}
            _ => {
                let is_another = !matches!(self, WriterState::Awaited { .. });
                *self = WriterState::Seen(Watch::new(present));
                return is_another;
            }
        }
        false
    }

    /// Whether a writer is there and lives.
    pub(crate) fn is_connected(&self) -> bool {
        matches!(self, WriterState::Seen(watch) if watch.is_alive())
    }

    /// The writer that has left or died; `None` while one lives or is waited for.
    pub(crate) fn gone(&self) -> Option<u64> {
        match self {
            WriterState::Awaited { .. } => None,
            WriterState::Seen(watch) => (!watch.is_alive()).then(|| watch.pid()),
            WriterState::Left { pid } => Some(*pid),
        }
    }

    /// Whether the writer, dead or alive, has not given its place back.
    pub(crate) fn is_in_its_place(&self) -> bool {
        matches!(self, WriterState::Seen(_))
    }
}
