//! Frames that are held for a while, and given back in any order.

use std::time::Duration;

use zerobuffer::Frame;

use crate::message::Messages;
use crate::random::Random;
use crate::support::LONG;

/// How long a reader that holds frames waits for the next one before it gives some back.
const HELD_WAIT: Duration = Duration::from_micros(50);

/// Frames that were read and not given back.
///
/// They are checked again when they go: until then nobody may have written over them.
pub struct Held<'m> {
    messages: &'m Messages,
    random: Random,
    limit: usize,
    frames: Vec<(u64, Frame)>,
    scratch: Vec<u8>,
}

impl<'m> Held<'m> {
    pub fn new(messages: &'m Messages, random: Random) -> Held<'m> {
        let (limit, frames, scratch) = Default::default();
        Held {
            messages,
            random,
            limit,
            frames,
            scratch,
        }
    }

    /// Checks that `frame` is message `number`, and keeps it for a while.
    pub fn keep(&mut self, number: u64, frame: Frame) {
        self.check(number, &frame);
        self.frames.push((number, frame));
        if self.random.one_in(32) {
            self.limit = self.random.below(5) as usize;
        }
        while self.frames.len() > self.limit {
            self.release_one();
        }
    }

    /// The time to wait for the next frame: while frames are held, the writer may have no room.
    pub fn wait(&self) -> Duration {
        if self.frames.is_empty() {
            LONG
        } else {
            HELD_WAIT
        }
    }

    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Gives any one of the frames back.
    pub fn release_one(&mut self) {
        let any = self.random.below(self.frames.len() as u64) as usize;
        let (number, frame) = self.frames.swap_remove(any);
        self.check(number, &frame);
    }

    /// Hands any one of the frames out.
    pub fn take(&mut self) -> Option<Frame> {
        let any = self.random.below(self.frames.len().max(1) as u64) as usize;
        (any < self.frames.len()).then(|| self.frames.swap_remove(any).1)
    }

    pub fn release_all(&mut self) {
        while !self.is_empty() {
            self.release_one();
        }
    }

    fn check(&mut self, number: u64, frame: &Frame) {
        self.scratch.resize(frame.len(), 0);
        frame.copy_to(&mut self.scratch);
        self.messages.check(number, frame.sequence(), &self.scratch);
    }
}
