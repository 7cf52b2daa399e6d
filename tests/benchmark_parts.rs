//! The unit tests of the example `benchmark`: cargo does not run those of examples.

#[path = "../examples/benchmark/main.rs"]
#[allow(dead_code, unused_imports, reason = "only its tests are run")]
mod benchmark;

// Its modules know each other by their paths from the root.
#[allow(unused_imports, reason = "what they use depends on the features")]
use benchmark::*;
