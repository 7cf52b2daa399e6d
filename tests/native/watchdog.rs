//! An end to scenarios that hang: their thread cannot be told to stop.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::number_in;

/// How long a scenario may take, unless a tag gives its steps more.
const LIMIT: Duration = Duration::from_secs(180);

/// Knows until when the scenario that runs has to have ended.
#[derive(Debug)]
pub struct Watchdog(Arc<Mutex<Option<Running>>>);

#[derive(Debug)]
struct Running {
    name: String,
    until: Instant,
}

impl Watchdog {
    /// Watches on a thread of its own, and ends the process when time is up.
    pub fn start() -> Watchdog {
        let running = Arc::new(Mutex::new(None::<Running>));
        let watched = Arc::clone(&running);
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(Duration::from_secs(1));
                let running = watched.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(Running { name, until }) = &*running
                    && Instant::now() > *until
                {
                    println!("FAILED  {name}: not ended in time, giving up on all others");
                    std::process::exit(1);
                }
            }
        });
        Watchdog(running)
    }

    /// A scenario begins.
    pub fn expect(&self, name: &str, tags: &[String]) {
        let steps = number_in(tags, "step-timeout").map(|seconds| 2 * Duration::from_secs(seconds));
        let limit = steps.unwrap_or(LIMIT).max(LIMIT);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Running {
            name: name.to_owned(),
            until: Instant::now() + limit,
        });
    }
}
