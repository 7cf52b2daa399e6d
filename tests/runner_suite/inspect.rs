//! `harmony inspect`, on buffers of this process: their names are nobody else's.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use zerobuffer::{BufferConfig, BufferName, Reader, Writer};

fn name(test: &str) -> BufferName {
    BufferName::new(format!("zbt-inspect-{test}-{}", std::process::id())).unwrap()
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harmony"));
    command.arg("inspect").args(arguments);
    command
}

fn inspect(arguments: &[&str]) -> (Option<i32>, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command(arguments).output().unwrap();
    let text = [stdout, stderr].concat();
    (status.code(), String::from_utf8(text).unwrap())
}

fn buffer(name: &BufferName) -> (Reader, Writer) {
    let reader = Reader::create(name, &BufferConfig::new(64, 1024)).unwrap();
    let mut writer = Writer::connect(name, Duration::ZERO).unwrap();
    writer.set_metadata(b"abc").unwrap();
    for size in [500, 84, 200] {
        writer.write(&vec![7; size]).unwrap();
    }
    (reader, writer)
}

/// Overwrites a number of the control block.
fn overwrite(name: &BufferName, offset: u64, value: u64) {
    let path = format!("/dev/shm/{name}");
    let segment = std::fs::File::options().write(true).open(path).unwrap();
    segment.write_all_at(&value.to_le_bytes(), offset).unwrap();
}

#[test]
fn everything_about_a_buffer_is_shown() {
    let name = name("all");
    let (mut reader, mut writer) = buffer(&name);
    let frame = reader.read(Duration::from_secs(5)).unwrap().unwrap();
    drop(frame);
    // It does not fit in what is left of the ring: a wrap, and one more frame.
    writer.write(&[7; 300]).unwrap();
    let pid = std::process::id();
    let semaphore = std::fs::read(format!("/dev/shm/sem.sem-w-{name}")).unwrap();
    let data = semaphore[0];
    assert!(data >= 3, "a post for each frame");
    let (code, text) = inspect(&[name.as_str()]);
    assert_eq!(code, Some(0), "{text}");
    for line in [
        "segment    1216 bytes: 64 of metadata, 1024 of payload; version 1.0.0",
        // 84 + 16, 200 + 16, a tail of 192, 300 + 16.
        "fill       824 of 1024 bytes (80.5 %)",
        "unread     3 frames",
        "written    5 frames and wraps, the next at 316",
        "read       1 frames and wraps, the next at 516",
        "metadata   3 bytes",
        &format!("writer     pid {pid} ("),
        &format!("reader     pid {pid} ("),
        &format!("semaphores data {data}, space 1"),
        &format!("lock       held by pid {pid} ("),
    ] {
        assert!(text.contains(line), "{line:?} in\n{text}");
    }
    let (code, json) = inspect(&[name.as_str(), "--json"]);
    assert_eq!(code, Some(0), "{json}");
    let json: Value = serde_json::from_str(&json).unwrap();
    let seen = &json["buffers"][0];
    assert_eq!(seen["name"], name.as_str());
    for (pointer, expected) in [
        ("/segment/used_bytes", 824),
        ("/segment/unread_frames", 3),
        ("/segment/unread_entries", 4),
        ("/segment/control_block/payload_write_pos", 316),
        ("/segment/control_block/reader_pid", u64::from(pid)),
        ("/semaphores/data", u64::from(data)),
        ("/lock/holder/pid", u64::from(pid)),
    ] {
        assert_eq!(
            seen.pointer(pointer),
            Some(&expected.into()),
            "{pointer} in {seen}"
        );
    }
    assert_eq!(seen["segment"]["reader"]["alive"], true);
    assert_eq!(seen["errors"], serde_json::json!([]));
    // Nothing was taken from it.
    for size in [84, 200, 300] {
        let frame = reader.read(Duration::from_secs(5)).unwrap().unwrap();
        assert_eq!(frame.len(), size);
    }
}

#[test]
fn the_dead_and_the_broken_are_shown_as_such() {
    let name = name("broken");
    let (_reader, _writer) = buffer(&name);
    overwrite(&name, 0x58, u64::from(u32::MAX));
    let (code, text) = inspect(&[name.as_str()]);
    assert!(
        code == Some(0) && text.contains("reader     pid 4294967295, dead"),
        "{text}"
    );
    overwrite(&name, 0x30, 5000);
    let (code, text) = inspect(&[name.as_str()]);
    let broken = "broken     payload_write_pos is 5000, beyond the ring's 1024 bytes";
    assert!(code == Some(0) && text.contains(broken), "{text}");
    assert!(
        text.contains("unread     3 frames (wraps included)"),
        "{text}"
    );
    overwrite(&name, 0x04, 9);
    let (code, text) = inspect(&[name.as_str()]);
    assert!(code == Some(0) && text.contains("broken "), "{text}");
    assert!(text.contains("version 9"), "{text}");
    std::fs::write(format!("/dev/shm/{name}"), "short").unwrap();
    let (code, text) = inspect(&[name.as_str()]);
    let broken = "broken     it is shorter than a control block";
    assert!(code == Some(0) && text.contains(broken), "{text}");
    std::fs::remove_file(format!("/dev/shm/{name}")).unwrap();
    let (code, text) = inspect(&[name.as_str()]);
    assert!(
        code == Some(0) && text.contains("segment    none"),
        "{text}"
    );
}

#[test]
fn a_name_that_does_not_exist_is_told_with_near_ones() {
    let name = name("near");
    let _buffer = buffer(&name);
    let half = &name.as_str()[..name.as_str().len() - 1];
    let (code, text) = inspect(&[half]);
    assert_eq!(code, Some(4), "{text}");
    let expected = format!("there is no buffer `{half}`; did you mean {name}");
    assert!(text.contains(&expected), "{text}");
    let (code, text) = inspect(&["a/b"]);
    assert!(code == Some(2) && text.contains("'/'"), "{text}");
    let (code, text) = inspect(&[]);
    assert!(code == Some(0) && text.contains(name.as_str()), "{text}");
}

#[test]
fn watching_tells_rates_until_it_is_interrupted() {
    let name = name("watch");
    let (mut reader, mut writer) = buffer(&name);
    let mut child = command(&[name.as_str(), "--watch"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let expected = format!("{name}: 832 of 1024 bytes (81.2 %), 3 frames unread");
    assert_eq!(first, expected);
    let read = |reader: &mut Reader| drop(reader.read(Duration::from_secs(5)).unwrap().unwrap());
    (0..3).for_each(|_| read(&mut reader));
    // Between two pictures frames go through, and their bytes.
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let line = std::thread::scope(|scope| {
            let next = scope.spawn(|| lines.next().unwrap().unwrap());
            while !next.is_finished() {
                writer.write(&[7; 84]).unwrap();
                read(&mut reader);
            }
            next.join().unwrap()
        });
        seen.push(line);
    }
    let rates = seen.last().unwrap().split("unread, ").nth(1).unwrap();
    let numbers: Vec<u64> = rates
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|word| word.parse().ok())
        .collect();
    let [frames, bytes] = numbers[..] else {
        panic!("{seen:?}")
    };
    assert!(frames > 1 && bytes >= 100, "{seen:?}");
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
}
