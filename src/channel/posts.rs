//! Posts of the data semaphore, set off against the frames that were taken.

use super::sys::semaphore::Semaphore;

/// How many frames may be taken ahead of their posts: a semaphore that grows and is emptied at once
/// is cheaper than one that both sides change in turn.
const AHEAD: u64 = 256;

/// What the reader knows of the posts of its data semaphore.
///
/// A frame is seen by its bytes, before the post that tells of it, which costs less than to wait for
/// the post. Each frame taken so leaves a post behind, to be taken when there is time: otherwise it
/// would end a later wait in vain.
#[derive(Debug, Default)]
pub(crate) struct Posts {
    /// Frames that were taken before their posts.
    owed: u64,
    /// Whether a post was taken for which no frame has been.
    spare: bool,
}

impl Posts {
    /// Enters a frame that was taken.
    pub(crate) fn frame_taken(&mut self, semaphore: &Semaphore) {
        if self.spare {
            self.spare = false;
            return;
        }
        self.owed += 1;
        if self.owed >= AHEAD {
            self.settle(semaphore);
        }
    }

    /// Enters a post that was taken.
    pub(crate) fn post_taken(&mut self) {
        match self.owed {
            0 => self.spare = true,
            _ => self.owed -= 1,
        }
    }

    /// Takes the posts of frames that were taken already.
    pub(crate) fn settle(&mut self, semaphore: &Semaphore) {
        while self.owed > 0 && semaphore.try_wait() {
            self.owed -= 1;
        }
    }

    /// Whether there is a post for something that was not taken yet.
    pub(crate) fn vouch(&mut self, semaphore: &Semaphore) -> bool {
        self.settle(semaphore);
        self.spare = self.spare || (self.owed == 0 && semaphore.try_wait());
        self.spare
    }

    /// What was posted was not for a frame.
    pub(crate) fn nothing_there(&mut self) {
        self.spare = false;
    }

    /// Begins anew, with a writer that has nothing to do with what was posted before.
    pub(crate) fn forget(&mut self) {
        *self = Posts::default();
    }
}
