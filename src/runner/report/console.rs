//! The report on the terminal: what runs now, a line per execution, the failures, the matrix.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use owo_colors::{OwoColorize, Style};

use super::matrix;
use crate::runner::event::{Event, ExecutionInfo, ExecutionReport, Reporter};
use crate::runner::outcome::Outcome;
use crate::runner::terminal::warn;

/// How much is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Failures and counts.
    Quiet,
    /// A line per execution, failures, the matrix.
    Normal,
    /// Every step as well, and notes.
    Verbose,
}

/// Prints events; see the module's page.
pub struct Console {
    verbosity: Verbosity,
    again: Again,
    out: Box<dyn Write + Send>,
    bar: Option<ProgressBar>,
    total: usize,
    folder: PathBuf,
    running: Vec<ExecutionInfo>,
    /// What steps of running executions have found out, by the execution's number.
    attachments: BTreeMap<usize, Vec<String>>,
    reports: Vec<ExecutionReport>,
    warnings: Vec<String>,
}

impl Console {
    /// A console on standard output; what runs now is shown on a terminal's standard error.
    pub fn new(verbosity: Verbosity, again: Again) -> Console {
        let shows_progress = verbosity == Verbosity::Normal && std::io::stderr().is_terminal();
        let out = Box::new(anstream::AutoStream::auto(std::io::stdout()));
        let mut console = Console::on(out, verbosity, again);
        console.bar = shows_progress.then(|| {
            let bar = ProgressBar::new_spinner();
            let style = ProgressStyle::with_template("{spinner} {pos}/{len} {wide_msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar
        });
        console
    }

    fn on(out: Box<dyn Write + Send>, verbosity: Verbosity, again: Again) -> Console {
        Console {
            verbosity,
            again,
            out,
            bar: None,
            total: 0,
            folder: PathBuf::new(),
            running: Vec::new(),
            attachments: BTreeMap::new(),
            reports: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn line(&mut self, text: &str) {
        let out = &mut self.out;
        // Nothing is left to tell when nobody reads the report any more; the exit code still is.
        let mut write = || drop(writeln!(out, "{text}"));
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Says on standard error what the user is waiting for.
    fn notice(&self, text: &str) {
        let say = || warn(text);
        match &self.bar {
            Some(bar) => bar.suspend(say),
            None => say(),
        }
    }

    fn lines(&mut self, indent: &str, text: &str) {
        for line in text.lines() {
            self.line(&format!("{indent}{line}"));
        }
    }

    fn show_progress(&self, now: &str) {
        let Some(bar) = &self.bar else {
            return;
        };
        bar.set_length(self.total as u64);
        bar.set_position(self.reports.len() as u64);
        let running = self
            .running
            .iter()
            .map(|info| format!("{} {}", info.id, info.combination));
        let running: Vec<_> = running.collect();
        bar.set_message(format!("{} {now}", running.join(", ")));
        bar.tick();
    }

    fn finished(&mut self, report: &ExecutionReport) {
        self.running
            .retain(|info| info.number != report.info.number);
        self.reports.push(report.clone());
        let outcome = report.outcome;
        let red = !outcome.is_green();
        if self.verbosity > Verbosity::Quiet || red {
            let roles = report
                .info
                .roles
                .iter()
                .map(|(role, platform)| format!("{role}={platform}"));
            let roles = roles.collect::<Vec<_>>().join(" ");
            let mark = format!("{} {:15}", outcome.symbol(), outcome.words());
            let (id, name, took) = (&report.info.id, &report.info.name, seconds(report.took));
            let mut line = format!(
                "{} {id:6} {roles}  {name} ({took})",
                mark.style(style(outcome))
            );
            if let (Some(reason), false) = (&report.reason, red) {
                line.push_str(&format!(" – {}", reason.lines().next().unwrap_or_default()));
            }
            self.line(&line);
        }
        let attachments = self.attachments.remove(&report.info.number);
        if self.verbosity > Verbosity::Quiet {
            for text in attachments.into_iter().flatten() {
                self.lines("    ", &text);
            }
        }
        for warning in &report.warnings {
            self.line(&format!("  warning: {warning}"));
        }
        if self.verbosity == Verbosity::Verbose && !report.leftovers.is_empty() {
            let what = report.leftovers.join(", ");
            self.line(&format!(
                "  removed, as known to be left or left by killed processes: {what}"
            ));
        }
        self.show_progress("");
    }

    fn failure(&mut self, report: &ExecutionReport) {
        let info = &report.info;
        let head = format!(
            "{} {}: {}",
            info.id,
            info.combination,
            report.outcome.words()
        );
        self.line("");
        self.line(&head.style(style(report.outcome)).to_string());
        self.line(&format!(
            "  scenario: {} - {} ({})",
            info.id, info.name, info.place
        ));
        if let Some(step) = &report.failed_step {
            self.line(&format!(
                "  step:     {} (line {}, to {})",
                step.step, step.line, step.to
            ));
        }
        if let Some(reason) = &report.reason {
            let mut lines = reason.lines();
            self.line(&format!("  error:    {}", lines.next().unwrap_or_default()));
            for line in lines {
                self.line(&format!("            {line}"));
            }
        }
        for (who, tail) in &report.tails {
            let nothing = if tail.is_empty() { " nothing" } else { "" };
            self.line(&format!("  {who} wrote last:{nothing}"));
            self.lines("    | ", &tail.join("\n"));
        }
        if let Some(folder) = &report.folder {
            self.line(&format!("  logs:     {}", folder.display()));
        }
        self.line(&format!("  again:    {}", self.again.command_for(info)));
    }

    fn summary(&mut self, interrupted: bool, took: Duration) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        let reports = std::mem::take(&mut self.reports);
        let is_failure = |r: &&ExecutionReport| {
            !r.outcome.is_green() && r.outcome != Outcome::Interrupted
                || r.outcome == Outcome::Interrupted && r.failed_step.is_some()
        };
        for report in reports.iter().filter(is_failure) {
            self.failure(report);
        }
        if self.verbosity > Verbosity::Quiet {
            let matrix = matrix::render(&reports);
            if !matrix.is_empty() {
                self.line("");
            }
            for line in matrix {
                self.line(&line);
            }
        }
        for warning in std::mem::take(&mut self.warnings) {
            self.lines("", &format!("warning: {warning}"));
        }
        self.line("");
        if interrupted {
            self.line("interrupted: this report is not of a whole run");
        }
        let counts = counts(&reports);
        self.line(&format!("{counts} in {}", seconds(took)));
        if self.verbosity == Verbosity::Verbose {
            let folder = self.folder.display();
            self.line(&format!("logs: {folder}"));
        }
    }
}

impl Reporter for Console {
    fn on(&mut self, event: &Event) {
        let verbose = self.verbosity == Verbosity::Verbose;
        match event {
            Event::RunStarted { executions, folder } => {
                self.total = *executions;
                self.folder = folder.clone();
            }
            Event::Warning(text) => self.warnings.push(text.clone()),
            Event::Note(text) if verbose => self.lines("", text),
            Event::SetupAwaited { platform } => {
                self.notice(&format!(
                    "another run is setting up {platform}; waiting for it …"
                ));
            }
            Event::SetupStarted { platform } => self.notice(&format!("setting up {platform} …")),
            Event::SetupFinished {
                platform,
                took,
                output,
            } if verbose => {
                self.lines("  | ", output);
                self.line(&format!("{platform} is set up ({})", seconds(*took)));
            }
            Event::ExecutionStarted(info) => {
                if verbose {
                    self.line(&format!("{} {} {}", info.id, info.combination, info.name));
                }
                self.running.push(info.clone());
                self.show_progress("");
            }
            Event::ProcessStarted { who, took, .. } if verbose => {
                self.line(&format!("  started {who} ({})", seconds(*took)));
            }
            Event::StepStarted { step, .. } => self.show_progress(step),
            Event::Attachment { execution, text } => {
                let own = self.attachments.entry(*execution).or_default();
                own.push(text.clone());
            }
            Event::StepFinished {
                step,
                took,
                success,
                ..
            } if verbose => {
                let mark = if *success { "✓" } else { "✗" };
                self.line(&format!("  {mark} {step} ({})", seconds(*took)));
            }
            Event::ExecutionFinished(report) => self.finished(report),
            Event::RunFinished { interrupted, took } => self.summary(*interrupted, *took),
            _ => {}
        }
    }
}

/// The command that runs an execution once more.
#[derive(Debug, Clone, Default)]
pub struct Again {
    /// What it begins with, for example `./test.sh`.
    pub command: String,
    /// The options that matter for it, each with a space before it.
    pub options: String,
}

impl Again {
    fn command_for(&self, info: &ExecutionInfo) -> String {
        let Again { command, options } = self;
        format!("{command} -v{options} {} {}", info.combination, info.id)
    }
}

/// How many executions had each outcome.
fn counts(reports: &[ExecutionReport]) -> String {
    let counted = Outcome::ALL.into_iter().filter_map(|outcome| {
        let count = reports
            .iter()
            .filter(|report| report.outcome == outcome)
            .count();
        let text = format!("{count} {}", outcome.words());
        (count > 0).then(|| text.style(style(outcome)).to_string())
    });
    counted.collect::<Vec<_>>().join(", ")
}

fn style(outcome: Outcome) -> Style {
    match outcome {
        Outcome::Passed => Style::new().green(),
        Outcome::KnownFailure | Outcome::Unsupported | Outcome::Skipped => Style::new().yellow(),
        _ => Style::new().red().bold(),
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::runner::event::FailedStep;
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
            },
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
        let mut console = Console::on(
            Box::new(out),
            verbosity,
            Again {
                command: "./test.sh".into(),
                options: " --same-process".into(),
            },
        );
        for (number, mut report) in reports.into_iter().enumerate() {
            report.info.number = number;
            for text in attachments(&report) {
                console.on(&Event::Attachment {
                    execution: number,
                    text,
                });
            }
            console.on(&Event::ExecutionFinished(Box::new(report)));
        }
        console.on(&Event::Warning("an old entry".into()));
        console.on(&Event::RunFinished {
            interrupted,
            took: Duration::from_secs(2),
        });
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
            reason: Some("pending".into()),
            ..report("1.1", "a_b", Outcome::Skipped)
        };
        let text = printed(Verbosity::Normal, vec![skipped], false);
        assert!(
            text.starts_with("s skipped         1.1    client=a  Name (1.500 s) – pending\n"),
            "{text}"
        );
    }
}
