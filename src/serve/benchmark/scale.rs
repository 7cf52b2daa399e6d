//! How much of a benchmark is carried out.

use std::time::Duration;

use crate::serve::failure::Failure;

/// The variable with the part of a benchmark's iterations and seconds that is carried out.
pub const VARIABLE: &str = "HARMONY_BENCHMARK_SCALE";

/// That part where nothing else is said.
const DEFAULT: f64 = 0.02;

/// A factor, above 0 and at most 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale(f64);

impl Scale {
    /// What the environment says.
    ///
    /// # Errors
    ///
    /// If it says something else than a number above 0 and at most 1.
    pub fn of_environment() -> Result<Scale, Failure> {
        Self::parse(std::env::var(VARIABLE).ok().filter(|text| !text.is_empty()))
    }

    fn parse(text: Option<String>) -> Result<Scale, Failure> {
        let Some(text) = text else {
            return Ok(Scale(DEFAULT));
        };
        match text.parse() {
            Ok(factor) if factor > 0.0 && factor <= 1.0 => Ok(Scale(factor)),
            _ => Err(Failure::new(format!(
                "{VARIABLE}: expected a number above 0 and at most 1, found {text:?}"
            ))),
        }
    }

    /// As many iterations of a benchmark as are carried out, never fewer than `least`.
    pub fn iterations(&self, full: usize, least: usize) -> usize {
        ((full as f64 * self.0).round() as usize).max(least.min(full))
    }

    /// As much time of a benchmark as it takes.
    pub fn time(&self, full: Duration) -> Duration {
        full.mul_f64(self.0)
    }

    /// Says how this run differs from a full one, for whoever reads its figures.
    pub fn note(&self) -> String {
        let build = if cfg!(debug_assertions) {
            ", by a build with debug assertions"
        } else {
            ""
        };
        match self.0 {
            1.0 => format!("run in full{build}"),
            factor => format!("run scaled by {factor} ({VARIABLE}){build}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_makes_less_of_it_but_never_nothing() {
        let scale = Scale::parse(Some("0.01".into())).unwrap();
        assert_eq!(scale.iterations(10_000, 50), 100);
        assert_eq!(scale.iterations(1_000, 50), 50);
        assert_eq!(scale.iterations(20, 50), 20);
        assert_eq!(scale.time(Duration::from_secs(60)).as_millis(), 600);
        assert!(
            scale.note().starts_with("run scaled by 0.01"),
            "{}",
            scale.note()
        );
        let full = Scale::parse(Some("1".into())).unwrap();
        assert!(full.note().starts_with("run in full"));
    }

    #[test]
    fn what_is_no_factor_is_refused() {
        assert_eq!(Scale::parse(None), Ok(Scale(DEFAULT)));
        for text in ["0", "-1", "1.5", "much", "NaN"] {
            let failure = Scale::parse(Some(text.into())).unwrap_err().to_string();
            assert!(failure.contains(text), "{failure}");
        }
    }
}
