//! What the steps of benchmarks measure, and how they judge it.
//!
//! One file a benchmark; each knows its measurement, the bounds that a step's text states, and how
//! to tell its figures. [`limits`] is what the machine can do at best, [`results`] what one step
//! has measured and later ones judge. They measure with [`cpu_time`], tell many durations as
//! [`figures`], and [`scale`] says how much of a benchmark is carried out.

pub mod activity;
pub mod barrier;
pub mod cpu_time;
pub mod figures;
pub mod latency;
pub mod limits;
mod own;
pub mod results;
pub mod scale;
pub mod signal;
pub mod throughput;
pub mod utilization;
pub mod wrap;

pub use results::Benchmarks;
