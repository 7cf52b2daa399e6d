//! Executions are kept apart from the machine, and what they leave in their sandboxes is found.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::project::Project;

/// One scenario whose only step looks into `/dev/shm`.
fn sees(project: &Project, tag: &str, what: &str) {
    let step = format!("Given the 'a' process sees {what}");
    let text = format!("Feature: F\n{tag}\nScenario: 1.1 - S\n{step}\n");
    project.write("features/01-Fixture.feature", &text);
}

#[test]
fn each_execution_has_its_own_shared_memory() {
    let project = Project::new();
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
    let ran = project.run(&["run", "leaks-anything_honest"]);
    ran.assert(1, "1 leaked");
    ran.assert(
        1,
        "left behind: /dev/shm/zbt-anything, /tmp/zerobuffer/zbt-anything.lock",
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

/// The runner, started by way of a shell command that takes rights away from it.
fn restricted(project: &Project, how: &[&str]) -> crate::project::Ran {
    let runner = project.command(&["run", "leaks-anything_honest"]);
    let mut command = Command::new(how[0]);
    command
        .args(&how[1..])
        .arg(runner.get_program())
        .args(runner.get_args())
        .current_dir(project.path("."));
    for (name, value) in runner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    project.ended(command.output().unwrap(), Duration::ZERO)
}

#[test]
fn a_user_namespace_does_where_mounting_is_not_allowed() {
    let project = Project::new();
    let how: &[&str] = match nix::unistd::geteuid().is_root() {
        true => &["setpriv", "--bounding-set", "-sys_admin"],
        false => &["env"],
    };
    let ran = restricted(&project, how);
    ran.assert(1, "left behind: /dev/shm/zbt-anything, ");
}

#[test]
fn a_run_without_any_sandbox_says_so_once() {
    let project = Project::new();
    let no_namespaces = "echo 0 >/proc/sys/user/max_mnt_namespaces && exec \"$@\"";
    let how = ["unshare", "--map-root-user", "sh", "-c", no_namespaces, "-"];
    let ran = restricted(&project, &how);
    for left in ["/dev/shm/zbt-anything", "/tmp/zerobuffer/zbt-anything.lock"] {
        fs::remove_file(left).unwrap();
    }
    ran.assert(0, "1 passed");
    let warning = "executions share /dev/shm and /tmp/zerobuffer with everybody";
    assert_eq!(ran.out.matches(warning).count(), 1, "{}", ran.text());
}
