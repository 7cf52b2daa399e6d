//! Channels between two processes, one of which dies.

#![allow(clippy::unwrap_used)]

mod support;

use std::path::PathBuf;
use std::process::exit;
use std::time::{Duration, Instant};

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use support::{LONG, NOTICED, Peer, leftovers, unique, wait_until};
use zerobuffer::{BufferConfig, BufferName, Error, Reader, Writer};

const RING: BufferConfig = BufferConfig {
    metadata_size: 64,
    payload_size: 10_240,
};
const FRAMES: u64 = 5000;

fn buffer(label: &str) -> BufferName {
    BufferName::new(unique(&format!("channel-{label}"))).unwrap()
}

/// The data of frame `sequence`: of a size and with bytes that follow from it.
fn data(sequence: u64) -> Vec<u8> {
    (0..sequence * 37 % 3000 + 1)
        .map(|i| (i + sequence) as u8)
        .collect()
}

/// Not a test of its own: what the other processes of the tests below do.
#[test]
fn play_a_role() {
    let Some((role, name)) = support::role() else {
        return;
    };
    let name = BufferName::new(name).unwrap();
    match role.as_str() {
        "write some" => {
            let mut writer = Writer::connect(&name, LONG).unwrap();
            (1..=FRAMES).for_each(|sequence| {
                writer.write(&data(sequence)).unwrap();
            });
        }
        "write for ever" => {
            let mut writer = Writer::connect(&name, LONG).unwrap();
            loop {
                writer.write(&data(writer.next_sequence())).unwrap();
            }
        }
        "create and wait" => {
            let mut reader = Reader::create(&name, &RING).unwrap();
            let _held = reader.read(LONG);
            std::thread::sleep(LONG);
        }
        "fork" => {
            let reader = Reader::create(&name, &RING).unwrap();
            let writer = Writer::connect(&name, LONG).unwrap();
            // SAFETY: the child only drops what it got a copy of, and ends.
            match unsafe { fork() }.unwrap() {
                ForkResult::Child => {
                    drop((writer, reader));
                    exit(0);
                }
                ForkResult::Parent { child } => {
                    assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0)));
                    assert_eq!(
                        leftovers(name.as_str()).len(),
                        4,
                        "the child removed something"
                    );
                    let second = Writer::connect(&name, Duration::ZERO).unwrap_err();
                    assert!(
                        matches!(second, Error::WriterAlreadyConnected { .. }),
                        "{second}"
                    );
                }
            }
        }
        other => panic!("no such role: {other}"),
    }
}

/// Reads frames `1..` as they must be until the writer has gone; the number of the last one.
fn read_to_the_end(reader: &mut Reader) -> u64 {
    let mut last = 0;
    loop {
        match reader.read(LONG) {
            Ok(Some(frame)) => {
                last += 1;
                assert_eq!(frame.sequence(), last);
                assert_eq!(frame.to_vec(), data(last), "frame {last}");
            }
            Ok(None) => panic!("nothing within {LONG:?} after frame {last}"),
            Err(Error::WriterDead { .. }) => return last,
            Err(error) => panic!("after frame {last}: {error}"),
        }
    }
}

#[test]
fn every_frame_crosses_once_and_whole() {
    let name = buffer("stream");
    let mut reader = Reader::create(&name, &RING).unwrap();
    for _ in 0..5 {
        let mut peer = Peer::start("write some", name.as_str());
        assert_eq!(read_to_the_end(&mut reader), FRAMES);
        peer.finish();
        reader.await_next_writer();
    }
    drop(reader);
    assert_eq!(leftovers(name.as_str()), Vec::<PathBuf>::new());
}

#[test]
fn a_writer_killed_at_any_moment_leaves_a_sound_buffer() {
    let name = buffer("killed-writer");
    let mut reader = Reader::create(&name, &RING).unwrap();
    for round in 0..20 {
        let mut peer = Peer::start("write for ever", name.as_str());
        for sequence in 1..=round * 50 + 1 {
            let frame = reader.read(LONG).unwrap().unwrap();
            assert_eq!(
                (frame.sequence(), frame.to_vec()),
                (sequence, data(sequence))
            );
        }
        peer.kill();
        let killed = Instant::now();
        let mut expected = round * 50 + 2;
        loop {
            match reader.read(LONG) {
                Ok(Some(frame)) => {
                    assert_eq!(
                        (frame.sequence(), frame.to_vec()),
                        (expected, data(expected))
                    );
                    expected += 1;
                }
                Err(Error::WriterDead { .. }) => break,
                other => panic!("{other:?}"),
            }
        }
        assert!(
            killed.elapsed() < NOTICED,
            "noticed after {:?}",
            killed.elapsed()
        );
        reader.await_next_writer();
    }
}

#[test]
fn a_killed_reader_is_replaced_and_its_writer_moves_over() {
    let name = buffer("killed-reader");
    let mut peer = Peer::start("create and wait", name.as_str());
    let mut writer = Writer::connect(&name, LONG).unwrap();
    let waiting = std::thread::spawn(move || {
        let error = loop {
            if let Err(error) = writer.write(&[1; 4000]) {
                break error;
            }
        };
        (error, Instant::now(), writer)
    });
    wait_until("the ring is full", || {
        std::fs::read(format!("/dev/shm/{name}")).is_ok_and(|segment| segment[0x40] >= 2)
    });
    peer.kill();
    let killed = Instant::now();
    let (error, noticed, writer) = waiting.join().unwrap();
    assert!(matches!(error, Error::ReaderDead { .. }), "{error}");
    assert!(noticed - killed < NOTICED, "{:?}", noticed - killed);

    // In the place of what the dead one left, unless a sweeper of another process was faster.
    let mut reader = Reader::create(&name, &RING).unwrap();
    drop(writer);
    let mut writer = Writer::connect(&name, LONG).unwrap();
    writer.write(b"over here").unwrap();
    assert_eq!(reader.read(LONG).unwrap().unwrap().to_vec(), b"over here");
    drop((reader, writer));
    assert_eq!(leftovers(name.as_str()), Vec::<PathBuf>::new());
}

#[test]
fn a_living_writer_notices_that_its_reader_was_replaced() {
    let name = buffer("replaced");
    let mut peer = Peer::start("create and wait", name.as_str());
    let mut writer = Writer::connect(&name, LONG).unwrap();
    peer.kill();
    let mut reader = Reader::create(&name, &RING).unwrap();
    let error = writer.write(b"to the old one").unwrap_err();
    assert!(matches!(error, Error::ReaderDead { .. }), "{error}");
    assert!(reader.read(Duration::ZERO).unwrap().is_none());
}

#[test]
fn a_forked_child_removes_nothing() {
    let name = buffer("fork");
    Peer::start("fork", name.as_str()).finish();
    assert_eq!(leftovers(name.as_str()), Vec::<PathBuf>::new());
}
