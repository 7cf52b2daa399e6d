//! The command line.

use std::process::Command;

#[test]
fn the_command_line_explains_itself() {
    let run = |argument: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zerobuffer-serve"));
        command.args(argument).output().unwrap()
    };
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
    for part in ["Examples:", "--step-timeout", "ZEROBUFFER_LOG_LEVEL"] {
        assert!(help.contains(part), "{help}");
    }
    assert!(help.contains("There is no authentication"), "{help}");
    let version = String::from_utf8(run(&["--version"]).stdout).unwrap();
    assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
    for wrong in ["0", "-1", "soon"] {
        assert_eq!(run(&["--step-timeout", wrong]).status.code(), Some(2));
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_zerobuffer-serve"));
    let output = command
        .env("HARMONY_STEP_TIMEOUT", "soon")
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("expected a number of seconds"), "{error}");
}

#[test]
fn the_example_of_the_help_text_works() {
    let binary = env!("CARGO_BIN_EXE_zerobuffer-serve");
    let help = Command::new(binary).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let begin = help.find("printf").unwrap();
    let script = help[begin..].split("\n\n").next().unwrap();
    let script = script.replace("zerobuffer-serve", binary);
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    let answer = String::from_utf8(output.stdout).unwrap();
    assert!(answer.contains(r#""steps":[{"type""#), "{answer}");
    assert!(!answer.contains(r#""error""#), "{answer}");
}
