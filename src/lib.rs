//! Frames between two processes through shared memory, without copies.
//!
//! [`channel`] is the ZeroBuffer protocol: one writer, one reader, one segment. [`duplex`] is a
//! request/response pair of channels. The modules behind the cargo features `serve` and `runner`
//! are the step server and the interop runner; a program that only wants channels takes the
//! library with `default-features = false`.

pub mod channel;
pub mod duplex;
#[cfg(feature = "rpc")]
pub mod rpc;
#[cfg(feature = "runner")]
pub mod runner;
#[cfg(feature = "serve")]
pub mod serve;

pub use channel::{
    BufferConfig, BufferName, Error, Frame, Loan, Reader, Result, WaitStrategy, Writer,
};
pub use duplex::ChannelName;
