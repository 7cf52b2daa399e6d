use std::process::{Child, Command};
use std::time::Instant;

use proptest::prelude::*;

use super::*;
use crate::channel::account::BATCH;
use crate::channel::layout::Oieb;
use crate::channel::wait::TICK;

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

#[test]
fn a_writer_that_left_is_reported_when_all_is_read() {
    let (mut reader, mut writer) = pair("left", 1024);
    assert!(reader.is_writer_connected());
    writer.write(b"last").unwrap();
    drop(writer);
    assert!(!reader.is_writer_connected());
    assert_eq!(next(&mut reader).to_vec(), b"last");
    for _ in 0..2 {
        assert!(matches!(reader.read(LONG), Err(Error::WriterDead { .. })));
    }
    let mut second = crate::channel::Writer::connect(reader.name(), Duration::ZERO).unwrap();
    assert!(reader.read(SHORT).unwrap().is_none(), "it lives");
    second.write(b"anew").unwrap();
    let frame = next(&mut reader);
    assert_eq!((frame.sequence(), frame.restarted()), (1, true));
}

#[test]
fn a_writer_that_came_and_went_unseen_is_reported() {
    let (mut reader, mut writer) = pair("unseen", 1024);
    writer.set_metadata(b"m").unwrap();
    drop(writer);
    assert!(matches!(
        reader.read(LONG),
        Err(Error::WriterDead { pid: 0, .. })
    ));
}

#[test]
fn the_next_writer_is_awaited_when_asked_for() {
    let (mut reader, mut writer) = pair("await", 1024);
    writer.set_metadata(b"first").unwrap();
    writer.write(b"x").unwrap();
    reader.await_next_writer();
    assert_eq!(
        reader.metadata().unwrap().unwrap(),
        b"first",
        "the writer is still there"
    );
    drop(next(&mut reader));
    drop(writer);
    assert!(matches!(reader.read(LONG), Err(Error::WriterDead { .. })));
    reader.await_next_writer();
    assert!(reader.read(SHORT).unwrap().is_none());
    let mut writer = crate::channel::Writer::connect(reader.name(), Duration::ZERO).unwrap();
    writer.set_metadata(b"second").unwrap();
    writer.write(b"y").unwrap();
    assert!(!next(&mut reader).restarted());
    assert_eq!(reader.metadata().unwrap().unwrap(), b"second");
}

#[test]
fn a_death_is_noticed_in_the_middle_of_a_wait() {
    let (mut reader, writer) = pair("death", 1024);
    let (child, pid) = living();
    oieb(&reader).writer_pid.store(pid, Ordering::Relaxed);
    let waiting = std::thread::spawn(move || {
        let error = reader.read(LONG).unwrap_err();
        (error, Instant::now(), reader)
    });
    // Long enough that the reader has begun to sleep; the outcome does not depend on it.
    std::thread::sleep(TICK);
    let killed = Instant::now();
    kill(child);
    let (error, noticed, _reader) = waiting.join().unwrap();
    assert!(
        matches!(error, Error::WriterDead { pid: dead, .. } if dead == pid),
        "{error}"
    );
    assert!(
        noticed - killed < Duration::from_millis(200),
        "{:?}",
        noticed - killed
    );
    drop(writer);
}

#[test]
fn after_a_dead_writer_the_buffer_is_in_order() {
    let (mut reader, mut writer) = pair("recover", 1024);
    writer.write(b"one").unwrap();
    writer.write(b"two").unwrap();
    let held = next(&mut reader);
    // Killed within a write: accounts changed, nothing posted.
    oieb(&reader)
        .payload_free_bytes
        .fetch_sub(100, Ordering::Relaxed);
    oieb(&reader)
        .payload_write_pos
        .fetch_add(100, Ordering::Relaxed);
    oieb(&reader)
        .payload_written_count
        .fetch_add(1, Ordering::Relaxed);
    let pid = let_writer_die(&reader, writer);
    assert_eq!(
        next(&mut reader).to_vec(),
        b"two",
        "what was posted is read"
    );
    let error = reader.read(LONG).unwrap_err();
    assert!(
        matches!(error, Error::WriterDead { pid: dead, .. } if dead == pid),
        "{error}"
    );
    assert_eq!(oieb(&reader).writer_pid.load(Ordering::Relaxed), 0);
    let two_with_header = 2 * (3 + HEADER);
    assert_eq!(
        oieb(&reader).payload_free_bytes.load(Ordering::Relaxed),
        1024 - two_with_header
    );
    drop(held);
    assert_eq!(
        oieb(&reader).payload_free_bytes.load(Ordering::Relaxed),
        1024
    );

    let mut writer = crate::channel::Writer::connect(reader.name(), Duration::ZERO).unwrap();
    for round in 0..20 {
        writer.write(&[round; 400]).unwrap();
        assert_eq!(next(&mut reader).to_vec(), [round; 400]);
    }
}

#[test]
fn what_was_written_just_before_the_end_is_read() {
    let (mut reader, mut writer) = pair("just-before", 1024);
    // Between the last look at the free bytes and the look at the writer.
    writer.write(b"last").unwrap();
    let_writer_die(&reader, writer);
    let last = reader.look_around().unwrap().expect("it was written");
    assert_eq!(last.to_vec(), b"last");
    assert!(matches!(
        reader.look_around(),
        Err(Error::WriterDead { .. })
    ));
}

#[test]
fn what_was_posted_elsewhere_is_read_when_its_writer_has_left() {
    let (mut reader, mut writer) = pair("elsewhere", 1024);
    writer.write(b"lost").unwrap();
    assert!(reader.account.parts.data.try_wait());
    drop(writer);
    assert_eq!(next(&mut reader).to_vec(), b"lost");
}

#[test]
fn an_interrupt_ends_this_wait_and_later_ones_until_rearmed() {
    let (mut reader, mut writer) = pair("interrupt", 1024);
    let interrupt = reader.interrupt();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(reader.read(LONG).unwrap().is_none());
            writer.write(b"still read").unwrap();
            assert_eq!(next(&mut reader).to_vec(), b"still read");
            assert!(reader.read(LONG).unwrap().is_none());
        });
        interrupt.raise();
    });
    assert!(begun.elapsed() < LONG / 2);

    reader.rearm();
    let begun = Instant::now();
    assert!(reader.read(SHORT).unwrap().is_none());
    assert!(begun.elapsed() >= SHORT, "interrupted still");

    for _ in 0..100 {
        interrupt.raise();
        interrupt.raise();
        assert!(reader.read(LONG).unwrap().is_none());
        reader.rearm();
    }
    assert!(reader.read(Duration::ZERO).unwrap().is_none());
    let posts = reader.account.parts.data.value();
    assert_eq!(posts, 0, "to end later waits in vain");
}

#[test]
fn an_interrupt_of_a_sleeping_reader_leaves_no_debt() {
    let (mut reader, mut writer) = pair("interrupt-asleep", 1024);
    reader.set_wait_strategy(WaitStrategy::Block);
    let interrupt = reader.interrupt();
    for _ in 0..3 {
        std::thread::scope(|scope| {
            scope.spawn(|| assert!(reader.read(LONG).unwrap().is_none()));
            // Most likely asleep by then; the outcome does not depend on it.
            std::thread::sleep(SHORT);
            interrupt.raise();
        });
        reader.rearm();
    }
    writer.loan(1).unwrap().commit_as(3).unwrap();
    let error = reader.read(LONG).unwrap_err();
    assert!(matches!(error, Error::Sequence { got: 3, .. }), "{error}");
}

#[test]
fn what_is_posted_while_it_is_looked_at_is_looked_at_again() {
    let (mut reader, mut writer) = pair("in-the-making", 1024);
    writer.write(b"whole").unwrap();
    let segment = &reader.account.parts.segment;
    let mut whole = [0; HEADER as usize];
    segment.read_payload(0, &mut whole);
    segment.write_payload(0, &Header::WRAP.to_bytes());
    assert!(reader.account.parts.data.try_wait());
    assert!(
        reader.read(Duration::ZERO).unwrap().is_none(),
        "in the making"
    );
    reader.account.parts.segment.write_payload(0, &whole);
    reader.account.parts.data.post();
    assert_eq!(next(&mut reader).to_vec(), b"whole");
}

#[test]
fn a_wrong_sequence_is_an_error_that_stays() {
    let (mut reader, mut writer) = pair("sequence", 1024);
    writer.write(b"1").unwrap();
    drop(next(&mut reader));
    writer.loan(1).unwrap().commit_as(3).unwrap();
    for _ in 0..3 {
        let error = reader.read(SHORT).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Sequence {
                    expected: 2,
                    got: 3,
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn gaps_are_accepted_only_where_they_are_allowed() {
    let (mut reader, mut writer) = pair("gaps", 1024);
    reader.set_gaps(Gaps::Allowed);
    for sequence in [2, 5] {
        writer.loan(1).unwrap().commit_as(sequence).unwrap();
        assert_eq!(next(&mut reader).sequence(), sequence);
    }
    writer.loan(1).unwrap().commit_as(4).unwrap();
    let error = reader.read(SHORT).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Sequence {
                expected: 6,
                got: 4,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn metadata_with_a_wrong_length_is_corrupt() {
    let (reader, mut writer) = pair("metadata", 1024);
    assert_eq!(reader.metadata().unwrap(), None);
    writer.set_metadata(&[7; 56]).unwrap();
    assert_eq!(reader.metadata().unwrap().unwrap(), [7; 56]);
    let segment = &reader.account.parts.segment;
    for length in [0, 57, u64::MAX] {
        segment.write_metadata(0, &length.to_le_bytes());
        assert!(
            matches!(reader.metadata(), Err(Error::Corrupt { .. })),
            "length {length}"
        );
    }
    segment.write_metadata(0, &1_u64.to_le_bytes());
    for written in [1, 8, 65, u64::MAX] {
        oieb(&reader)
            .metadata_written_bytes
            .store(written, Ordering::Relaxed);
        assert!(
            matches!(reader.metadata(), Err(Error::Corrupt { .. })),
            "written {written}"
        );
    }
}

#[test]
fn a_header_of_no_bytes_is_not_a_wrap_marker() {
    let (mut reader, mut writer) = pair("empty", 1024);
    writer.write(&[1; 10]).unwrap();
    let segment = &reader.account.parts.segment;
    segment.write_payload(
        0,
        &Header {
            size: 0,
            sequence: 1,
        }
        .to_bytes(),
    );
    let error = reader.read(SHORT).unwrap_err();
    assert!(
        error.to_string().contains("no bytes with sequence 1"),
        "{error}"
    );
}

#[test]
fn a_second_wrap_marker_is_corrupt() {
    let (mut reader, mut writer) = pair("two-wraps", 256);
    writer.write(&[1; 112]).unwrap();
    drop(next(&mut reader));
    let segment = &reader.account.parts.segment;
    segment.zero_payload(0, 256);
    oieb(&reader).payload_free_bytes.store(0, Ordering::Relaxed);
    reader.account.parts.data.post();
    let error = reader.read(SHORT).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    // The first one was followed, to an entry that says the same.
    assert_eq!(reader.position, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn no_bytes_in_the_segment_break_the_reader(
        control in proptest::collection::vec((0x08_usize..0x50, any::<u8>()), 0..6),
        payload in proptest::collection::vec(any::<u8>(), 256),
        entry in prop_oneof![Just(None), (0_u64..300, 0_u64..4).prop_map(Some)],
        posts in 1..5,
    ) {
        let (mut reader, mut writer) = pair("any-bytes", 256);
        writer.write(&[1; 50]).unwrap();
        {
            let segment = &reader.account.parts.segment;
            segment.write_payload(0, &payload);
            if let Some((size, sequence)) = entry {
                segment.write_payload(0, &Header { size, sequence }.to_bytes());
            }
            for (offset, byte) in &control {
                // SAFETY: the control block has 128 bytes, and the test is the only other user.
                unsafe { *segment.mapping().as_ptr().add(*offset) = *byte };
            }
        }
        (0..posts).for_each(|_| reader.account.parts.data.post());
        for _ in 0..6 {
            // Every outcome is fine but a panic, a hang or an access outside the mapping.
            if let Ok(Some(frame)) = reader.read(Duration::from_micros(100)) {
                prop_assert!(frame.len() <= 240);
                frame.to_vec();
            }
        }
        let _ = reader.metadata();
    }
}
