//! Faults that a step server commits when it is told to, so that it can be seen which scenarios
//! notice them.
//!
//! [`Fault`] names them all. Where they are built in, with the cargo feature `faults`, the plan is
//! the one that this process commits once, and the ends of buffers that steps hold are such as
//! commit it.

mod fault;
#[cfg(feature = "faults")]
mod faulty;
#[cfg(feature = "faults")]
mod plan;
#[cfg(feature = "faults")]
mod sight;

pub use fault::{BUILT_IN, COMMITTED, Fault, VARIABLE, names, of_environment, strikes};
#[cfg(feature = "faults")]
pub use faulty::{Frame, Loan, Reader, Writer};
