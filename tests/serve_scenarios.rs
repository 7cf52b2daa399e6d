//! The scenarios of the feature files, each role in a step server of its own, and all roles in one.

#![allow(clippy::unwrap_used)]

mod serve_support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{PoisonError, RwLock};

use gherkin::{Feature, GherkinEnv, Step};
use regex::Regex;
use serde_json::{Value, json};
use serve_support::{Run, StepServer};
use zerobuffer::{BufferConfig, BufferName, Reader};

/// Whether each role has a process of its own.
#[derive(Clone, Copy, PartialEq)]
enum Hosting {
    Separate,
    Same,
}

/// An orchestrator, as small as it can be: steps go to the role that they name, else to the one
/// named last, and to all before the first is named.
struct Orchestrator {
    servers: BTreeMap<String, StepServer>,
    hosting: Hosting,
    run: Run,
    context: Value,
}

const ONLY: &str = "all roles";

impl Orchestrator {
    fn start(roles: &[String], hosting: Hosting, run: &Run) -> Self {
        let processes = match hosting {
            Hosting::Separate => roles.to_vec(),
            Hosting::Same => vec![ONLY.to_owned()],
        };
        let mut orchestrator = Orchestrator {
            servers: BTreeMap::new(),
            hosting,
            run: run.clone(),
            context: json!({}),
        };
        for process in processes {
            orchestrator.start_process(&process);
        }
        orchestrator
    }

    /// Starts a process, in the place of an earlier one if there is one.
    fn start_process(&mut self, process: &str) {
        if let Some(predecessor) = self.servers.remove(process) {
            end(predecessor);
        }
        let mut server = StepServer::start(&self.run, &[]);
        let setup = json!({"role": process, "platform": "rust", "scenario": "test",
            "hostPid": self.run.host_pid, "featureId": self.run.feature_id});
        assert_eq!(server.call("initialize", setup), true);
        self.servers.insert(process.to_owned(), server);
    }

    fn execute(&mut self, step: &Step, role: Option<&str>) {
        let processes: Vec<String> = match (self.hosting, role) {
            (Hosting::Separate, Some(role)) => vec![role.to_owned()],
            _ => self.servers.keys().cloned().collect(),
        };
        for process in processes {
            if self.hosting == Hosting::Separate && step.value.starts_with("a new ") {
                self.start_process(&process);
            }
            let server = self.servers.get_mut(&process).unwrap();
            let params = json!({"process": role.unwrap_or_default(),
                "stepType": format!("{:?}", step.ty), "step": step.value,
                "parameters": parameters(step), "context": self.context,
                "isBroadcast": role.is_none()});
            let result = server.call("executeStep", params);
            assert_eq!(result["success"], true, "{}: {result:#}", step.value);
            self.context = result["context"].clone();
        }
    }

    fn end(self) {
        self.servers.into_values().for_each(end);
    }
}

fn end(mut server: StepServer) {
    assert_eq!(server.call("cleanup", json!({})), Value::Null);
    assert_eq!(server.call("shutdown", json!({})), Value::Null);
    assert!(server.wait().success());
}

/// A data table travels as a string.
fn parameters(step: &Step) -> Value {
    match &step.table {
        Some(table) => json!({"table": json!(table.rows).to_string()}),
        None => json!({}),
    }
}

/// Held for writing by a scenario that takes times, so that no other one runs meanwhile.
static ALONE: RwLock<()> = RwLock::new(());

fn role_of(step: &Step) -> Option<String> {
    let role = Regex::new(r"^(?:the|a new) '?(\w+)'? (?:process|handler) ").unwrap();
    Some(role.captures(&step.value)?[1].to_owned())
}

fn feature(file: &str) -> Feature {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("features")
        .join(file);
    Feature::parse_path(path, GherkinEnv::default()).unwrap()
}

/// Runs the scenario whose name begins with this id.
fn run_scenario(file: &str, id: &str, hosting: Hosting) {
    let feature = feature(file);
    let scenario = feature
        .scenarios
        .iter()
        .find(|scenario| scenario.name.starts_with(&format!("{id} - ")))
        .unwrap();
    let exclusive = scenario.tags.iter().any(|tag| tag == "exclusive");
    let _alone = exclusive.then(|| ALONE.write().unwrap_or_else(PoisonError::into_inner));
    let _together = (!exclusive).then(|| ALONE.read().unwrap_or_else(PoisonError::into_inner));
    let background = feature.background.iter().flat_map(|b| &b.steps);
    let steps: Vec<&Step> = background.chain(&scenario.steps).collect();
    let mut roles: Vec<String> = steps.iter().filter_map(|step| role_of(step)).collect();
    roles.sort();
    roles.dedup();
    let run = Run::new();
    let mut orchestrator = Orchestrator::start(&roles, hosting, &run);
    let mut role = None;
    for step in steps {
        role = role_of(step).or(role);
        orchestrator.execute(step, role.as_deref());
    }
    orchestrator.end();
    run.assert_nothing_left();
}

/// Runs scenarios of a feature that make sense in one process, each in one process.
fn run_in_one_process(file: &str, chosen: &[&str]) {
    let feature = feature(file);
    let skipped = |tag: &String| tag == "separate-processes";
    assert!(!feature.tags.iter().any(skipped));
    let scenarios = feature.scenarios.iter();
    let ids: Vec<&str> = scenarios
        .filter(|scenario| !scenario.tags.iter().any(skipped))
        .map(|scenario| scenario.name.split_once(" - ").unwrap().0)
        .collect();
    for id in chosen {
        assert!(ids.contains(id), "{id} is not to be run");
        run_scenario(file, id, Hosting::Same);
    }
}

#[test]
fn errors_are_handled_in_one_process() {
    run_in_one_process("03-Error-Handling.feature", &["3.1", "3.2", "3.3"]);
}

#[test]
fn frames_at_the_limits_fit_in_one_process() {
    let ids = [
        "4.1", "4.2", "4.3", "4.4", "4.6", "4.7", "4.8", "4.9", "4.12",
    ];
    run_in_one_process("04-Edge-Cases.feature", &ids);
}

#[test]
fn a_slow_reader_paces_a_fast_writer_in_one_process() {
    run_in_one_process("04-Edge-Cases.feature", &["4.5"]);
    run_in_one_process("06-Synchronization.feature", &["6.3"]);
}

#[test]
fn corruption_is_detected_in_one_process() {
    let ids = ["5.1", "5.2", "5.5", "5.6", "5.7"];
    run_in_one_process("05-Corruption.feature", &ids);
    run_in_one_process("10-Advanced-Error-Handling.feature", &["10.2"]);
}

#[test]
fn both_sides_agree_in_one_process() {
    run_in_one_process("06-Synchronization.feature", &["6.1", "6.2", "6.4"]);
}

fn basic(id: &str) {
    run_scenario("01-Basic-Communication.feature", id, Hosting::Separate);
    run_scenario("01-Basic-Communication.feature", id, Hosting::Same);
}

fn duplex(id: &str) {
    run_scenario("13-Duplex-Channel.feature", id, Hosting::Separate);
    run_scenario("13-Duplex-Channel.feature", id, Hosting::Same);
}

#[test]
fn scenario_1_1() {
    basic("1.1");
}

#[test]
fn scenario_1_2() {
    basic("1.2");
}

#[test]
fn scenario_1_3() {
    basic("1.3");
}

#[test]
fn scenario_1_4() {
    basic("1.4");
}

#[test]
fn scenario_1_5() {
    basic("1.5");
}

#[test]
fn scenario_1_6() {
    basic("1.6");
}

#[test]
fn scenario_1_7() {
    for _ in 0..5 {
        basic("1.7");
    }
}

#[test]
fn scenario_13_1() {
    duplex("13.1");
}

#[test]
fn scenario_13_2() {
    duplex("13.2");
}

#[test]
fn scenario_13_3() {
    duplex("13.3");
}

#[test]
fn scenario_13_4() {
    duplex("13.4");
}

#[test]
fn scenario_13_6() {
    duplex("13.6");
}

#[test]
fn scenario_13_7() {
    duplex("13.7");
}

#[test]
fn scenario_13_8() {
    duplex("13.8");
}

#[test]
fn scenario_13_10() {
    duplex("13.10");
}

/// Steps up to the one that has to fail, in the process of the first role, or of both.
fn expect_failure(steps: &[(&str, &str)], expected: &str) {
    let _together = ALONE.read().unwrap_or_else(PoisonError::into_inner);
    let run = Run::new();
    let mut server = StepServer::start(&run, &[]);
    let (last, before) = steps.split_last().unwrap();
    for (kind, step) in before {
        server.pass(kind, step);
    }
    let failure = server.fail(last.0, last.1);
    assert!(failure.contains(expected), "{}: {failure}", last.1);
    assert!(server.end().success());
    run.assert_nothing_left();
}

const CREATE: (&str, &str) = (
    "Given",
    "the 'reader' process creates buffer 'b' with metadata size '64' and payload size '10240'",
);
const CONNECT: (&str, &str) = ("When", "the 'writer' process connects to buffer 'b'");

/// Steps on one buffer, the last of which has to fail.
fn expect_buffer_failure(steps: &[(&str, &str)], expected: &str) {
    expect_failure(&[&[CREATE, CONNECT], steps].concat(), expected);
}

#[test]
fn every_check_of_basic_communication_can_fail() {
    let write = |text: &'static str| ("When", text);
    let check = |text: &'static str| ("Then", text);
    expect_buffer_failure(
        &[
            write("writes frame with size '10'"),
            check("should read frame with sequence '2' and size '10'"),
        ],
        "sequence number: expected 2, found 1",
    );
    expect_buffer_failure(
        &[
            write("writes frame with size '10'"),
            check("should read frame with sequence '1' and size '11'"),
        ],
        "expected 11, found 10",
    );
    expect_buffer_failure(
        &[
            write("writes frame with size '10'"),
            check("should read frame with sequence '3';"),
        ],
        "expected 3, found 1",
    );
    expect_buffer_failure(
        &[write("writes frame with sequence '2'")],
        "sequence number of the frame written: expected 2, found 1",
    );
    expect_buffer_failure(
        &[
            write("writes frame with size '10'"),
            write("reads one frame"),
            check("should verify frame data matches test pattern"),
        ],
        "byte 0 of 10: expected 0x01, found 0x00",
    );
    expect_buffer_failure(
        &[
            write("writes frame with size '10'"),
            write("reads one frame"),
            check("signals space available"),
            check("signals space available"),
        ],
        "found none held",
    );
    expect_buffer_failure(
        &[
            write("writes frame with size '10'"),
            write("reads one frame"),
            check("should verify all frames maintain sequential order"),
        ],
        "at least 2 frames",
    );
    expect_buffer_failure(
        &[check("should experience timeout on next write")],
        "expected the write to fail, but it succeeded",
    );
    expect_buffer_failure(
        &[
            write("writes frames until buffer is full"),
            check("should write successfully immediately"),
        ],
        "is full",
    );
    expect_buffer_failure(
        &[
            write("writes frame with size '10'"),
            write("writes frame with size '20'"),
            check("should read 2 frames with sizes '10,21' in order"),
        ],
        "data of frame 2: expected 21 bytes, found 20",
    );
    expect_buffer_failure(
        &[
            write("writes frame with size '10' and sequence '1'"),
            check("should read 1 frames with sizes '10' in order"),
        ],
        "byte 0 of 10",
    );
    expect_buffer_failure(
        &[
            write("writes '10' frames of size '100' as fast as possible"),
            write("reads frames with '0' ms delay between each read"),
            check("should have read '11' frames"),
        ],
        "expected 11, found 10",
    );
    expect_buffer_failure(
        &[
            write("writes '3' frames of size '100' as fast as possible"),
            write("reads frames with '0' ms delay between each read"),
            check("should verify all frames have sequential sequence numbers starting from '2'"),
        ],
        "expected 2, found 1",
    );
    expect_buffer_failure(
        &[check("no sequence errors should have occurred")],
        "found none",
    );
    expect_buffer_failure(
        &[
            write("writes metadata 'abc'"),
            check("should have metadata 'abd'"),
        ],
        "metadata: byte 2 of 3: expected 0x64, found 0x63",
    );
    expect_buffer_failure(
        &[
            write("writes frame with data 'abc'"),
            check("should read frame with data 'abcd'"),
        ],
        "expected 4 bytes, found 3",
    );
}

#[test]
fn metadata_and_text_frames_arrive() {
    let run = Run::new();
    let mut server = StepServer::start(&run, &[]);
    for (kind, step) in [CREATE, CONNECT] {
        server.pass(kind, step);
    }
    server.pass("When", "the 'writer' process writes metadata 'a text'");
    server.pass("Then", "the 'reader' process should have metadata 'a text'");
    server.pass(
        "Given",
        "the 'writer' process writes frame with data 'alive'",
    );
    server.pass(
        "Then",
        "the 'reader' process should read frame with data 'alive'",
    );
    assert!(server.end().success());
    run.assert_nothing_left();
}

#[test]
fn a_client_whose_server_never_attaches_is_not_connected() {
    let run = Run::new();
    let name = format!("c_{}_{}_request", run.host_pid, run.feature_id);
    let config = BufferConfig::new(64, 4096);
    let requests = Reader::create(&BufferName::new(name).unwrap(), &config).unwrap();
    let mut server = StepServer::start(&run, &[]);
    let failure = server.fail(
        "When",
        "the 'client' process creates duplex channel client 'c'",
    );
    assert!(
        failure.contains("expected the server to attach"),
        "{failure}"
    );
    drop(requests);
    assert!(server.end().success());
    run.assert_nothing_left();
}

/// Steps on one channel, whose server has this handler, the last of which has to fail.
fn expect_channel_failure(handler: &str, steps: &[(&str, &str)], expected: &str) {
    const CREATE: &str = "creates immutable duplex channel 'c' with default config";
    const CONNECT: &str = "the 'client' process creates duplex channel client 'c'";
    let before = [("Given", CREATE), ("Given", handler), ("When", CONNECT)];
    expect_failure(&[&before, steps].concat(), expected);
}

#[test]
fn every_check_of_duplex_channels_can_fail() {
    let expect = |steps: &[(&str, &str)], expected: &str| {
        expect_channel_failure("starts echo handler", steps, expected);
    };
    let send = (
        "When",
        "the 'client' process sends '2' requests sequentially",
    );
    let receive = |text: &'static str| ("Then", text);
    expect(
        &[
            ("When", "the 'client' process sends request with size '10'"),
            receive("response should match request with size '11'"),
        ],
        "size of the response: expected 11, found 10",
    );
    expect(
        &[
            send,
            receive("the 'client' process receives exactly '1' responses"),
        ],
        "lost [2]",
    );
    expect(
        &[
            send,
            receive("the 'client' process receives '1' responses in order"),
            receive("no responses should be lost or duplicated"),
        ],
        "lost [2]",
    );
    expect(
        &[
            send,
            receive("the 'client' process receives exactly '2' responses"),
            receive("all '3' responses match their requests"),
        ],
        "expected 3, found 2",
    );
    expect(
        &[
            send,
            ("When", "the 'client' process measures total response time"),
            receive("total time should be at least '5000' ms"),
        ],
        "total time: expected at least 5s",
    );
    expect(
        &[send, receive("total time should be at least '0' ms")],
        "expected a measured time, found none",
    );
    for text in [
        "responses should arrive in order",
        "responses should match requests by content",
    ] {
        expect(&[send, receive(text)], "found none");
    }
    expect(
        &[("Given", "the 'server' process starts echo handler")],
        "but it runs",
    );
}

/// As [`expect_channel_failure`], for many at once: some take the patience of a step.
fn expect_channel_failures(handler: &str, failures: &[(&[(&str, &str)], &str)]) {
    std::thread::scope(|scope| {
        for (steps, expected) in failures {
            scope.spawn(move || expect_channel_failure(handler, steps, expected));
        }
    });
}

const SEND: (&str, &str) = ("When", "sends request");

#[test]
fn every_check_of_waits_for_responses_can_fail() {
    let wait = ("When", "waits for response with timeout '1' second");
    let death = ("Then", "the 'client' process should detect server death");
    let thrown = ("Then", "an appropriate exception should be thrown");
    let dispose = ("Then", "disposes server while '1' response pending");
    let receive = ("When", "receives '1' responses");
    let unread = ("When", "does not read responses");
    let pending = ("When", "attempts to receive pending responses");
    let exception = ("Then", "should receive exception on pending");
    let clean = ("Then", "all shared memory should be cleaned up");
    expect_channel_failures(
        "starts echo handler",
        &[
            (&[SEND, death], "found none"),
            (&[SEND, wait, death], "found no error, 1 responses"),
            (&[wait, death], "found no error, 0 responses"),
            (&[wait, thrown], "responses to be outstanding, found none"),
            (&[SEND, wait, thrown], "expected 0, found 1"),
            (&[SEND, receive, unread], "expected 0, found 1"),
            (&[SEND, pending, exception], "found no error"),
            (&[SEND, receive, exception], "found none"),
            (
                &[SEND, dispose, receive, pending, exception],
                "responses to be outstanding, found none",
            ),
            (&[clean], "_request"),
            (&[SEND, SEND, dispose], "unread responses"),
        ],
    );
}

#[test]
fn every_check_of_blocked_responses_can_fail() {
    let attempts = ("Then", "attempts to send response of '2048' bytes");
    let read = ("When", "reads one response");
    let blocked = ("Then", "should block on response write");
    let unblocked = ("Then", "should unblock and complete write");
    let same = ("Then", "response should contain same test pattern");
    expect_channel_failures(
        "starts handler that doubles request size",
        &[
            (&[SEND, attempts], "expected two requests, found one"),
            (&[SEND, SEND, attempts], "unread responses"),
            (&[SEND, SEND, blocked], "unread responses"),
            (&[SEND, SEND, read, read, unblocked], "unread responses"),
            (&[SEND, same], "expected 1024 bytes, found 2048"),
        ],
    );
    expect_channel_failure("starts echo handler", &[SEND, read], "expected 2048 bytes");
}

#[test]
fn every_check_of_requests_written_in_place_can_fail() {
    let expect = |steps: &[(&str, &str)], expected: &str| {
        expect_channel_failure("starts echo handler", steps, expected);
    };
    let acquire = ("When", "acquires zero-copy request buffer of size '100'");
    let fill = ("When", "fills buffer with test pattern");
    let free = ("Then", "no memory allocations in send path");
    expect(&[fill], "expected a borrowed request");
    expect(
        &[("When", "commits request")],
        "expected a borrowed request",
    );
    expect(&[acquire, SEND], "has borrowed memory");
    expect(&[SEND, free], "found none");
    expect(
        &[
            acquire,
            ("When", "commits request"),
            ("Then", "response should contain same test pattern"),
        ],
        "byte 0 of 100",
    );
}

#[test]
fn every_check_of_transformed_responses_can_fail() {
    let expect = |handler: &str, steps: &[(&str, &str)], expected: &str| {
        expect_channel_failure(handler, steps, expected);
    };
    let xor = "starts handler that implements XOR with key '0xFF'";
    let frame = ("When", "sends '100' byte frame with test pattern");
    let plain = ("When", "sends request with size '100'");
    let transformed = ("Then", "response should contain XOR transformed data");
    let immutable = (
        "Then",
        "the server handler receives immutable request frame",
    );
    let new = ("Then", "the server handler returns new response data");
    expect(
        "starts echo handler",
        &[frame, transformed],
        "byte 0 of 100",
    );
    expect(xor, &[plain, transformed, immutable], "byte 0 of 100");
    let zero = "starts handler that implements XOR with key '0x00'";
    let key = ("Given", zero);
    expect(xor, &[key], "but it runs");
    expect("starts echo handler", &[frame, immutable], "found none");
    expect("starts echo handler", &[frame, new], "found none");
}

#[test]
fn every_check_of_a_servers_endurance_can_fail() {
    let expect = |steps: &[(&str, &str)], expected: &str| {
        expect_channel_failure(
            "starts handler with '0' second processing delay",
            steps,
            expected,
        );
    };
    let receive = ("When", "receives '1' responses");
    let complete = ("Then", "completes processing after '1' second");
    let attempt = ("Then", "attempts to send response");
    let dead = ("Then", "detects client death when writing");
    expect(&[SEND, receive, complete], "expected at least 1s");
    expect(&[attempt], "given a request, found none");
    expect(&[SEND, receive, dead], "found no report");
    expect(
        &[
            SEND,
            receive,
            ("Then", "continues processing other requests"),
        ],
        "expected a client's death to have been reported, found none",
    );
    expect(
        &[(
            "Then",
            "the 'server' process simulates crash during processing",
        )],
        "expected a handler that crashes",
    );
    expect(
        &[
            SEND,
            (
                "Then",
                "the new server should reuse same channel name successfully",
            ),
        ],
        "expected a new request buffer",
    );
}
