//! The step server: one process per role of a scenario, told over JSON-RPC which steps to execute.
//!
//! [`session`] is the life of the process: frames on its standard streams, answered by the
//! [`methods`] of the contract, until its [`ending`]. Instead it can be [`listening`], and answer many
//! connections, each as if it were a process: their requests pass its `admission`, and what cannot be
//! done in a process of many is known to `sharing`. A step goes to the [`executor`], which gives it its
//! turn and its time limit, and from there to the [`worker`], the thread with the scenario's [`world`],
//! where [`definitions`] finds the function that carries it out. The functions are in `steps`, one
//! file a feature file. Why one of them did not do what its text says is a [`failure`]; for as much
//! memory as it asks for there may be no [`room`].
//!
//! What they hold is [`held`] by the role and the name that their texts say, and noted in the
//! [`registry`] under the [`naming`] of the run. What a step attempts and a later one judges is kept
//! in [`attempt`], what steps find out otherwise in [`findings`]; test data are a [`pattern`]. What
//! comes about by itself is waited for with `patience`. A process that no step names runs an
//! [`errand`].
//!
//! What steps do is in rooms:
//!
//! - [`ends`]: buffers that this process reads or writes;
//! - [`channels`]: duplex channels that it serves or calls;
//! - [`outside`]: shared memory looked at, and corrupted, from outside;
//! - [`strain`]: what strains the machine, and what it leaves;
//! - [`rivals`]: processes that want the same buffer;
//! - [`benchmark`]: what benchmarks measure;
//! - [`faults`]: what this process does wrong when it is told to, in a build with the cargo feature
//!   `faults`.
//!
//! To add a step, write a function with the phrase in its attribute in the file of its feature.

mod admission;
pub mod allocations;
pub mod attempt;
pub mod benchmark;
pub mod channels;
mod death;
pub mod definitions;
pub mod ending;
pub mod ends;
pub mod errand;
pub mod executor;
pub mod failure;
pub mod faults;
pub mod findings;
pub mod held;
pub mod listening;
pub mod logs;
pub mod methods;
pub mod naming;
pub mod outside;
mod patience;
pub mod pattern;
pub mod registry;
pub mod rivals;
pub mod room;
pub mod session;
mod sharing;
pub mod stdio;
mod steps;
pub mod strain;
#[cfg(test)]
mod test_steps;
pub mod worker;
pub mod world;

pub use errand::Errand;
pub use session::{Options, run};
