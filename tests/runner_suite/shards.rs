//! A plan in parts, and the parts made one.

use serde_json::Value;

use crate::project::{Project, Ran};

const FEATURE: &str = "\
Feature: F
Scenario: 1.1 - One
Given the 'a' process is ready
Scenario: 1.2 - Two
Given the 'a' process works
Scenario: 1.3 - Three
Given the 'a' process is ready
";

const ASKED: [&str; 3] = ["honest", "fails-once", "measures"];

fn project() -> Project {
    let project = Project::new();
    project.write("features/01-Fixture.feature", FEATURE);
    project
}

/// Runs one part, and yields the name of the run.
fn part(project: &Project, shard: &str, more: &[&str]) -> (Ran, String) {
    let ran = project.run(&[&["run", "--shard", shard], &ASKED[..], more].concat());
    (ran, project.latest_run())
}

/// Id, combination and outcome of every execution.
fn executions(json: &Value) -> Vec<String> {
    let executions = json["executions"].as_array().unwrap().iter();
    let words = executions.map(|e| [&e["id"], &e["combination"], &e["outcome"]]);
    let words = words.map(|words| words.map(|word| word.as_str().unwrap()).join(" "));
    words.collect()
}

#[test]
fn all_parts_make_the_whole() {
    let project = project();
    let whole = ["run", "--retries", "1", "--json", "whole.json"];
    project
        .run(&[&whole[..], &ASKED].concat())
        .assert(0, "1 flaky");
    std::fs::remove_file(project.path("has-failed")).unwrap();
    let retries = ["--retries", "1"];
    let parts = ["3/3", "1/3", "2/3"].map(|shard| part(&project, shard, &retries));
    for (ran, _) in &parts {
        ran.assert(0, "shard: ");
        assert!(
            ran.out.contains("3 passed in ") || ran.out.contains("2 passed, 1 flaky in "),
            "{}",
            ran.text()
        );
    }
    let mut merge = vec!["merge"];
    merge.extend(parts.iter().map(|(_, name)| name.as_str()));
    merge.extend(["-o", "whole", "--json", "out.json", "--junit", "out.xml"]);
    let ran = project.run(&merge);
    ran.assert(0, "8 passed, 1 flaky in ");
    ran.assert(0, "    figures:\n");
    ran.assert(0, "1.2 fails-once: failed (attempt 1)\n");
    let json = project.json("out.json");
    assert_eq!(executions(&json), executions(&project.json("whole.json")));
    assert_eq!(json["complete"], true);
    assert_eq!(json["run"]["name"], "whole", "the name of its folder");
    assert_eq!(json["run"]["merged"][0]["shard"]["number"], 1);
    for execution in json["executions"].as_array().unwrap() {
        let folder = execution["folder"].as_str().unwrap();
        let log = project.path(&format!(
            "whole/{folder}/0-a-{}.log",
            execution["combination"].as_str().unwrap()
        ));
        assert!(log.is_file(), "{}", log.display());
        let earlier = execution["earlier"].as_array().unwrap().len();
        assert_eq!(earlier, usize::from(execution["outcome"] == "flaky"));
        assert_eq!(
            execution["steps"].as_array().unwrap().len(),
            1,
            "{execution}"
        );
    }
    let ran = project.run(&["report", "whole", "--json", "again.json"]);
    ran.assert(0, "");
    assert_eq!(project.json("again.json"), json);
}

#[test]
fn a_missing_part_is_told() {
    let project = project();
    let (_, first) = part(&project, "1/2", &["--retries", "1"]);
    let ran = project.run(&["merge", &first, "--json", "out.json"]);
    let why = "incomplete (shard 2/2 is missing): this report is not of a whole run";
    ran.assert(1, &format!("\n{why}\n"));
    let json = project.json("out.json");
    assert_eq!(
        (&json["complete"], &json["shortcoming"]),
        (&false.into(), &why.into())
    );
    let merged = project.latest_run();
    project.run(&["report", &merged]).assert(0, why);
}

#[test]
fn a_part_that_was_cut_short_is_told() {
    let project = project();
    let (_, first) = part(&project, "1/2", &["--fail-fast", "--time-limit", "0.01"]);
    let (_, second) = part(&project, "2/2", &["--retries", "1"]);
    let log = project.path(&format!("out/runs/{second}/events.ndjson"));
    let text = std::fs::read_to_string(&log).unwrap();
    let (whole_lines, _) = text.trim_end().rsplit_once('\n').unwrap();
    std::fs::write(&log, format!("{whole_lines}\n")).unwrap();
    let ran = project.run(&["merge", &second, &first]);
    let why = format!(
        "incomplete ({first} is stopped by the limit of 0.01 s for the whole run; {second} is incomplete)"
    );
    ran.assert(1, &why);
}

#[test]
fn what_hung_when_a_part_was_killed_is_told() {
    let project = project();
    let [first, second] = ["1/2", "2/2"].map(|shard| part(&project, shard, &["-j", "1"]).1);
    // The second one was killed in the middle of its first step; the first one took ten minutes.
    let log = |run: &str| project.path(&format!("out/runs/{run}/events.ndjson"));
    let text = std::fs::read_to_string(log(&second)).unwrap();
    let (before, rest) = text.split_once(r#""event":"step-sent""#).unwrap();
    let (last, _) = rest.split_once('\n').unwrap();
    let cut = format!("{before}\"event\":\"step-sent\"{last}\n");
    std::fs::write(log(&second), cut).unwrap();
    let text = std::fs::read_to_string(log(&first)).unwrap();
    let (before, last) = text.trim_end().rsplit_once('\n').unwrap();
    let note = serde_json::json!({"at": 600.0, "event": "note", "text": "done"});
    std::fs::write(log(&first), format!("{before}\n{note}\n{last}\n")).unwrap();

    let ran = project.run(&["merge", &first, &second, "--json", "out.json"]);
    let json = project.json("out.json");
    let executions = json["executions"].as_array().unwrap();
    let of = |what: &str| {
        executions
            .iter()
            .filter(|e| e["outcome"] == what)
            .collect::<Vec<_>>()
    };
    let incomplete = of("incomplete");
    assert_eq!(incomplete.len(), 4, "{}", ran.text());
    let hung: Vec<_> = incomplete
        .iter()
        .filter(|e| !e["failed_step"].is_null())
        .collect();
    assert_eq!(hung.len(), 1, "{json}");
    let took = hung[0]["took"].as_f64().unwrap();
    assert!(took < 60.0, "{took} s until its own run was killed");
    let name = |e: &Value| {
        format!(
            "{} {}",
            e["id"].as_str().unwrap(),
            e["combination"].as_str().unwrap()
        )
    };
    // On the terminal as in the other reports.
    ran.assert(1, &format!("\n{}: incomplete\n", name(hung[0])));
    ran.assert(1, "  error:    the run ended before it had ended\n");
    ran.assert(1, "4 incomplete in ");
}

#[test]
fn a_part_without_executions_is_green() {
    let project = project();
    let ran = project.run(&["run", "--shard", "2/2", "honest", "1.1"]);
    ran.assert(0, "nothing was to be run in ");
}

/// Changes the log of a run.
fn edit(project: &Project, run: &str, from: &str, to: &str) {
    let log = project.path(&format!("out/runs/{run}/events.ndjson"));
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(&log, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn runs_that_do_not_belong_together_are_refused() {
    let project = project();
    let run = |arguments: &[&str]| {
        project.run(&[&["run", "1.1"], arguments].concat());
        project.latest_run()
    };
    let refused = |a: &str, b: &str, says: &str| project.run(&["merge", a, b]).assert(2, says);
    let [first, second] =
        ["1/2", "2/2"].map(|shard| run(&["honest", "measures", "--shard", shard]));
    refused(&first, &first, "1.1 honest is in both ");
    let third = run(&["honest", "skips", "--shard", "2/2"]);
    refused(
        &first,
        &third,
        "the runs are of different plans (not the same was asked for",
    );
    let plain = run(&["honest"]);
    refused(&first, &plain, "no shard in ");
    let other = run(&["measures"]);
    project
        .run(&["merge", &plain, &other])
        .assert(0, "2 passed in ");
    let rounds = run(&["skips", "--until-failure", "--repeat", "2"]);
    refused(&plain, &rounds, "ran until a failure, and cannot be merged");
    let twice = run(&["skips", "--repeat", "2"]);
    refused(&plain, &twice, "the runs are of different --repeat: 1 in ");
    let together = run(&["skips", "--same-process"]);
    let says = "the runs are of different --same-process: no in ";
    refused(&plain, &together, says);
    std::fs::create_dir(project.path("others")).unwrap();
    project.write("others/01-Fixture.feature", FEATURE);
    let others = run(&["skips", "--features", "others"]);
    let says = "the runs are of different --features: those of the configuration in ";
    refused(&plain, &others, says);
    let bare = run(&["skips", "--no-sandbox"]);
    let says = "the runs are of different options: none in ";
    refused(&plain, &bare, says);
    refused(
        &plain,
        "no-such-run",
        "no-such-run is neither an event log nor",
    );
    project.run(&["merge"]).assert(2, "<RUN>");

    let folder = format!("out/runs/{first}");
    let ran = project.run(&["merge", &first, &second, "-o", &folder]);
    ran.assert(
        2,
        "events.ndjson exists already; name another folder with -o",
    );
    let version = concat!("\"harmony\":\"", env!("CARGO_PKG_VERSION"), "\"");
    edit(&project, &other, version, "\"harmony\":\"0.0.1\"");
    refused(
        &plain,
        &other,
        "the runs are of different versions of harmony: ",
    );
    edit(&project, &other, "\"harmony\":\"0.0.1\"", version);
    edit(&project, &other, "\"name\":\"One\"", "\"name\":\"Another\"");
    refused(&plain, &other, "scenario 1.1 is another one in ");
    for (run, commit) in [(&first, "aaaa"), (&second, "bbbb")] {
        let commit = format!("\"commit\":{{\"id\":\"{commit}\",\"changed\":false}}");
        edit(&project, run, "\"commit\":null", &commit);
    }
    refused(
        &first,
        &second,
        "the runs are of different commits: aaaa in ",
    );
}

#[test]
fn a_wrong_part_is_told() {
    let project = project();
    for (arguments, says) in [
        (
            &["--shard", "3/2"][..],
            "expected a part and how many there are, like 2/5",
        ),
        (
            &["--shard", "1/2", "--until-failure"],
            "cannot be used with",
        ),
    ] {
        project
            .run(&[&["run", "honest"], arguments].concat())
            .assert(2, says);
    }
}
