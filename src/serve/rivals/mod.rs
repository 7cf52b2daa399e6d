//! Processes that want the same buffer.
//!
//! A [`race`] is between two that make it at the same moment, a [`second_writer`] attaches to it
//! where there is a writer already.

pub mod race;
pub mod second_writer;
