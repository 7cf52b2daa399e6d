//! Reports: that on the terminal is a fold over the events of a run as they come; every other one is
//! a function of the [record](super::record) of a run, and reads nothing else.

pub mod comparison;
pub mod console;
pub mod failure;
pub mod files;
pub mod gherkin_document;
pub mod github;
pub mod html;
pub mod json;
pub mod junit;
pub mod line;
pub mod matrix;
pub mod messages;
pub mod mutants;
pub mod progress;
pub mod repetitions;
pub mod replay;

pub use console::Console;
