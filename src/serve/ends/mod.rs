//! The ends of buffers that a scenario holds.
//!
//! [`reading`] and [`writing`] are what steps have in their hands. What a reader has read is in
//! [`history`], what it reads while other steps go on in [`draining`] and [`waiting`]. A writer has
//! at most one loan in `lending`, writes in [`background`], and in [`filling`] until there is no
//! room.
//!
//! Reader and writer themselves are the library's own; where faults are built in, they are such as
//! commit them.

pub mod background;
pub mod draining;
pub mod filling;
pub mod history;
mod lending;
pub mod reading;
pub mod waiting;
pub mod writing;

#[cfg(feature = "faults")]
pub use super::faults::{Frame, Loan, Reader, Writer};
#[cfg(not(feature = "faults"))]
pub use crate::{Frame, Loan, Reader, Writer};
