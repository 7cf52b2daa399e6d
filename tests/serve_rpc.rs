//! The step server's contract, on the real binary.

#![allow(clippy::unwrap_used)]

mod serve_support;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use serve_support::{PATIENCE, Run, StepServer, frame, step_params};
use zerobuffer::{BufferConfig, BufferName, Reader};

const CREATE: &str =
    "the 'reader' process creates buffer 'rpc' with metadata size '64' and payload size '10240'";
const CONNECT: &str = "the 'writer' process connects to buffer 'rpc'";
const HANG: &str = "the 'reader' process reads frames with '3600000' ms delay between each read";

/// Makes a step server hang in a step, holding a reader and a writer; the step's id.
fn hang(server: &mut StepServer) -> u64 {
    server.pass("Given", CREATE);
    server.pass("When", CONNECT);
    server.pass(
        "When",
        "the 'writer' process writes frame with sequence '1'",
    );
    server.request("executeStep", step_params("When", HANG))
}

#[test]
fn params_are_answered_alike_in_every_form() {
    let run = Run::new();
    let mut server = StepServer::start(&run, &[]);
    let nothing = [json!([]), json!({}), Value::Null];
    for params in &nothing {
        assert_eq!(server.call("health", params.clone()), true);
        assert_eq!(server.call("cleanup", params.clone()), Value::Null);
    }
    let discovered: Vec<_> = nothing
        .iter()
        .map(|params| server.call("discover", params.clone()))
        .collect();
    assert!(discovered[0]["steps"].as_array().unwrap().len() > 40);
    assert!(discovered.iter().all(|steps| *steps == discovered[0]));

    let camel = json!({"role": "reader", "platform": "rust", "scenario": "s", "hostPid": 1,
        "featureId": 2, "testRunId": "1_2"});
    let pascal = json!({"Role": "reader", "Platform": "rust", "Scenario": "s", "HostPid": 1,
        "FeatureId": 2, "TestRunId": "1_2"});
    for params in [
        camel.clone(),
        json!([camel]),
        pascal.clone(),
        json!([pascal]),
    ] {
        assert_eq!(server.call("initialize", params), true);
    }

    let step = "no sequence errors should have occurred";
    let mut answers = Vec::new();
    for kind in [json!("Then"), json!("then"), json!("THEN"), json!(2)] {
        let camel = json!({"process": "reader", "stepType": kind, "step": step,
            "parameters": {}, "context": {"a": "1"}, "isBroadcast": false});
        let pascal = json!({"Process": "reader", "StepType": kind, "Step": step,
            "Parameters": null, "Context": {"a": "1"}, "IsBroadcast": true});
        for params in [
            camel.clone(),
            json!([camel]),
            pascal.clone(),
            json!([pascal]),
        ] {
            let mut answer = server.call("executeStep", params);
            assert!(answer["logs"].is_array());
            answer["logs"].take();
            answers.push(answer);
        }
    }
    assert_eq!(answers.len(), 16);
    assert_eq!(answers[0]["success"], false);
    assert_eq!(answers[0]["context"], json!({"a": "1"}));
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:#?}"
    );
}

#[test]
fn a_result_has_exactly_the_agreed_keys() {
    let mut server = StepServer::start(&Run::new(), &[]);
    let result = server.step("Given", "all processes are ready");
    let keys: Vec<_> = result.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["context", "error", "logs", "success"]);
    assert_eq!(result["error"], Value::Null);
    let log = &result["logs"][0];
    let keys: Vec<_> = log.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["level", "message", "timestamp"]);
}

#[test]
fn ids_of_any_kind_come_back_and_requests_without_one_get_no_answer() {
    let mut server = StepServer::start(&Run::new(), &[]);
    for id in [json!(0), json!(-1), json!(2.5), json!("seven"), Value::Null] {
        server.send(&json!({"jsonrpc": "2.0", "id": id, "method": "health"}));
        let answer = server.answer();
        assert_eq!(answer, json!({"jsonrpc": "2.0", "id": id, "result": true}));
    }
    server.send(&json!({"jsonrpc": "2.0", "method": "health"}));
    server.send(&json!({"jsonrpc": "2.0", "method": "no such method"}));
    assert_eq!(server.call("health", Value::Null), true);
}

#[test]
fn errors_have_the_codes_of_json_rpc() {
    let mut server = StepServer::start(&Run::new(), &[]);
    let cases = [
        (
            &br#"{"jsonrpc":"2.0","id":1,"method":"nothing"}"#[..],
            -32601,
            json!(1),
        ),
        (
            br#"{"jsonrpc":"2.0","id":2,"method":"executeStep"}"#,
            -32602,
            json!(2),
        ),
        (
            br#"{"jsonrpc":"2.0","id":3,"method":"initialize","params":[1,2]}"#,
            -32602,
            json!(3),
        ),
        (
            br#"{"jsonrpc":"2.0","id":4,"method":"health","params":"x"}"#,
            -32602,
            json!(4),
        ),
        (br#"{"jsonrpc":"2.0","id":5}"#, -32600, json!(5)),
        (br#"{"id":"six","method":"health"}"#, -32600, json!("six")),
        (br#"[]"#, -32600, Value::Null),
        (br#"{"jsonrpc":"2.0","id":7,"#, -32700, Value::Null),
        (b"\xff\xfe", -32700, Value::Null),
        (b"", -32700, Value::Null),
        // Whoever asks for the end has to ask rightly.
        (
            br#"{"jsonrpc":"2.0","id":8,"method":"shutdown","params":7}"#,
            -32602,
            json!(8),
        ),
        (
            br#"{"jsonrpc":"2.0","id":9,"method":"crash","params":7}"#,
            -32602,
            json!(9),
        ),
    ];
    for (body, code, id) in cases {
        server.write(&frame(body));
        let answer = server.answer();
        assert_eq!(
            (&answer["error"]["code"], &answer["id"]),
            (&json!(code), &id),
            "{answer}"
        );
    }
    server.write(b"Content-Type: text\r\n\r\n");
    assert_eq!(server.answer()["error"]["code"], -32700);
    server.write(b"Content-Length: 67108865\r\n\r\n");
    assert_eq!(server.answer()["error"]["code"], -32700);
    assert_eq!(server.call("health", Value::Null), true);
    server.await_error_line("without Content-Length");
    server.await_error_line("over the limit");
}

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

/// The status with which a process ends by itself, if it does.
fn end_of(child: &mut Child) -> Option<i32> {
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
fn requests_before_the_end_of_the_input_are_answered() {
    let mut server = StepServer::start(&Run::new(), &[]);
    server.request("health", Value::Null);
    server.request("discover", Value::Null);
    server.close_input();
    assert_eq!(server.answer()["result"], true);
    assert!(server.answer()["result"]["steps"].is_array());
    assert!(server.wait().success());
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
fn a_panic_in_a_step_is_a_result() {
    let mut server = StepServer::start(&Run::new(), &[]);
    let step = format!("writes metadata with size '{}'", "9".repeat(40));
    let failure = server.fail("When", &step);
    assert!(failure.starts_with(&format!("When {step}: ")), "{failure}");
    assert!(failure.contains("can not be parsed"), "{failure}");
    server.pass("Given", "all processes are ready");
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
    let mut server = StepServer::start(&run, &["--step-timeout", "0.5"]);
    let stuck = hang(&mut server);
    let begun = Instant::now();
    assert_eq!(server.call("health", Value::Null), true);
    assert!(
        begun.elapsed() < Duration::from_millis(400),
        "{:?}",
        begun.elapsed()
    );
    let answer = server.answer();
    assert_eq!(answer["id"], stuck);
    assert_eq!(answer["result"]["success"], false);
    let error = answer["result"]["error"].as_str().unwrap();
    assert!(
        error.starts_with("Step execution timeout after 0.5 s"),
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

#[test]
fn the_command_line_explains_itself() {
    let run = |argument: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zerobuffer-serve"));
        command.args(argument).output().unwrap()
    };
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
    for part in ["Examples:", "--step-timeout", "ZEROBUFFER_LOG_LEVEL"] {
        assert!(help.contains(part), "{help}");
    }
    let version = String::from_utf8(run(&["--version"]).stdout).unwrap();
    assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
    for wrong in ["0", "-1", "soon"] {
        assert_eq!(run(&["--step-timeout", wrong]).status.code(), Some(2));
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_zerobuffer-serve"));
    let output = command
        .env("HARMONY_STEP_TIMEOUT", "soon")
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("expected a number of seconds"), "{error}");
}

#[test]
fn the_example_of_the_help_text_works() {
    let binary = env!("CARGO_BIN_EXE_zerobuffer-serve");
    let help = Command::new(binary).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let begin = help.find("printf").unwrap();
    let script = help[begin..].split("\n\n").next().unwrap();
    let script = script.replace("zerobuffer-serve", binary);
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    let answer = String::from_utf8(output.stdout).unwrap();
    assert!(answer.contains(r#""steps":[{"type""#), "{answer}");
    assert!(!answer.contains(r#""error""#), "{answer}");
}

#[test]
fn a_step_server_that_is_asked_nothing_ends_at_once() {
    let mut server = StepServer::start(&Run::new(), &[]);
    let begun = Instant::now();
    assert!(server.end().success());
    assert!(begun.elapsed() < PATIENCE / 4);
}
