//! Writers and readers that are killed at random moments while frames travel.

use std::time::{Duration, Instant};

use zerobuffer::{Error, Frame, Reader, Writer};

use crate::held::Held;
use crate::job::{Implementation, Job, Role};
use crate::killing::{Killing, Life};
use crate::message::Messages;
use crate::random::Random;
use crate::roles::{buffer_of, config_of, write_one};
use crate::support::LONG;

/// How long to wait for a process that may be killed before it comes.
const MEETING: Duration = Duration::from_millis(20);

/// A frame of a writer that has died, held while the next one writes.
struct Kept {
    frame: Frame,
    data: Vec<u8>,
}

impl Kept {
    /// Whether there was one to be given back.
    fn give_back(kept: &mut Option<Kept>) -> bool {
        let kept = kept.take();
        if let Some(Kept { frame, data }) = &kept {
            assert_eq!(&frame.to_vec(), data, "a frame that was held has changed");
        }
        kept.is_some()
    }
}

/// Reads until the writer's death is noticed; how many frames came.
fn read_to_death(
    reader: &mut Reader,
    held: &mut Held<'_>,
    mut kept: Option<Kept>,
    life: &Life<'_>,
) -> (u64, Option<Instant>) {
    let mut last = 0;
    loop {
        let wait = match kept {
            Some(_) => MEETING,
            None if held.is_empty() && !life.has_traffic => MEETING,
            None => held.wait(),
        };
        match reader.read(wait) {
            Ok(Some(frame)) => {
                last += 1;
                held.keep(last, frame);
                life.reached(last);
                Kept::give_back(&mut kept);
            }
            Ok(None) if Kept::give_back(&mut kept) => {}
            Ok(None) if !held.is_empty() => held.release_one(),
            Ok(None) => {
                assert!(!life.has_traffic, "nothing came after message {last}");
                if life.is_long_over() {
                    return (last, None);
                }
            }
            Err(error @ Error::WriterDead { .. }) => return (last, Some(life.noticed(error))),
            Err(error) => panic!("after message {last}: {error}"),
        }
    }
}

fn reader_survives(victim: Implementation) {
    let _apart = victim.keep_apart();
    let mut killing = Killing::new(victim, Role::Write);
    let mut job = killing.job();
    let mut reader = Reader::create(&buffer_of(&job), &config_of(&job)).unwrap();
    let mut kept = None;
    for _ in 0..killing.kills() {
        let mut random = killing.random.clone();
        let messages = Messages::new(job.seed, job.largest);
        let mut held = Held::new(&messages, killing.random.clone());
        reader.set_wait_strategy(killing.random.strategy());
        let before = kept.take();
        killing.kill_one(job, |life| {
            let (last, noticed) = read_to_death(&mut reader, &mut held, before, life);
            if let Some(told) = life.told() {
                // Told after it was written: one more may have been.
                assert!(
                    (told..=told + 1).contains(&last),
                    "{last} came, {told} were written"
                );
            }
            assert!(noticed.is_some() || last == 0, "the death was not noticed");
            noticed
        });
        if random.one_in(3) {
            kept = held.take().map(|frame| Kept {
                data: frame.to_vec(),
                frame,
            });
        }
        held.release_all();
        reader.await_next_writer();
        job = killing.job();
    }
    drop((reader, kept));
    killing.finish();
}

/// Attaches to the buffer of a process that may be killed before it has made it.
fn meet(life: &Life<'_>) -> Option<Writer> {
    let name = buffer_of(&life.job);
    if life.has_traffic {
        return Some(Writer::connect(&name, LONG).unwrap());
    }
    loop {
        match Writer::connect(&name, MEETING) {
            Ok(writer) => return Some(writer),
            Err(Error::BufferNotFound { .. } | Error::NotReady { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        if life.is_long_over() {
            return None;
        }
    }
}

/// Writes until the reader's death is noticed.
fn write_to_death(writer: &mut Writer, life: &Life<'_>, random: &mut Random) -> Instant {
    let messages = Messages::new(life.job.seed, life.job.largest);
    writer.set_wait_strategy(random.strategy());
    writer.set_write_timeout(LONG);
    for number in 1.. {
        match write_one(writer, &messages, number, random) {
            Ok(()) => life.reached(number),
            Err(error @ Error::ReaderDead { .. }) => {
                let noticed = life.noticed(error);
                let read = life.told().unwrap_or(0);
                assert!(read <= number, "{read} were read, {number} written");
                return noticed;
            }
            Err(error) => panic!("message {number}: {error}"),
        }
    }
    unreachable!("messages never end");
}

/// Removes what a dead reader left, by being the next one.
///
/// In Python the next one can do so only if there is no writer any more, and if the one before it
/// was not killed in the middle of that.
fn clear_away(job: &Job) {
    drop(Reader::create(&buffer_of(job), &config_of(job)).unwrap());
}

fn writer_survives(victim: Implementation) {
    let _apart = victim.keep_apart();
    let mut killing = Killing::new(victim, Role::Read);
    let mut before: Option<Writer> = None;
    for _ in 0..killing.kills() {
        let job = killing.job();
        let mut random = killing.random.clone();
        killing.kill_one(job, |life| {
            let mut writer = meet(life)?;
            // A writer of a dead reader may still be there when the next reader has come.
            drop(before.take());
            let noticed = write_to_death(&mut writer, life, &mut random);
            before = random.one_in(2).then_some(writer);
            Some(noticed)
        });
        if victim == Implementation::Python {
            drop(before.take());
            clear_away(&killing.job());
        }
    }
    drop(before);
    clear_away(&killing.job());
    killing.finish();
}

#[test]
fn a_reader_survives_its_writers() {
    reader_survives(Implementation::Rust);
}

#[test]
fn a_reader_survives_writers_in_cpp() {
    reader_survives(Implementation::Cpp);
}

#[test]
fn a_reader_survives_writers_in_python() {
    reader_survives(Implementation::Python);
}

#[test]
fn a_writer_survives_its_readers() {
    writer_survives(Implementation::Rust);
}

#[test]
fn a_writer_survives_readers_in_cpp() {
    writer_survives(Implementation::Cpp);
}

#[test]
fn a_writer_survives_readers_in_python() {
    writer_survives(Implementation::Python);
}
