//! What a scenario that strains the machine keeps from step to step.

use super::census::Census;
use super::crowd::Crowd;
use super::cycle::Cycles;
use super::endurance::{Reading, Run};
use super::hindrance::Refusals;
use crate::serve::errand::Errander;
use crate::serve::failure::{Failure, StepOutcome};
use crate::serve::world::World;
use crate::{BufferConfig, BufferName};

/// What was counted, attempted and filled. Dropped, all of it is ended and removed.
#[derive(Debug, Default)]
pub struct Strain {
    /// What the process held before.
    pub before: Option<Census>,
    /// The buffer whose creation a later step is to let fail.
    pub planned: Option<(BufferName, BufferConfig)>,
    /// Creations that something was in the way of.
    pub refusals: Refusals,
    /// What fills shared memory.
    pub crowd: Option<Crowd>,
    /// A buffer made and removed again and again.
    pub cycles: Cycles,
    /// Another process.
    pub other: Option<Errander>,
    /// A long run of writes.
    pub run: Option<Run>,
    /// The reads that go with it.
    pub reading: Option<Reading>,
}

impl World {
    /// Counts what the process holds, for [`expect_nothing_left`](Self::expect_nothing_left).
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn begin_census(&mut self) -> StepOutcome {
        self.strain.before = Some(Census::take(&self.mark())?);
        Ok(())
    }

    /// Checks that the process holds no more than at the beginning, and that the folders are as they
    /// were; what it holds.
    ///
    /// # Errors
    ///
    /// A failure that says what was left behind, or that nothing was counted before.
    pub fn expect_nothing_left(&self) -> Result<Census, Failure> {
        let before = self.strain.before.as_ref().ok_or_else(|| {
            Failure::new("expected a count of what the process held before, found none")
        })?;
        Census::expect_nothing_left(before, &self.mark())
    }
}
