//! A folder with a configuration and feature files of its own, and the runner started in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The ways in which the fixture keeps to the contract or breaks it; each is a platform.
const MODES: [&str; 56] = [
    "honest",
    "never-answers",
    "ignores-term",
    "exits",
    "is-killed",
    "closes-output",
    "garbage",
    "noise",
    "wrong-id",
    "answers-twice",
    "grandchild",
    "refuses",
    "regresses",
    "bad-result",
    "fails",
    "fails-once",
    "fails-silently",
    "skips",
    "skips-and-leaks",
    "measures",
    "own-timeout",
    "does-not-know",
    "does-not-know-and-leaks",
    "leaks",
    "leaks-as-known",
    "leaks-anything",
    "ends-its-holder",
    "escapes",
    "exits-with-leftovers",
    "always-green",
    "other-keyword",
    "look-around",
    "unknown-type",
    "refuses-initialize",
    "refuses-oddly",
    "crashes-on-cleanup",
    "hangs-at-cleanup",
    "hangs-at-shutdown",
    "never-answers-shutdown",
    "ends-with-3",
    "dies-at-start",
    "never-starts",
    "starts-slowly",
    "defines-nothing",
    "knows-every-step",
    "knows-every-method",
    "cleans-up-oddly",
    "chatters",
    "answers-health-only",
    "answers-health-twice",
    "changes-its-steps",
    "talks-a-lot",
    "outlives-its-input",
    "forgets-ids",
    "missing",
    "optional",
];

const FEATURE: &str = "\
Feature: Fixture

  Scenario: 1.1 - Work
    Given everything is prepared
    And the 'a' process is ready
    When the 'a' process works
    Then the 'b' process agrees
    And it agrees
";

/// A project in a temporary folder.
pub struct Project {
    folder: tempfile::TempDir,
}

/// What the runner printed and how it ended.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
    pub took: Duration,
}

impl Ran {
    /// Both outputs, for assertion messages.
    pub fn text(&self) -> String {
        format!(
            "exit code {}\n--- out\n{}--- err\n{}",
            self.code, self.out, self.err
        )
    }

    pub fn assert(&self, code: i32, fragment: &str) {
        let found = self.out.contains(fragment) || self.err.contains(fragment);
        assert!(
            self.code == code && found,
            "expected {code} and {fragment:?}\n{}",
            self.text()
        );
    }
}

impl Project {
    /// A project with the fixture in every mode as platforms, and one scenario.
    pub fn new() -> Project {
        let project = Project {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(project.path("features")).unwrap();
        fs::create_dir(project.path("pids")).unwrap();
        project.write("features/01-Fixture.feature", FEATURE);
        project.write("harmony.toml", &configuration(&MODES));
        project
    }

    /// Takes all platforms but these out of the configuration.
    pub fn only(&self, modes: &[&str]) {
        self.write("harmony.toml", &configuration(modes));
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    pub fn write(&self, relative: &str, text: &str) {
        fs::write(self.path(relative), text).unwrap();
    }

    /// Adds to the configuration.
    pub fn configure(&self, text: &str) {
        let old = fs::read_to_string(self.path("harmony.toml")).unwrap();
        self.write("harmony.toml", &format!("{old}\n{text}"));
    }

    /// Sets a limit to a number of seconds; by default all are wide.
    pub fn limit(&self, name: &str, seconds: f64) {
        let old = fs::read_to_string(self.path("harmony.toml")).unwrap();
        let line = old
            .lines()
            .find(|line| line.starts_with(&format!("{name} =")))
            .unwrap();
        self.write(
            "harmony.toml",
            &old.replace(line, &format!("{name} = {seconds}")),
        );
    }

    /// Replaces the feature file by one scenario with these steps.
    pub fn steps(&self, steps: &[&str]) {
        let text = format!("Feature: F\nScenario: 1.1 - S\n{}\n", steps.join("\n"));
        self.write("features/01-Fixture.feature", &text);
    }

    /// The runner, not started yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_harmony"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("PIDS", self.path("pids"))
            .env_remove("HARMONY_CONFIG")
            .env_remove("HARMONY_INVOKED_AS")
            .env_remove("GITHUB_ACTIONS")
            .env_remove("GITHUB_STEP_SUMMARY")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the runner to its end; nothing that it started may be left then.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        let began = Instant::now();
        let output = self.command(arguments).output().unwrap();
        self.ended(output, began.elapsed())
    }

    /// The same, started by way of a command that takes something away from it.
    pub fn run_by(&self, how: &[&str], arguments: &[&str]) -> Ran {
        let runner = self.command(arguments);
        let mut command = Command::new(how[0]);
        command
            .args(&how[1..])
            .arg(runner.get_program())
            .args(runner.get_args())
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        for (name, value) in runner.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let began = Instant::now();
        let output = command.output().unwrap();
        self.ended(output, began.elapsed())
    }

    /// What became of a runner that has ended; no process and no file may be left.
    pub fn ended(&self, output: Output, took: Duration) -> Ran {
        let ran = Ran {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            took,
        };
        let left = self.processes();
        assert!(left.is_empty(), "left over: {left:?}\n{}", ran.text());
        self.assert_no_file_left(&ran.text());
        ran
    }

    /// The JSON report that a run wrote.
    pub fn json(&self, relative: &str) -> serde_json::Value {
        let text = fs::read_to_string(self.path(relative)).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// The name of the latest run.
    pub fn latest_run(&self) -> String {
        let runs = fs::read_dir(self.path("out/runs")).unwrap();
        let names = runs.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        // Of two in the same second the process ids tell, which are numbers.
        let order = |name: &String| {
            let (time, pid) = name.rsplit_once('-').unwrap();
            (time.to_owned(), pid.parse::<u32>().unwrap())
        };
        names.max_by_key(order).unwrap()
    }

    /// What the runner started and still runs: process id and command of each. The variable PIDS in
    /// their environment tells them from those of other projects.
    pub fn processes(&self) -> Vec<(u32, String)> {
        let mark = format!("PIDS={}", self.path("pids").display());
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let is_ours = |pid: &u32| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let mut variables = environment.split(|byte| *byte == 0);
            variables.any(|variable| variable == mark.as_bytes())
        };
        let describe = |pid| {
            let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            (pid, String::from_utf8_lossy(&command).replace('\0', " "))
        };
        pids.filter(is_ours).map(describe).collect()
    }

    /// No file that a fixture made may be there any more. `text` is what the runner said.
    pub fn assert_no_file_left(&self, text: &str) {
        let touched = fs::read_to_string(self.path("touched")).unwrap_or_default();
        for path in touched.lines() {
            assert!(!Path::new(path).exists(), "{path} is left over\n{text}");
        }
    }

    /// What the fixture recorded: a word and a process id each.
    pub fn pids(&self) -> Vec<(String, u32)> {
        let entries = fs::read_dir(self.path("pids")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let split = |name: String| {
            let (what, pid) = name.rsplit_once('-').unwrap();
            (what.to_owned(), pid.parse().unwrap())
        };
        names.map(split).collect()
    }

    /// How many step servers were started so far.
    pub fn servers(&self) -> usize {
        let is_server = |(what, _): &&(String, u32)| what == "server";
        self.pids().iter().filter(is_server).count()
    }

    /// Waits until a fixture has recorded `what`.
    pub fn wait_for(&self, what: &str) {
        self.wait_for_all(what, 1);
    }

    /// Waits until `count` fixtures have recorded `what`.
    pub fn wait_for_all(&self, what: &str, count: usize) {
        let is_it = |(found, _): &&(String, u32)| found == what;
        self.wait_until(|| self.pids().iter().filter(is_it).count() >= count);
    }

    /// Waits until something holds.
    pub fn wait_until(&self, holds: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !holds() {
            assert!(Instant::now() < deadline, "it does not come to that");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn configuration(modes: &[&str]) -> String {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/step_server.py");
    let mut text = "features = \"features\"\noutput = \"out\"\n\
        [limits]\nstart = 30\nstep = 30\nexecution = 60\nshutdown = 15\nsetup = 30\n"
        .to_owned();
    for mode in modes {
        let command = match *mode {
            "missing" => "[\"./no-such-program\"]".to_owned(),
            "optional" => "[\"${NO_SUCH_VARIABLE}\"]\noptional = true".to_owned(),
            mode => format!("[\"python3\", \"{}\", \"{mode}\"]", fixture.display()),
        };
        let command = match *mode {
            "honest" => format!("{command}\nfaulty = {command}"),
            _ => command,
        };
        text.push_str(&format!("[platforms.{mode}]\ncommand = {command}\n"));
    }
    if modes.contains(&"leaks-as-known") {
        text.push_str("[platforms.leaks-as-known.leaves-as]\na = [\"zbt-leaks-as-known*\"]\n");
    }
    text
}
