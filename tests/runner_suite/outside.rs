//! Platforms whose step server somebody else has started: `url` in the configuration.

use std::net::TcpListener;
use std::path::Path;

use nix::sys::signal::Signal;

use crate::listener::Listener;
use crate::project::Project;
use crate::sandbox::is_possible;

const STEPS: [&str; 4] = [
    "Given the 'reader' process creates buffer 'b' with metadata size '64' and payload size '10240'",
    "When the 'writer' process connects to buffer 'b'",
    "And the 'writer' process writes frame with sequence '1'",
    "Then the 'reader' process reads frames with '3600000' ms delay between each read",
];
const STUCK: &str = "step: Then the 'reader' process reads frames";

/// A project with this crate's step server as two platforms: one that the runner starts, and one
/// that it finds at `url`.
fn project(url: &str) -> Project {
    let project = Project::new();
    let program = env!("CARGO_BIN_EXE_zerobuffer-serve");
    let features = Path::new(env!("CARGO_MANIFEST_DIR")).join("features");
    project.write(
        "harmony.toml",
        &format!(
            "features = \"{}\"\noutput = \"out\"\n\
             [limits]\nstep = 30\nstart = 30\n\
             [platforms.rust]\ncommand = [\"{program}\"]\n\
             [platforms.url]\nurl = \"{url}\"\n",
            features.display()
        ),
    );
    project
}

#[test]
fn its_roles_are_played_over_connections() {
    let server = Listener::start();
    let project = project(&server.url());
    let ran = project.run(&["run", "-v", "url_url", "rust_url", "url_rust", "1.1,13.1"]);
    ran.assert(0, "6 passed");
    ran.assert(0, &format!("the writer (url, {})", server.url()));
    let warning = "executions with url share /dev/shm and /tmp/zerobuffer with everybody";
    assert_eq!(ran.out.matches(warning).count(), 1, "{}", ran.text());
    let ran = project.run(&["run", "rust", "1.1"]);
    ran.assert(0, "1 passed");
    if is_possible() {
        assert!(!ran.out.contains("with everybody"), "{}", ran.text());
    }
}

#[test]
fn a_new_process_is_a_new_connection() {
    let server = Listener::start();
    let project = project(&server.url());
    project.steps(&[
        "Given the 'server' process creates immutable duplex channel 'c'",
        "When a new 'server' process creates immutable duplex channel 'c'",
        "And the 'server' process is shutdown",
    ]);
    let ran = project.run(&["run", "url", "--features", "features"]);
    ran.assert(0, "1 passed");
    // Beside that of the preflight.
    assert_eq!(server.records().matches(": connected").count(), 3);
}

#[test]
fn its_executions_come_one_after_another() {
    let server = Listener::start();
    let project = project(&server.url());
    project.steps(&[STEPS[0], "And wait for '0.3' seconds"]);
    let ran = project.run(&[
        "run",
        "url",
        "--features",
        "features",
        "-j",
        "4",
        "--repeat",
        "4",
    ]);
    ran.assert(0, "passed 4 of 4 times");
    let (mut open, mut most) = (0, 0);
    for line in server.records().lines() {
        open += i32::from(line.contains(": connected"));
        open -= i32::from(line.contains(": disconnected"));
        most = most.max(open);
    }
    // One may begin while the server is still taking leave of the one before it.
    assert!(most <= 2, "{}", server.records());
}

#[test]
fn what_it_cannot_play_is_unsupported() {
    let server = Listener::start();
    let project = project(&server.url());
    let ran = project.run(&["run", "url_rust", "rust_url", "10.3"]);
    ran.assert(0, "1 passed, 1 unsupported");
    ran.assert(
        0,
        "only a process that the runner has started can be killed, and the reader is the one at ws://",
    );
    let ran = project.run(&["check", "url", "4.10", "13.5"]);
    ran.assert(0, "it needs separate processes (@separate-processes)");
    ran.assert(0, "its server dies by itself, and the process at ws://");
}

#[test]
fn it_is_listed_and_examined_like_others() {
    let server = Listener::start();
    let project = project(&server.url());
    project
        .run(&["doctor", "url"])
        .assert(0, "url: well, keeps 8 promises");
    project
        .run(&["list", "1.1"])
        .assert(0, "rust_rust rust_url url_rust url_url");
    project.run(&["check", "url", "1.1"]).assert(0, "can run");
}

#[test]
fn where_nobody_listens_it_says_what_to_start() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let project = project(&format!("ws://{address}/"));
    let expected = format!(
        "there is no step server at ws://{address}/: Connection refused (os error 111); start one \
         there, for example `zerobuffer-serve --listen {address}`"
    );
    let ran = project.run(&["run", "rust_url", "1.1"]);
    ran.assert(3, "1 setup error");
    ran.assert(3, &expected);
    project.run(&["doctor", "url"]).assert(3, &expected);
}

#[test]
fn one_that_does_not_speak_the_protocol_is_no_step_server() {
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let project = project(&format!("ws://{}", deaf.local_addr().unwrap()));
    project.limit("start", 0.5);
    let ran = project.run(&["run", "url", "1.1"]);
    ran.assert(3, "no answer within 0.5 s; start one there");
}

/// Starts a run whose last step hangs at the server, and waits until it does.
fn stuck_at(server: &Listener, project: &Project) -> std::process::Child {
    project.steps(&STEPS);
    let mut command = project.command(&["run", "url_rust", "--features", "features"]);
    let running = command.spawn().unwrap();
    server.await_record(STUCK);
    running
}

#[test]
fn a_server_that_goes_in_the_middle_of_a_step_has_crashed() {
    let mut server = Listener::start();
    let project = project(&server.url());
    let running = stuck_at(&server, &project);
    // It leaves what it holds, which the end of the run removes.
    server.end_by(Signal::SIGKILL);
    let output = running.wait_with_output().unwrap();
    let ran = project.ended(output, std::time::Duration::ZERO);
    ran.assert(1, "1 crashed");
    let lost = format!("the reader (url, {}) ended the connection", server.url());
    ran.assert(1, &lost);
}

#[test]
fn a_server_that_hangs_is_left() {
    let mut server = Listener::start();
    let project = project(&server.url());
    project.limit("step", 3.0);
    let running = stuck_at(&server, &project);
    server.signal(Signal::SIGSTOP);
    let output = running.wait_with_output().unwrap();
    server.signal(Signal::SIGCONT);
    let ran = project.ended(output, std::time::Duration::ZERO);
    ran.assert(1, "1 timed out");
    ran.assert(1, "no answer to `executeStep` within 3 s");
    // What it told with its earlier answers is shown, as the last lines of others are.
    ran.assert(1, "step: Given the 'reader' process creates buffer 'b'");
    server.await_record("disconnected");
    assert_eq!(server.end_by(Signal::SIGTERM).code(), Some(143));
}
