//! Set-up commands run when they have to, and only then.

use std::io::{BufRead, BufReader};
use std::process::Child;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::project::Project;

const SCRIPT: &str = "\
#!/bin/sh
echo run >> count
echo working on it
cat > server <<END
#!/bin/sh
exec python3 FIXTURE honest
END
chmod +x server
";

fn project() -> Project {
    let project = Project::new();
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/step_server.py");
    project.write("make.sh", &SCRIPT.replace("FIXTURE", fixture));
    project.configure(
        "[platforms.made]\ncommand = [\"./server\"]\n\
         [platforms.made.setup]\ncommand = [\"sh\", \"make.sh\"]\ninputs = [\"make.sh\"]\nproduct = \"./server\"\n",
    );
    project
}

fn count(project: &Project) -> usize {
    let text = std::fs::read_to_string(project.path("count")).unwrap_or_default();
    text.lines().count()
}

#[test]
fn it_runs_when_something_changed() {
    let project = project();
    project.run(&["run", "honest"]).assert(0, "1 passed");
    assert_eq!(count(&project), 0, "nobody needs it");
    let first = project.run(&["run", "made"]);
    first.assert(0, "setting up made");
    assert!(!first.text().contains("working on it"), "{}", first.text());
    let second = project.run(&["run", "made"]);
    second.assert(0, "1 passed");
    assert!(!second.text().contains("setting up"), "{}", second.text());
    assert_eq!(count(&project), 1);
    std::fs::remove_file(project.path("server")).unwrap();
    project
        .run(&["run", "-v", "made"])
        .assert(0, "| working on it");
    assert_eq!(count(&project), 2);
    let script = std::fs::read_to_string(project.path("make.sh")).unwrap();
    project.write("make.sh", &format!("{script}# changed\n"));
    project.run(&["run", "made"]).assert(0, "1 passed");
    assert_eq!(count(&project), 3);
}

/// Begins a run, which says this first.
fn begin(project: &Project, says: &str) -> Child {
    let mut child = project.command(&["run", "made"]).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, says);
    child
}

#[test]
fn two_runs_take_turns() {
    let project = project();
    let script = std::fs::read_to_string(project.path("make.sh")).unwrap();
    let waits = "while ! test -e go; do sleep 0.02; done\n";
    project.write("make.sh", &format!("{script}{waits}"));
    let first = begin(&project, "setting up made …\n");
    let second = begin(
        &project,
        "another run is setting up made; waiting for it …\n",
    );
    project.write("go", "");
    for child in [first, second] {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!(count(&project), 1);
}

#[test]
fn a_failure_is_shown_with_its_output() {
    let project = project();
    project.write(
        "make.sh",
        "echo step one\necho no compiler here >&2\nexit 9\n",
    );
    let ran = project.run(&["run", "made_honest", "1.1"]);
    ran.assert(3, "`sh make.sh` exited with code 9");
    ran.assert(3, "no compiler here");
    project.write("make.sh", "exit 9\n");
    let ran = project.run(&["run", "made"]);
    ran.assert(3, "exited with code 9\n            all of its output: ");
    project.write("make.sh", "exit 0\n");
    let ran = project.run(&["run", "made"]);
    ran.assert(3, "`sh make.sh` succeeded but did not make");
}

/// Makes the server where there is a file `go`; waits for it elsewhere, and longer than it is asked to.
/// No program is being started when the signal comes: some shells lose it then.
const STUBBORN: &str = "\
finish() { echo told > told; while ! test -e go; do sleep 0.02; done; exit 1; }
trap finish TERM
if ! test -e go; then sleep 600 & : > pids/setup-$$; wait; fi
";

#[test]
fn a_run_that_is_given_up_keeps_the_lock_until_its_command_has_ended() {
    let project = project();
    let script = std::fs::read_to_string(project.path("make.sh")).unwrap();
    project.write("make.sh", &format!("{STUBBORN}{script}"));
    let first = begin(&project, "setting up made …\n");
    project.wait_for("setup");
    kill(Pid::from_raw(first.id() as i32), Signal::SIGINT).unwrap();
    project.wait_until(|| project.path("told").exists());
    let second = begin(
        &project,
        "another run is setting up made; waiting for it …\n",
    );
    project.write("go", "");
    let output = second.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let ran = project.ended(first.wait_with_output().unwrap(), Duration::ZERO);
    ran.assert(130, "1 not run");
}

#[test]
fn a_setup_that_takes_too_long_is_asked_to_end() {
    let project = project();
    project.write("make.sh", STUBBORN);
    project.limit("setup", 1.0);
    project.limit("shutdown", 1.0);
    let ran = project.run(&["run", "made"]);
    ran.assert(3, "`sh make.sh` did not end within 1 s");
    assert!(project.path("told").exists(), "{}", ran.text());
}
