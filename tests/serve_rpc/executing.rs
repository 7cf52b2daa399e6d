//! How steps are executed, and what is told of it.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use zerobuffer::{BufferConfig, BufferName, Reader};

use crate::serve_support::{PATIENCE, Run, StepServer};
use crate::{CONNECT, CREATE, HANG, hang};

#[test]
fn what_an_abandoned_step_makes_later_is_released_too() {
    let run = Run::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_zerobuffer-serve"));
    command
        .env("HARMONY_HOST_PID", run.host_pid.to_string())
        .env("HARMONY_FEATURE_ID", run.feature_id.to_string())
        .env("HARMONY_STEP_TIMEOUT", "0.3");
    let mut server = StepServer::spawn(command);
    let failure = server.fail(
        "When",
        "the 'client' process creates duplex channel client 'c'",
    );
    assert!(failure.starts_with("Step execution timeout"), "{failure}");
    // What the client was waiting for: it goes on, and makes its response buffer.
    let name = format!("c_{}_{}_request", run.host_pid, run.feature_id);
    let config = BufferConfig::new(64, 4096);
    let requests = Reader::create(&BufferName::new(name).unwrap(), &config).unwrap();
    let begun = Instant::now();
    while run.leftovers().len() < 8 {
        assert!(begun.elapsed() < PATIENCE, "{:?}", run.leftovers());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(server.end().success());
    drop(requests);
    let left = run.leftovers();
    run.remove_leftovers();
    assert_eq!(left, [""; 0]);
}

#[test]
fn a_panic_in_a_step_is_a_result() {
    let mut server = StepServer::start(&Run::new(), &[]);
    let step = format!("writes metadata with size '{}'", "9".repeat(40));
    let failure = server.fail("When", &step);
    assert!(failure.starts_with(&format!("When {step}: ")), "{failure}");
    assert!(failure.contains("can not be parsed"), "{failure}");
    server.pass("Given", "all processes are ready");
}

#[test]
fn sizes_beyond_all_memory_fail_their_steps_and_no_process() {
    let run = Run::new();
    let mut server = StepServer::start(&run, &[]);
    server.pass("Given", CREATE);
    server.pass("When", CONNECT);
    server.pass(
        "Given",
        "the 'server' process creates immutable duplex channel 'd' with default config",
    );
    server.pass("Given", "the 'server' process starts echo handler");
    server.pass(
        "When",
        "the 'client' process creates duplex channel client 'd'",
    );
    let huge = "100000000000000";
    let (memory, too_large) = ("bytes of memory cannot be had", "bytes needs");
    for (step, expected) in [
        ("the 'writer' process writes frame with size 'N'", too_large),
        (
            "the 'writer' process writes frame with size 'N' and sequence '1'",
            too_large,
        ),
        (
            "the 'writer' process writes frame with exact size 'N'",
            too_large,
        ),
        (
            "the 'writer' process attempts to write 'N' byte frame with 'sequential' pattern",
            too_large,
        ),
        (
            "the 'writer' process writes frame with size 'N' using incrementing pattern",
            too_large,
        ),
        (
            "the 'client' process sends request with size 'N'",
            too_large,
        ),
        ("the 'client' process sends request of 'N' bytes", too_large),
        (
            "the 'client' process sends 'N' byte frame with test pattern",
            too_large,
        ),
        ("the 'writer' process writes metadata with size 'N'", memory),
        (
            "the 'writer' process attempts to write metadata with size 'N'",
            memory,
        ),
        (
            "the 'writer' process attempts to write metadata again with size 'N'",
            memory,
        ),
    ] {
        let failure = server.fail("When", &step.replace("'N'", &format!("'{huge}'")));
        assert!(failure.contains(expected), "{failure}");
    }
    // What is attempted is refused by the library, with the size that was asked for.
    let attempt = format!("the 'writer' process attempts to write frame with size '{huge}'");
    server.pass("When", &attempt);
    let refused = "the 'writer' process should receive FrameTooLargeException";
    server.pass("Then", refused);
    server.pass("Given", "perform '1000000000000000' iterations of:");
    // The writer is lost in the background, and says why.
    let many = format!("the 'writer' process writes '3' frames of size '{huge}' rapidly");
    server.pass("When", &many);
    server.await_error_line("0 of 3 frames written");
    assert_eq!(server.call("cleanup", json!([])), Value::Null);
    assert!(server.end().success());
    run.assert_nothing_left();
}

#[test]
fn a_failure_names_the_step_what_was_expected_and_what_was_found() {
    let run = Run::new();
    let mut server = StepServer::start(&run, &[]);
    server.pass("Given", CREATE);
    server.pass("When", CONNECT);
    server.pass("When", "the 'writer' process writes frame with size '100'");
    let step = "the 'reader' process should read frame with size '99'";
    let failure = server.fail("Then", step);
    let expected = format!("Then {step}: size of frame 1: expected 99, found 100");
    assert!(failure.starts_with(&expected), "{failure}");
    let step = "the 'reader' process should validate frame data";
    let failure = server.fail("Then", step);
    let expected = "data of frame 1: byte 0 of 100: expected 0x01, found 0x00";
    assert!(failure.contains(expected), "{failure}");
    let failure = server.fail("When", "the 'moon' process writes frame with size '1'");
    assert!(
        failure.contains("this process has 'rpc' of role 'writer'"),
        "{failure}"
    );
    let failure = server.fail("Given", "the moon is full");
    assert!(
        failure.starts_with("No matching step definition found"),
        "{failure}"
    );
}

#[test]
fn an_overdue_step_is_abandoned_and_what_it_holds_released() {
    let run = Run::new();
    let mut server = StepServer::start(&run, &["--step-timeout", "1.5"]);
    let stuck = hang(&mut server);
    // Answered before the step is.
    assert_eq!(server.call("health", Value::Null), true);
    let answer = server.answer();
    assert_eq!(answer["id"], stuck);
    assert_eq!(answer["result"]["success"], false);
    let error = answer["result"]["error"].as_str().unwrap();
    assert!(
        error.starts_with("Step execution timeout after 1.5 s"),
        "{error}"
    );
    assert!(error.contains(HANG), "{error}");
    run.assert_nothing_left();

    let refused = server.fail("Given", "all processes are ready");
    assert!(refused.contains("refused"), "{refused}");
    for method in ["initialize", "cleanup"] {
        assert_eq!(server.call("health", Value::Null), true);
        server.call(method, json!({}));
        server.pass("Given", CREATE);
        server.call("cleanup", json!({}));
        run.assert_nothing_left();
    }
    assert!(server.end().success());
}

#[test]
fn an_answer_holds_the_records_since_the_previous_one_and_so_does_the_standard_error() {
    let mut server = StepServer::start(&Run::new(), &[]);
    let messages = |result: &Value| -> Vec<String> {
        let logs = result["logs"].as_array().unwrap().iter();
        logs.map(|log| log["message"].as_str().unwrap().to_owned())
            .collect()
    };
    let scenario = json!({"scenario": "a scenario with a name"});
    assert_eq!(server.call("initialize", scenario), true);
    let first = server.step("Given", "all processes are ready");
    let told = messages(&first);
    assert!(told[0].contains("a scenario with a name"), "{told:?}");
    assert!(told[1].contains("all processes are ready"), "{told:?}");
    let log = &first["logs"][0];
    assert_eq!(log["level"], 2);
    assert!(log["timestamp"].as_str().unwrap().ends_with('Z'), "{log}");

    let second = server.step("Then", "the moon is full");
    let told_next = messages(&second);
    assert!(
        !told_next.iter().any(|message| told.contains(message)),
        "{told_next:?}"
    );
    assert_eq!(second["logs"][1]["level"], 4, "{second}");
    for message in told.iter().chain(&told_next) {
        server.await_error_line(message);
    }
}

#[test]
fn levels_come_from_the_environment() {
    let messages = |level: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zerobuffer-serve"));
        command.env("ZEROBUFFER_LOG_LEVEL", level);
        let mut server = StepServer::spawn(command);
        let result = server.step("Given", "all processes are ready");
        result["logs"].as_array().unwrap().len()
    };
    assert_eq!(messages("error"), 0);
    assert!(messages("debug") > messages("info"));
}

#[test]
fn names_come_from_initialize_where_the_variables_are_not_set() {
    let run = Run::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_zerobuffer-serve"));
    command
        .env_remove("HARMONY_HOST_PID")
        .env_remove("HARMONY_FEATURE_ID");
    let mut server = StepServer::spawn(command);
    let params = json!({"hostPid": run.host_pid, "featureId": run.feature_id});
    assert_eq!(server.call("initialize", params), true);
    server.pass("Given", CREATE);
    let segment = format!("/dev/shm/rpc_{}_{}", run.host_pid, run.feature_id);
    assert!(run.leftovers().contains(&segment), "{:?}", run.leftovers());
    assert!(server.end().success());
    run.assert_nothing_left();
}
