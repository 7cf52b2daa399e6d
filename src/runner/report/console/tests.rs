//! What is printed, to the letter.

use super::*;
use crate::runner::event::{FailedStep, Footer};
use crate::runner::halt::CutShort;
use std::sync::{Arc, Mutex};

/// A report of an execution that says nothing but its outcome.
pub fn report(id: &str, combination: &str, outcome: Outcome) -> ExecutionReport {
    ExecutionReport {
        info: ExecutionInfo {
            number: 0,
            id: id.into(),
            name: "Name".into(),
            place: "f.feature:3".into(),
            combination: combination.into(),
            roles: vec![("client".into(), "a".into())],
            repetition: 1,
        },
        attempt: 1,
        outcome,
        reason: None,
        failed_step: None,
        took: Duration::from_millis(1500),
        warnings: Vec::new(),
        leftovers: vec!["/dev/shm/sem.x".into()],
        tails: Vec::new(),
        folder: None,
    }
}

#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn printed(verbosity: Verbosity, reports: Vec<ExecutionReport>, interrupted: bool) -> String {
    let paper = Paper::default();
    let out = anstream::StripStream::new(Box::new(paper.clone()) as Box<dyn Write + Send>);
    let mut console = Console::on(Box::new(out), verbosity);
    console.again = Again {
        command: "./test.sh".into(),
        options: " --same-process".into(),
    };
    for (number, mut report) in reports.into_iter().enumerate() {
        report.info.number = number;
        for text in attachments(&report) {
            console.on(&Event::Attachment {
                execution: number,
                step: 0,
                text,
            });
        }
        console.on(&Event::ExecutionFinished(Box::new(report)));
    }
    console.on(&Event::Warning {
        text: "an old entry".into(),
    });
    console.on(&Event::RunFinished(Footer {
        cut_short: interrupted.then_some(CutShort::Interrupted),
        took: Duration::from_secs(2),
        counts: BTreeMap::new(),
    }));
    let bytes = paper.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

/// Scenario 14.1 finds something out.
fn attachments(report: &ExecutionReport) -> Vec<String> {
    match report.info.id.as_str() {
        "14.1" => vec!["figures:\n  p50  1 µs".into(), "ran scaled".into()],
        _ => Vec::new(),
    }
}

fn failed() -> ExecutionReport {
    ExecutionReport {
        reason: Some("expected 1\ngot 2".into()),
        failed_step: Some(FailedStep {
            step: "Then it is 1".into(),
            line: 7,
            to: "client".into(),
        }),
        tails: vec![("the client (a, pid 5)".into(), vec!["oops".into()])],
        folder: Some("logs/1".into()),
        ..report("1.2", "a_b", Outcome::Failed)
    }
}

#[test]
fn a_failure_is_told_in_full() {
    let text = printed(
        Verbosity::Normal,
        vec![report("1.1", "a_b", Outcome::Passed), failed()],
        false,
    );
    let expected = "\
✓ passed          1.1    client=a  Name (1.500 s)
F failed          1.2    client=a  Name (1.500 s)

1.2 a_b: failed
  scenario: 1.2 - Name (f.feature:3)
  step:     Then it is 1 (line 7, to client)
  error:    expected 1
            got 2
  the client (a, pid 5) wrote last:
    | oops
  logs:     logs/1
  again:    ./test.sh -v --same-process a_b 1.2

     a_b
1.1   ✓
1.2   F
✓ passed   F failed
warning: an old entry

1 passed, 1 failed in 2.000 s
";
    assert_eq!(text, expected);
}

#[test]
fn what_was_found_out_stands_below_its_execution() {
    let reports = || {
        vec![
            report("14.1", "a", Outcome::Passed),
            report("1.1", "a", Outcome::Passed),
        ]
    };
    let text = printed(Verbosity::Normal, reports(), false);
    let expected = "\
✓ passed          14.1   client=a  Name (1.500 s)
    figures:
      p50  1 µs
    ran scaled
✓ passed          1.1    client=a  Name (1.500 s)
";
    assert!(text.starts_with(expected), "{text}");
    let quiet = printed(Verbosity::Quiet, reports(), false);
    assert!(!quiet.contains("figures"), "{quiet}");
}

#[test]
fn quiet_and_verbose_differ() {
    let reports = || vec![report("1.1", "a_b", Outcome::Passed)];
    let quiet = printed(Verbosity::Quiet, reports(), true);
    assert!(!quiet.contains("1.1"), "{quiet}");
    assert!(
        quiet.contains("interrupted: this report is not of a whole run"),
        "{quiet}"
    );
    let verbose = printed(Verbosity::Verbose, reports(), false);
    assert!(verbose.contains("sem.x"), "{verbose}");
    assert!(!printed(Verbosity::Normal, reports(), false).contains("sem.x"));
}

#[test]
fn the_reason_of_what_is_green_stands_in_its_line() {
    let skipped = ExecutionReport {
        reason: Some("for Windows only".into()),
        ..report("1.1", "a_b", Outcome::Skipped)
    };
    let text = printed(Verbosity::Normal, vec![skipped], false);
    assert!(
        text.starts_with("s skipped         1.1    client=a  Name (1.500 s) – for Windows only\n"),
        "{text}"
    );
}
