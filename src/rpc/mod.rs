//! The contract between an orchestrator and a step server: JSON-RPC 2.0 messages in
//! `Content-Length` frames.
//!
//! [`message`] holds the parameters and results, [`framing`] the frames, [`client`] the
//! orchestrator's side of a connection.

#[cfg(feature = "runner")]
pub mod client;
pub mod framing;
pub mod message;
