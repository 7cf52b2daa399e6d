//! Reports: folds over the events of a run.

pub mod console;
pub mod failure;
pub mod line;
pub mod matrix;
pub mod mutants;
pub mod progress;
pub mod repetitions;

pub use console::Console;
