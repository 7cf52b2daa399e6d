use super::*;
use crate::{BufferConfig, Reader};
use std::time::Instant;

fn pair(test: &str) -> (Reader, WritingEnd) {
    let name = format!("serve-writing-{test}-{}", std::process::id());
    let name = BufferName::new(name).unwrap();
    let config = BufferConfig {
        metadata_size: 64,
        payload_size: 10240,
    };
    let reader = Reader::create(&name, &config).unwrap();
    let writer = Writer::connect(&name, Duration::ZERO).unwrap();
    (reader, WritingEnd::new(writer))
}

#[test]
fn what_was_written_is_looked_at() {
    let (reader, mut writing) = pair("looked-at");
    let raw = RawSegment::open(writing.buffer()).unwrap();
    writing.write(b"abc").unwrap();
    assert_eq!(writing.look_at(1, b"abc"), Ok(()));
    assert!(writing.look_at(1, b"abd").is_err());
    assert!(writing.look_at(2, b"abc").is_err());
    raw.put_payload(17, b"x").unwrap();
    let told = writing.look_at(1, b"abc").unwrap_err().to_string();
    assert!(told.starts_with("looking at the frame just"), "{told}");
    raw.set(Field::WriterPid, 1).unwrap();
    assert_eq!(writing.look_at(1, b"abc"), Ok(()), "another one writes");
    raw.set(Field::WriterPid, std::process::id().into())
        .unwrap();
    drop(reader);
    assert_eq!(writing.look_at(1, b"abc"), Ok(()), "the buffer is gone");
}

#[test]
fn a_loan_goes_from_step_to_step() {
    let (mut reader, mut writing) = pair("loan");
    assert!(writing.fill_loan().is_err());
    assert!(writing.commit_loan().is_err());
    writing.lend(4096).unwrap();
    let failure = writing.write(b"x").unwrap_err();
    assert!(failure.to_string().contains("open loan"), "{failure}");
    writing.fill_loan().unwrap();
    writing.commit_loan().unwrap();
    let frame = reader.read(Duration::from_secs(5)).unwrap().unwrap();
    assert_eq!(frame.to_vec(), pattern::sequenced(4096, 1).unwrap());
    assert_eq!(writing.write(b"x").unwrap(), 2);
}

#[test]
fn writing_in_the_background_closes_the_writer_when_done() {
    let (mut reader, mut writing) = pair("background");
    writing.write_in_background(50, 1024).unwrap();
    for sequence in 1..=50 {
        let frame = reader.read(Duration::from_secs(5)).unwrap().unwrap();
        assert_eq!(frame.to_vec(), pattern::sequenced(1024, sequence).unwrap());
    }
    let end = reader.read(Duration::from_secs(5));
    assert!(matches!(end, Err(Error::WriterDead { .. })), "{end:?}");
    // The writer is closed a moment before its thread is seen to have ended.
    let begun = Instant::now();
    while matches!(writing.occupation, Occupation::Background(_)) && begun.elapsed() < WRITE_TIMEOUT
    {
        writing.settle().unwrap();
    }
    assert_eq!(writing.count_written().unwrap(), 50);
    let failure = writing.write(b"x").unwrap_err();
    assert!(
        failure.to_string().contains("all frames were written"),
        "{failure}"
    );
}

#[test]
fn writing_in_the_background_stops_when_it_is_dropped() {
    let (_reader, mut writing) = pair("stopped");
    writing.write_in_background(1000, 1024).unwrap();
    let begun = Instant::now();
    drop(writing);
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_frame_without_room_waits_and_is_then_known() {
    let (mut reader, mut writing) = pair("waiting");
    assert!(writing.last_written().is_err());
    writing
        .write_or_wait(pattern::plain(6144).unwrap())
        .unwrap();
    assert!(!writing.last_written().unwrap().waited);
    assert!(writing.expect_waiting_frame().is_err());
    writing
        .write_or_wait(pattern::plain(2048).unwrap())
        .unwrap();
    drop(reader.read(Duration::from_secs(5)).unwrap().unwrap());
    writing
        .write_or_wait(pattern::plain(7168).unwrap())
        .unwrap();
    writing.expect_waiting_frame().unwrap();
    drop(reader.read(Duration::from_secs(5)).unwrap().unwrap());
    let written = writing.last_written().unwrap();
    assert_eq!((written.sequence, written.waited), (3, true));
    assert_eq!(written.before.write_pos, 6160 + 2064);
    assert!(writing.expect_waiting_frame().is_err());
    assert_eq!(writing.write(b"x").unwrap(), 4);
}

#[test]
fn a_waiting_frame_that_fails_is_no_secret() {
    let (reader, mut writing) = pair("unread");
    writing
        .write_or_wait(pattern::plain(10224).unwrap())
        .unwrap();
    writing.write_or_wait(pattern::plain(1).unwrap()).unwrap();
    drop(reader);
    let failure = writing.last_written().unwrap_err().to_string();
    assert!(failure.contains("the reader has gone"), "{failure}");
}

#[test]
fn writing_without_end_ends_when_the_writer_is_needed() {
    let (_reader, mut writing) = pair("endless");
    assert!(writing.progress().is_err());
    assert!(writing.await_full().is_err());
    writing.write_endlessly(1024).unwrap();
    writing.await_full().unwrap();
    assert_eq!(writing.count_written().unwrap(), 9);
    assert_eq!(writing.progress().unwrap().last, 9);
    assert_eq!(writing.writer().unwrap().next_sequence(), 10);
    assert!(writing.await_full().is_err());
}
