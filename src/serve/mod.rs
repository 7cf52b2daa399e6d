//! The step server: one process per role of a scenario, told over JSON-RPC which steps to execute.
//!
//! [`session`] is the life of the process: frames on its standard streams, answered by the
//! [`methods`] of the contract. A step goes to the [`executor`], which gives it its turn and its
//! time limit, and from there to the [`worker`], the thread with the scenario's [`world`], where
//! [`definitions`] finds the function that carries it out. The functions are in `steps`, one file a
//! feature file; what they hold is in [`reading`], [`writing`], [`serving`] and [`calling`]. What a step
//! attempts and a later one judges is kept in [`attempt`]; [`segment`] shows shared memory from outside.
//!
//! To add a step, write a function with the phrase in its attribute in the file of its feature.

pub mod allocations;
pub mod attempt;
pub mod calling;
mod correspondence;
mod death;
pub mod definitions;
pub mod diary;
mod drafting;
mod ended_wait;
pub mod ends;
pub mod executor;
pub mod failure;
pub mod fault;
#[cfg(feature = "faults")]
mod faulty;
pub mod handling;
pub mod held;
mod lending;
pub mod logs;
pub mod making;
pub mod methods;
pub mod naming;
pub mod patience;
pub mod pattern;
#[cfg(feature = "faults")]
mod plan;
pub mod reading;
pub mod registry;
pub mod segment;
pub mod serving;
pub mod session;
pub mod stdio;
mod steps;
#[cfg(test)]
mod test_steps;
pub mod worker;
pub mod world;
pub mod writing;

pub use session::{Options, run};
