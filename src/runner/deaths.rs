//! What processes that died, or were killed, may have left: they had no chance to release it, so it
//! is no leak. What the others left is one, whoever died beside them.
//!
//! The segment of a buffer names its reader and its writer. One that names a process which is not
//! known to live, or to have ended in order, was of somebody who died: of a step server, or of a
//! process that it had started. Of what has no segment that could be read, that is not known; it
//! may be of somebody who died if it was there then.

use std::collections::BTreeSet;

use super::leftover::Place;

/// The deaths in one execution.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deaths {
    /// Those that live, or have ended in order.
    others: BTreeSet<u64>,
    /// Whether anybody has died.
    any: bool,
    /// Buffers that were there when somebody died, and may have been theirs.
    bequest: BTreeSet<String>,
}

impl Deaths {
    /// A process has been started.
    pub fn born(&mut self, pid: Option<i32>) {
        self.others.extend(pid.map(number));
    }

    /// A process has died, or one that is not known.
    pub fn add(&mut self, pid: Option<i32>, place: &Place) {
        if pid.is_some_and(|pid| !self.others.remove(&number(pid))) {
            // It is known already.
            return;
        }
        self.any = true;
        let there = place.buffers().into_iter();
        let theirs = there.filter(|buffer| self.names_one(buffer, place) != Some(false));
        self.bequest.extend(theirs.collect::<Vec<_>>());
    }

    /// Whether the files of a buffer may be of somebody who died.
    pub fn explain(&self, buffer: &str, place: &Place) -> bool {
        self.any
            && self
                .names_one(buffer, place)
                .unwrap_or_else(|| self.bequest.contains(buffer))
    }

    /// Whether the segment of a buffer names somebody who died; nothing where it cannot be read.
    fn names_one(&self, buffer: &str, place: &Place) -> Option<bool> {
        let users = place.users(buffer)?;
        let mut named = users.iter().filter(|pid| **pid != 0);
        Some(named.any(|pid| !self.others.contains(pid)))
    }
}

fn number(pid: i32) -> u64 {
    u64::from(pid.unsigned_abs())
}
