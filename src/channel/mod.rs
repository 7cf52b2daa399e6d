//! The ZeroBuffer protocol, version 1: one buffer, one writer, one reader.
//!
//! A buffer named `N` is a shared-memory segment, two named semaphores and a lock file. The
//! [`Reader`] creates and owns all of them; the [`Writer`] attaches. Frames are placed into the
//! segment once, by the writer, and read where they stand; a frame's memory goes back to the
//! writer when its [`Frame`] is dropped.
//!
//! ```
//! use std::time::Duration;
//! use zerobuffer::{BufferConfig, BufferName, Reader, Writer};
//!
//! # fn main() -> Result<(), zerobuffer::Error> {
//! let name = BufferName::new(format!("doc-channel-{}", std::process::id()))?;
//! let mut reader = Reader::create(&name, &BufferConfig::new(64, 4096))?;
//! let mut writer = Writer::connect(&name, Duration::from_secs(5))?;
//!
//! writer.write(b"hello")?;
//! let frame = reader.read(Duration::from_secs(1))?.expect("a frame was written");
//! assert_eq!((frame.sequence(), frame.to_vec()), (1, b"hello".to_vec()));
//! # Ok(())
//! # }
//! ```
//!
//! # Sizes
//!
//! A frame of `n` bytes takes `n + 16` bytes of the payload block and never crosses its end, so a
//! frame of more than half the block may find no place even in an empty buffer. Choose a payload
//! size of at least twice the largest frame.
//!
//! # What a peer can do to this side
//!
//! Another process can write anything into the segment at any time. Every value is copied once,
//! checked, and only then used: wrong bytes are an [`Error::Corrupt`] or [`Error::Sequence`], never
//! a panic, an endless loop or a read outside the mapping. A peer that dies is noticed within
//! 200 ms by whoever waits for it.

mod account;
mod attachment;
mod error;
mod exchange;
mod frame;
mod layout;
mod loan;
mod name;
#[cfg(test)]
#[path = "../../tests/support/notice.rs"]
mod notice;
mod owner;
mod point;
mod posts;
mod reader;
mod reader_watch;
mod ring;
#[cfg(feature = "runner")]
pub(crate) mod stale;
mod sys;
#[cfg(feature = "runner")]
pub(crate) mod view;
mod wait;
mod writer;
mod writer_state;

pub(crate) use account::Interrupt;
pub use error::Error;
pub use frame::Frame;
pub use layout::BufferConfig;
pub use loan::Loan;
pub(crate) use name::objection;
pub use name::{BufferName, MAX_NAME};
pub(crate) use owner::sweep;
pub(crate) use reader::Gaps;
pub use reader::Reader;
pub(crate) use reader_watch::ReaderWatch;
pub(crate) use ring::Placement;
#[cfg(feature = "serve")]
pub(crate) use sys::semaphore::Semaphore;
pub use wait::WaitStrategy;
pub(crate) use wait::{Deadline, TICK};
pub use writer::Writer;

/// The result of a channel operation.
pub type Result<T> = std::result::Result<T, Error>;
