//! One measurement of one contender: its processes are started, measure, and end.

use std::time::Duration;

use crate::Result;
use crate::affinity;
use crate::contender::{Contender, Course, Kind, Program};
use crate::interrupt::Interrupt;
use crate::leftover;
use crate::player::{PATIENCE, Player};
use crate::role::Role;
use crate::transport::Place;

/// What was measured.
pub struct Heat<'i> {
    pub contender: &'static Contender,
    pub course: Course,
    pub place: Place,
    pub time: Duration,
    /// Whether each end gets a CPU of its own.
    pub is_pinned: bool,
    pub interrupt: &'i Interrupt,
}

/// How often each number of nanoseconds was measured; or frames and the nanoseconds they took.
pub type Counts = Vec<(u64, u64)>;

impl Heat<'_> {
    /// Runs it, and leaves nothing behind.
    pub fn run(&self) -> Result<Counts> {
        let measured = self.measure();
        leftover::sweep(&self.place.name)?;
        measured
    }

    fn measure(&self) -> Result<Counts> {
        let limit = self.time * 2 + PATIENCE;
        if self.contender.kind == Kind::Copier {
            let copier = self.start(self.contender.here, Role::Copy)?;
            return parse(&copier.finish(limit)?);
        }
        let (there, here) = match self.course {
            Course::RoundTrip => (Role::Answer, Role::Ask),
            Course::OneWay => (Role::Receive, Role::Send),
        };
        let mut there = self.start(self.contender.there, there)?;
        there.wait_until_ready(PATIENCE)?;
        let mut here = self.start(self.contender.here, here)?;
        here.wait_until_ready(PATIENCE)?;
        if self.is_pinned {
            affinity::pin(there.pid(), 0)?;
            affinity::pin(here.pid(), 1)?;
        }
        let said = match self.course {
            Course::RoundTrip => {
                let said = here.finish(limit)?;
                there.end()?;
                said
            }
            Course::OneWay => {
                let said = there.line(limit)?;
                here.end()?;
                there.finish(limit)?;
                said
            }
        };
        parse(&said)
    }

    fn start(&self, program: Program, role: Role) -> Result<Player<'_>> {
        let milliseconds = self.time.as_millis() as u64;
        let command = program.command(role, &self.place, milliseconds)?;
        Player::start(command, self.interrupt)
    }
}

fn parse(said: &str) -> Result<Counts> {
    let counts: Option<Counts> = said
        .lines()
        .map(|line| {
            let (first, second) = line.split_once(' ')?;
            Some((first.parse().ok()?, second.parse().ok()?))
        })
        .collect();
    match counts {
        Some(counts) if !counts.is_empty() => Ok(counts),
        _ => Err(format!("cannot read what was measured: {said:?}").into()),
    }
}
