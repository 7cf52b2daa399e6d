//! Which executions run, when, and how often.

use crate::project::{Project, Ran};

/// Scenarios 1.1, 1.2, … with one step each.
fn scenarios(project: &Project, steps: &[(&str, &str)]) {
    let mut text = "Feature: F\n".to_owned();
    for (index, (tag, step)) in steps.iter().enumerate() {
        let number = index + 1;
        text.push_str(&format!("{tag}\nScenario: 1.{number} - S\nGiven {step}\n"));
    }
    project.write("features/01-Fixture.feature", &text);
}

/// The ids of the executions, in the order in which they ended.
fn order(ran: &Ran) -> Vec<String> {
    let ended = ran
        .out
        .lines()
        .filter(|line| line.starts_with("✓ passed  "));
    let id = |line: &str| line.split_whitespace().nth(2).unwrap().to_owned();
    ended.map(id).collect()
}

#[test]
fn executions_run_side_by_side() {
    let project = Project::new();
    let meets = ("", "the 'a' process meets '2' others");
    scenarios(&project, &[meets, meets, meets]);
    let ran = project.run(&["run", "-j", "3", "honest"]);
    ran.assert(0, "3 passed");
    let project = Project::new();
    scenarios(&project, &[meets, meets, meets]);
    project.limit("step", 2.0);
    let ran = project.run(&["run", "-j", "2", "honest"]);
    ran.assert(1, "3 timed out");
}

#[test]
fn the_configuration_may_say_how_many_run() {
    for (jobs, limit, says) in [
        (&[][..], 30.0, "passed 2 of 2 times"),
        (&["-j", "1"], 2.0, "passed 0 of 2 times"),
    ] {
        let project = Project::new();
        scenarios(&project, &[("", "the 'a' process meets '1' other")]);
        project.limit("step", limit);
        let text = std::fs::read_to_string(project.path("harmony.toml")).unwrap();
        project.write("harmony.toml", &format!("jobs = 2\n{text}"));
        let ran = project.run(&[&["run", "--repeat", "2", "honest"], jobs].concat());
        assert!(ran.out.contains(says), "{}", ran.text());
    }
}

#[test]
fn exclusive_ones_run_alone() {
    let project = Project::new();
    let alone = ("@exclusive", "the 'a' process is alone");
    let meets = ("", "the 'a' process meets '1' other");
    scenarios(&project, &[alone, meets, alone, meets]);
    let ran = project.run(&["run", "-j", "4", "honest"]);
    ran.assert(0, "4 passed");
    assert_eq!(order(&ran)[2..], ["1.1", "1.3"], "{}", ran.text());
    let matrix = "1.1    ✓\n1.2    ✓\n1.3    ✓\n1.4    ✓\n";
    ran.assert(0, matrix);
}

#[test]
fn a_failed_repetition_is_told_with_its_number() {
    let project = Project::new();
    let ran = project.run(&["run", "--repeat", "3", "-j", "1", "fails-once_honest"]);
    ran.assert(1, ", repetition 1 of 3)\n");
    ran.assert(1, "1.1 fails-once_honest: failed (repetition 1 of 3)");
    ran.assert(1, "(passed 2 of 3 times, ");
    ran.assert(
        1,
        "again:    harmony run -v --repeat 3 fails-once_honest 1.1",
    );
    let last = ran.out.lines().last().unwrap();
    assert!(last.starts_with("1 failed in "), "{last}");
    assert!(last.ends_with(", each run 3 times"), "{last}");
    let run = std::fs::read_dir(project.path("out/runs")).unwrap().next();
    let folder = run.unwrap().unwrap().path();
    for number in 1..=3 {
        let logs = folder.join(format!("1.1-fails-once_honest-{number}"));
        assert!(logs.is_dir(), "{}", logs.display());
    }
}

#[test]
fn an_order_comes_again_with_its_seed() {
    let project = Project::new();
    let ready = ("", "the 'a' process is ready");
    scenarios(&project, &[ready; 8]);
    let in_order = |shuffle: &[&str]| {
        let ran = project.run(&[&["run", "honest", "-j", "1"], shuffle].concat());
        ran.assert(0, "8 passed");
        (order(&ran), ran)
    };
    let (plain, _) = in_order(&[]);
    assert_eq!(plain[..2], ["1.1", "1.2"]);
    let (first, ran) = in_order(&["--shuffle"]);
    let said = ran.out.lines().next().unwrap();
    let seed = said.strip_prefix("order: ").unwrap();
    ran.assert(0, &format!(" s, in the order of {seed}\n"));
    let (second, _) = in_order(&[seed]);
    assert_eq!(first, second);
    let (other, _) = in_order(&["--shuffle=1"]);
    assert_ne!(other, plain);
}

#[test]
fn what_runs_side_by_side_is_told_apart() {
    let project = Project::new();
    let meets = ("", "the 'a' process meets '1' other");
    scenarios(&project, &[meets, meets]);
    let ran = project.run(&["run", "-v", "-j", "2", "honest"]);
    ran.assert(0, "2 passed");
    let lines: Vec<&str> = ran.out.lines().collect();
    for id in ["1.1", "1.2"] {
        let head = format!("{id} honest S");
        let first = lines.iter().position(|line| *line == head).unwrap();
        assert!(
            lines[first + 1].starts_with("  started the a"),
            "{}",
            ran.text()
        );
        assert!(lines[first + 2].starts_with("  ✓ Given"), "{}", ran.text());
        let last = format!("✓ passed          {id} ");
        assert!(lines[first + 3].starts_with(&last), "{}", ran.text());
    }
}
