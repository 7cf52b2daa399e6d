//! The ends of a buffer, as steps hold them: the library's own; where faults are built in, such that
//! commit them.

#[cfg(not(feature = "faults"))]
pub use crate::{Frame, Loan, Reader, Writer};

#[cfg(feature = "faults")]
pub use super::faulty::{Frame, Loan, Reader, Writer};
