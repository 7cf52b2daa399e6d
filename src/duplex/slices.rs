//! Waiting for space in a buffer, slice by slice.

use std::time::Duration;

use super::Result;
use crate::channel::{self, Error};

/// Waits up to `timeout` until `reserve`, which is told how long to wait, finds space. Before each
/// slice `patience` tells how long there is any sense in waiting.
pub(crate) fn reserve_in_slices<T>(
    timeout: Duration,
    slice: Duration,
    mut patience: impl FnMut() -> Result<Duration>,
    mut reserve: impl FnMut(Duration) -> channel::Result<T>,
) -> Result<T> {
    let (mut left, mut passed) = (timeout, Duration::ZERO);
    loop {
        left = left.min(patience()?);
        let wait = left.min(slice);
        match reserve(wait) {
            Err(Error::BufferFull { .. }) if left > wait => {}
            Err(Error::BufferFull {
                name, needed, free, ..
            }) => {
                let waited = passed + wait;
                return Err(Error::BufferFull {
                    name,
                    needed,
                    free,
                    waited,
                }
                .into());
            }
            outcome => return Ok(outcome?),
        }
        left -= wait;
        passed += wait;
    }
}
