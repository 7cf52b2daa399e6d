//! What is different from a run before.

use crate::project::Project;

const WORSE: &str = "  worse:  1.1 fails-once: failed (passed before): time number 2\n";
const LOST: &str = "  lost:   1.6 fails-once: skipped (passed before): for Windows only\n";

/// Two runs of different scenarios, of which the second is compared with the first.
fn compared(project: &Project, baseline: &[&str], more: &[&str]) -> crate::project::Ran {
    let text = |scenarios: &[&str]| format!("Feature: F\n{}\n", scenarios.join("\n"));
    let scenario =
        |number: u32, step: &str| format!("Scenario: 1.{number} - S\nGiven the 'a' process {step}");
    let [worse, better] = [scenario(1, "survives '1' times"), scenario(2, "works")];
    let [quick, slow] = ["is ready", "dawdles"].map(|step| scenario(3, step));
    let [gone, new] = [4, 5].map(|number| scenario(number, "is ready"));
    let there = scenario(6, "is ready");
    let lost = format!("@windows\n{there}");
    let file = "features/01-Fixture.feature";
    project.write(file, &text(&[&worse, &better, &quick, &gone, &there]));
    let first = ["run", "-j", "1", "fails-once", "--json", "first.json"];
    project.run(&first).assert(1, "4 passed, 1 failed in ");
    let first = project.latest_run();
    project.write(file, &text(&[&worse, &better, &slow, &new, &lost]));
    let baseline: Vec<_> = baseline
        .iter()
        .map(|word| word.replace("FIRST", &first))
        .collect();
    let baseline: Vec<_> = baseline.iter().map(String::as_str).collect();
    let second = ["run", "-j", "1", "fails-once", "--json", "out.json"];
    project.run(&[&second[..], &baseline, more].concat())
}

#[test]
fn every_difference_is_told() {
    let project = Project::new();
    let ran = compared(&project, &["--baseline", "FIRST"], &["--slower", "1.1"]);
    ran.assert(1, WORSE);
    ran.assert(1, LOST);
    ran.assert(1, "  better: 1.2 fails-once: passed (failed before)\n");
    ran.assert(1, "  slower: 1.3 fails-once: ");
    ran.assert(1, "  new:    1.5 fails-once\n");
    ran.assert(1, "  gone:   1.4 fails-once\n");
    let parts = [
        "\n✓ passed   F failed",
        "\ncompared with ",
        "3 passed, 1 failed, 1 skipped in ",
    ];
    let [matrix, compared, counts] = parts.map(|part| ran.out.find(part).unwrap());
    assert!(matrix < compared && compared < counts, "{}", ran.text());
    let comparison = &project.json("out.json")["comparison"];
    assert_eq!(comparison["worse"][0]["id"], "1.1");
    assert_eq!(comparison["worse"][0]["before"]["outcome"], "passed");
    assert_eq!(comparison["worse"][0]["now"]["outcome"], "failed");
    assert_eq!(comparison["lost"][0]["id"], "1.6");
    assert_eq!(comparison["gone"][0]["now"], serde_json::Value::Null);

    let first = comparison["baseline"].as_str().unwrap();
    let folder = format!("out/runs/{first}");
    let log = format!("{folder}/events.ndjson");
    for baseline in [first, &folder, &log, "first.json"] {
        let arguments = ["report", "--slower", "1.1", "--baseline", baseline];
        let again = project.run(&arguments);
        assert_eq!((again.code, &again.out), (1, &ran.out), "{baseline}");
    }
}

#[test]
fn a_run_that_was_is_compared_as_well() {
    let project = Project::new();
    let ran = compared(&project, &[], &[]);
    assert!(!ran.out.contains("compared with"), "{}", ran.text());
    let second = project.latest_run();
    project
        .run(&["report"])
        .assert(0, "1 failed, 1 skipped in ");
    let against = ["--baseline", "first.json"];
    let ran = project.run(&[&["report"][..], &against].concat());
    ran.assert(1, WORSE);
    let ran = project.run(&[&["report", "--json", "again.json"][..], &against].concat());
    assert!(ran.err.contains(WORSE), "{}", ran.text());
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    let comparison = &project.json("again.json")["comparison"];
    assert_eq!(comparison["better"][0]["id"], "1.2");
    let ran = project.run(&[&["merge", &second, "-o", "whole"][..], &against].concat());
    ran.assert(1, WORSE);
    project.run(&["report", "whole"]).assert(0, WORSE);
    let itself = ["report", &second, "--baseline", &second];
    project
        .run(&itself)
        .assert(0, "nothing is worse, lost, better, slower, new or gone\n");
}

#[test]
fn what_is_lost_leaves_a_run_green() {
    let project = Project::new();
    let scenario = "Scenario: 1.1 - S\nGiven the 'a' process is ready\n";
    let file = "features/01-Fixture.feature";
    project.write(file, &format!("Feature: F\n{scenario}"));
    project.run(&["run", "honest"]).assert(0, "1 passed");
    let first = project.latest_run();
    project.write(file, &format!("Feature: F\n@windows\n{scenario}"));
    let against = ["--baseline", &first, "--html", "page.html"];
    let ran = project.run(&[&["run", "honest"][..], &against].concat());
    let told = "  lost:   1.1 honest: skipped (passed before): ";
    ran.assert(0, told);
    let page = std::fs::read_to_string(project.path("page.html")).unwrap();
    assert!(page.contains(told));
}

#[test]
fn a_baseline_that_is_none_is_told() {
    let project = Project::new();
    project.write("other.json", "{}");
    project.write("newer.json", r#"{"version": 1000, "unheard": "of"}"#);
    for (arguments, says) in [
        (
            &["--baseline", "nowhere"][..],
            "nowhere is neither an event log nor",
        ),
        (
            &["--baseline", "nowhere.json"],
            "nowhere.json: No such file",
        ),
        (
            &["--baseline", "other.json"],
            "other.json: is no JSON report of harmony: missing field",
        ),
        (
            &["--baseline", "newer.json"],
            "newer.json: the report has version 1000, but this harmony reads versions up to 1",
        ),
        (&["--slower", "3"], "--baseline <RUN>"),
        (
            &["--baseline", "x", "--slower", "0.5"],
            "expected a factor of at least 1",
        ),
    ] {
        project
            .run(&[&["run", "honest"], arguments].concat())
            .assert(2, says);
    }
}
