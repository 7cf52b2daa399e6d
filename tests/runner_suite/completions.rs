//! `harmony completions`: what a shell makes of them.

use std::process::Command;

fn completions(shell: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harmony"));
    let output = command.args(["completions", shell]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn bash_completes_commands_and_options() {
    let script = completions("bash");
    for (words, current, expected) in [
        ("harmony ins", "ins", "inspect\n"),
        ("harmony clean --dry", "--dry", "--dry-run\n"),
        ("harmony completions fi", "fi", "fish\n"),
        ("harmony hold", "hold", ""),
    ] {
        let count = words.split(' ').count() - 1;
        let ask = format!(
            "{script}\nCOMP_WORDS=({words}); COMP_CWORD={count}; \
             _harmony harmony {current} ''; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let output = Command::new("bash").args(["-c", &ask]).output().unwrap();
        let found = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            found.trim(),
            expected.trim(),
            "{words}: {:?}",
            output.stderr
        );
    }
}

#[test]
fn every_shell_knows_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let script = completions(shell);
        for command in ["run", "inspect", "clean", "doctor"] {
            assert!(script.contains(command), "{command} for {shell}");
        }
        assert!(!script.contains("hold-sandbox"), "for {shell}");
    }
}
