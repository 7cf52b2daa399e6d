//! How far scenarios are scaled that would take hours, or the whole machine.

use std::collections::BTreeMap;
use std::time::Duration;

/// How far scenarios are scaled; step servers read it from their environment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// For how long a scenario runs that is to run for hours.
    pub long_running: Duration,
    /// By how much iterations and seconds of benchmarks are multiplied.
    pub benchmark: f64,
}

impl Default for Scale {
    fn default() -> Scale {
        Scale {
            long_running: Duration::from_secs(5),
            benchmark: 0.02,
        }
    }
}

impl Scale {
    /// The environment variables that tell a step server.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let seconds = self.long_running.as_secs_f64().to_string();
        BTreeMap::from([
            ("HARMONY_LONG_RUNNING_SECONDS".to_owned(), seconds),
            (
                "HARMONY_BENCHMARK_SCALE".to_owned(),
                self.benchmark.to_string(),
            ),
        ])
    }
}

/// Reads a time: a number of seconds, or one with `s`, `m` or `h` behind it.
///
/// # Errors
///
/// What was expected instead.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.char_indices().last() {
        Some((at, 's')) => (&text[..at], 1.0),
        Some((at, 'm')) => (&text[..at], 60.0),
        Some((at, 'h')) => (&text[..at], 3600.0),
        _ => (text, 1.0),
    };
    let seconds = number.parse().map(|number: f64| number * unit);
    let seconds = seconds.map_or(-1.0, |seconds| seconds);
    match Duration::try_from_secs_f64(seconds) {
        Ok(time) if !time.is_zero() => Ok(time),
        _ => Err("expected a time like 90, 90s, 5m or 24h".to_owned()),
    }
}

/// Reads a factor.
///
/// # Errors
///
/// What was expected instead.
pub fn factor(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(factor) if factor > 0.0 && factor <= 1.0 => Ok(factor),
        _ => Err("expected a factor above 0, at most 1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, seconds) in [
            ("90", 90.0),
            ("0.5", 0.5),
            ("7s", 7.0),
            ("1.5m", 90.0),
            ("24h", 86_400.0),
        ] {
            assert_eq!(
                duration(text),
                Ok(Duration::from_secs_f64(seconds)),
                "{text}"
            );
        }
        for text in ["", "h", "0", "-1", "5d", "1h30m", "NaN", "inf"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn factors_make_nothing_longer() {
        assert_eq!([factor("1"), factor("0.1")], [Ok(1.0), Ok(0.1)]);
        for text in ["0", "1.01", "-1", "x", "NaN"] {
            assert!(factor(text).is_err(), "{text}");
        }
    }

    #[test]
    fn step_servers_are_told() {
        let environment = Scale::default().environment();
        assert_eq!(environment["HARMONY_LONG_RUNNING_SECONDS"], "5");
        assert_eq!(environment["HARMONY_BENCHMARK_SCALE"], "0.02");
    }
}
