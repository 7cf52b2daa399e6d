//! What benchmarks have measured, from the step that measures to those that judge and tell.

use std::time::Duration;

use super::activity::{Activity, Idleness};
use super::barrier::{Compared, Fences};
use super::latency::Latency;
use super::signal::{AtRate, Signals};
use super::throughput::Throughput;
use super::utilization::Utilization;
use super::wrap::Wrapping;
use crate::rpc::message::ATTACHMENT;
use crate::serve::failure::Failure;

/// Of each benchmark, what was measured last.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "their types say what they are")]
pub struct Benchmarks {
    pub idleness: Option<Idleness>,
    pub activity: Option<Activity>,
    pub latency: Vec<Latency>,
    pub throughput: Vec<Throughput>,
    pub wrapping: Option<Wrapping>,
    pub fences: Option<Fences>,
    pub compared: Option<Compared>,
    pub signals: Option<Signals>,
    pub rates: Vec<AtRate>,
    pub writers_pause: Option<Duration>,
    pub utilization: Option<Utilization>,
}

/// What an earlier step has measured.
///
/// # Errors
///
/// If none has, naming `what` is missing.
pub fn measured<'a, T>(what: &str, found: &'a mut Option<T>) -> Result<&'a mut T, Failure> {
    found.as_mut().ok_or_else(|| missing(what))
}

/// As [`measured`], of several.
///
/// # Errors
///
/// If there are none.
pub fn all_measured<'a, T>(what: &str, found: &'a [T]) -> Result<&'a [T], Failure> {
    match found {
        [] => Err(missing(what)),
        found => Ok(found),
    }
}

fn missing(what: &str) -> Failure {
    Failure::new(format!(
        "expected {what} to have been measured, found nothing"
    ))
}

/// Tells figures, to be shown with the step.
pub fn attach(text: &str) {
    tracing::info!("{ATTACHMENT}{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_is_missed() {
        assert!(measured("speed", &mut None::<u8>).is_err());
        assert_eq!(measured("speed", &mut Some(7)), Ok(&mut 7));
        let failure = all_measured::<u8>("speed", &[]).unwrap_err().to_string();
        assert!(failure.contains("speed"), "{failure}");
        assert_eq!(all_measured("speed", &[7]), Ok(&[7][..]));
    }
}
