//! A process that dies and another one that gets its id: the second must not pass for the first.

use std::process::{Child, Command, Stdio};
use std::time::Instant;

use nix::unistd::Pid;
use zerobuffer::{Error, Reader, Writer};

use crate::job::{Implementation, Job, Role};
use crate::lateness::Lateness;
use crate::message::Messages;
use crate::random::Random;
use crate::roles::{buffer_of, config_of};
use crate::settings;
use crate::support::{LONG, NOTICED, Peer, unique};

/// How often each is done.
const ROUNDS: usize = 5;

/// How often it is tried; each time another process of the machine may be the one that gets the id.
const ATTEMPTS: usize = 200;

/// Where the system keeps the id that was given last; writing to it takes privileges.
const LAST_PID: &str = "/proc/sys/kernel/ns_last_pid";

/// A process of another program.
struct Stranger(Child);

impl Stranger {
    /// One with the id `pid`, which is free.
    fn with_id(pid: Pid) -> Stranger {
        for _ in 0..ATTEMPTS {
            std::fs::write(LAST_PID, (pid.as_raw() - 1).to_string()).unwrap();
            let sleeper = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn();
            let stranger = Stranger(sleeper.unwrap());
            if stranger.0.id() as i32 == pid.as_raw() {
                return stranger;
            }
        }
        panic!("no process got the id {pid} in {ATTEMPTS} attempts");
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether ids can be chosen here; says so if not.
fn ids_can_be_chosen() -> bool {
    let last = std::fs::read_to_string(LAST_PID);
    let writable = last.and_then(|last| std::fs::write(LAST_PID, last.trim()));
    if let Err(error) = &writable {
        println!("SKIPPED: process ids cannot be chosen here ({LAST_PID}: {error})");
    }
    writable.is_ok()
}

/// A process that plays `role` until it is killed.
fn start(role: Role, label: &str, random: &mut Random) -> (Job, Peer) {
    let name = unique(&format!("reused-{label}"));
    let job = Job::new(role, &name, 4096, u64::MAX / 2, random);
    let peer = job.start(Implementation::Rust);
    (job, peer)
}

/// Kills `peer` and gives its id to a stranger.
fn replace(mut peer: Peer) -> Stranger {
    peer.kill();
    Stranger::with_id(peer.id())
}

/// Has `survivor` deal with a stranger; it tells whether it took it for what it is.
fn deal_with(stranger: Stranger, lateness: &Lateness, survivor: impl FnOnce() -> bool) {
    lateness.restart();
    let begun = Instant::now();
    assert!(survivor());
    let (took, late) = (begun.elapsed(), lateness.total());
    assert!(
        took < NOTICED + late,
        "noticed only after {took:?}, the machine was {late:?} late"
    );
    drop(stranger);
}

#[test]
fn a_stranger_does_not_pass_for_the_writer() {
    if !ids_can_be_chosen() {
        return;
    }
    let mut random = settings::random("reused-writer");
    let lateness = Lateness::measure();
    for _ in 0..ROUNDS {
        let (job, peer) = start(Role::Write, "writer", &mut random);
        let mut reader = Reader::create(&buffer_of(&job), &config_of(&job)).unwrap();
        assert!(reader.read(LONG).unwrap().is_some());
        deal_with(replace(peer), &lateness, || {
            loop {
                match reader.read(LONG) {
                    Ok(Some(_)) => {}
                    other => return matches!(other, Err(Error::WriterDead { .. })),
                }
            }
        });
    }
}

#[test]
fn a_stranger_does_not_pass_for_the_reader() {
    if !ids_can_be_chosen() {
        return;
    }
    let _apart = Implementation::Rust.keep_apart();
    let mut random = settings::random("reused-reader");
    let lateness = Lateness::measure();
    for _ in 0..ROUNDS {
        let (job, peer) = start(Role::Read, "reader", &mut random);
        let mut writer = Writer::connect(&buffer_of(&job), LONG).unwrap();
        writer.set_write_timeout(LONG);
        let messages = Messages::new(job.seed, job.largest);
        writer.write(messages.get(1)).unwrap();
        deal_with(replace(peer), &lateness, || {
            let error = (2..).find_map(|number| writer.write(messages.get(number)).err());
            matches!(error, Some(Error::ReaderDead { .. }))
        });
        drop(writer);
        // What it left, the next reader clears away.
        drop(Reader::create(&buffer_of(&job), &config_of(&job)).unwrap());
    }
}
