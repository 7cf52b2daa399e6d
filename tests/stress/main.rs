//! Channels under load: random messages between all implementations, processes that are killed at
//! random moments, and a long soak.
//!
//! Each test runs for a few seconds, with a seed of its own that it prints (`-- --nocapture`; the
//! output of a failed test is always shown). Environment variables make more of it:
//!
//! | variable | means | unless given |
//! |---|---|---|
//! | `ZEROBUFFER_SEED` | what all random choices follow from | the time |
//! | `ZEROBUFFER_STRESS` | messages from each kind of writer to each kind of reader | 2000 |
//! | `ZEROBUFFER_KILLS` | processes killed, over all tests together | 80 |
//! | `ZEROBUFFER_SOAK` | frames between two processes | 200000 |
//!
//! The peers are the programs that `peers/cpp/setup.sh` and `peers/python/setup.sh` set up.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod asking;
mod channel_stress;
mod duplex_stress;
mod held;
mod job;
mod killing;
mod kills;
mod kills_duplex;
mod lateness;
mod message;
mod progress;
mod random;
mod reused_pids;
mod roles;
mod settings;
mod soak;

/// Not a test of its own: what the other processes of the tests do.
#[test]
fn play_a_role() {
    if let Some((role, name)) = support::role() {
        roles::play(&job::Job::parse(&role, &name));
    }
}
