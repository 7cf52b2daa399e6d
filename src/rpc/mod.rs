//! The contract between an orchestrator and a step server: JSON-RPC 2.0 messages in
//! `Content-Length` frames, or over WebSockets.
//!
//! [`message`] holds the parameters and results, [`framing`] the frames, [`request`] what a frame's
//! body must be; [`server`] answers requests over a pair of streams, and [`client`] is the
//! orchestrator's side of a connection.

#[cfg(feature = "runner")]
pub mod client;
pub mod framing;
pub mod message;
#[cfg(feature = "serve")]
pub mod request;
#[cfg(feature = "serve")]
pub mod server;
#[cfg(feature = "runner")]
mod transport;
