//! How far it is, for somebody who waits.

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

/// Says on standard error what is being measured: on one line of a terminal, else once a round.
pub struct Progress {
    begun: Instant,
    total: usize,
    done: usize,
    is_terminal: bool,
}

impl Progress {
    pub fn new(total: usize) -> Progress {
        Progress {
            begun: Instant::now(),
            total,
            done: 0,
            is_terminal: stderr().is_terminal(),
        }
    }

    /// A round begins.
    pub fn round(&self, round: u32, rounds: u32) {
        if !self.is_terminal {
            eprintln!("round {round} of {rounds}");
        }
    }

    /// The next measurement begins.
    pub fn step(&mut self, what: &str) {
        if self.is_terminal {
            let left = self.left().map_or(String::new(), |left| {
                format!(", {} s left", left.as_secs() + 1)
            });
            let (done, total) = (self.done + 1, self.total);
            eprint!("\r\x1b[K{done} of {total}{left}: {what}");
        }
        self.done += 1;
    }

    fn left(&self) -> Option<Duration> {
        let each = self.begun.elapsed().checked_div(self.done as u32)?;
        Some(each * (self.total - self.done) as u32)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_terminal {
            eprint!("\r\x1b[K");
        }
    }
}
