//! Every wrong input has a clear error and its exit code.

use crate::project::Project;

#[test]
fn wrong_arguments_are_told() {
    let project = Project::new();
    for (arguments, code, says) in [
        (
            &["run", "honst"][..],
            2,
            "`honst` is no platform; did you mean `honest`?",
        ),
        (&["run", "honest_honst"], 2, "`honst` is no platform"),
        (&["run", "1.x"], 2, "`1.x` is no scenario id"),
        (
            &["run", "1.2"],
            4,
            "no scenario has the id `1.2`; did you mean `1.1`?\nscenarios: 1.1",
        ),
        (&["run", "--tags", "@none"], 4, "no scenario fits"),
        (&["run", "--name", "^Play"], 4, "no scenario fits"),
        (
            &["run", "honest_honest_honest"],
            4,
            "no combination asked for fits",
        ),
        (
            &["run", "honest", "honest_fails_honest"],
            4,
            "no scenario that is asked for fits the combination `honest_fails_honest`",
        ),
        (&["run", "*.1-3"], 2, "has one end in any feature"),
        (&["run", "--tags", "@a and"], 2, "--tags `@a and`"),
        (&["run", "--name", "("], 2, "--name `(`"),
        (
            &["run", "missing"],
            3,
            "the platform missing is not available: ",
        ),
        (
            &["run", "optional_honest"],
            3,
            "the variable NO_SUCH_VARIABLE is not set",
        ),
        (&["doctor", "honst"], 2, "did you mean `honest`?"),
        (&["rnu"], 2, "unrecognized subcommand 'rnu'"),
        (
            &["run", "--config", "none.toml"],
            2,
            "none.toml: cannot be read",
        ),
        (&["--help"], 0, "./test.sh rust_cpp 13.1"),
        (&["run", "--help"], 0, "Exit codes: 0 green"),
        (
            &["--version"],
            0,
            concat!("harmony ", env!("CARGO_PKG_VERSION")),
        ),
    ] {
        project.run(arguments).assert(code, says);
    }
}

#[test]
fn broken_files_are_named_with_their_lines() {
    let project = Project::new();
    project.write(
        "features/02-Bad.feature",
        "Feature: Bad\n\nScenario: X\n  Given a\n  nonsense\n",
    );
    let says = "02-Bad.feature:5: this cannot be read as Gherkin here: `nonsense`";
    project.run(&["run", "honest"]).assert(2, says);
    std::fs::remove_file(project.path("features/02-Bad.feature")).unwrap();

    project.write(
        "known-failures.toml",
        "[[failure]]\nscenario = \"1.1\"\ncombnation = \"honest\"\n",
    );
    project
        .run(&["run", "honest"])
        .assert(2, "unknown field `combnation`");
    std::fs::remove_file(project.path("known-failures.toml")).unwrap();

    project.configure("[platforms.more]\ncomand = []\n");
    let ran = project.run(&["run", "honest"]);
    ran.assert(2, "unknown key `comand`; did you mean `command`?");
    let config = std::fs::read_to_string(project.path("harmony.toml")).unwrap();
    let line = config
        .lines()
        .position(|line| line.starts_with("comand"))
        .unwrap()
        + 1;
    ran.assert(2, &format!("harmony.toml:{line}: "));

    std::fs::remove_file(project.path("harmony.toml")).unwrap();
    project
        .run(&["run"])
        .assert(2, "there is no harmony.toml in");
}

#[test]
fn what_is_missing_is_named() {
    let project = Project::new();
    project.configure("[platforms.lost]\ncommand = [\"python3\"]\ncwd = \"nowhere\"\n");
    let ran = project.run(&["run", "lost"]);
    let folder = project.path("nowhere").display().to_string();
    ran.assert(3, &format!("there is no folder {folder} to start it in"));
    project.write("harmony.toml", "");
    project.run(&["run"]).assert(4, "no platform is available");
    project.only(&["honest"]);
    std::fs::remove_file(project.path("features/01-Fixture.feature")).unwrap();
    project
        .run(&["run"])
        .assert(2, "features: there is no *.feature file in it");
}

#[test]
fn a_failure_is_reproduced_with_the_same_configuration() {
    let project = Project::new();
    std::fs::rename(project.path("harmony.toml"), project.path("other.toml")).unwrap();
    let command = ["run", "--config", "other.toml", "fails_honest"];
    let says = "again:    harmony run --config other.toml -v fails_honest 1.1";
    project.run(&command).assert(1, says);
    let mut command = project.command(&["run", "fails_honest"]);
    let output = command
        .env("HARMONY_CONFIG", "other.toml")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("again:    harmony run -v fails_honest 1.1"),
        "{text}"
    );
}

/// Starts the command that its arguments say in a terminal of 40 columns, and prints what it wrote.
const TERMINAL: &str = "
import fcntl, os, pty, struct, sys, termios
pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 40, 0, 0))
    os.execv(sys.argv[1], sys.argv[1:])
text = b''
while True:
    try:
        piece = os.read(terminal, 4096)
    except OSError:
        break
    if not piece:
        break
    text += piece
sys.stdout.buffer.write(text)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";

#[test]
fn progress_takes_one_line_of_a_narrow_terminal() {
    let project = Project::new();
    project.steps(&[&format!(
        "Given the 'a' process remembers '{}'",
        "long ".repeat(30)
    )]);
    let runner = project.command(&["run", "honest"]);
    let output = std::process::Command::new("python3")
        .args([
            "-c",
            TERMINAL,
            env!("CARGO_BIN_EXE_harmony"),
            "run",
            "honest",
        ])
        .current_dir(project.path("."))
        .envs(
            runner
                .get_envs()
                .filter_map(|(key, value)| Some((key, value?))),
        )
        .env("TERM", "xterm")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{output:?}"
    );
    assert!(text.contains("0/1 1.1 honest Given the"), "{text:?}");
    let goes_up = text.split('\u{1b}').any(|code| {
        let digits = code
            .trim_start_matches('[')
            .trim_start_matches(|c: char| c.is_ascii_digit());
        code.starts_with('[') && digits.starts_with('A')
    });
    assert!(!goes_up, "it redraws more than one line: {text:?}");
}

#[test]
fn a_configuration_is_found_above() {
    let project = Project::new();
    let mut command = project.command(&["list", "honest"]);
    let output = command.current_dir(project.path("pids")).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("1.1    Work (a, b)"), "{text}");
    assert!(text.contains("honest_honest"), "{text}");
}

#[test]
fn known_failures_are_judged() {
    let project = Project::new();
    let list = |contains: &str, combination: &str| {
        let entry = format!(
            "[[failure]]\nscenario = \"1.1\"\ncombination = \"{combination}\"\nreason = \"it is broken\"\n\
             contains = \"{contains}\"\n"
        );
        project.write("known-failures.toml", &entry);
    };
    list("got 2", "fails_*");
    project
        .run(&["run", "fails_honest"])
        .assert(0, "1 known failure");
    project
        .run(&["run", "fails_honest"])
        .assert(0, "it is broken");
    list("got 3", "fails_*");
    project
        .run(&["run", "fails_honest"])
        .assert(1, "not the known failure");
    list("got 2", "honest");
    let ran = project.run(&["run", "honest"]);
    ran.assert(1, "1 unexpected pass");
    ran.assert(1, "remove the entry");
    list("got 2", "honest_honest_honest");
    let ran = project.run(&["run", "honest"]);
    ran.assert(
        0,
        "an entry of the known failures matches nothing: 1.1 honest_honest_honest",
    );
    std::fs::rename(project.path("features"), project.path("others")).unwrap();
    let ran = project.run(&["run", "honest", "--features", "others"]);
    ran.assert(0, "1 passed");
    assert!(!ran.out.contains("matches nothing"), "{}", ran.text());
}

#[test]
fn a_known_failure_is_no_excuse_for_a_leak() {
    let project = Project::new();
    project.steps(&[
        "When the 'a' process works",
        "And the 'a' process survives '0' times",
    ]);
    let entry = "[[failure]]\nscenario = \"1.1\"\ncombination = \"leaks\"\n\
                 reason = \"it is broken\"\ncontains = \"time number\"\n";
    project.write("known-failures.toml", entry);
    let ran = project.run(&["run", "--no-sandbox", "leaks"]);
    ran.assert(1, "1 leaked");
    ran.assert(1, "  error:    left behind: /dev/shm/zbt-leaks_");
    ran.assert(
        1,
        "beside the known failure (1.1 leaks: it is broken): time number 1\n",
    );
    assert!(!ran.out.contains("warning: "), "{}", ran.text());
}

#[test]
fn check_shows_the_routing_and_runs_nothing() {
    let project = Project::new();
    let ran = project.run(&["check", "-v", "fails_honest", "always-green"]);
    ran.assert(0, "1.1 Work (roles: a, b)");
    ran.assert(
        0,
        "  all                            <- Given everything is prepared",
    );
    ran.assert(
        0,
        "  a                              <- When the 'a' process works",
    );
    ran.assert(0, "  b                              <- Then it agrees");
    ran.assert(0, "can run         1.1 fails_honest");
    ran.assert(0, "unsupported     1.1 always-green_always-green");
}

#[test]
fn tags_decide_what_is_skipped() {
    let project = Project::new();
    project.write(
        "features/01-Fixture.feature",
        "Feature: F\n@windows\nScenario: 1.1 - A\nGiven unheard of\n",
    );
    let ran = project.run(&["run", "honest"]);
    ran.assert(0, "for Windows only");
    ran.assert(0, "1 skipped");
    assert!(project.pids().is_empty(), "nothing had to be started");
}

#[test]
fn what_steps_find_out_is_shown() {
    let project = Project::new();
    let ran = project.run(&["run", "measures_honest"]);
    ran.assert(0, " s)\n    figures:\n      p50  1 us\n");
    assert!(!ran.out.contains("nothing"), "{}", ran.text());
    let quiet = project.run(&["run", "-q", "measures_honest"]);
    assert!(!quiet.out.contains("figures"), "{}", quiet.text());
}

#[test]
fn features_may_stand_elsewhere() {
    let project = Project::new();
    std::fs::create_dir(project.path("other")).unwrap();
    let text = "Feature: Other\nScenario: 9.9 - Other\nGiven the 'a' process works\n";
    project.write("other/09-Other.feature", text);
    let ran = project.run(&["list", "--features", "other", "honest"]);
    assert_eq!(
        ran.out,
        "9.9    Other (a)\n       honest\n",
        "{}",
        ran.text()
    );
    let ran = project.run(&["run", "--features", "other", "fails"]);
    ran.assert(1, "again:    harmony run -v --features other fails 9.9");
    let list = "[[failure]]\nscenario = \"9.9\"\ncombination = \"fails\"\nreason = \"it is broken\"\n\
                contains = \"got 2\"\n";
    project.write("known-failures.toml", &list.replace("got 2", "got 3"));
    let ran = project.run(&["run", "--features", "other", "fails"]);
    ran.assert(1, "1 failed in ");
    assert!(!ran.text().contains("known failure"), "{}", ran.text());
    project.write("other/known-failures.toml", list);
    let ran = project.run(&["run", "--features", "other", "fails"]);
    ran.assert(0, "1 known failure in ");
    project
        .run(&["check", "--features", "nowhere", "honest"])
        .assert(2, "nowhere: the features folder cannot be read");
}

#[test]
fn several_executions_make_a_matrix() {
    let project = Project::new();
    let ran = project.run(&["run", "honest_fails", "fails_honest", "honest"]);
    ran.assert(1, "     honest_honest  honest_fails  fails_honest\n1.1        ✓             ✓             F\n");
    ran.assert(1, "2 passed, 1 failed");
    let quiet = project.run(&["run", "-q", "honest"]);
    assert_eq!(quiet.out.trim().lines().count(), 1, "{}", quiet.text());
}
