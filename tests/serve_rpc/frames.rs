//! Frames, good and bad.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::CREATE;
use crate::serve_support::{Run, StepServer, frame};

/// A small generator with a fixed seed, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

fn good(id: usize, padding: usize) -> Vec<u8> {
    let padding = "p".repeat(padding);
    let body = json!({"jsonrpc": "2.0", "id": id, "method": "health", "params": [padding]});
    frame(body.to_string().as_bytes())
}

/// Bytes that are no good frame, and that take no byte of what follows with them.
fn bad(random: &mut Random) -> Vec<u8> {
    let request = br#"{"jsonrpc":"2.0","id":"bad","method":"health","params":[1,2,3]}"#;
    match random.below(9) {
        // A line that is no header.
        0 => {
            let count = random.below(200);
            [random.bytes(count), b"\r\n".to_vec()].concat()
        }
        1 => b"X-Header: 1\r\n\r\n".to_vec(),
        2 => format!("Content-Length: {}x\r\n\r\n", random.next()).into_bytes(),
        // Oversized, up to beyond 64 bits.
        3 => format!(
            "Content-Length: 6710886{}{}\r\n\r\n",
            5 + random.below(5),
            random.next()
        )
        .into_bytes(),
        // JSON that is cut off.
        4 => frame(&request[..random.below(request.len())]),
        // A body longer than its header says.
        5 => {
            let said = random.below(request.len());
            let header = format!("Content-Length: {said}\r\n\r\n");
            [header.as_bytes(), request].concat()
        }
        // A body shorter than its header says takes a part of the next frame with it.
        6 => {
            let victim = good(usize::MAX, 0);
            let header_of_victim = victim.iter().position(|b| *b == b'{').unwrap();
            let taken = header_of_victim + random.below(victim.len() - header_of_victim);
            let header = format!("Content-Length: {}\r\n\r\n", request.len() + taken);
            [header.as_bytes(), request, &victim].concat()
        }
        7 => {
            let count = random.below(300);
            frame(&random.bytes(count))
        }
        _ => frame(br#"{"jsonrpc":"2.0","id":{},"method":7}"#),
    }
}

#[test]
fn ten_thousand_bad_frames_cost_no_good_one_and_no_memory() {
    const BAD: usize = 10_000;
    /// How much the second half may add to what the first has made the allocator keep, in KiB:
    /// half of what keeping its frames would add.
    const GROWTH: usize = 512;

    let mut server = StepServer::start(&Run::new(), &[]);
    let mut random = Random(0x5eed_0000_0001);
    let mut expected = BTreeSet::new();
    let mut answered = BTreeSet::new();
    let mut errors = 0;
    let mut settled = 0;
    for index in 0..BAD {
        server.write(&bad(&mut random));
        if index % 10 == 0 {
            server.write(&good(index, 10));
            expected.insert(index as u64);
            // In step with the answers, so that none waits when memory is looked at.
            while !answered.contains(&(index as u64)) {
                let answer = server.answer();
                match answer["id"].as_u64() {
                    Some(id) if answer["result"] == true => {
                        assert!(answered.insert(id), "{id} was answered twice");
                    }
                    _ => errors += 1,
                }
            }
        }
        if index == BAD / 2 {
            settled = server.resident();
        }
    }
    let grown = server.resident().saturating_sub(settled);
    let last = server.request("health", Value::Null);
    while server.answer()["id"] != last {
        errors += 1;
    }
    answered.remove(&(usize::MAX as u64));
    assert_eq!(answered, expected);
    assert!(errors > BAD / 2, "only {errors} errors");
    assert!(
        grown <= GROWTH,
        "{grown} KiB more than the {settled} KiB before"
    );
    assert!(server.end().success());
}

#[test]
fn large_frames_are_answered_and_not_kept() {
    const COUNT: usize = 20;
    const LARGE: usize = 4 * 1024 * 1024;

    let mut server = StepServer::start(&Run::new(), &[]);
    let mut exchange = |indices: std::ops::Range<usize>| {
        for index in indices {
            server.write(&good(index, LARGE));
            assert_eq!(server.answer()["id"], index);
        }
        server.resident()
    };
    // What the allocator keeps of one frame and its copies, however many there were.
    let settled = exchange(0..COUNT / 2);
    let grown = exchange(COUNT / 2..COUNT).saturating_sub(settled);
    assert!(
        grown < 2 * LARGE / 1024,
        "{grown} KiB more than the {settled} KiB before, for {} KiB of frames",
        COUNT / 2 * LARGE / 1024
    );
    assert!(server.end().success());
}

#[test]
fn a_stream_cut_off_within_a_frame_is_answered_and_releases_everything() {
    let run = Run::new();
    let mut server = StepServer::start(&run, &[]);
    server.pass("Given", CREATE);
    assert_eq!(run.leftovers().len(), 4);
    server.write(b"Content-Length: 10\r\n\r\n{}");
    server.close_input();
    let answer = server.answer();
    assert_eq!(
        (&answer["error"]["code"], &answer["id"]),
        (&json!(-32700), &Value::Null)
    );
    assert_eq!(server.wait().code(), Some(1));
    run.assert_nothing_left();
}

#[test]
fn a_stray_print_reaches_the_standard_error_and_breaks_no_frame() {
    let mut server = StepServer::start(&Run::new(), &[]);
    assert_eq!(server.call("health", Value::Null), true);
    let descriptors = format!("/proc/{}/fd", server.child.id());
    std::fs::write(
        format!("{descriptors}/1"),
        "Content-Length: 3 a stray print\n",
    )
    .unwrap();
    server.await_error_line("a stray print");
    let input = std::fs::read_link(format!("{descriptors}/0")).unwrap();
    assert_eq!(input.to_str(), Some("/dev/null"));
    assert_eq!(server.call("health", Value::Null), true);
    assert!(server.end().success());
}
