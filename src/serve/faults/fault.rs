//! Faults that a step server commits when it is told to: what a scenario proves is seen by whether
//! it notices them.
//!
//! They are built in with the cargo feature `faults` only. [`VARIABLE`] then names one, which each
//! process commits once, at its first opportunity, and says so in the log.

use std::fmt;

pub use crate::rpc::message::{FAULT_COMMITTED as COMMITTED, FAULT_VARIABLE as VARIABLE};

/// Whether this program can commit faults.
pub const BUILT_IN: bool = cfg!(feature = "faults");

/// What a step server does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The writer counts a frame and does not write it.
    FrameDropped,
    /// The writer changes a bit of a frame's data.
    ByteFlipped,
    /// The writer leaves rubbish where a skipped end of the ring has to be marked.
    WrapMarkerMissing,
    /// The writer posts the data semaphore twice for a frame.
    PostDoubled,
    /// The writer does not post the data semaphore for a frame.
    PostMissing,
    /// The writer leaves the count of free bytes wrong by one.
    FreeBytesOffByOne,
    /// The writer leaves out a sequence number.
    SequenceSkipped,
    /// The reader never gives the memory of a frame back.
    MemoryNotReleased,
    /// Nobody notices that the other side has gone; not only once.
    DeathNotNoticed,
    /// The server does not answer a request.
    AnswerDropped,
    /// The server changes a bit of an answer.
    AnswerAltered,
}

impl Fault {
    /// All faults, with their names.
    pub const ALL: [(Fault, &'static str); 11] = [
        (Fault::FrameDropped, "frame-dropped"),
        (Fault::ByteFlipped, "byte-flipped"),
        (Fault::WrapMarkerMissing, "wrap-marker-missing"),
        (Fault::PostDoubled, "post-doubled"),
        (Fault::PostMissing, "post-missing"),
        (Fault::FreeBytesOffByOne, "free-bytes-off-by-one"),
        (Fault::SequenceSkipped, "sequence-skipped"),
        (Fault::MemoryNotReleased, "memory-not-released"),
        (Fault::DeathNotNoticed, "death-not-noticed"),
        (Fault::AnswerDropped, "answer-dropped"),
        (Fault::AnswerAltered, "answer-altered"),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        let (_, name) = Self::ALL[self as usize];
        name
    }

    fn named(name: &str) -> Option<Fault> {
        let mut all = Self::ALL.into_iter();
        all.find(|(_, own)| *own == name).map(|(fault, _)| fault)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The names of the faults that this program can commit.
///
/// # Errors
///
/// If it can commit none.
pub fn names() -> Result<Vec<&'static str>, String> {
    match BUILT_IN {
        true => Ok(Fault::ALL.map(|(_, name)| name).to_vec()),
        false => Err(NOT_BUILT_IN.to_owned()),
    }
}

const NOT_BUILT_IN: &str =
    "no faults are built in; build with: cargo build --release --features faults";

/// The fault that the environment names.
///
/// # Errors
///
/// If it names one that there is not, or that cannot be committed.
pub fn of_environment() -> Result<Option<Fault>, String> {
    match std::env::var(VARIABLE) {
        Ok(name) if !name.is_empty() => chosen(&name).map(Some),
        Err(std::env::VarError::NotUnicode(name)) => {
            Err(format!("{VARIABLE}={}: not a fault", name.display()))
        }
        _ => Ok(None),
    }
}

fn chosen(name: &str) -> Result<Fault, String> {
    let names = names().map_err(|why| format!("{VARIABLE}={name}: {why}"))?;
    Fault::named(name).ok_or_else(|| {
        format!(
            "{VARIABLE}={name}: not a fault; there are {}",
            names.join(", ")
        )
    })
}

/// Whether this process commits `fault` now, to what is described by `to`.
#[cfg(feature = "faults")]
pub fn strikes(fault: Fault, to: &dyn fmt::Display) -> bool {
    super::plan::Plan::of_process().strikes(fault, to)
}

/// No fault is built in.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub fn strikes(_: Fault, _: &dyn fmt::Display) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_have_names_and_stand_in_order() {
        for (index, (fault, name)) in Fault::ALL.into_iter().enumerate() {
            assert_eq!(fault as usize, index);
            assert_eq!(Fault::named(name), Some(fault));
            assert_eq!(fault.to_string(), name);
        }
        assert_eq!(Fault::named("none"), None);
    }

    #[test]
    fn a_fault_is_refused_that_cannot_be_committed() {
        assert!(chosen("none").unwrap_err().contains(VARIABLE));
        let chosen = chosen("byte-flipped");
        match BUILT_IN {
            true => assert_eq!(chosen, Ok(Fault::ByteFlipped)),
            false => assert!(chosen.unwrap_err().contains("--features faults")),
        }
        assert_eq!(names().is_ok(), BUILT_IN);
    }
}
