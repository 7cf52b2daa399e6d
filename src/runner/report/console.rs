//! The report on the terminal: what runs now, a line per execution, the failures, the matrix.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use owo_colors::OwoColorize;

use super::failure;
use super::progress::Progress;
use super::repetitions::{grouped, is_same};
use super::{line, matrix};
use crate::runner::event::{Event, ExecutionInfo, ExecutionReport, Reporter};
use crate::runner::header::Again;

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
    bar: Progress,
    total: usize,
    jobs: usize,
    repeat: u32,
    seed: Option<u64>,
    folder: PathBuf,
    running: Vec<ExecutionInfo>,
    /// What steps of running executions have found out, by the execution's number.
    attachments: BTreeMap<usize, Vec<String>>,
    /// Lines of running executions that are held back, by the execution's number.
    details: BTreeMap<usize, Vec<String>>,
    /// How many repetitions have ended, by scenario and combination.
    ended: BTreeMap<(String, String), u32>,
    reports: Vec<ExecutionReport>,
    warnings: Vec<String>,
}

impl Console {
    /// A console on standard output; what runs now is shown on a terminal's standard error.
    pub fn new(verbosity: Verbosity) -> Console {
        let out = anstream::AutoStream::auto(std::io::stdout());
        Console::showing_progress(Box::new(out), verbosity)
    }

    /// The same on standard error, where something else is written to standard output.
    pub fn aside(verbosity: Verbosity) -> Console {
        let out = anstream::AutoStream::auto(std::io::stderr());
        Console::showing_progress(Box::new(out), verbosity)
    }

    /// A console on standard output for a run that was.
    pub fn again(verbosity: Verbosity) -> Console {
        let out = anstream::AutoStream::auto(std::io::stdout());
        Console::on(Box::new(out), verbosity)
    }

    fn showing_progress(out: Box<dyn Write + Send>, verbosity: Verbosity) -> Console {
        let mut console = Console::on(out, verbosity);
        console.bar = Progress::new(verbosity);
        console
    }

    fn on(out: Box<dyn Write + Send>, verbosity: Verbosity) -> Console {
        Console {
            verbosity,
            again: Again::default(),
            out,
            bar: Progress::default(),
            total: 0,
            jobs: 1,
            repeat: 1,
            seed: None,
            folder: PathBuf::new(),
            running: Vec::new(),
            attachments: BTreeMap::new(),
            details: BTreeMap::new(),
            ended: BTreeMap::new(),
            reports: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn line(&mut self, text: &str) {
        let out = &mut self.out;
        // Nothing is left to tell when nobody reads the report any more; the exit code still is.
        self.bar.above(|| drop(writeln!(out, "{text}")));
    }

    fn lines(&mut self, indent: &str, text: &str) {
        for line in text.lines() {
            self.line(&format!("{indent}{line}"));
        }
    }

    fn show_progress(&self, now: &str) {
        let running = self
            .running
            .iter()
            .map(|info| format!("{} {}", info.id, info.combination));
        let running: Vec<_> = running.collect();
        let now = if running.len() == 1 { now } else { "" };
        let now = format!("{} {now}", running.join(", "));
        self.bar.show(self.reports.len(), self.total, now);
    }

    /// Shows something that happened within an execution: at once, or where several run at the same
    /// time, together with its end.
    fn detail(&mut self, execution: usize, text: &str) {
        match self.jobs {
            1 => self.line(text),
            _ => self
                .details
                .entry(execution)
                .or_default()
                .push(text.to_owned()),
        }
    }

    fn finished(&mut self, report: &ExecutionReport) {
        let number = report.info.number;
        self.running.retain(|info| info.number != number);
        self.reports.push(report.clone());
        for line in self.details.remove(&number).unwrap_or_default() {
            self.line(&line);
        }
        let attachments = self.attachments.remove(&number).unwrap_or_default();
        let red = !report.outcome.is_green();
        // Of many repetitions only those that say something have a line of their own.
        let says = !attachments.is_empty() || !report.warnings.is_empty();
        let shown = match self.verbosity {
            Verbosity::Quiet => red,
            Verbosity::Normal => red || says || self.repeat == 1,
            Verbosity::Verbose => true,
        };
        if shown {
            let mut note = line::seconds(report.took);
            if self.repeat > 1 {
                let (number, of) = (report.info.repetition, self.repeat);
                note.push_str(&format!(", repetition {number} of {of}"));
            }
            self.line(&line::result(report, &note));
        }
        if self.verbosity > Verbosity::Quiet {
            for text in attachments {
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
        if self.repeat > 1 && self.verbosity > Verbosity::Quiet {
            self.repeated(&report.info);
        }
        self.show_progress("");
    }

    /// A line for an execution whose last repetition has ended.
    fn repeated(&mut self, info: &ExecutionInfo) {
        let key = (info.id.clone(), info.combination.clone());
        let ended = self.ended.entry(key).or_insert(0);
        *ended += 1;
        if *ended < self.repeat {
            return;
        }
        let own = |report: &&ExecutionReport| is_same(&report.info, info);
        let lines = grouped(self.reports.iter().filter(own))
            .into_iter()
            .map(|group| {
                let (passed, of, each) =
                    (group.passed, group.count, line::seconds(group.average()));
                let note = format!("passed {passed} of {of} times, {each} each");
                line::result(group.worst, &note)
            });
        for line in lines.collect::<Vec<_>>() {
            self.line(&line);
        }
    }

    fn failure(&mut self, report: &ExecutionReport) {
        let head = failure::headline(report, self.repeat);
        self.line("");
        self.line(&head.style(line::style(report.outcome)).to_string());
        for line in failure::details(report, &self.again, &self.folder) {
            self.line(&line);
        }
    }

    /// Ends the report. `shortcoming` says why it is not of a whole run, where that is so.
    pub fn summary(&mut self, shortcoming: Option<&str>, took: Duration) {
        self.bar.end();
        let mut reports = std::mem::take(&mut self.reports);
        reports.sort_by_key(|report| report.info.number);
        for report in reports.iter().filter(|report| failure::is_failure(report)) {
            self.failure(report);
        }
        let merged: Vec<_> = grouped(&reports).iter().map(|group| group.worst).collect();
        if self.verbosity > Verbosity::Quiet {
            let matrix = matrix::render(&merged);
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
        if let Some(shortcoming) = shortcoming {
            self.line(shortcoming);
        }
        let mut end = format!("{} in {}", line::counts(&merged), line::seconds(took));
        if self.repeat > 1 {
            end.push_str(&format!(", each run {} times", self.repeat));
        }
        if let Some(seed) = self.seed {
            end.push_str(&format!(", in the order of --shuffle={seed}"));
        }
        self.line(&end);
        if self.verbosity == Verbosity::Verbose {
            let folder = self.folder.display();
            self.line(&format!("logs: {folder}"));
        }
    }
}

impl Reporter for Console {
    fn on(&mut self, event: &Event) {
        let verbose = self.verbosity == Verbosity::Verbose;
        self.bar.notice(event);
        match event {
            Event::RunStarted { header, folder } => {
                self.total = header.executions.len();
                (self.jobs, self.repeat, self.seed) = (header.jobs, header.repeat, header.seed);
                self.again = header.again.clone();
                self.folder = folder.clone();
                if let (Some(seed), true) = (self.seed, self.verbosity > Verbosity::Quiet) {
                    self.line(&format!("order: --shuffle={seed}"));
                }
            }
            Event::Warning { text } => self.warnings.push(text.clone()),
            Event::Note { text } if verbose => self.lines("", text),
            Event::SetupFinished {
                platform,
                took,
                output,
            } if verbose => {
                self.lines("  | ", output);
                self.line(&format!("{platform} is set up ({})", line::seconds(*took)));
            }
            Event::ExecutionStarted(info) => {
                if verbose {
                    let head = format!("{} {} {}", info.id, info.combination, info.name);
                    self.detail(info.number, &head);
                }
                self.running.push(info.clone());
                self.show_progress("");
            }
            Event::ProcessReady {
                execution,
                who,
                took,
                ..
            } if verbose => {
                let text = format!("  started {who} ({})", line::seconds(*took));
                self.detail(*execution, &text);
            }
            Event::StepStarted { text, .. } => self.show_progress(text),
            Event::Attachment {
                execution, text, ..
            } => {
                let own = self.attachments.entry(*execution).or_default();
                own.push(text.clone());
            }
            Event::StepFinished {
                execution,
                text,
                took,
                success,
                ..
            } if verbose => {
                let mark = if *success { "✓" } else { "✗" };
                let text = format!("  {mark} {text} ({})", line::seconds(*took));
                self.detail(*execution, &text);
            }
            Event::ExecutionFinished(report) => self.finished(report),
            Event::RunFinished(footer) => self.summary(footer.shortcoming(), footer.took),
            _ => {}
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::runner::event::{FailedStep, Footer};
    use crate::runner::outcome::Outcome;
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
            interrupted,
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
            text.starts_with(
                "s skipped         1.1    client=a  Name (1.500 s) – for Windows only\n"
            ),
            "{text}"
        );
    }
}
