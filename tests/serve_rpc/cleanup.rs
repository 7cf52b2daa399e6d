//! What the end of a scenario finds, and what it does not complain of.

use std::fs::File;
use std::os::unix::fs::FileExt;

use serde_json::{Value, json};

use crate::serve_support::{Run, StepServer, step_params};
use crate::{CONNECT, CREATE, WRITE};

/// What a step does to the buffer, which is not in order afterwards.
const BREAK: [&str; 2] = [
    "the test corrupts frame header 'payload_size' to '5000'",
    "the test corrupts next frame sequence to '7'",
];

/// Both ends of a buffer with an unread frame.
fn with_a_frame(run: &Run) -> StepServer {
    let mut server = StepServer::start(run, &[]);
    for (kind, step) in [("Given", CREATE), ("When", CONNECT), ("When", WRITE)] {
        server.pass(kind, step);
    }
    server
}

#[test]
fn what_a_step_has_broken_is_no_complaint() {
    for step in BREAK {
        let run = Run::new();
        let mut server = with_a_frame(&run);
        server.pass("When", step);
        assert_eq!(server.call("cleanup", json!([])), Value::Null, "{step}");
        server.await_error_line("is not checked: a step has broken it on purpose");
        run.assert_nothing_left();
    }
}

#[test]
fn what_a_step_has_broken_in_another_process_is_no_complaint_either() {
    let run = Run::new();
    let mut reader = StepServer::start(&run, &[]);
    let mut writer = StepServer::start(&run, &[]);
    reader.pass("Given", CREATE);
    writer.pass("When", CONNECT);
    writer.pass("When", WRITE);
    let broken = writer.step("When", BREAK[0]);
    assert_eq!(broken["success"], true, "{broken}");
    let mut next = step_params("Given", "all processes are ready");
    next["context"] = broken["context"].clone();
    let next = reader.call("executeStep", next);
    assert_eq!(next["success"], true, "{next}");
    assert_eq!(reader.call("cleanup", json!([])), Value::Null);
    reader.await_error_line("is not checked: a step has broken it on purpose");
}

/// Changes the size of the first frame, behind the control block and 64 bytes of metadata.
fn spoil(run: &Run) {
    let segment = format!("/dev/shm/rpc_{}_{}", run.host_pid, run.feature_id);
    let segment = File::options().write(true).open(segment).unwrap();
    segment.write_all_at(&[1], 128 + 64).unwrap();
}

fn expect_complaint(server: &mut StepServer) {
    server.request("cleanup", json!([]));
    let answer = server.answer();
    let complaint = answer["error"]["message"].as_str().unwrap();
    assert!(complaint.contains("is not in order"), "{answer}");
}

#[test]
fn what_nobody_has_broken_on_purpose_is_a_complaint() {
    let run = Run::new();
    let mut server = with_a_frame(&run);
    spoil(&run);
    expect_complaint(&mut server);
    run.assert_nothing_left();
}

#[test]
fn a_handler_that_takes_long_keeps_no_complaint_back() {
    let run = Run::new();
    let mut server = with_a_frame(&run);
    for (kind, step) in [
        (
            "Given",
            "the 'server' process creates immutable duplex channel 'd' with default config",
        ),
        (
            "Given",
            "the 'server' process starts handler with '4' second processing delay",
        ),
        (
            "When",
            "the 'client' process creates duplex channel client 'd'",
        ),
        ("When", "the 'client' process sends request"),
    ] {
        server.pass(kind, step);
    }
    spoil(&run);
    expect_complaint(&mut server);
    server.await_error_line("not everything was released within 1s");
    run.assert_nothing_left();
}

#[test]
fn files_that_no_reader_owns_are_removed() {
    let run = Run::new();
    let mut server = StepServer::start(&run, &[]);
    for step in [
        "manually create stale lock file for 'relic'",
        "create orphaned shared memory for 'relic'",
        "create orphaned semaphores for 'relic'",
    ] {
        server.pass("Given", step);
    }
    assert_eq!(run.leftovers().len(), 4);
    assert_eq!(server.call("cleanup", json!([])), Value::Null);
    run.assert_nothing_left();
}
