//! The report on the terminal: what runs now, a line per execution, the failures, the matrix.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use owo_colors::OwoColorize;

use super::failure;
use super::progress::Progress;
use super::repetitions::{grouped, is_same};
use super::{comparison, line, matrix};
use crate::runner::baseline::Comparison;
use crate::runner::event::{Event, ExecutionInfo, ExecutionReport, Reporter};
use crate::runner::header::Again;
use crate::runner::outcome::Outcome;

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
    /// Whether everything is run round by round, as often as it takes.
    in_rounds: bool,
    retries: u32,
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
    /// Attempts that failed and were not the last of their executions.
    failed_attempts: Vec<ExecutionReport>,
    comparison: Option<Comparison>,
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
            in_rounds: false,
            retries: 0,
            seed: None,
            folder: PathBuf::new(),
            running: Vec::new(),
            attachments: BTreeMap::new(),
            details: BTreeMap::new(),
            ended: BTreeMap::new(),
            reports: Vec::new(),
            failed_attempts: Vec::new(),
            comparison: None,
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

    /// Takes an attempt of an execution from those that run, and shows what was held back of it.
    fn ended(&mut self, number: usize) {
        self.running.retain(|info| info.number != number);
        for line in self.details.remove(&number).unwrap_or_default() {
            self.line(&line);
        }
    }

    /// An attempt has failed, and another one follows.
    fn failed_attempt(&mut self, report: &ExecutionReport) {
        self.ended(report.info.number);
        self.attachments.remove(&report.info.number);
        let took = line::seconds(report.took);
        let (attempt, of) = (report.attempt, self.retries + 1);
        let note = format!("{took}, attempt {attempt} of {of}");
        self.line(&line::result(report, &note));
        self.failed_attempts.push(report.clone());
    }

    /// Whether the line of an execution says that it was one of many.
    fn is_repeated(&self) -> bool {
        self.repeat > 1 || self.in_rounds
    }

    fn finished(&mut self, report: &ExecutionReport) {
        let number = report.info.number;
        self.ended(number);
        self.reports.push(report.clone());
        if report.outcome == Outcome::Unavailable {
            // What is missing is told once, at the end.
            return;
        }
        let attachments = self.attachments.remove(&number).unwrap_or_default();
        let red = !report.outcome.is_green();
        // Of many repetitions only those that say something have a line of their own.
        let says = !attachments.is_empty() || !report.warnings.is_empty();
        let shown = match self.verbosity {
            Verbosity::Quiet => red,
            Verbosity::Normal => red || says || !self.is_repeated(),
            Verbosity::Verbose => true,
        };
        if shown {
            let mut note = line::seconds(report.took);
            let (number, of) = (report.info.repetition, self.repeat);
            if self.in_rounds {
                note.push_str(&format!(", round {number}"));
            } else if of > 1 {
                note.push_str(&format!(", repetition {number} of {of}"));
            }
            if report.attempt > 1 {
                let (attempt, of) = (report.attempt, self.retries + 1);
                note.push_str(&format!(", attempt {attempt} of {of}"));
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
        if self.repeat > 1 && !self.in_rounds && self.verbosity > Verbosity::Quiet {
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

    /// Everything that went wrong, the attempts of an execution one after another.
    fn failures(&mut self, reports: &[ExecutionReport]) {
        let attempts = std::mem::take(&mut self.failed_attempts);
        for report in reports {
            let own = |attempt: &&ExecutionReport| attempt.info.number == report.info.number;
            for attempt in attempts.iter().filter(own) {
                self.failure(attempt, false);
            }
            if failure::is_failure(report) && report.outcome != Outcome::FlakyFailure {
                self.failure(report, true);
            }
        }
    }

    fn failure(&mut self, report: &ExecutionReport, is_last: bool) {
        let head = failure::headline(report, self.repeat, is_last);
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
        self.failures(&reports);
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
        if let Some(comparison) = self.comparison.take() {
            self.line("");
            for line in comparison::lines(&comparison) {
                self.line(&line);
            }
        }
        for missing in missing(&reports) {
            self.line(&format!(
                "unavailable: {missing}; combinations with it are left out"
            ));
        }
        for warning in std::mem::take(&mut self.warnings) {
            self.lines("", &format!("warning: {warning}"));
        }
        self.line("");
        if let Some(shortcoming) = shortcoming {
            self.line(shortcoming);
        }
        let mut end = format!("{} in {}", line::counts(&merged), line::seconds(took));
        match (self.in_rounds, self.repeat) {
            (true, 1) => end.push_str(", in 1 round"),
            (true, rounds) => end.push_str(&format!(", in {rounds} rounds")),
            (false, 1) => {}
            (false, times) => end.push_str(&format!(", each run {times} times")),
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
                (self.in_rounds, self.retries) = (header.until_failure, header.retries);
                self.again = header.again.clone();
                self.folder = folder.clone();
                if self.verbosity > Verbosity::Quiet {
                    if let Some(run) = &header.rerun_of {
                        let count = distinct(&header.executions);
                        self.line(&format!("running again: {count}, not green in {run}"));
                    }
                    if let Some(part) = &header.part_of {
                        self.line(&format!("shard: {}", part.shard));
                    }
                    if let Some(seed) = self.seed {
                        self.line(&format!("order: --shuffle={seed}"));
                    }
                    if self.in_rounds {
                        self.line("round 1");
                    }
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
            Event::RoundStarted { round, executions } => {
                self.repeat = *round;
                self.total += executions.len();
                if self.verbosity > Verbosity::Quiet {
                    self.line(&format!("round {round}"));
                }
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
            Event::Compared(comparison) => self.comparison = Some((**comparison).clone()),
            Event::AttemptFinished(report) => self.failed_attempt(report),
            Event::ExecutionFinished(report) => self.finished(report),
            Event::RunFinished(footer) => {
                self.summary(footer.shortcoming().as_deref(), footer.took);
            }
            _ => {}
        }
    }
}

/// How many executions there are, in words; repetitions do not count.
fn distinct(executions: &[ExecutionInfo]) -> String {
    let first = executions.iter().filter(|info| info.repetition == 1);
    match first.count() {
        1 => "1 execution".to_owned(),
        count => format!("{count} executions"),
    }
}

/// Why executions are unavailable, each reason once.
fn missing(reports: &[ExecutionReport]) -> Vec<String> {
    let unavailable = reports.iter().filter(|r| r.outcome == Outcome::Unavailable);
    let mut reasons: Vec<String> = Vec::new();
    for report in unavailable {
        let reason = report.reason.clone().unwrap_or_default();
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    reasons
}

#[cfg(test)]
pub(super) mod tests;
