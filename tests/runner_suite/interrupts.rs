//! SIGINT and SIGTERM end a run, and nothing is left.

use std::io::{BufRead, BufReader, Read};
use std::process::Child;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::project::Project;

fn send(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id() as i32), signal).unwrap();
}

#[test]
fn a_signal_ends_the_run_in_order() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let project = Project::new();
        let command = &["run", "never-answers_honest", "never-answers"];
        let child = project.command(command).spawn().unwrap();
        project.wait_for("hangs");
        send(&child, signal);
        let began = Instant::now();
        let ran = project.ended(child.wait_with_output().unwrap(), began.elapsed());
        ran.assert(130, "interrupted: this report is not of a whole run");
        ran.assert(130, "2 interrupted");
        ran.assert(130, "the run was interrupted");
        let seconds = ran.took.as_secs_f64();
        assert!(seconds < 10.0, "not by a limit: {seconds} s");
    }
}

#[test]
fn a_signal_ends_all_that_run() {
    for sandbox in [&["--repeat", "3"][..], &["--repeat", "3", "--no-sandbox"]] {
        let project = Project::new();
        let arguments = [&["run", "-j", "3", "never-answers_honest"], sandbox].concat();
        let child = project.command(&arguments).spawn().unwrap();
        project.wait_for_all("hangs", 3);
        send(&child, Signal::SIGINT);
        let began = Instant::now();
        let ran = project.ended(child.wait_with_output().unwrap(), began.elapsed());
        ran.assert(130, "1 interrupted");
        assert_eq!(ran.out.matches("(repetition ").count(), 3, "{}", ran.text());
        let seconds = ran.took.as_secs_f64();
        assert!(seconds < 10.0, "not by a limit: {seconds} s");
    }
}

#[test]
fn a_signal_ends_the_preflight() {
    let project = Project::new();
    let child = project.command(&["run", "never-starts"]).spawn().unwrap();
    project.wait_for("hangs");
    send(&child, Signal::SIGINT);
    let ran = project.ended(child.wait_with_output().unwrap(), Duration::ZERO);
    ran.assert(130, "1 not run");
}

#[test]
fn a_signal_ends_round_after_round() {
    let project = Project::new();
    let arguments = ["run", "--until-failure", "honest"];
    let child = project.command(&arguments).spawn().unwrap();
    // One for the preflight, two for each round.
    project.wait_for_all("server", 6);
    send(&child, Signal::SIGINT);
    let ran = project.ended(child.wait_with_output().unwrap(), Duration::ZERO);
    ran.assert(130, "\nround 2\n");
    ran.assert(130, "interrupted: this report is not of a whole run");
    ran.assert(130, " rounds\n");
}

#[test]
fn a_check_that_is_interrupted_judges_nothing() {
    let project = Project::new();
    let child = project.command(&["check", "never-starts"]).spawn().unwrap();
    project.wait_for("hangs");
    send(&child, Signal::SIGINT);
    let ran = project.ended(child.wait_with_output().unwrap(), Duration::ZERO);
    assert_eq!((ran.code, ran.out.as_str()), (130, ""), "{}", ran.text());
}

#[test]
fn a_setup_is_asked_to_end() {
    let project = Project::new();
    // No program is being started when the signal comes: some shells lose it then.
    project.write(
        "make.sh",
        "trap 'echo told > told; exit 1' TERM\nsleep 600 &\n: > pids/setup-$$\nwait\n",
    );
    project.configure(
        "[platforms.made]\ncommand = [\"./server\"]\n\
         [platforms.made.setup]\ncommand = [\"sh\", \"make.sh\"]\nproduct = \"./server\"\n",
    );
    let child = project.command(&["run", "made"]).spawn().unwrap();
    project.wait_for("setup");
    send(&child, Signal::SIGINT);
    let ran = project.ended(child.wait_with_output().unwrap(), Duration::ZERO);
    ran.assert(130, "1 not run");
    assert!(project.path("told").exists(), "{}", ran.text());
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let project = Project::new();
    project.limit("shutdown", 60.0);
    let mut child = project
        .command(&["run", "--no-sandbox", "ignores-term_honest"])
        .spawn()
        .unwrap();
    project.wait_for("hangs");
    let began = Instant::now();
    send(&child, Signal::SIGINT);
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    errors.read_line(&mut line).unwrap();
    assert!(line.contains("once more to end at once"), "{line}");
    send(&child, Signal::SIGINT);
    let status = child.wait().unwrap();
    errors.read_to_string(&mut line).unwrap();
    assert_eq!(status.code(), Some(130), "{line}");
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    project.assert_no_file_left(&line);
    gone(&project);
}

#[test]
fn a_signal_counts_when_nobody_reads_any_more() {
    let project = Project::new();
    let mut child = project
        .command(&["run", "never-answers_honest"])
        .spawn()
        .unwrap();
    project.wait_for("hangs");
    drop((child.stdout.take(), child.stderr.take()));
    send(&child, Signal::SIGINT);
    let began = Instant::now();
    let ran = project.ended(child.wait_with_output().unwrap(), began.elapsed());
    assert_eq!(ran.code, 130);
    let seconds = ran.took.as_secs_f64();
    assert!(seconds < 10.0, "not by a limit: {seconds} s");
}

#[test]
fn a_killed_runner_leaves_no_step_server() {
    let project = Project::new();
    let mut child = project
        .command(&["run", "never-answers_honest"])
        .spawn()
        .unwrap();
    project.wait_for("hangs");
    send(&child, Signal::SIGKILL);
    child.wait().unwrap();
    gone(&project);
}

/// Waits until nothing that the runner started runs any more; what nobody has reaped yet does not.
pub fn gone(project: &Project) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let left = project.processes();
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "left over: {left:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
