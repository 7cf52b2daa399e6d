//! How soon things are noticed, on machines that have other things to do as well.

use std::time::{Duration, Instant};

/// Within so long a peer's death is noticed.
pub const NOTICED: Duration = Duration::from_millis(200);

/// Has a peer die and looks whether that is noticed in time, which is what `attempt` answers: when
/// it died, and when each of those who had to notice it did.
///
/// On a machine with more to do than it has processors, whoever wakes up waits for its turn. That
/// happens now and then, and what is too slow is so every time.
pub fn notices_in_time(mut attempt: impl FnMut() -> (Instant, Vec<Instant>)) {
    let mut slowest = Vec::new();
    while slowest.len() < 5 {
        let (died, noticed) = attempt();
        let took = noticed
            .into_iter()
            .map(|noticed| noticed.saturating_duration_since(died))
            .max()
            .expect("somebody who had to notice it");
        if took < NOTICED {
            return;
        }
        slowest.push(took);
    }
    panic!("noticed after {slowest:?}");
}
