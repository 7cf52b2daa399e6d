use std::ops::RangeInclusive;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, raise};

use super::*;
use crate::channel::sys::process::own_pid;
use crate::channel::{BufferConfig, BufferName, Error, Reader, Writer};

/// Where, and at which passing, a process that was started for it dies: `AttachTaken 1`.
const DEATH: &str = "ZEROBUFFER_TEST_DEATH";
const ROLE: &str = "ZEROBUFFER_TEST_POINT_ROLE";
const NAME: &str = "ZEROBUFFER_TEST_POINT_NAME";

const LONG: Duration = Duration::from_secs(20);

/// Room for three frames: every fourth one or so wraps.
const RING: BufferConfig = BufferConfig {
    metadata_size: 64,
    payload_size: 512,
};

/// As many as a writer writes that is not killed before.
const FRAMES: u64 = 20;

/// The data of frame `sequence`.
fn data(sequence: u64) -> Vec<u8> {
    (0..90 + sequence % 7 * 9)
        .map(|i| (i + sequence) as u8)
        .collect()
}

pub(super) fn die_if_told_to(point: Point) {
    static DEATH_AT: LazyLock<Option<(String, u32)>> = LazyLock::new(|| {
        let death = std::env::var(DEATH).ok()?;
        let (point, passing) = death.split_once(' ')?;
        Some((point.to_owned(), passing.parse().ok()?))
    });
    static PASSED: AtomicU32 = AtomicU32::new(0);
    if let Some((name, passing)) = &*DEATH_AT
        && *name == format!("{point:?}")
        && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == *passing
    {
        raise(Signal::SIGKILL).expect("a signal to this process");
    }
}

/// Not a test of its own: what the processes do that are killed.
#[test]
fn play_a_role() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let name = BufferName::new(std::env::var(NAME).unwrap()).unwrap();
    match role.as_str() {
        "reader" => {
            let mut reader = Reader::create(&name, &RING).unwrap();
            for sequence in 1..=FRAMES {
                let frame = reader.read(LONG).unwrap().expect("a frame in time");
                assert_eq!(frame.to_vec(), data(sequence));
            }
        }
        "reader of a dead writer" => {
            let mut reader = Reader::create(&name, &RING).unwrap();
            let mut writer = Writer::connect(&name, LONG).unwrap();
            writer.write(&data(1)).unwrap();
            let place = &writer.segment().oieb().writer_pid;
            place.store(u64::from(u32::MAX), Ordering::Relaxed);
            drop(writer);
            assert!(reader.read(LONG).unwrap().is_some());
            let end = reader.read(LONG);
            assert!(matches!(end, Err(Error::WriterDead { .. })), "{end:?}");
        }
        "writer" => {
            let mut writer = Writer::connect(&name, LONG).unwrap();
            writer.set_metadata(b"killed").unwrap();
            for sequence in 1..=FRAMES {
                writer.write(&data(sequence)).unwrap();
            }
        }
        other => panic!("no such role: {other}"),
    }
}

/// Starts a process that plays `role` and dies at the `passing`-th passing of `point`.
fn start(role: &str, name: &BufferName, point: Point, passing: u32) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "channel::point::tests::play_a_role"])
        .env(ROLE, role)
        .env(NAME, name.as_str())
        .env(DEATH, format!("{point:?} {passing}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Waits until the process has died as it was told to.
fn await_death(mut child: Child, point: Point) {
    let status = child.wait().unwrap();
    let signal = Some(Signal::SIGKILL as i32);
    assert_eq!(
        status.signal(),
        signal,
        "{point:?} was not passed: {status}"
    );
}

fn name(point: Point, passing: u32) -> BufferName {
    BufferName::for_test(&format!("point-{point:?}-{passing}"))
}

/// A new reader and a new writer find nothing in their way, and nothing is left of anybody.
fn start_clean(name: &BufferName) {
    let mut reader = Reader::create(name, &RING).unwrap();
    assert_eq!(reader.metadata().unwrap(), None);
    assert!(reader.read(Duration::ZERO).unwrap().is_none());
    let mut writer = Writer::connect(name, Duration::ZERO).unwrap();
    writer.set_metadata(b"anew").unwrap();
    exchange(&mut writer, &mut reader);
    drop((reader, writer));
    assert_nothing_left(name);
}

/// Exchanges frames through some wraps.
fn exchange(writer: &mut Writer, reader: &mut Reader) {
    writer.set_write_timeout(Duration::ZERO);
    for sequence in writer.next_sequence()..=FRAMES {
        assert_eq!(writer.write(&data(sequence)).unwrap(), sequence);
        let frame = reader.read(LONG).unwrap().expect("a frame in time");
        assert_eq!(
            (frame.sequence(), frame.to_vec()),
            (sequence, data(sequence))
        );
    }
    let oieb = writer.segment().oieb();
    let free = oieb.payload_free_bytes.load(Ordering::Relaxed);
    assert_eq!(free, writer.segment().capacity());
}

fn assert_nothing_left(name: &BufferName) {
    let left: Vec<_> = ["/dev/shm", "/tmp/zerobuffer"]
        .into_iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains(name.as_str()))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

const CREATING: [Point; 6] = [
    Point::CreateLocked,
    Point::CreateCleared,
    Point::CreateDataSemaphore,
    Point::CreateSpaceSemaphore,
    Point::CreateDrafted,
    Point::CreatePublished,
];

#[test]
fn a_reader_killed_while_it_creates_is_in_nobodys_way() {
    for point in CREATING {
        let name = name(point, 1);
        await_death(start("reader", &name, point, 1), point);
        let early = Writer::connect(&name, Duration::ZERO).unwrap_err();
        assert!(
            matches!(early, Error::NotReady { .. } | Error::BufferNotFound { .. }),
            "{point:?}: {early}"
        );
        start_clean(&name);
    }
}

/// At which point, and at which passing of it.
const READING: [(Point, u32); 11] = [
    (Point::WrapGivenBack, 2),
    (Point::ReadPublished, 3),
    (Point::ReadHeld, 3),
    (Point::SpaceGivenBack, 3),
    (Point::SpaceTold, 3),
    (Point::CloseSaid, 1),
    (Point::CloseTold, 1),
    (Point::CloseRemoved, 1),
    (Point::CloseRemoved, 2),
    (Point::CloseRemoved, 3),
    (Point::CloseUnlocked, 1),
];

#[test]
fn a_reader_killed_while_it_reads_or_closes_is_noticed_and_replaced() {
    for (point, passing) in READING {
        let name = name(point, passing);
        let child = start("reader", &name, point, passing);
        let mut writer = Writer::connect(&name, LONG).unwrap();
        let begun = Instant::now();
        let error = (1..)
            .find_map(|sequence| writer.write(&data(sequence)).err())
            .expect("writing for ever");
        assert!(
            matches!(error, Error::ReaderDead { .. }),
            "{point:?}: {error}"
        );
        assert!(begun.elapsed() < LONG);
        await_death(child, point);
        start_clean(&name);
        drop(writer);
        assert_nothing_left(&name);
    }
}

const RECOVERING: [Point; 2] = [Point::RecoveryBegun, Point::RecoveryDone];

#[test]
fn a_reader_killed_while_it_recovers_is_replaced() {
    for point in RECOVERING {
        let name = name(point, 1);
        await_death(start("reader of a dead writer", &name, point, 1), point);
        start_clean(&name);
    }
}

/// At which point, at which passing of it, and how many frames are read then.
const WRITING: [(Point, u32, RangeInclusive<u64>); 13] = [
    (Point::AttachOpened, 1, 0..=0),
    (Point::AttachTaken, 1, 0..=0),
    (Point::AttachDone, 1, 0..=0),
    (Point::MetadataFilled, 1, 0..=0),
    (Point::MetadataWritten, 1, 0..=0),
    (Point::WriteReserved, 9, 8..=8),
    (Point::WriteMarked, 9, 8..=8),
    (Point::WriteFilled, 9, 8..=8),
    (Point::WriteAccounted, 9, 8..=9),
    (Point::WriteCounted, 9, 8..=9),
    (Point::WritePosted, 9, 9..=9),
    (Point::WriterLeaving, 1, FRAMES..=FRAMES),
    (Point::WriterLeft, 1, FRAMES..=FRAMES),
];

#[test]
fn a_writer_killed_at_any_point_loses_nothing_but_the_frame_in_flight() {
    for (point, passing, frames) in WRITING {
        let name = name(point, passing);
        let mut reader = Reader::create(&name, &RING).unwrap();
        let child = start("writer", &name, point, passing);
        let mut read = 0;
        let mut child = Some(child);
        while let Some(frame) = next_or_end(&mut reader, &mut child, point) {
            read += 1;
            assert_eq!((frame.sequence(), frame.to_vec()), (read, data(read)));
        }
        assert!(frames.contains(&read), "{read} frames, killed at {point:?}");

        reader.await_next_writer();
        assert_eq!(reader.metadata().unwrap(), None, "{point:?}");
        let mut writer = Writer::connect(&name, Duration::ZERO).unwrap();
        assert_eq!(
            writer.segment().oieb().writer_pid.load(Ordering::Relaxed),
            own_pid()
        );
        writer.set_metadata(b"anew").unwrap();
        exchange(&mut writer, &mut reader);
        drop((reader, writer));
        assert_nothing_left(&name);
    }
}

#[test]
fn a_frame_whose_writer_died_over_it_is_not_written_over_while_it_is_held() {
    let point = Point::WriteAccounted;
    for is_held_before in [true, false] {
        let name = name(point, 100 + u32::from(is_held_before));
        let mut reader = Reader::create(&name, &RING).unwrap();
        let next = |reader: &mut Reader, sequence| {
            let frame = reader.read(LONG).unwrap().expect("a frame in time");
            assert_eq!(
                (frame.sequence(), frame.to_vec()),
                (sequence, data(sequence))
            );
            frame
        };
        let child = start("writer", &name, point, 9);
        (1..9).for_each(|sequence| drop(next(&mut reader, sequence)));
        await_death(child, point);

        // Its reader is at work on what it has read, and does not put the buffer in order.
        let held = is_held_before.then(|| next(&mut reader, 9));
        let mut writer = Writer::connect(&name, Duration::ZERO).unwrap();
        let held = held.unwrap_or_else(|| next(&mut reader, 9));
        writer.write(&data(1)).unwrap();
        assert_eq!(held.to_vec(), data(9), "held before: {is_held_before}");
        drop(held);
        assert!(next(&mut reader, 1).restarted());
        exchange(&mut writer, &mut reader);
        drop((reader, writer));
        assert_nothing_left(&name);
    }
}

#[test]
fn at_each_point_somebody_is_killed() {
    let killed: Vec<Point> = CREATING
        .into_iter()
        .chain(READING.map(|(point, _)| point))
        .chain(RECOVERING)
        .chain(WRITING.map(|(point, ..)| point))
        .collect();
    for point in ALL {
        assert!(killed.contains(point), "{point:?}");
    }
}

/// The next frame; `None` once the writer has died and all is read.
fn next_or_end(
    reader: &mut Reader,
    child: &mut Option<Child>,
    point: Point,
) -> Option<crate::channel::Frame> {
    loop {
        match reader.read(Duration::from_millis(50)) {
            Ok(Some(frame)) => return Some(frame),
            Err(Error::WriterDead { .. }) => {
                if let Some(child) = child.take() {
                    await_death(child, point);
                }
                return None;
            }
            // One that was killed before it took its place was never seen.
            Ok(None) if point == Point::AttachOpened => {
                await_death(child.take()?, point);
            }
            Ok(None) => {}
            Err(error) => panic!("{point:?}: {error}"),
        }
    }
}
