//! How much of it, and from which seed.

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::random::{Random, word};

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    let number = value.replace('_', "").parse();
    Some(number.unwrap_or_else(|_| panic!("{variable}={value} is not a number")))
}

/// Messages from each kind of writer to each kind of reader.
pub fn messages() -> u64 {
    number("ZEROBUFFER_STRESS").unwrap_or(2000).max(1)
}

/// Processes that are killed, over all roles.
pub fn kills() -> u64 {
    number("ZEROBUFFER_KILLS").unwrap_or(80)
}

/// Frames of the soak.
pub fn soak() -> u64 {
    number("ZEROBUFFER_SOAK").unwrap_or(200_000).max(1)
}

/// Random choices for the test `label`; says what repeats them.
pub fn random(label: &str) -> Random {
    static SEED: OnceLock<u64> = OnceLock::new();
    let seed = *SEED.get_or_init(|| {
        number("ZEROBUFFER_SEED").unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            u64::from(now.unwrap().subsec_nanos())
        })
    });
    println!("{label}: ZEROBUFFER_SEED={seed}");
    // Each test its own choices, the same ones whichever other tests run.
    Random::new(
        label
            .bytes()
            .fold(seed, |seed, byte| word(seed, byte.into())),
    )
}
