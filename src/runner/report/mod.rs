//! Reports: folds over the events of a run.

pub mod console;
pub mod failure;
pub mod line;
pub mod matrix;
pub mod repetitions;

pub use console::Console;
