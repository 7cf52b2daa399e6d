//! The ends of buffers that a scenario holds.
//!
//! [`reading`] and [`writing`] are what steps have in their hands. A reader reads frame by frame or a
//! `series` of them; what it has read is in [`history`], what it reads while other steps go on in
//! [`draining`] and [`waiting`]. A writer has an `occupation`: a loan is in `lending`, frames that
//! it writes while other steps go on are in [`background`]; [`filling`] ends when there is no room.
//! Where reader and writer are in two processes, one may know something of the other that was [`told`].
//!
//! Reader and writer themselves are the library's own; where faults are built in, they are such as
//! commit them.

pub mod audit;
pub mod background;
pub mod draining;
pub mod filling;
pub mod history;
mod lending;
mod occupation;
pub mod reading;
mod series;
pub mod told;
pub mod waiting;
pub mod writing;

#[cfg(feature = "faults")]
pub use super::faults::{Frame, Loan, Reader, Writer};
#[cfg(not(feature = "faults"))]
pub use crate::{Frame, Loan, Reader, Writer};
