//! Every way to end, and what is left then.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::serve_support::{PATIENCE, Run, StepServer, frame, step_params};
use crate::{CONNECT, CREATE, HANG, hang};

#[test]
fn the_end_of_the_input_releases_everything() {
    let run = Run::new();
    let mut server = StepServer::start(&run, &[]);
    server.pass("Given", CREATE);
    server.pass("When", CONNECT);
    let many = "the 'writer' process writes '1000' frames of size '1024' as fast as possible";
    server.pass("When", many);
    assert_eq!(run.leftovers().len(), 4);
    assert!(server.end().success());
    run.assert_nothing_left();
}

#[test]
fn the_end_of_the_input_releases_everything_while_a_step_hangs() {
    let run = Run::new();
    let mut server = StepServer::start(&run, &[]);
    hang(&mut server);
    server.await_error_line(HANG);
    let begun = Instant::now();
    assert!(server.end().success());
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    run.assert_nothing_left();
}

#[test]
fn files_of_no_buffer_are_removed_while_a_step_hangs() {
    let run = Run::new();
    let mut server = StepServer::start(&run, &[]);
    server.pass("Given", "measure sem_post/sem_wait operation cost");
    assert_eq!(run.leftovers().len(), 2, "two semaphores");
    hang(&mut server);
    server.await_error_line(HANG);
    assert!(server.end().success());
    run.assert_nothing_left();

    let run = Run::new();
    let mut server = StepServer::start(&run, &[]);
    // The other one never comes.
    let race = "both simultaneously attempt to create buffer 'race'";
    server.request("executeStep", step_params("When", race));
    let begun = Instant::now();
    while run.leftovers().is_empty() {
        assert!(begun.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(server.end().success());
    run.assert_nothing_left();
}

/// The status with which a process ends by itself, if it does.
pub fn end_of(child: &mut Child) -> Option<i32> {
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() && begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(5));
    }
    let ended = child.try_wait().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    ended.and_then(|status| status.code())
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(child.id().try_into().unwrap())
}

#[test]
fn signals_release_everything_also_while_a_step_hangs() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let run = Run::new();
        let mut server = StepServer::start(&run, &[]);
        hang(&mut server);
        server.await_error_line(HANG);
        assert!(!run.leftovers().is_empty());
        kill(pid_of(&server.child), signal).unwrap();
        assert_eq!(server.wait().code(), Some(128 + signal as i32));
        run.assert_nothing_left();
    }
}

#[test]
fn the_end_of_the_input_is_seen_while_nobody_reads_answers_and_records() {
    let run = Run::new();
    let mut child = Command::new(env!("CARGO_BIN_EXE_zerobuffer-serve"))
        .env("HARMONY_HOST_PID", run.host_pid.to_string())
        .env("HARMONY_FEATURE_ID", run.feature_id.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let request = |method: &str, params: &Value| {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        frame(request.to_string().as_bytes())
    };
    let create = request("executeStep", &step_params("Given", CREATE));
    input.write_all(&create).unwrap();
    // Far more than both pipes hold.
    for _ in 0..1000 {
        input.write_all(&request("discover", &Value::Null)).unwrap();
        input.write_all(b"no frame\r\n").unwrap();
    }
    let begun = Instant::now();
    while run.leftovers().is_empty() {
        assert!(begun.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(input);
    assert_eq!(end_of(&mut child), Some(1));
    run.assert_nothing_left();
}

#[test]
fn a_signal_is_seen_while_nobody_reads_records() {
    let (unread, mut records) = std::io::pipe().unwrap();
    fcntl(&records, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    while records.write(&[b'.'; 4096]).is_ok() {}
    fcntl(&records, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_zerobuffer-serve"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(records)
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let health = br#"{"jsonrpc":"2.0","id":1,"method":"health"}"#;
    input.write_all(&frame(health)).unwrap();
    // Answered by a process that has made its arrangements for signals.
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    kill(pid_of(&child), Signal::SIGTERM).unwrap();
    let status = end_of(&mut child);
    drop((input, unread));
    assert_eq!(status, Some(128 + Signal::SIGTERM as i32));
}

#[test]
fn cleanup_and_initialize_release_everything() {
    let run = Run::new();
    let mut server = StepServer::start(&run, &[]);
    for method in ["cleanup", "initialize"] {
        server.pass("Given", CREATE);
        assert_eq!(run.leftovers().len(), 4);
        server.call(method, json!({}));
        run.assert_nothing_left();
        let failure = server.fail("When", "the 'reader' process reads one frame");
        assert!(failure.contains("this process has no reader"), "{failure}");
    }
    assert!(server.end().success());
}

#[test]
fn shutdown_answers_releases_everything_and_ends_well() {
    let run = Run::new();
    let mut server = StepServer::start(&run, &[]);
    server.pass("Given", CREATE);
    assert_eq!(server.call("shutdown", Value::Null), Value::Null);
    assert_eq!(server.wait().code(), Some(0));
    run.assert_nothing_left();
}

#[test]
fn crash_answers_and_dies_by_sigkill_leaving_everything() {
    let run = Run::new();
    let mut server = StepServer::start(&run, &[]);
    server.pass("Given", CREATE);
    assert_eq!(server.call("crash", Value::Null), Value::Null);
    assert_eq!(server.wait().signal(), Some(9));
    let left = run.leftovers();
    run.remove_leftovers();
    assert_eq!(left.len(), 4, "{left:?}");
}

#[test]
fn a_step_server_that_is_asked_nothing_ends_at_once() {
    let mut server = StepServer::start(&Run::new(), &[]);
    let begun = Instant::now();
    assert!(server.end().success());
    assert!(begun.elapsed() < PATIENCE / 4);
}
