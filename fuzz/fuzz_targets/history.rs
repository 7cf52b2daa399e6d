#![no_main]

#[allow(dead_code)]
#[path = "../../tests/fuzz_support/mod.rs"]
mod fuzz_support;

use fuzz_support::{history, sweep};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: sweep(), |input: history::Input| history::run(input));
