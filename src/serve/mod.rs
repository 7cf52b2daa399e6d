//! The step server: one process per role of a scenario, told over JSON-RPC which steps to execute.
//!
//! [`session`] is the life of the process: frames on its standard streams, answered by the
//! [`methods`] of the contract. A step goes to the [`executor`], which gives it its turn and its
//! time limit, and from there to the [`worker`], the thread with the scenario's [`world`], where
//! [`definitions`] finds the function that carries it out. The functions are in `steps`, one file a
//! feature file; what they hold is in [`reading`], [`writing`], [`serving`] and [`calling`]. What a step
//! attempts and a later one judges is kept in [`attempt`]; [`segment`] shows shared memory from outside.
//!
//! What strains the machine is kept in [`strain`]: a [`census`] of what a process holds, creations that
//! a [`hindrance`] lets fail, a [`crowd`] that fills shared memory, [`cycle`]s of making and removing,
//! [`endurance`]. A process that no step names runs an [`errand`].
//!
//! To add a step, write a function with the phrase in its attribute in the file of its feature.

pub mod attempt;
pub mod calling;
pub mod census;
pub mod crowd;
pub mod cycle;
pub mod definitions;
pub mod endurance;
pub mod errand;
pub mod executor;
pub mod failure;
pub mod held;
pub mod hindrance;
mod lending;
pub mod logs;
pub mod methods;
pub mod naming;
pub mod pattern;
pub mod reading;
pub mod registry;
pub mod relic;
pub mod segment;
pub mod serving;
pub mod session;
pub mod stdio;
mod steps;
pub mod strain;
pub mod structure;
pub mod task;
#[cfg(test)]
mod test_steps;
pub mod worker;
pub mod world;
pub mod writing;

pub use errand::Errand;
pub use session::{Options, run};
