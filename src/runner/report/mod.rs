//! Reports: folds over the events of a run.

pub mod console;
pub mod matrix;

pub use console::Console;
