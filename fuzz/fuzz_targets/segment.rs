#![no_main]

#[allow(dead_code)]
#[path = "../../tests/fuzz_support/mod.rs"]
mod fuzz_support;

use fuzz_support::{segment, sweep};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: sweep(), |input: segment::Input| segment::run(input));
