//! Waiting for what comes about by itself.

use std::time::{Duration, Instant};

use crate::serve::failure::Failure;

/// How often it is looked at.
const TICK: Duration = Duration::from_millis(2);

/// Repeats a check until it passes.
///
/// # Errors
///
/// The check's own failure, once `patience` has run out.
pub fn eventually<T>(
    patience: Duration,
    mut check: impl FnMut() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let begun = Instant::now();
    loop {
        match check() {
            Ok(found) => return Ok(found),
            Err(failure) if begun.elapsed() >= patience => {
                return Err(Failure::new(format!("{failure} (after {patience:?})")));
            }
            Err(_) => std::thread::sleep(TICK),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::failure::expect_equal;

    #[test]
    fn a_check_is_repeated_until_it_passes() {
        let mut count = 0;
        let passed = eventually(Duration::from_secs(60), || {
            count += 1;
            expect_equal("count", 3, count).map(|()| count)
        });
        assert_eq!(passed, Ok(3));
    }

    #[test]
    fn patience_ends_with_the_last_failure() {
        let begun = Instant::now();
        let patience = Duration::from_millis(20);
        let failure = eventually(patience, || expect_equal("size", 1, 2)).unwrap_err();
        assert!(begun.elapsed() >= patience);
        let expected = "size: expected 1, found 2 (after 20ms)";
        assert_eq!(failure.to_string(), expected);
    }
}
