//! The checks of the features from process lifecycle to synchronization: each fails when what it
//! looks for is not there.

#![allow(clippy::unwrap_used)]

mod serve_support;

use serve_support::{Run, StepServer};

/// On one buffer with both ends in one process: steps that succeed, and the error of the last one.
fn failure_of(steps: &[(&str, &str)]) -> String {
    let run = Run::new();
    let mut server = StepServer::start(&run, &[]);
    server.pass(
        "Given",
        "the 'reader' process creates buffer 'b' with metadata size '64' and payload size '10240'",
    );
    server.pass("When", "the 'writer' process connects to buffer 'b'");
    let (last, before) = steps.split_last().unwrap();
    for (kind, step) in before {
        server.pass(kind, step);
    }
    let failure = server.fail(last.0, last.1);
    assert!(server.end().success());
    run.assert_nothing_left();
    failure
}

#[test]
fn every_check_of_errors_edges_and_corruption_can_fail() {
    let mut wrong = Vec::new();
    let when = |text: &'static str| ("When", text);
    let then = |text: &'static str| ("Then", text);
    for (steps, expected) in [
        (
            vec![then("should timeout or detect writer death on next read")],
            "expected a frame or an error",
        ),
        (
            vec![
                when("writes frame with size '10'"),
                then("should timeout or detect writer death on next read"),
            ],
            "expected no frame",
        ),
        (
            vec![then("should detect reader death on next write")],
            "but frame 1 was written",
        ),
        (
            vec![
                when("attempts to connect to buffer 'nothing'"),
                then("the connection should fail with writer exists error"),
            ],
            "found BufferNotFound",
        ),
        (
            vec![then("the new reader should detect stale resources")],
            "what there was before",
        ),
        (
            vec![
                when("attempts to create buffer 'n' with metadata size '64' and payload size '64'"),
                then("the new reader should detect stale resources"),
            ],
            "expected all files of a dead reader",
        ),
        (
            vec![
                when("attempts to create buffer 'b' with metadata size '64' and payload size '64'"),
                then("the new reader should create fresh buffer successfully"),
            ],
            "expected making a buffer to succeed",
        ),
        (
            vec![
                when("writes metadata with size '10'"),
                then("should have metadata with size '11'"),
            ],
            "expected 11 bytes, found 10",
        ),
        (
            vec![
                when("attempts to write metadata again with size '10'"),
                then("verifies the second metadata write should fail"),
            ],
            "expected writing metadata to fail",
        ),
        (
            vec![
                when("writes metadata with size '10'"),
                then("verifies the original metadata should remain unchanged"),
            ],
            "found none",
        ),
        (
            vec![then("verifies the system should work without metadata")],
            "MetadataSize: expected 0, found 64",
        ),
        (
            vec![
                when("writes frames without metadata"),
                when("reads one frame"),
                then("should read frames successfully"),
            ],
            "no more than 2",
        ),
        (
            vec![
                when("writes small frame of '1' byte"),
                then("proper wrap-around handling should occur"),
            ],
            "expected too little room for 17 bytes at 0",
        ),
        (
            vec![
                when("writes small frame of '1' byte"),
                then("no deadlocks should happen"),
            ],
            "written at once",
        ),
        (
            vec![then("the semaphore count should represent pending frames")],
            "expected frames to be pending",
        ),
        (
            vec![
                when("writes '2' frames rapidly without reader consuming"),
                when("reads frame"),
                then("the coalesced signals should be handled properly"),
            ],
            "expected no frame",
        ),
        (
            vec![
                when("writes frame with size '10'"),
                when("wakes and processes all frames"),
                then("all frames should be read correctly"),
            ],
            "byte 0 of 10",
        ),
        (
            vec![
                when("writes single byte frame"),
                when("writes frame with exact size '10'"),
                then("should verify write succeeded"),
            ],
            "header at",
        ),
        (
            vec![
                when("attempts to write '49' byte frame"),
                then("should receive FrameTooLargeException"),
            ],
            "expected writing a frame to fail",
        ),
        (
            vec![
                when("writes continuously at high speed"),
                then("should block appropriately"),
            ],
            "found 0",
        ),
        (
            vec![
                when("writes frame with exact size '10223'"),
                then("buffer should be completely full"),
            ],
            "free bytes: expected 0, found 1",
        ),
        (
            vec![
                when("attempts to write frame with size '1'"),
                then("should fail with zero size error"),
            ],
            "expected writing a frame to fail",
        ),
        (
            vec![
                when("writes frame with size '1'"),
                when("reads frame"),
                then("frame overhead should be '17' bytes"),
            ],
            "expected 18, found 17",
        ),
        (
            vec![
                when("writes frame with size '1'"),
                then("should wait for space"),
            ],
            "is ready",
        ),
        (
            vec![
                when("writes '3' frames of size '10' rapidly"),
                when("reads frame"),
                then("no deadlocks should occur"),
            ],
            "because the writer left",
        ),
        (
            vec![
                when("writes frame with size '10'"),
                then("no frames should be lost"),
            ],
            "found 0",
        ),
        (
            vec![then(
                "the second writer should fail with writer exists error",
            )],
            "what a second writer is told",
        ),
        (
            vec![
                when("a second writer process attempts to connect to buffer 'nothing'"),
                then("the second writer should fail with writer exists error"),
            ],
            "found BufferNotFound",
        ),
        (
            vec![
                when("fills buffer to '80%' capacity"),
                then("should block waiting for space"),
            ],
            "expected the write to fail",
        ),
        (
            vec![then("only one should succeed")],
            "expected two processes",
        ),
        (
            vec![then("no resource corruption should occur")],
            "which buffer is raced for",
        ),
        (
            vec![
                when("attempts to connect to buffer 'b'"),
                then("the connection should fail with appropriate error"),
            ],
            "found WriterAlreadyConnected",
        ),
        (
            vec![
                when("attempts to connect to buffer 'b'"),
                then("the connection should fail with invalid OIEB error"),
            ],
            "found WriterAlreadyConnected",
        ),
        (
            vec![
                when("writes frame with size '10'"),
                when("attempts to read frame"),
                then("the read should fail with invalid frame size error"),
            ],
            "expected reading a frame to fail",
        ),
        (
            vec![
                when("writes frame with size '10'"),
                when("the test corrupts next frame sequence to '5'"),
                when("attempts to read frame"),
                then("the error should show expected '1' got '6'"),
            ],
            "expected 6, found 5",
        ),
        (
            vec![
                when("writes frame with size '10'"),
                when("reads next frame"),
                then("should detect wrap marker"),
            ],
            "frames and wraps read by one read: expected 2, found 1",
        ),
        (
            vec![then("calculations should match specification")],
            "expected calculations",
        ),
        (
            vec![
                when("starts writing large frame of '8192' bytes"),
                when("completes write operation"),
                when("attempts next operation"),
                then("should detect reader death"),
            ],
            "expected writing a frame to fail",
        ),
        (
            vec![
                when("writes frame with size '10'"),
                when("writes frame and signal"),
                then("should process both frames correctly"),
            ],
            "byte 0 of 10",
        ),
        (
            vec![
                when("writes valid frame"),
                when("writes valid frame"),
                when("reads all '1' frames"),
                then("all frames should be received correctly"),
            ],
            "unread frames: expected 0, found 1",
        ),
        (
            vec![
                when("waits on semaphore for data"),
                when("writes valid frame"),
                then("should detect writer death after timeout '5' seconds"),
            ],
            "expected reading a frame to fail",
        ),
        (
            vec![
                when("waits on semaphore for data"),
                then("should detect writer death after timeout '5' seconds"),
            ],
            "but the wait ended after",
        ),
    ] {
        let found = failure_of(&steps);
        if !found.contains(expected) {
            wrong.push(format!(
                "{}: expected {expected:?}, found {found:?}",
                steps.last().unwrap().1
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
