//! What strains the machine, and what must be left of it when it is over: nothing.
//!
//! A [`census`] counts what this process holds. A [`hindrance`] lets creations fail, a [`crowd`]
//! fills shared memory, a [`cycle`] makes and removes a buffer again and again, [`endurance`] writes
//! and reads for hours, and in [`structure`] a hundred thousand structures cross with a look at each
//! field. What works on while later steps run is a [`task`]. [`Strain`] is what a scenario keeps of
//! all this from step to step.

pub mod census;
pub mod crowd;
pub mod cycle;
pub mod endurance;
pub mod hindrance;
mod state;
pub mod structure;
pub mod task;

pub use state::Strain;
