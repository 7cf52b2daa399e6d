//! Very many small frames from one process to another.

use std::path::PathBuf;
use std::time::Instant;

use crate::job::{Implementation, Job, Role};
use crate::roles;
use crate::settings;
use crate::support::{leftovers, unique};

#[test]
fn every_byte_of_very_many_frames_arrives() {
    let mut random = settings::random("soak");
    let (name, count) = (unique("soak"), settings::soak());
    let ours = Job {
        largest: 64,
        ..Job::new(Role::Read, &name, 1 << 16, count, &mut random)
    };
    let begun = Instant::now();
    let mut writer = ours.counterpart().start(Implementation::Rust);
    roles::play(&ours);
    writer.finish();
    let rate = count as f64 / begun.elapsed().as_secs_f64();
    println!("{count} frames, {rate:.0} a second, every byte compared with what was sent");
    assert_eq!(leftovers(&name), Vec::<PathBuf>::new());
}
