//! What one implementation does not do any more is told in the same words wherever it is told, and
//! happens again by the command that is printed.

use crate::project::Project;

const HEADLINE: &str = "1.1 regresses_honest: failed";
const STEP: &str = "When the 'a' process works";
const ERROR: &str = "expected 1, got 2";

#[test]
fn a_regression_is_told_in_the_same_words_everywhere() {
    let project = Project::new();
    project.only(&["honest", "regresses"]);
    let all = [
        "run",
        "honest_honest",
        "honest_regresses",
        "regresses_honest",
    ];
    project.run(&all).assert(0, "3 passed");
    let before = project.latest_run();

    project.write("regressed", "");
    let reports = [
        "--github",
        "--junit",
        "junit.xml",
        "--json",
        "run.json",
        "--html",
        "run.html",
        "--messages",
        "run.ndjson",
        "--baseline",
        &before,
    ];
    let ran = project.run(&[&all[..], &reports].concat());
    ran.assert(1, "2 passed, 1 failed");
    let out = ran.out.as_str();
    let line = |begin: &str| {
        let found = out.lines().find(|line| line.starts_with(begin));
        found.unwrap_or_else(|| panic!("{begin:?} in {out}"))
    };
    let report = |name: &str| std::fs::read_to_string(project.path(name)).unwrap();
    let places = [
        ("the annotation", line("::error ").replace("%3A", ":")),
        ("JUnit", report("junit.xml").replace("&apos;", "'")),
        ("JSON", report("run.json")),
        ("the page", report("run.html").replace("&#39;", "'")),
        ("Cucumber Messages", report("run.ndjson")),
    ];
    for (place, text) in &places {
        assert!(text.contains(ERROR), "{place}: {text}");
        assert!(text.contains("the 'a' process works"), "{place}: {text}");
    }
    assert!(places[0].1.contains(HEADLINE), "{}", places[0].1);
    assert_eq!(line("1.1 "), HEADLINE);
    assert!(line("  step:     ").contains(STEP), "{out}");
    assert_eq!(line("  error:    "), format!("  error:    {ERROR}"));
    let worse = format!("  worse:  {HEADLINE} (passed before): {ERROR}");
    assert_eq!(line("  worse:  "), worse);
    assert!(places[3].1.contains(&worse), "{}", places[3].1);

    let again = line("  again:    ").trim_start_matches("  again:    harmony ");
    let again = project.run(&again.split(' ').collect::<Vec<_>>());
    again.assert(1, &format!("  error:    {ERROR}\n"));
    again.assert(1, "1 failed in ");
}
