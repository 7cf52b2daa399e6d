use std::process::Command;
use std::time::Instant;

use super::*;
use crate::channel::layout::Oieb;
use crate::channel::name::semaphore_path;
use crate::channel::notice::notices_in_time;
use crate::channel::sys::semaphore::Semaphore;
use crate::channel::{BufferConfig, Reader};

#[path = "writer_end_tests.rs"]
mod end;

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(20);

fn reader(label: &str, payload: usize) -> Reader {
    let name = BufferName::for_test(&format!("writer-{label}"));
    Reader::create(&name, &BufferConfig::new(64, payload)).unwrap()
}

fn pair(label: &str, payload: usize) -> (Reader, Writer) {
    let reader = reader(label, payload);
    let writer = Writer::connect(reader.name(), Duration::ZERO).unwrap();
    (reader, writer)
}

fn oieb(writer: &Writer) -> &Oieb {
    writer.segment().oieb()
}

/// All that a writer may change in the control block.
fn account(writer: &Writer) -> [u64; 4] {
    let oieb = oieb(writer);
    [
        &oieb.payload_free_bytes,
        &oieb.payload_write_pos,
        &oieb.payload_written_count,
        &oieb.writer_pid,
    ]
    .map(|field| field.load(Ordering::Relaxed))
}

fn dead_pid() -> u64 {
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    u64::from(child.id())
}

#[test]
fn a_writer_waits_for_its_reader() {
    let name = BufferName::for_test("writer-late");
    let error = Writer::connect(&name, Duration::ZERO).unwrap_err();
    assert!(matches!(error, Error::BufferNotFound { .. }), "{error}");
    let begun = Instant::now();
    let error = Writer::connect(&name, SHORT).unwrap_err();
    assert!(
        matches!(error, Error::BufferNotFound { .. }) && begun.elapsed() >= SHORT,
        "{error}"
    );

    let waiting = {
        let name = name.clone();
        std::thread::spawn(move || Writer::connect(&name, LONG))
    };
    let _reader = Reader::create(&name, &BufferConfig::new(0, 64)).unwrap();
    waiting.join().unwrap().unwrap();
}

#[test]
fn what_is_not_ready_is_said() {
    let name = BufferName::for_test("writer-not-ready");
    let attempt = |why: &str| {
        let error = Writer::connect(&name, SHORT).unwrap_err();
        assert!(matches!(error, Error::NotReady { .. }), "{error}");
        assert!(error.to_string().contains(why), "{error}");
    };
    std::fs::write(name.segment_path(), [0; 127]).unwrap();
    attempt("control block is not there");
    std::fs::write(name.segment_path(), [0; 256]).unwrap();
    attempt("reader is not there");
    std::fs::remove_file(name.segment_path()).unwrap();

    let reader = Reader::create(&name, &BufferConfig::new(64, 64)).unwrap();
    let writer = Writer::connect(&name, Duration::ZERO).unwrap();
    let fields = oieb(&writer);
    let reader_pid = fields.reader_pid.swap(dead_pid(), Ordering::Relaxed);
    fields.writer_pid.store(0, Ordering::Relaxed);
    attempt("reader has gone");
    fields.reader_pid.store(reader_pid, Ordering::Relaxed);
    fields.payload_size.store(0, Ordering::Relaxed);
    attempt("not filled in");
    fields.payload_size.store(64, Ordering::Relaxed);
    std::fs::remove_file(semaphore_path(&name.data_semaphore())).unwrap();
    attempt("semaphore is missing");
    drop((reader, writer));
}

#[test]
fn another_version_and_wrong_sizes_are_told_apart() {
    let (reader, writer) = pair("version", 1024);
    let fields = oieb(&writer);
    let attempt = || Writer::connect(reader.name(), Duration::ZERO).unwrap_err();
    for payload in [64, u64::MAX, 1 << 40] {
        fields.payload_size.store(payload, Ordering::Relaxed);
        assert!(matches!(attempt(), Error::Corrupt { .. }), "{payload}");
    }
    fields.payload_size.store(1024, Ordering::Relaxed);
    fields.version[0].store(2, Ordering::Relaxed);
    assert!(matches!(
        attempt(),
        Error::IncompatibleVersion { major: 2, .. }
    ));
    fields.version[0].store(1, Ordering::Relaxed);
    fields.oieb_size.store(192, Ordering::Relaxed);
    assert!(matches!(
        attempt(),
        Error::IncompatibleVersion { oieb_size: 192, .. }
    ));
    fields.oieb_size.store(128, Ordering::Relaxed);
    fields.writer_pid.store(0, Ordering::Relaxed);
    fields.payload_write_pos.store(1025, Ordering::Relaxed);
    assert!(matches!(attempt(), Error::Corrupt { .. }));
    assert_eq!(
        fields.writer_pid.load(Ordering::Relaxed),
        0,
        "the place was given back"
    );
}

#[test]
fn a_living_writer_is_not_displaced() {
    let (reader, writer) = pair("second", 1024);
    // The place of a process that lives and is not the reader's.
    let parent = u64::from(std::os::unix::process::parent_id());
    oieb(&writer).writer_pid.store(parent, Ordering::Relaxed);
    let begun = Instant::now();
    let error = Writer::connect(reader.name(), LONG).unwrap_err();
    assert!(
        matches!(error, Error::WriterAlreadyConnected { pid, .. } if pid == parent),
        "{error}"
    );
    assert!(begun.elapsed() < LONG / 2, "there is nothing to wait for");
    drop(writer);
    assert_eq!(
        oieb_of_reader(&reader),
        parent,
        "the other's place was given away"
    );
}

fn oieb_of_reader(reader: &Reader) -> u64 {
    let path = reader.name().segment_path();
    let bytes = std::fs::read(path).unwrap();
    u64::from_le_bytes(bytes[0x50..0x58].try_into().unwrap())
}

#[test]
fn a_second_writer_of_the_same_process_is_refused() {
    let (reader, mut writer) = pair("same-process", 1024);
    let error = Writer::connect(reader.name(), Duration::ZERO).unwrap_err();
    assert!(
        matches!(error, Error::WriterAlreadyConnected { .. }),
        "{error}"
    );
    writer.write(b"unharmed").unwrap();
}

#[test]
fn a_dead_writers_place_is_taken_once_its_reader_had_time_to_recover() {
    let (reader, writer) = pair("dead", 1024);
    oieb(&writer)
        .writer_pid
        .store(dead_pid(), Ordering::Relaxed);
    let begun = Instant::now();
    let second = Writer::connect(reader.name(), Duration::ZERO).unwrap();
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_millis(300), "{waited:?}");
    let own = u64::from(std::process::id());
    assert_eq!(oieb(&second).writer_pid.load(Ordering::Relaxed), own);
}

#[test]
fn a_full_buffer_is_an_error_after_the_timeout_and_changes_nothing() {
    let (mut reader, mut writer) = pair("full", 1024);
    writer.set_write_timeout(SHORT);
    while writer.write(&[1; 240]).is_ok() {}
    assert_eq!(writer.next_sequence(), 5);
    let before = account(&writer);
    let begun = Instant::now();
    let error = writer.write(&[1; 240]).unwrap_err();
    assert!(
        matches!(
            error,
            Error::BufferFull {
                needed: 256,
                free: 0,
                ..
            }
        ),
        "{error}"
    );
    assert!(begun.elapsed() >= SHORT);
    assert_eq!(account(&writer), before);
    drop(reader.read(LONG).unwrap());
    writer.set_write_timeout(LONG);
    writer.write(&[1; 240]).unwrap();
}

#[test]
fn space_given_back_ends_the_wait() {
    let (mut reader, mut writer) = pair("space", 1024);
    writer.set_write_timeout(LONG);
    for round in 0..4 {
        writer.write(&[round; 240]).unwrap();
    }
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..200_u8 {
                let frame = reader.read(LONG).unwrap().unwrap();
                assert_eq!(frame.to_vec(), [round; 240]);
            }
        });
        for round in 4..200_u8 {
            writer.write(&[round; 240]).unwrap();
        }
    });
}

#[test]
fn sizes_that_cannot_be_are_refused_at_once() {
    let (mut reader, mut writer) = pair("sizes", 1024);
    assert!(matches!(
        writer.write(&[]),
        Err(Error::InvalidFrameSize { .. })
    ));
    let error = writer.write(&[0; 1009]).unwrap_err();
    assert!(
        matches!(
            error,
            Error::FrameTooLarge {
                size: 1009,
                capacity: 1024,
                ..
            }
        ),
        "{error}"
    );
    writer.write(&[0; 500]).unwrap();
    drop(reader.read(LONG).unwrap());
    let error = writer.write(&[0; 600]).unwrap_err();
    assert!(
        matches!(error, Error::FrameTooLarge { needed: 1124, .. }),
        "{error}"
    );
}

#[test]
fn a_short_tail_that_cannot_be_avoided_is_zeroed() {
    let (mut reader, mut writer) = pair("tail", 1024);
    writer.segment().write_payload(0, &[0xEE; 1024]);
    writer.write(&[1; 1000]).unwrap();
    let mut tail = [0xEE; 8];
    writer.segment().read_payload(1016, &mut tail);
    assert_eq!(tail, [0; 8]);
    drop(reader.read(LONG).unwrap());
    // Too short for a marker, it is skipped all the same.
    writer.write(&[2; 900]).unwrap();
    assert_eq!(reader.read(LONG).unwrap().unwrap().to_vec(), [2; 900]);
}

#[test]
fn a_loan_that_is_dropped_leaves_no_trace() {
    let (mut reader, mut writer) = pair("loan", 256);
    writer.write(&[1; 150]).unwrap();
    drop(reader.read(LONG).unwrap());
    let before = account(&writer);
    let mut loan = writer.loan(120).unwrap();
    assert_eq!((loan.len(), loan.sequence()), (120, 2));
    loan.copy_from(&[9; 120]);
    let _ = loan;
    assert_eq!(account(&writer), before);
    assert!(reader.read(SHORT).unwrap().is_none());

    let mut loan = writer.loan(120).unwrap();
    loan.copy_from(&[2; 60]);
    loan.write_at(60, &[3; 60]);
    assert_eq!(loan.commit().unwrap(), 2);
    let data = reader.read(LONG).unwrap().unwrap().to_vec();
    assert_eq!((&data[..60], &data[60..]), (&[2; 60][..], &[3; 60][..]));
}

#[test]
#[should_panic(expected = "61 bytes at 60 of a loan of 120")]
fn nothing_is_written_beyond_a_loan() {
    let (_reader, mut writer) = pair("beyond", 256);
    writer.loan(120).unwrap().write_at(60, &[0; 61]);
}

#[test]
fn a_reader_that_leaves_is_noticed_at_once_even_in_a_wait() {
    notices_in_time(|| {
        let (reader, mut writer) = pair("left", 256);
        writer.write(&[0; 200]).unwrap();
        let space = reader.name().space_semaphore();
        let space = Semaphore::open(&space, semaphore_path(&space)).unwrap();
        let waiting = std::thread::spawn(move || {
            let error = writer.write(&[0; 200]).unwrap_err();
            (error, Instant::now(), writer)
        });
        space.unwrap().await_sleeper();
        let left = Instant::now();
        drop(reader);
        let (error, noticed, mut writer) = waiting.join().unwrap();
        assert!(matches!(error, Error::ReaderDead { .. }), "{error}");
        assert!(matches!(
            writer.write(&[0; 1]),
            Err(Error::ReaderDead { .. })
        ));
        (left, vec![noticed])
    });
}

#[test]
fn a_reader_that_leaves_wakes_its_writer() {
    let (reader, writer) = pair("wake", 256);
    let before = writer.attachment.parts.space.value();
    drop(reader);
    assert_eq!(writer.attachment.parts.space.value(), before + 1);
}

#[test]
fn a_reader_that_leaves_before_the_commit_gets_nothing() {
    let (reader, mut writer) = pair("commit", 256);
    let loan = writer.loan(100).unwrap();
    drop(reader);
    assert!(matches!(loan.commit(), Err(Error::ReaderDead { .. })));
}

#[test]
fn a_replaced_segment_means_that_the_reader_has_gone() {
    let (reader, mut writer) = pair("replaced", 256);
    let path = reader.name().segment_path();
    std::fs::copy(&path, path.with_extension("new")).unwrap();
    std::fs::rename(path.with_extension("new"), &path).unwrap();
    assert!(matches!(
        writer.check_reader(),
        Err(Error::ReaderDead { .. })
    ));
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn posts_on_a_replaced_semaphore_are_made_up_for() {
    let (reader, mut writer) = pair("semaphores", 1024);
    writer.write(b"one").unwrap();
    writer.write(b"two").unwrap();
    // What some readers do after their control block is filled in.
    let name = reader.name().data_semaphore();
    std::fs::remove_file(semaphore_path(&name)).unwrap();
    let replaced = Semaphore::create(&name, semaphore_path(&name)).unwrap();
    writer.write(b"three").unwrap();
    writer.write(b"four").unwrap();
    assert_eq!(replaced.value(), 4);
    replaced.id().unlink(&semaphore_path(&name)).unwrap();
}

#[test]
fn a_writer_that_leaves_makes_up_for_its_last_posts() {
    let (reader, mut writer) = pair("semaphores-drop", 1024);
    writer.write(b"one").unwrap();
    let name = reader.name().data_semaphore();
    std::fs::remove_file(semaphore_path(&name)).unwrap();
    let replaced = Semaphore::create(&name, semaphore_path(&name)).unwrap();
    drop(writer);
    assert_eq!(replaced.value(), 1);
    replaced.id().unlink(&semaphore_path(&name)).unwrap();
}

#[test]
fn a_reader_that_died_is_noticed_by_a_writer_that_has_space() {
    let (reader, mut writer) = pair("dead-reader", 4096);
    // Looks are due at the first, second and fourth frame in any case.
    for _ in 0..4 {
        writer.write(b"x").unwrap();
    }
    // The name leads elsewhere, as after a death and a new reader.
    let path = reader.name().segment_path();
    std::fs::remove_file(&path).unwrap();
    // By then the next look is due, which is a matter of time alone.
    std::thread::sleep(crate::channel::TICK);
    let error = writer.write(b"x").unwrap_err();
    assert!(matches!(error, Error::ReaderDead { .. }), "{error}");
}

#[test]
fn a_reader_that_died_is_noticed_at_the_next_frame_though_it_had_read_the_last() {
    let (mut reader, mut writer) = pair("dead-since", 4096);
    for _ in 0..4 {
        writer.write(b"x").unwrap();
        drop(reader.read(LONG).unwrap());
    }
    std::fs::remove_file(reader.name().segment_path()).unwrap();
    // By then the next look is due, which is a matter of time alone.
    std::thread::sleep(crate::channel::TICK);
    let error = writer.write(b"x").unwrap_err();
    assert!(matches!(error, Error::ReaderDead { .. }), "{error}");
}

#[test]
fn who_waits_for_answers_stays_near_the_beginning_and_others_use_the_whole_ring() {
    let size = 200 * 1024;
    let (mut reader, mut writer) = pair("in-step", 4 * HOT as usize);
    for sequence in 1..=20_u64 {
        let placement = writer.reserve_in_step(size, LONG).unwrap();
        assert!(placement.offset + placement.total <= HOT, "{placement:?}");
        writer.commit(placement, sequence).unwrap();
        assert_eq!(reader.read(LONG).unwrap().unwrap().len(), size);
    }
    let mut farthest = 0;
    for _ in 0..20 {
        let placement = writer.reserve(size, LONG).unwrap();
        farthest = farthest.max(placement.offset);
        writer.commit(placement, writer.next_sequence()).unwrap();
        drop(reader.read(LONG).unwrap());
    }
    assert!(farthest > 3 * HOT, "{farthest}");
}

#[test]
fn metadata_is_written_once() {
    let (reader, mut writer) = pair("metadata", 256);
    assert!(matches!(
        writer.set_metadata(&[]),
        Err(Error::InvalidFrameSize { .. })
    ));
    let error = writer.set_metadata(&[0; 57]).unwrap_err();
    assert!(
        matches!(
            error,
            Error::MetadataTooLarge {
                size: 57,
                capacity: 56,
                ..
            }
        ),
        "{error}"
    );
    writer.set_metadata(b"original").unwrap();
    let error = writer.set_metadata(b"second").unwrap_err();
    assert!(
        matches!(error, Error::MetadataAlreadyWritten { .. }),
        "{error}"
    );
    assert_eq!(reader.metadata().unwrap().unwrap(), b"original");
    assert_eq!(
        oieb(&writer).metadata_free_bytes.load(Ordering::Relaxed),
        64 - 16
    );
}

#[test]
fn the_space_semaphore_does_not_grow_for_ever() {
    let (mut reader, mut writer) = pair("space-posts", 4096);
    for _ in 0..3 * DRAIN_INTERVAL {
        writer.write(b"x").unwrap();
        drop(reader.read(LONG).unwrap());
        // As some readers do for each frame.
        writer.attachment.parts.space.post();
    }
    assert!(u64::from(writer.attachment.parts.space.value()) <= DRAIN_INTERVAL);
}

#[test]
fn a_position_at_the_end_is_the_beginning() {
    let (mut reader, writer) = pair("end", 256);
    oieb(&writer)
        .payload_write_pos
        .store(256, Ordering::Relaxed);
    drop(writer);
    let mut writer = Writer::connect(reader.name(), Duration::ZERO).unwrap();
    writer.write(b"x").unwrap();
    assert_eq!(reader.read(LONG).unwrap().unwrap().to_vec(), b"x");
    assert_eq!(
        oieb(&writer).payload_written_count.load(Ordering::Relaxed),
        1
    );
}
