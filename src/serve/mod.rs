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
//! [`ring_state`] the ring's account and what stands in it, [`written`] a frame that has to be there,
//! [`observing`] what single operations change. [`background`] writes and [`waiting`] reads while later
//! steps run; [`trial`] is a buffer of a step's own, [`second_writer`] a process of one. What benchmarks
//! measure is in [`benchmark`].
//!
//! What a server's handler was given and what it did is in [`diary`]. A build with the cargo feature
//! `faults` commits one of its [`fault`]s when told to, at the [`ends`] of buffers that steps hold.
//!
//! What strains the machine is kept in [`strain`]: a [`census`] of what a process holds, creations that
//! a [`hindrance`] lets fail, a [`crowd`] that fills shared memory, [`cycle`]s of making and removing,
//! [`endurance`]. A process that no step names runs an [`errand`].
//!
//! To add a step, write a function with the phrase in its attribute in the file of its feature.

pub mod allocations;
pub mod attempt;
pub mod background;
pub mod benchmark;
pub mod broken_header;
pub mod calling;
pub mod census;
mod correspondence;
pub mod cpu_time;
pub mod crowd;
pub mod cycle;
mod death;
pub mod definitions;
pub mod diary;
mod drafting;
pub mod draining;
mod ended_wait;
pub mod ends;
pub mod endurance;
pub mod errand;
pub mod executor;
pub mod failure;
pub mod fault;
#[cfg(feature = "faults")]
mod faulty;
pub mod figures;
pub mod filling;
pub mod findings;
pub mod free_space;
pub mod handling;
pub mod held;
pub mod hindrance;
pub mod history;
mod lending;
pub mod logs;
pub mod making;
pub mod mapping;
pub mod methods;
pub mod name_rules;
pub mod naming;
pub mod observing;
pub mod patience;
pub mod pattern;
#[cfg(feature = "faults")]
mod plan;
pub mod race;
pub mod reading;
pub mod registry;
pub mod relic;
pub mod ring_state;
pub mod scale;
pub mod second_writer;
pub mod segment;
pub mod serving;
pub mod session;
pub mod stale;
pub mod stdio;
mod steps;
pub mod strain;
pub mod structure;
pub mod task;
#[cfg(test)]
mod test_steps;
pub mod trial;
pub mod waiting;
pub mod worker;
pub mod world;
pub mod writing;
pub mod written;

pub use errand::Errand;
pub use session::{Options, run};
