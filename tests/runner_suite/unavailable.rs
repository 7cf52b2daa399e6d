//! Platforms that are not there.

use crate::project::Project;

#[test]
fn a_run_does_without_what_may_be_missing_and_says_so() {
    for asked in [&["all"][..], &["*_*"], &[]] {
        let project = Project::new();
        project.only(&["honest", "optional"]);
        let reports = ["--json", "out.json", "--junit", "out.xml"];
        let ran = project.run(&[&["run"], asked, &reports].concat());
        ran.assert(0, "1 passed, 3 unavailable in ");
        let why = "optional: the variable NO_SUCH_VARIABLE is not set";
        let line = format!("\nunavailable: {why}; combinations with it are left out\n");
        ran.assert(0, &line);
        assert_eq!(ran.out.matches(why).count(), 1, "told once: {}", ran.text());
        let json = project.json("out.json");
        assert_eq!(json["complete"], true);
        assert_eq!(json["counts"]["unavailable"], 3);
        let junit = std::fs::read_to_string(project.path("out.xml")).unwrap();
        assert!(
            junit.matches(" type=\"unavailable\"").count() == 3,
            "{junit}"
        );
    }
}

#[test]
fn repetitions_and_rounds_leave_it_out_once() {
    for manner in [
        &["--repeat", "3"][..],
        &["--repeat", "3", "--until-failure"],
    ] {
        let project = Project::new();
        project.only(&["honest", "optional"]);
        let json = ["--json", "out.json"];
        let ran = project.run(&[&["run"], manner, &json].concat());
        ran.assert(0, "1 passed, 3 unavailable in ");
        let json = project.json("out.json");
        assert_eq!(
            (&json["counts"]["passed"], &json["counts"]["unavailable"]),
            (&3.into(), &3.into())
        );
        let executions = json["executions"].as_array().unwrap();
        let mut numbers: Vec<_> = executions
            .iter()
            .map(|e| e["execution"].as_u64().unwrap())
            .collect();
        numbers.sort();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5]);
    }
}

#[test]
fn what_is_named_has_to_be_there() {
    let project = Project::new();
    project.only(&["honest", "optional", "missing"]);
    for (asked, says) in [
        (
            "optional",
            "the platform optional is not available: the variable NO_SUCH_VARIABLE",
        ),
        ("optional_*", "the platform optional is not available: "),
        ("missing_honest", "the platform missing is not available: "),
    ] {
        project.run(&["run", asked]).assert(3, says);
    }
}

#[test]
fn what_must_be_there_is_missed() {
    let project = Project::new();
    project.only(&["honest", "missing"]);
    let ran = project.run(&["run", "all"]);
    ran.assert(3, "1 passed, 3 setup error in ");
    ran.assert(3, "no-such-program does not exist");
}
