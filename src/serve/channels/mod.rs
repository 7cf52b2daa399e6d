//! The duplex channels that a scenario holds.
//!
//! [`serving`] is the server's side. Its handler does with a request what [`handling`] says, and
//! [`diary`] keeps what it was given and what it did; an answer made of the request's bytes is a
//! [`making`].
//!
//! [`calling`] is the client's side. What it sent and received is a `correspondence`, a request
//! that is written in place a `drafting`, and a wait for responses that is over an
//! `ended_wait`.

pub mod calling;
mod correspondence;
pub mod diary;
mod drafting;
mod ended_wait;
pub mod handling;
pub mod making;
pub mod serving;
