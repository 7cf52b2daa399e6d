//! Executions are kept apart from the machine, and what they leave in their sandboxes is found.

use std::fs;
use std::process::{Command, Stdio};

use crate::project::Project;

/// Namespaces for whoever may not mount anything himself.
const USER: [&str; 3] = ["--user", "--map-root-user", "--mount"];

/// Whether the system lets processes of this user be in namespaces like these.
fn unshares(namespaces: &[&str]) -> bool {
    let mut command = Command::new("unshare");
    command.args(namespaces).arg("true").stderr(Stdio::null());
    command.status().unwrap().success()
}

/// Whether the system lets the runner make sandboxes, which is not for the runner to say.
pub fn is_possible() -> bool {
    let possible = unshares(&["--mount"]) || unshares(&USER);
    if !possible {
        eprintln!("not tested, because no sandbox can be made here");
    }
    possible
}

/// One scenario whose only step looks into `/dev/shm`.
fn sees(project: &Project, tag: &str, what: &str) {
    let step = format!("Given the 'a' process sees {what}");
    let text = format!("Feature: F\n{tag}\nScenario: 1.1 - S\n{step}\n");
    project.write("features/01-Fixture.feature", &text);
}

/// What the fixture `leaks-anything` leaves.
fn leaks_of(project: &Project) -> [String; 2] {
    let folder = project.path("pids").parent().unwrap().to_owned();
    let name = folder.file_name().unwrap().to_string_lossy().into_owned();
    [
        format!("/dev/shm/zbt-{name}"),
        format!("/tmp/zerobuffer/zbt-{name}.lock"),
    ]
}

#[test]
fn each_execution_has_its_own_shared_memory() {
    let project = Project::new();
    if !is_possible() {
        return;
    }
    let outside = tempfile::NamedTempFile::new_in("/dev/shm").unwrap();
    sees(&project, "@shm-size(24)", "'' in '24' MiB");
    project.run(&["run", "honest"]).assert(0, "1 passed");
    project.configure("[sandbox]\nshm-size = 40\n");
    sees(&project, "", "'' in '40' MiB");
    project.run(&["run", "honest"]).assert(0, "1 passed");
    let ran = project.run(&["run", "--no-sandbox", "honest"]);
    ran.assert(1, "expected '' in '40' MiB, got '");
    let name = outside.path().file_name().unwrap();
    ran.assert(1, &name.to_string_lossy());
}

#[test]
fn anything_left_in_a_sandbox_is_a_leak() {
    let project = Project::new();
    if !is_possible() {
        return;
    }
    let ran = project.run(&["run", "leaks-anything_honest"]);
    ran.assert(1, "1 leaked");
    let [memory, lock] = leaks_of(&project);
    ran.assert(1, &format!("left behind: {memory}, {lock}"));
}

#[test]
fn a_leak_is_seen_though_the_holder_has_died() {
    let project = Project::new();
    if !is_possible() {
        return;
    }
    let ran = project.run(&["run", "-j", "1", "ends-its-holder_honest"]);
    let [memory, lock] = leaks_of(&project);
    ran.assert(1, &format!("left behind: {memory}, {lock}"));
    ran.assert(
        1,
        "warning: the holder of the sandbox was killed by SIGKILL",
    );
}

#[test]
fn a_process_that_left_its_group_does_not_stay() {
    let project = Project::new();
    if !is_possible() {
        return;
    }
    let ran = project.run(&["run", "escapes_honest"]);
    ran.assert(
        1,
        "1 process(es) outside of the step servers' groups were left behind",
    );
}

#[test]
fn without_a_sandbox_names_tell_what_is_a_leak() {
    let project = Project::new();
    for (combination, code, says) in [
        ("leaks_honest", 1, "left behind: /dev/shm/zbt-leaks_"),
        ("leaks-as-known_honest", 0, "1 passed"),
        ("exits-with-leftovers_honest", 1, "1 crashed"),
    ] {
        let ran = project.run(&["run", "--no-sandbox", combination]);
        ran.assert(code, says);
    }
}

#[test]
fn a_user_namespace_does_where_mounting_is_not_allowed() {
    let project = Project::new();
    if !unshares(&USER) {
        eprintln!("not tested, because no user namespace can be made here");
        return;
    }
    let how: &[&str] = match nix::unistd::geteuid().is_root() {
        true => &["setpriv", "--bounding-set", "-sys_admin"],
        false => &["env"],
    };
    let ran = project.run_by(how, &["run", "leaks-anything_honest"]);
    let [memory, _] = leaks_of(&project);
    ran.assert(1, &format!("left behind: {memory}, "));
}

#[test]
fn a_run_without_any_sandbox_says_so_once() {
    let project = Project::new();
    if !unshares(&["--map-root-user"]) {
        eprintln!("not tested, because no user namespace can be made here");
        return;
    }
    let no_namespaces = "echo 0 >/proc/sys/user/max_mnt_namespaces && exec \"$@\"";
    let how = ["unshare", "--map-root-user", "sh", "-c", no_namespaces, "-"];
    let ran = project.run_by(&how, &["run", "leaks-anything_honest"]);
    for left in leaks_of(&project) {
        fs::remove_file(left).unwrap();
    }
    ran.assert(0, "1 passed");
    let warning = "executions share /dev/shm and /tmp/zerobuffer with everybody";
    assert_eq!(ran.out.matches(warning).count(), 1, "{}", ran.text());
}
