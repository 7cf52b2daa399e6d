//! What the fuzz targets do with an input; their kept inputs are replayed by the tests.

#![allow(clippy::unwrap_used)]

pub mod history;
mod raw;
pub mod segment;

pub use raw::sweep;

use arbitrary::{Arbitrary, Unstructured};

/// How many actions an input has at most.
const LONGEST: usize = 300;

/// Makes the rest of an input into actions: a vector would end with every other byte.
fn rest<'a, T: Arbitrary<'a>>(input: &mut Unstructured<'a>) -> arbitrary::Result<Vec<T>> {
    let mut actions = Vec::new();
    while !input.is_empty() && actions.len() < LONGEST {
        actions.push(input.arbitrary()?);
    }
    Ok(actions)
}
