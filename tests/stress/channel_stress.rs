//! Messages of random sizes through rings of random sizes, between all implementations.

use std::path::PathBuf;

use crate::job::{Implementation, Job, Role};
use crate::random::Random;
use crate::roles;
use crate::settings;
use crate::support::{leftovers, unique};

/// Messages through one ring, at least.
const ENOUGH: u64 = 500;

/// Sizes of rings, the smallest among them, and how many messages go through each.
pub fn rings(random: &mut Random) -> (Vec<u64>, u64) {
    let count = (settings::messages() / ENOUGH).clamp(1, 40);
    let mut any = || {
        // As many small ones as large ones: 256 bytes to 64 KiB.
        let power = 8 + random.below(8);
        ((1 << power) + random.below(1 << power)).next_multiple_of(64)
    };
    let rings: Vec<u64> = (0..count)
        .map(|ring| if ring == 0 { 256 } else { any() })
        .collect();
    (rings, settings::messages().div_ceil(count))
}

/// `role` is played here, its counterpart by a process of `peer`.
pub fn stress(role: Role, peer: Implementation) {
    let _apart = (peer == Implementation::Python).then(|| peer.keep_apart());
    let label = format!("{role:?}-{peer:?}").to_lowercase();
    let mut random = settings::random(&label);
    let (rings, count) = rings(&mut random);
    for ring in rings {
        let name = unique(&format!("stress-{label}"));
        let ours = Job::new(role, &name, ring, count, &mut random);
        println!("{ours:?}");
        let mut theirs = ours.counterpart().start(peer);
        roles::play(&ours);
        theirs.finish();
        peer.tidy_up(&name);
        assert_eq!(leftovers(&name), Vec::<PathBuf>::new());
    }
}

#[test]
fn rust_writes_to_rust() {
    stress(Role::Write, Implementation::Rust);
}

#[test]
fn rust_reads_from_rust() {
    stress(Role::Read, Implementation::Rust);
}

#[test]
fn rust_writes_to_cpp() {
    stress(Role::Write, Implementation::Cpp);
}

#[test]
fn rust_reads_from_cpp() {
    stress(Role::Read, Implementation::Cpp);
}

#[test]
fn rust_writes_to_python() {
    stress(Role::Write, Implementation::Python);
}

#[test]
fn rust_reads_from_python() {
    stress(Role::Read, Implementation::Python);
}
