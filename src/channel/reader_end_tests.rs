//! Writers that leave or die, and waits that are ended.

use super::*;
use crate::channel::notice::notices_in_time;

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
    notices_in_time(|| {
        let (mut reader, writer) = pair("death", 1024);
        let (child, pid) = living();
        oieb(&reader).writer_pid.store(pid, Ordering::Relaxed);
        let parts = Arc::clone(&reader.account.parts);
        let waiting = std::thread::spawn(move || {
            let error = reader.read(LONG).unwrap_err();
            (error, Instant::now(), reader)
        });
        parts.data.await_sleeper();
        let killed = Instant::now();
        kill(child);
        let (error, noticed, _reader) = waiting.join().unwrap();
        assert!(
            matches!(error, Error::WriterDead { pid: dead, .. } if dead == pid),
            "{error}"
        );
        drop(writer);
        (killed, vec![noticed])
    });
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
    let parts = Arc::clone(&reader.account.parts);
    for _ in 0..3 {
        std::thread::scope(|scope| {
            scope.spawn(|| assert!(reader.read(LONG).unwrap().is_none()));
            parts.data.await_sleeper();
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
