//! What steps have found out, for later ones to judge.

use super::failure::Failure;
use super::outside::free_space::FreeSpace;
use super::outside::relic::Relics;
use super::rivals::second_writer::SecondWriter;
use crate::BufferName;

/// What the scenario's steps have found out in this process, beside what came of attempts.
#[derive(Debug, Default)]
pub struct Findings {
    /// What there was before a buffer was made.
    pub relics: Option<Relics>,
    /// What came of a second writer process.
    pub second_writer: Option<SecondWriter>,
    /// The buffer for which two processes have raced.
    pub raced_for: Option<BufferName>,
    /// How large frames can be, state by state.
    pub free_space: Vec<FreeSpace>,
}

impl Findings {
    /// What there was before a buffer was made.
    ///
    /// # Errors
    ///
    /// If no step has looked.
    pub fn relics(&self) -> Result<&Relics, Failure> {
        found(&self.relics, "what there was before")
    }
}

/// What was found, or that no step has found it out.
///
/// # Errors
///
/// If it was not found out.
pub fn found<'a, T>(finding: &'a Option<T>, what: &str) -> Result<&'a T, Failure> {
    let missing = || Failure::new(format!("expected an earlier step to have found out {what}"));
    finding.as_ref().ok_or_else(missing)
}
