//! The step server: one process per role of a scenario, told over JSON-RPC which steps to execute.
//!
//! [`session`] is the life of the process: frames on its standard streams, answered by the
//! [`methods`] of the contract. A step goes to the [`executor`], which gives it its turn and its
//! time limit, and from there to the [`worker`], the thread with the scenario's [`world`], where
//! [`definitions`] finds the function that carries it out. The functions are in `steps`, one file a
//! feature file; what they hold is in [`reading`], [`writing`], [`serving`] and [`calling`]. What a step
//! attempts and a later one judges is kept in [`attempt`], what a reader has read in [`history`], what
//! steps find out otherwise in [`findings`].
//!
//! Shared memory is looked at, and corrupted, from outside: [`segment`] is the files and the bytes,
//! [`ring_state`] the ring's account and what stands in it, [`written`] a frame that has to be there.
//! [`background`] writes and [`waiting`] reads while later steps run; [`trial`] is a buffer of a step's
//! own, [`second_writer`] a process of one.
//!
//! To add a step, write a function with the phrase in its attribute in the file of its feature.

pub mod attempt;
pub mod background;
pub mod broken_header;
pub mod calling;
pub mod definitions;
pub mod executor;
pub mod failure;
pub mod filling;
pub mod findings;
pub mod free_space;
pub mod held;
pub mod history;
mod lending;
pub mod logs;
pub mod methods;
pub mod naming;
pub mod pattern;
pub mod race;
pub mod reading;
pub mod registry;
pub mod ring_state;
pub mod second_writer;
pub mod segment;
pub mod serving;
pub mod session;
pub mod stale;
pub mod stdio;
mod steps;
#[cfg(test)]
mod test_steps;
pub mod trial;
pub mod waiting;
pub mod worker;
pub mod world;
pub mod writing;
pub mod written;

pub use session::{Options, run};
