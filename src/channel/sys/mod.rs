//! The system as the protocol uses it: shared memory, semaphores, lock files, processes.
//!
//! Nothing here knows the protocol; everything unsafe that talks to the system is here.

pub(crate) mod clock;
pub(crate) mod file;
pub(crate) mod lock;
#[cfg(feature = "runner")]
pub(crate) mod look;
pub(crate) mod prefetch;
pub(crate) mod process;
pub(crate) mod semaphore;
pub(crate) mod shm;
