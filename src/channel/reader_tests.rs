use std::process::{Child, Command};
use std::time::Instant;

use super::*;
use crate::channel::account::BATCH;
use crate::channel::layout::Oieb;

#[path = "reader_corruption_tests.rs"]
mod corruption;
#[path = "reader_end_tests.rs"]
mod end;

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(20);

fn pair(label: &str, payload: usize) -> (Reader, crate::channel::Writer) {
    let name = BufferName::for_test(&format!("reader-{label}"));
    let reader = Reader::create(&name, &BufferConfig::new(64, payload)).unwrap();
    let writer = crate::channel::Writer::connect(&name, Duration::ZERO).unwrap();
    (reader, writer)
}

fn oieb(reader: &Reader) -> &Oieb {
    reader.account.parts.segment.oieb()
}

fn next(reader: &mut Reader) -> Frame {
    reader.read(LONG).unwrap().expect("a frame in time")
}

/// A process that lives until it is killed.
fn living() -> (Child, u64) {
    let child = Command::new("sleep").arg("100").spawn().unwrap();
    let pid = u64::from(child.id());
    (child, pid)
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Makes the attached writer look like another process, which has died.
fn let_writer_die(reader: &Reader, writer: crate::channel::Writer) -> u64 {
    let (child, pid) = living();
    oieb(reader).writer_pid.store(pid, Ordering::Relaxed);
    kill(child);
    drop(writer);
    pid
}

#[test]
fn frames_arrive_whole_and_in_order_through_many_wraps() {
    let (mut reader, mut writer) = pair("order", 1024);
    for round in 1..=500_u64 {
        let data: Vec<u8> = (0..round % 200 + 1).map(|i| (i + round) as u8).collect();
        assert_eq!(writer.write(&data).unwrap(), round);
        let frame = next(&mut reader);
        assert_eq!((frame.sequence(), frame.restarted()), (round, false));
        assert_eq!(frame.to_vec(), data);
    }
    assert_eq!(
        oieb(&reader).payload_free_bytes.load(Ordering::Relaxed),
        1024
    );
    let written = oieb(&reader).payload_written_count.load(Ordering::Relaxed);
    assert_eq!(
        oieb(&reader).payload_read_count.load(Ordering::Relaxed),
        written
    );
    assert!(written > 500, "wraps are counted as well");
}

#[test]
fn time_runs_out_without_an_error() {
    let (mut reader, _writer) = pair("time", 1024);
    let begun = Instant::now();
    assert!(reader.read(SHORT).unwrap().is_none());
    assert!(begun.elapsed() >= SHORT);
    assert!(reader.read(Duration::ZERO).unwrap().is_none());
}

#[test]
fn frames_can_be_held_and_released_in_any_order() {
    let (mut reader, mut writer) = pair("held", 1024);
    writer.set_write_timeout(SHORT);
    for byte in 1..=3 {
        writer.write(&[byte; 300]).unwrap();
    }
    let first = next(&mut reader);
    let second = next(&mut reader);
    drop(second);
    let full = writer.write(&[4; 300]).unwrap_err();
    assert!(
        matches!(full, Error::BufferFull { .. }),
        "the first is still held: {full}"
    );
    assert_eq!(first.to_vec(), [1; 300]);
    drop(first);
    writer.write(&[4; 300]).unwrap();
    assert_eq!(next(&mut reader).to_vec(), [3; 300]);
    assert_eq!(next(&mut reader).to_vec(), [4; 300]);
}

#[test]
fn a_wrap_read_while_an_older_frame_is_held_frees_nothing() {
    let (mut reader, mut writer) = pair("held-wrap", 1024);
    writer.set_write_timeout(SHORT);
    writer.write(&[1; 300]).unwrap();
    writer.write(&[2; 400]).unwrap();
    drop(next(&mut reader));
    let held = next(&mut reader);
    // 292 bytes are skipped, the frame stands before the held one.
    writer.write(&[3; 280]).unwrap();
    let wrapped = next(&mut reader);
    assert_eq!(wrapped.offset, HEADER);
    let error = writer.write(&[4; 200]).unwrap_err();
    assert!(
        matches!(error, Error::BufferFull { free: 20, .. }),
        "{error}"
    );
    assert_eq!(held.to_vec(), [2; 400]);
}

#[test]
fn skipped_bytes_wake_a_waiting_writer_before_the_frame_behind_them_is_released() {
    let (mut reader, mut writer) = pair("skip-post", 1024);
    writer.write(&[1; 484]).unwrap();
    writer.write(&[2; 384]).unwrap();
    drop((next(&mut reader), next(&mut reader)));
    // 124 bytes are skipped.
    writer.write(&[3; 200]).unwrap();
    reader.account.parts.space.drain();
    let _held = next(&mut reader);
    assert!(reader.account.parts.space.try_wait(), "nobody was told");
    writer.set_write_timeout(Duration::ZERO);
    writer.write(&[4; 780]).unwrap();
}

#[test]
fn a_frame_that_came_after_its_skipped_bytes_is_read_with_them() {
    let (mut reader, mut writer) = pair("two-accounts", 1024);
    writer.write(&[1; 484]).unwrap();
    writer.write(&[2; 384]).unwrap();
    drop((next(&mut reader), next(&mut reader)));
    // 124 bytes are skipped. As if they alone had been accounted for at the last look.
    writer.write(&[3; 200]).unwrap();
    reader.unread.bytes = 124;
    let frame = reader.next_frame().unwrap().expect("it is there by now");
    assert_eq!(frame.to_vec(), [3; 200]);
}

/// Some writers stay at the end after an exact fit, and tell from the read position alone whether
/// the beginning is free.
#[test]
fn an_exact_fit_leaves_the_published_read_position_at_the_end() {
    let (mut reader, mut writer) = pair("exact", 256);
    for _ in 0..3 {
        writer.write(&[1; 240]).unwrap();
        drop(next(&mut reader));
        assert_eq!(oieb(&reader).payload_read_pos.load(Ordering::Relaxed), 256);
    }
}

#[test]
fn frames_may_outlive_their_reader_and_change_threads() {
    let (mut reader, mut writer) = pair("outlive", 1024);
    writer.write(b"still here").unwrap();
    let frame = next(&mut reader);
    drop((reader, writer));
    let data = std::thread::spawn(move || frame.to_vec()).join().unwrap();
    assert_eq!(data, b"still here");
}

#[test]
fn a_post_is_no_proof_of_a_frame() {
    let (mut reader, mut writer) = pair("spurious", 1024);
    reader.account.parts.data.post();
    assert!(reader.read(SHORT).unwrap().is_none());
    writer.write(b"a").unwrap();
    reader.account.parts.data.post();
    assert_eq!(next(&mut reader).to_vec(), b"a");
    assert!(reader.read(SHORT).unwrap().is_none());
}

#[test]
fn a_frame_is_seen_before_its_post_and_the_post_ends_no_later_wait() {
    let (mut reader, mut writer) = pair("early", 1024);
    writer.write(b"seen").unwrap();
    let data = &reader.account.parts.data;
    assert!(data.try_wait());
    assert_eq!(next(&mut reader).to_vec(), b"seen");
    reader.account.parts.data.post();
    let begun = Instant::now();
    assert!(reader.read(SHORT).unwrap().is_none());
    assert!(begun.elapsed() >= SHORT);
    assert_eq!(reader.account.parts.data.value(), 0);
}

#[test]
fn a_frame_is_seen_though_as_much_was_given_back_meanwhile() {
    let (mut reader, mut writer) = pair("as-much", 1024);
    writer.write(b"first").unwrap();
    let held = next(&mut reader);
    assert!(reader.read(Duration::ZERO).unwrap().is_none());
    let seen = reader.unread;
    drop(held);
    assert!(!reader.account.has_changed(seen), "only the writer counts");
    let held = reader.account.hold(21, reader.reached, false);
    writer.write(b"other").unwrap();
    reader.account.release(held);
    assert!(reader.account.has_changed(seen));
}

#[test]
fn what_was_not_posted_is_an_error_only_when_it_is() {
    let (mut reader, mut writer) = pair("unposted", 1024);
    writer.loan(1).unwrap().commit_as(7).unwrap();
    let data = &reader.account.parts.data;
    assert!(data.try_wait());
    assert!(
        reader.read(SHORT).unwrap().is_none(),
        "it may be in the making"
    );
    reader.account.parts.data.post();
    for _ in 0..2 {
        let error = reader.read(SHORT).unwrap_err();
        assert!(matches!(error, Error::Sequence { got: 7, .. }), "{error}");
    }
}

#[test]
fn a_semaphore_that_is_never_empty_holds_nothing_up() {
    let (mut reader, mut writer) = pair("hostile", 256);
    reader.account.parts.data.set_value(i32::MAX as u32);
    reader.account.parts.space.set_value(i32::MAX as u32);
    let begun = Instant::now();
    assert!(reader.read(SHORT).unwrap().is_none());
    writer.set_write_timeout(SHORT);
    writer.write(&[1; 200]).unwrap();
    let error = writer.write(&[1; 200]).unwrap_err();
    assert!(matches!(error, Error::BufferFull { .. }), "{error}");
    assert_eq!(next(&mut reader).to_vec(), [1; 200]);
    assert!(begun.elapsed() < LONG / 4, "{:?}", begun.elapsed());
}

#[test]
fn in_a_stream_memory_goes_back_in_batches_and_at_the_end_at_once() {
    let (mut reader, mut writer) = pair("batches", 64 * 1024);
    let free = |reader: &Reader| oieb(reader).payload_free_bytes.load(Ordering::Relaxed);
    let told = |reader: &Reader| oieb(reader).payload_read_count.load(Ordering::Relaxed);
    let capacity = free(&reader);
    let mut batched = 0;
    for _ in 0..500 {
        writer.write(&[1; 48]).unwrap();
    }
    for read in 1..=1000 {
        let before = free(&reader);
        drop(next(&mut reader));
        // Whoever finds memory free finds the position that belongs to it.
        let returned = free(&reader) - before;
        assert!(returned == 0 || told(&reader) == read, "frame {read}");
        batched += u64::from(returned == 0);
        let unread = 64 * (writer.next_sequence() - 1 - read);
        let kept_back = capacity - unread - free(&reader);
        assert!(
            kept_back < capacity / BATCH,
            "{kept_back} bytes, frame {read}"
        );
        if read <= 500 {
            writer.write(&[1; 48]).unwrap();
        }
    }
    assert!(batched > 100, "{batched} of 1000 frames waited");
    assert_eq!((told(&reader), free(&reader)), (1000, capacity));
}

#[test]
fn nothing_is_kept_back_from_the_writer_after_one_that_died() {
    let (mut reader, mut writer) = pair("kept-back", 64 * 1024);
    let capacity = reader.capacity();
    (0..2).for_each(|_| drop(writer.write(&[1; 48])));
    for _ in 0..2 * STREAM {
        writer.write(&[1; 48]).unwrap();
        drop(next(&mut reader));
    }
    // It has skipped the end of the ring, which is all zeros, and not come to its frame.
    let end = capacity - 64 * (writer.next_sequence() - 1);
    let free_bytes = &oieb(&reader).payload_free_bytes;
    free_bytes.fetch_sub(end, Ordering::Relaxed);
    let held = [next(&mut reader), next(&mut reader)];
    let_writer_die(&reader, writer);
    assert!(matches!(reader.read(LONG), Err(Error::WriterDead { .. })));
    drop(held);
    let free = oieb(&reader).payload_free_bytes.load(Ordering::Relaxed);
    assert_eq!(free, capacity);
}

#[test]
fn what_a_writer_left_is_read_while_the_next_one_is_awaited() {
    let (mut reader, mut writer) = pair("awaited-unread", 1024);
    (0..2).for_each(|_| drop(writer.write(b"left")));
    assert_eq!(next(&mut reader).sequence(), 1);
    drop(writer);
    reader.await_next_writer();
    let mut second = crate::channel::Writer::connect(reader.name(), Duration::ZERO).unwrap();
    second.write(b"anew").unwrap();
    assert_eq!(next(&mut reader).sequence(), 2);
    let frame = next(&mut reader);
    assert_eq!((frame.sequence(), frame.restarted()), (1, true));
}

#[test]
fn a_writer_that_waits_is_told_of_each_frame() {
    let (mut reader, mut writer) = pair("no-batches", 64 * 1024);
    fill(&mut writer);
    for _ in 0..2 * STREAM {
        drop(next(&mut reader));
    }
    for _ in 0..2 * STREAM {
        writer.write(&[1; 48]).unwrap();
    }
}

/// Writes frames of 64 bytes with their headers until there is no room.
fn fill(writer: &mut crate::channel::Writer) {
    writer.set_write_timeout(Duration::ZERO);
    let full = loop {
        if let Err(error) = writer.write(&[1; 48]) {
            break error;
        }
    };
    assert!(matches!(full, Error::BufferFull { .. }), "{full}");
}

#[test]
fn a_reader_that_takes_its_time_keeps_nothing_back() {
    let (mut reader, mut writer) = pair("slow-stream", 64 * 1024);
    fill(&mut writer);
    // In a stream, with the writer at work.
    for _ in 0..4 * STREAM {
        drop(next(&mut reader));
        let _ = writer.write(&[1; 48]);
    }
    for _ in 0..5 {
        let frame = next(&mut reader);
        // Longer than the coarse clock takes to go on.
        std::thread::sleep(SHORT);
        drop(frame);
        writer.write(&[1; 48]).unwrap();
        fill(&mut writer);
    }
}

#[test]
fn a_frame_held_from_before_a_stream_does_not_make_the_batch_larger() {
    let (mut reader, mut writer) = pair("held-stream", 64 * 1024);
    let capacity = oieb(&reader).payload_free_bytes.load(Ordering::Relaxed);
    for _ in 0..800 {
        writer.write(&[1; 48]).unwrap();
    }
    let mut streamed = 0;
    while streamed < 2 * STREAM {
        drop(next(&mut reader));
        writer.write(&[1; 48]).unwrap();
        streamed += 1;
    }
    let first = next(&mut reader);
    let behind: Vec<Frame> = (0..200).map(|_| next(&mut reader)).collect();
    drop(behind);
    drop(first);
    let unread = 64 * (writer.next_sequence() - 1 - (2 * STREAM + 201));
    let kept_back = capacity - unread - oieb(&reader).payload_free_bytes.load(Ordering::Relaxed);
    assert!(kept_back < capacity / BATCH, "{kept_back} bytes");
}
