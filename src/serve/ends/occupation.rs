//! What a writer is being used for.

use super::Writer;
use super::background::{Background, Job};
use super::lending::OpenLoan;
use crate::BufferName;
use crate::serve::failure::{Failure, StepOutcome, expect_equal};
use crate::serve::outside::ring_state::RingState;
use crate::serve::outside::written::Written;

/// Where the writer is, and what for.
#[derive(Debug)]
pub(super) enum Occupation {
    Ready(Box<Writer>),
    Lending(OpenLoan),
    Background(Background),
    Waiting(WaitingFrame),
    /// Why there is no writer any more.
    Gone(String),
}

impl Occupation {
    /// That of a writer which has come back from the background, or has not.
    pub(super) fn after(writer: Option<Writer>, outcome: &StepOutcome) -> Occupation {
        match (writer, outcome) {
            (Some(writer), _) => Occupation::Ready(Box::new(writer)),
            (None, Ok(())) => Occupation::Gone(
                "all frames were written in the background, then it was closed".into(),
            ),
            (None, Err(failure)) => {
                Occupation::Gone(format!("writing in the background failed: {failure}"))
            }
        }
    }

    /// What the writer of `buffer` is doing, in words.
    pub(super) fn of_writer(&self, buffer: &BufferName) -> String {
        match self {
            Occupation::Ready(_) => format!("the writer of '{buffer}' is ready"),
            Occupation::Lending(_) => format!("the writer of '{buffer}' has an open loan"),
            Occupation::Background(_) => {
                format!("the writer of '{buffer}' is writing in the background")
            }
            Occupation::Waiting(_) => format!("the writer of '{buffer}' waits for room"),
            Occupation::Gone(why) => format!("the writer of '{buffer}' is gone: {why}"),
        }
    }
}

/// A frame that waits for room.
#[derive(Debug)]
pub(super) struct WaitingFrame {
    background: Background,
    data: Vec<u8>,
    before: RingState,
}

impl WaitingFrame {
    /// Begins to write it, in a ring that is as it was `before`.
    ///
    /// # Errors
    ///
    /// Those of the system, when threads run out.
    pub(super) fn start(
        writer: Writer,
        data: Vec<u8>,
        before: RingState,
    ) -> Result<WaitingFrame, Failure> {
        Ok(WaitingFrame {
            background: Background::start(writer, Job::One(data.clone()))?,
            data,
            before,
        })
    }

    /// Checks that it has waited for a while, and has changed nothing yet.
    ///
    /// # Errors
    ///
    /// If it was written meanwhile.
    pub(super) fn expect_waiting(&self, buffer: &BufferName) -> StepOutcome {
        self.background.await_waiting()?;
        let count = RingState::now(buffer)?.written_count;
        expect_equal("frames and wraps written", self.before.written_count, count)?;
        match self.background.is_finished() {
            false => Ok(()),
            true => Err(Failure::new("expected the write to wait, but it has ended")),
        }
    }

    /// Waits until it is written; the writer, and the frame or why it could not be written.
    pub(super) fn finish(mut self) -> (Option<Writer>, Result<Written, Failure>) {
        let (writer, outcome) = self.background.finish();
        let written = outcome.map(|()| Written {
            sequence: self.background.progress().last,
            data: self.data,
            before: self.before,
            waited: true,
        });
        (writer, written)
    }
}
