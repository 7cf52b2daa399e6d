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
    /// Posts that were ever taken, less what they were for: 0 once everything is settled.
    balance: i64,
}

impl Posts {
    /// Enters a frame that was taken.
    pub(crate) fn frame_taken(&mut self, semaphore: &Semaphore) {
        self.balance -= 1;
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
        self.balance += 1;
        match self.owed {
            0 => self.spare = true,
            _ => self.owed -= 1,
        }
    }

    /// Takes the posts of frames that were taken already.
    pub(crate) fn settle(&mut self, semaphore: &Semaphore) {
        while self.owed > 0 && semaphore.try_wait() {
            self.owed -= 1;
            self.balance += 1;
        }
    }

    /// Whether there is a post for something that was not taken yet.
    pub(crate) fn vouch(&mut self, semaphore: &Semaphore) -> bool {
        self.settle(semaphore);
        if !self.spare && self.owed == 0 && semaphore.try_wait() {
            self.spare = true;
            self.balance += 1;
        }
        self.spare
    }

    /// Whether a post was taken that no frame has used.
    pub(crate) fn has_spare(&self) -> bool {
        self.spare
    }

    /// Takes the post of something that was no frame, if it was not taken before.
    pub(crate) fn take_one(&mut self, semaphore: &Semaphore) {
        if std::mem::take(&mut self.spare) || !semaphore.try_wait() {
            self.balance -= 1;
        }
    }

    /// What was posted was not for a frame.
    pub(crate) fn nothing_there(&mut self) {
        self.spare = false;
    }

    /// Goes on with a writer that has nothing to do with what was posted before.
    pub(crate) fn forget(&mut self) {
        *self = Posts {
            balance: self.balance,
            ..Posts::default()
        };
    }

    /// Begins anew, after all posts were taken and no frame is left.
    pub(crate) fn begin_anew(&mut self) {
        *self = Posts::default();
    }

    /// How many posts were taken beyond the frames that were, once those are settled that are there.
    #[cfg(feature = "serve")]
    pub(crate) fn balance(&mut self, semaphore: &Semaphore) -> i64 {
        self.settle(semaphore);
        self.balance
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::name::semaphore_path;

    fn semaphore(label: &str) -> Semaphore {
        let name = format!("zb-test-posts-{label}-{}", std::process::id());
        let semaphore = Semaphore::create(&name, semaphore_path(&name)).unwrap();
        semaphore.id().unlink(&semaphore_path(&name)).unwrap();
        semaphore
    }

    #[test]
    fn what_was_taken_ahead_is_settled_and_no_more() {
        let (semaphore, mut posts) = (semaphore("settle"), Posts::default());
        for _ in 0..3 {
            posts.frame_taken(&semaphore);
        }
        (0..5).for_each(|_| semaphore.post());
        posts.settle(&semaphore);
        assert_eq!(semaphore.value(), 2);
        posts.settle(&semaphore);
        assert_eq!(semaphore.value(), 2);
    }

    #[test]
    fn a_post_that_was_waited_for_pays_for_one_frame() {
        let (semaphore, mut posts) = (semaphore("spare"), Posts::default());
        posts.post_taken();
        posts.frame_taken(&semaphore);
        posts.frame_taken(&semaphore);
        (0..2).for_each(|_| semaphore.post());
        posts.settle(&semaphore);
        assert_eq!(semaphore.value(), 1);
        posts.post_taken();
        posts.nothing_there();
        posts.frame_taken(&semaphore);
        posts.settle(&semaphore);
        assert_eq!(semaphore.value(), 0, "a post for nothing pays for no frame");
    }

    #[test]
    fn posts_of_taken_frames_vouch_for_nothing() {
        let (semaphore, mut posts) = (semaphore("vouch"), Posts::default());
        assert!(!posts.vouch(&semaphore));
        posts.frame_taken(&semaphore);
        semaphore.post();
        assert!(!posts.vouch(&semaphore));
        semaphore.post();
        assert!(
            posts.vouch(&semaphore) && posts.vouch(&semaphore),
            "it stays"
        );
    }

    #[test]
    fn a_long_stream_is_settled_on_the_way() {
        let (semaphore, mut posts) = (semaphore("ahead"), Posts::default());
        for _ in 0..AHEAD {
            semaphore.post();
            posts.frame_taken(&semaphore);
        }
        assert_eq!(semaphore.value(), 0);
    }
}
