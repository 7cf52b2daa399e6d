//! Why a step did not do, or did not find, what its text says.

use std::fmt;

/// The message of a failed step: what was expected and what was found.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure(String);

/// What a step definition returns.
pub type StepOutcome = Result<(), Failure>;

impl Failure {
    /// A failure with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Failure(message.into())
    }

    /// The same failure, saying first what was being done.
    pub fn while_doing(self, what: impl fmt::Display) -> Self {
        Failure(format!("{what}: {}", self.0))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let cause_message = cause.to_string();
            if !message.contains(&cause_message) {
                message = format!("{message}: {cause_message}");
            }
            source = cause.source();
        }
        Failure(message)
    }
}

/// Fails with `expected …, found …` unless both are equal.
///
/// # Errors
///
/// The failure, naming `what` was compared.
pub fn expect_equal<T: PartialEq + fmt::Display>(what: &str, expected: T, found: T) -> StepOutcome {
    if expected == found {
        return Ok(());
    }
    Err(Failure(format!(
        "{what}: expected {expected}, found {found}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_a_failure() {
        assert_eq!(expect_equal("size", 1, 1), Ok(()));
        let failure = expect_equal("size", 1, 2).unwrap_err();
        assert_eq!(failure.to_string(), "size: expected 1, found 2");
    }

    #[test]
    fn an_error_is_told_with_its_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot open")]
        struct Outer(#[source] std::fmt::Error);
        let failure = Failure::from(Outer(std::fmt::Error)).while_doing("connecting");
        let cause = std::fmt::Error.to_string();
        assert_eq!(
            failure.to_string(),
            format!("connecting: cannot open: {cause}")
        );
    }
}
