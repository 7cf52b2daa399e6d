//! Memory of a ring that goes back to its writer, and the post that tells of it.

use std::time::Duration;

use super::ring_state::{RingState, Unread};
use super::segment::{Field, RawSegment};
use crate::BufferName;
use crate::serve::failure::{Failure, StepOutcome};
use crate::serve::patience::eventually;

/// How long a writer that goes on meanwhile may take to come to rest.
const PATIENCE: Duration = Duration::from_secs(2);

/// A ring before its reader gives a frame back.
#[derive(Debug)]
pub struct Space {
    raw: RawSegment,
    posts: u32,
    written: u64,
}

impl Space {
    /// How things are now.
    ///
    /// # Errors
    ///
    /// If there is no such buffer.
    pub fn of(buffer: &BufferName) -> Result<Space, Failure> {
        let raw = RawSegment::open(buffer)?;
        Ok(Space {
            posts: raw.space_posts()?,
            written: raw.get(Field::PayloadWrittenCount)?,
            raw,
        })
    }

    /// Checks that a reader which holds no frame any more has given back all that it had read, and
    /// told the writer of it once.
    ///
    /// # Errors
    ///
    /// A failure with the bytes that are still in use, or the value of the semaphore.
    pub fn expect_given_back(&self) -> StepOutcome {
        eventually(PATIENCE, || {
            let unread = Unread::walk(&self.raw)?;
            RingState::of(&self.raw)?.expect_used(unread.bytes)
        })?;
        eventually(PATIENCE, || self.expect_post())
    }

    /// There is one more post, unless there has been one that nobody has taken yet. A writer that
    /// waits for room takes it, and then writes or waits for more.
    fn expect_post(&self) -> StepOutcome {
        let posts = self.raw.space_posts()?;
        let more = posts.checked_sub(self.posts);
        let is_posted = more == Some(1) || (more == Some(0) && posts > 0);
        let is_taken = || {
            let written = self.raw.get(Field::PayloadWrittenCount)?;
            std::io::Result::Ok(self.raw.space_waiters()? > 0 || written != self.written)
        };
        if is_posted || is_taken()? {
            return Ok(());
        }
        Err(Failure::new(format!(
            "value of the space semaphore, {} before: expected a post, and no more than one more, found \
             {posts}",
            self.posts
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BufferConfig, Reader, Writer};

    const SOON: Duration = Duration::from_secs(5);

    fn pair(test: &str) -> (Reader, Writer) {
        let name = format!("serve-space-{test}-{}", std::process::id());
        let name = BufferName::new(name).unwrap();
        let reader = Reader::create(&name, &BufferConfig::new(0, 1024)).unwrap();
        let mut writer = Writer::connect(&name, Duration::ZERO).unwrap();
        writer.write(&[1; 584]).unwrap();
        writer.write(&[2; 84]).unwrap();
        (reader, writer)
    }

    #[test]
    fn what_is_given_back_is_free_and_told_of_once() {
        let (mut reader, _writer) = pair("told");
        let frame = reader.read(SOON).unwrap().unwrap();
        let space = Space::of(reader.name()).unwrap();
        drop(frame);
        space.expect_given_back().unwrap();
        // The post is taken back, then made twice.
        for wrong in [0, 2] {
            space.raw.set_space_posts(wrong).unwrap();
            let failure = space.expect_given_back().unwrap_err().to_string();
            assert!(failure.starts_with("value of the space"), "{failure}");
        }
        space.raw.set_space_posts(1).unwrap();
        let told = Space::of(reader.name()).unwrap();
        drop(reader.read(SOON).unwrap().unwrap());
        told.expect_given_back().unwrap();
    }

    #[test]
    fn what_is_kept_is_seen() {
        let (mut reader, _writer) = pair("kept");
        let frame = reader.read(SOON).unwrap().unwrap();
        let space = Space::of(reader.name()).unwrap();
        let failure = space.expect_given_back().unwrap_err().to_string();
        assert!(
            failure.starts_with("bytes in use: expected 100, found 700"),
            "{failure}"
        );
        drop(frame);
    }

    #[test]
    fn a_writer_that_waits_takes_the_post() {
        let (mut reader, mut writer) = pair("taken");
        let frame = reader.read(SOON).unwrap().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| writer.write(&[3; 484]).unwrap());
            let space = Space::of(reader.name()).unwrap();
            eventually(SOON, || match space.raw.space_waiters()? {
                0 => Err(Failure::new("nobody waits")),
                _ => Ok(()),
            })
            .unwrap();
            drop(frame);
            space.expect_given_back().unwrap();
        });
    }
}
