//! The fold of events into a record.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{
    Answer, AttachmentRecord, ExecutionRecord, LogRecordLine, ProcessRecord, Record, SentRecord,
    SetupRecord, StepEnd, StepRecord,
};
use crate::runner::event::{Event, ExecutionInfo, ExecutionReport, FailedStep, LogLine};
use crate::runner::event_log::Line;
use crate::runner::header::Header;
use crate::runner::outcome::Outcome;

/// A record under way.
#[derive(Debug, Default)]
pub struct Folding {
    /// `None` before the first line.
    record: Option<Record>,
    /// The index of every execution, by its number.
    places: BTreeMap<usize, usize>,
}

impl Folding {
    /// Takes in a line.
    ///
    /// # Errors
    ///
    /// What does not fit the lines before it.
    pub fn take(&mut self, Line { at, event }: Line) -> Result<(), String> {
        let Some(record) = &mut self.record else {
            let Event::RunStarted { header, .. } = event else {
                return Err("the first event has to be the start of the run".to_owned());
            };
            let mut executions = header.executions.iter();
            if let Some(stray) = executions.find(|info| header.scenario(&info.id).is_none()) {
                return Err(format!("there is no scenario {} in the plan", stray.id));
            }
            let executions = header.executions.iter().enumerate();
            self.places = executions.map(|(at, info)| (info.number, at)).collect();
            self.record = Some(begun(*header));
            return Ok(());
        };
        record.until = record.until.max(at);
        match event {
            Event::RunStarted { .. } => return Err("the run starts a second time".to_owned()),
            Event::RunFinished(footer) => record.footer = Some(footer),
            Event::Compared(comparison) => record.comparison = Some(*comparison),
            Event::Warning { text } => record.warnings.push(text),
            Event::SetupFinished { platform, took, .. } => {
                record.setups.push(SetupRecord { platform, at, took });
            }
            Event::RoundStarted { round, executions } => {
                let first = record.executions.len();
                let numbers = executions.iter().enumerate();
                let places = numbers.map(|(index, info)| (info.number, first + index));
                self.places.extend(places);
                record.header.repeat = round;
                record.header.executions.extend(executions.iter().cloned());
                record
                    .executions
                    .extend(executions.into_iter().map(planned));
            }
            Event::AttemptFinished(report) => {
                let execution = self.execution(report.info.number)?;
                execution.begin_again(at, *report);
            }
            Event::ExecutionFinished(report) => {
                let execution = self.execution(report.info.number)?;
                execution.report = *report;
                execution.finished = Some(at);
            }
            mut event => {
                if let Some(number) = event.execution_mut().copied() {
                    return self.execution(number)?.take(at, event);
                }
            }
        }
        Ok(())
    }

    fn execution(&mut self, number: usize) -> Result<&mut ExecutionRecord, String> {
        let place = self.places.get(&number).copied();
        let executions = self.record.as_mut().map(|record| &mut record.executions);
        let found = place.and_then(|place| executions?.get_mut(place));
        found.ok_or_else(|| format!("there is no execution {number} in the plan"))
    }

    /// The record of all lines.
    ///
    /// # Panics
    ///
    /// Where there was no line: the reader of a log refuses a file without a first line.
    pub fn finish(self) -> Record {
        let record = self.record;
        let mut record = record.expect("the first line of a log is taken or refused");
        let until = record.until;
        for execution in &mut record.executions {
            execution.cut_off(until);
        }
        record
    }
}

/// The record of a run of which nothing is known but its plan.
fn begun(header: Header) -> Record {
    let executions = header.executions.iter().cloned().map(planned);
    Record {
        executions: executions.collect(),
        header,
        setups: Vec::new(),
        warnings: Vec::new(),
        comparison: None,
        footer: None,
        until: 0.0,
    }
}

fn planned(info: ExecutionInfo) -> ExecutionRecord {
    ExecutionRecord {
        report: ExecutionReport {
            info,
            attempt: 1,
            outcome: Outcome::Incomplete,
            reason: Some("the run ended before it began".to_owned()),
            failed_step: None,
            took: Default::default(),
            warnings: Vec::new(),
            leftovers: Vec::new(),
            tails: Vec::new(),
            folder: None,
        },
        started: None,
        finished: None,
        steps: Vec::new(),
        processes: Vec::new(),
        attachments: Vec::new(),
        logs: Vec::new(),
        more_logs: None,
        earlier: Vec::new(),
    }
}

impl ExecutionRecord {
    fn take(&mut self, at: f64, event: Event) -> Result<(), String> {
        match event {
            Event::ExecutionStarted(_) => {
                self.started = Some(at);
                self.report.reason = Some("the run ended before it had ended".to_owned());
            }
            Event::ProcessStarted { process: info, .. } => self.processes.push(ProcessRecord {
                info,
                started: at,
                ready: None,
                exited: None,
                how: None,
                left_behind: 0,
            }),
            Event::ProcessReady { process, .. } => self.process(process)?.ready = Some(at),
            Event::ProcessExited {
                process,
                how,
                left_behind,
                ..
            } => {
                let process = self.process(process)?;
                (process.exited, process.how) = (Some(at), Some(how));
                process.left_behind = left_behind;
            }
            Event::StepStarted {
                step,
                text,
                line,
                to,
                ..
            } => self.steps.push(StepRecord {
                index: step,
                text,
                line,
                to,
                started: at,
                end: None,
                sent: Vec::new(),
            }),
            Event::StepSent { step, process, .. } => self.step(step)?.sent.push(SentRecord {
                process,
                at,
                answer: None,
            }),
            Event::StepAnswered {
                step,
                process,
                took,
                success,
                ..
            } => self.sent(step, process)?.answer = Some(Answer { took, success }),
            Event::StepFinished {
                step,
                took,
                success,
                error,
                ..
            } => {
                self.step(step)?.end = Some(StepEnd {
                    took,
                    success,
                    error,
                });
            }
            Event::Attachment { step, text, .. } => {
                self.attachments.push(AttachmentRecord { at, step, text });
            }
            Event::LogLine(LogLine {
                process,
                record,
                text,
                ..
            }) => self.logs.push(LogRecordLine {
                at,
                process,
                record,
                text,
            }),
            Event::LogEnded { more, .. } => self.more_logs = Some(more),
            _ => {}
        }
        Ok(())
    }

    /// Puts what is known so far aside, as that of an attempt that failed.
    fn begin_again(&mut self, at: f64, report: ExecutionReport) {
        let mut next = planned(report.info.clone());
        next.report.attempt = report.attempt + 1;
        next.earlier = std::mem::take(&mut self.earlier);
        let mut failed = std::mem::replace(self, next);
        failed.report = report;
        failed.finished = Some(at);
        self.earlier.push(failed);
    }

    /// Says where an execution stood that has begun and has no end.
    fn cut_off(&mut self, until: f64) {
        let (Some(started), None) = (self.started, self.finished) else {
            return;
        };
        let report = &mut self.report;
        report.took = Duration::try_from_secs_f64(until - started).unwrap_or_default();
        let running = self.steps.last().filter(|step| step.end.is_none());
        report.failed_step = running.map(|step| FailedStep {
            step: step.text.clone(),
            line: step.line,
            to: step.to.clone(),
        });
    }

    fn process(&mut self, number: usize) -> Result<&mut ProcessRecord, String> {
        let mut processes = self.processes.iter_mut();
        let found = processes.find(|process| process.info.number == number);
        found.ok_or_else(|| format!("process {number} was not started"))
    }

    fn step(&mut self, index: usize) -> Result<&mut StepRecord, String> {
        let mut steps = self.steps.iter_mut().rev();
        let found = steps.find(|step| step.index == index);
        found.ok_or_else(|| format!("step {index} did not begin"))
    }

    fn sent(&mut self, step: usize, process: usize) -> Result<&mut SentRecord, String> {
        let mut sent = self.step(step)?.sent.iter_mut();
        let found = sent.find(|sent| sent.process == process);
        found.ok_or_else(|| format!("step {step} was not sent to process {process}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = include_str!("../../../tests/fixtures/events.ndjson");

    /// The record of the lines that `keep` lets through.
    fn folded(keep: impl Fn(&str) -> bool) -> Result<Record, String> {
        let mut folding = Folding::default();
        for line in LOG.lines().filter(|line| keep(line)) {
            folding.take(serde_json::from_str(line).unwrap())?;
        }
        Ok(folding.finish())
    }

    #[test]
    fn a_record_has_what_the_lines_say() {
        let record = folded(|_| true).unwrap();
        assert!(record.is_complete() && record.shortcoming().is_none());
        assert_eq!(
            Some(&record.counts()),
            record.footer.as_ref().map(|f| &f.counts)
        );
        let first = &record.executions[0];
        assert_eq!((first.steps.len(), first.processes.len()), (3, 2));
        assert_eq!(first.attachments[0].step, 1);
        assert_eq!(first.logs[0].record, None);
        assert_eq!(first.logs[1].record.as_ref().map(|r| r.level), Some(2));
        assert!(first.started < first.processes[0].ready && first.finished.is_some());
        let timed_out = &record.executions[2];
        let last = timed_out.steps.last().unwrap();
        assert_eq!((&last.end, &last.sent[0].answer), (&None, &None));
        assert!(timed_out.more_logs.is_some());
    }

    #[test]
    fn an_execution_without_an_end_is_incomplete_and_so_is_one_that_never_began() {
        let record = folded(|line| {
            let is_end = line.contains("\"event\":\"execution-finished\",\"execution\":2,");
            let is_last = line.contains("\"execution\":12,") && !line.contains("run-started");
            !is_end && !is_last && !line.contains("run-finished")
        });
        let record = record.unwrap();
        assert!(!record.is_complete());
        assert_eq!(record.counts()[&Outcome::Incomplete], 2);
        let [cut, never] = [&record.executions[2], &record.executions[12]];
        assert_eq!(cut.report.outcome, Outcome::Incomplete);
        assert_eq!(
            cut.report.failed_step.as_ref().map(|step| step.line),
            Some(9)
        );
        assert!(cut.report.took > Duration::from_secs(2));
        assert_eq!((never.started, &never.report.failed_step), (None, &None));
        assert_eq!(record.took(), Duration::from_secs_f64(record.until));
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let error = |keep: &dyn Fn(&str) -> bool| folded(keep).unwrap_err();
        let started = |line: &str| !line.contains("run-started");
        assert!(error(&started).contains("first event"));
        let step = |line: &str| !line.contains("step-started");
        assert_eq!(error(&step), "step 0 did not begin");
        let sent = |line: &str| !line.contains("step-sent");
        assert_eq!(error(&sent), "step 0 was not sent to process 0");
        let process = |line: &str| !line.contains("process-started");
        assert_eq!(error(&process), "process 0 was not started");
        let renamed = LOG.replacen(r#""id":"1.1""#, r#""id":"1.0""#, 1);
        let header = serde_json::from_str(renamed.lines().next().unwrap()).unwrap();
        let unplanned = Folding::default().take(header).unwrap_err();
        assert!(
            unplanned.starts_with("there is no scenario 1."),
            "{unplanned}"
        );
        let mut folding = Folding::default();
        let lines: Vec<&str> = LOG.lines().collect();
        let mut take = |line: &str| folding.take(serde_json::from_str(line).unwrap());
        take(lines[0]).unwrap();
        assert!(take(lines[0]).unwrap_err().contains("a second time"));
        let unknown = r#"{"at":1.0,"event":"attachment","execution":99,"step":0,"text":""}"#;
        assert!(take(unknown).unwrap_err().contains("no execution 99"));
    }
}
