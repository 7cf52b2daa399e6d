//! `cargo bench`: the example of the same name, which measures between processes.
//!
//! `cargo bench --features iceoryx2 -- --help` says what it takes.

#[path = "../examples/benchmark/main.rs"]
#[allow(
    unused_imports,
    reason = "its unit tests are compiled, but run with the tests"
)]
mod benchmark;

use std::process::ExitCode;

// Its modules know each other by their paths from the root.
use benchmark::*;

fn main() -> ExitCode {
    benchmark::main()
}
