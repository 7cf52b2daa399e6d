//! What the processes of an execution logged, merged by time.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::runner::record::{ExecutionRecord, LogRecordLine};

/// How much of the logs of an execution goes into the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Lines.
    pub lines: usize,
    /// Bytes of text.
    pub bytes: usize,
}

/// What processes logged.
#[derive(Debug)]
pub struct Merged<'a> {
    /// The last lines, in the order of their times: seconds since the start of the run.
    pub lines: Vec<(f64, &'a LogRecordLine)>,
    /// How many lines come before them.
    pub left_out: usize,
    /// How many lines of standard errors are left out because a record says the same.
    pub said_twice: usize,
}

/// Merges what processes logged. `began` is when the run did.
pub fn merged(execution: &ExecutionRecord, began: Option<Timestamp>, limit: Limit) -> Merged<'_> {
    let clock = Clock::of(execution, began);
    let logs = execution.logs.iter();
    let records: BTreeSet<(usize, &str)> = logs
        .filter(|line| line.record.is_some())
        .map(|line| (line.process, line.text.as_str()))
        .collect();
    let logs = execution.logs.iter();
    let mut lines: Vec<_> = logs
        .filter(|line| line.record.is_some() || !repeats(line, &records))
        .map(|line| (clock.time(execution, line), line))
        .collect();
    let said_twice = execution.logs.len() - lines.len();
    lines.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let left_out = lines.len() - last(&lines, limit);
    Merged {
        lines: lines.split_off(left_out),
        left_out,
        said_twice,
    }
}

/// How many lines at the end are within the limit.
fn last(lines: &[(f64, &LogRecordLine)], limit: Limit) -> usize {
    let mut bytes = 0;
    let from_the_end = lines.iter().rev().take(limit.lines);
    let fitting = from_the_end.take_while(|(_, line)| {
        bytes += line.text.len();
        bytes <= limit.bytes
    });
    fitting.count()
}

/// Whether the line ends with the text of a record: loggers write time, level and target before it.
fn repeats(line: &LogRecordLine, records: &BTreeSet<(usize, &str)>) -> bool {
    let text = line.text.as_str();
    let is_record = |from: usize| records.contains(&(line.process, &text[from..]));
    is_record(0) || text.match_indices(' ').any(|(at, _)| is_record(at + 1))
}

/// When records were logged, which arrive only with the answer to their step. What their processes
/// say of the time is related to the arrivals of their records, so that clocks need not agree.
struct Clock {
    began: Option<Timestamp>,
    /// What is to be added to the time of each process.
    ahead: BTreeMap<usize, f64>,
}

impl Clock {
    fn of(execution: &ExecutionRecord, began: Option<Timestamp>) -> Clock {
        let mut clock = Clock {
            began,
            ahead: BTreeMap::new(),
        };
        for line in &execution.logs {
            if let Some(told) = clock.told(line) {
                let ahead = clock.ahead.entry(line.process).or_insert(f64::INFINITY);
                *ahead = ahead.min(line.at - told);
            }
        }
        clock
    }

    /// When the process says that it was.
    fn told(&self, line: &LogRecordLine) -> Option<f64> {
        let told: Timestamp = line.record.as_ref()?.timestamp.parse().ok()?;
        let since = told.duration_since(self.began?);
        Some(since.as_secs_f64())
    }

    /// When it was: after the step was sent and before its answer came.
    fn time(&self, execution: &ExecutionRecord, line: &LogRecordLine) -> f64 {
        let (Some(told), Some(ahead)) = (self.told(line), self.ahead.get(&line.process)) else {
            return line.at;
        };
        let step = line.record.as_ref().map(|record| record.step);
        let mut steps = execution.steps.iter().rev();
        let sent = steps.find(|of| Some(of.index) == step).and_then(|step| {
            let mut sent = step.sent.iter();
            sent.find(|sent| sent.process == line.process)
        });
        let earliest = sent.map_or(f64::NEG_INFINITY, |sent| sent.at);
        (told + ahead).max(earliest).min(line.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::event::LogRecord;
    use crate::runner::record::Record;

    const WIDE: Limit = Limit {
        lines: 100,
        bytes: 10_000,
    };

    fn line(at: f64, process: usize, stamp: Option<&str>, text: &str) -> LogRecordLine {
        LogRecordLine {
            at,
            process,
            record: stamp.map(|stamp| LogRecord {
                step: 99,
                timestamp: format!("2026-01-01T00:00:{stamp}Z"),
                level: 2,
            }),
            text: text.to_owned(),
        }
    }

    fn execution(logs: Vec<LogRecordLine>) -> ExecutionRecord {
        let log = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/events.ndjson");
        let record = Record::read(log.as_ref()).unwrap();
        let mut execution = record.executions.into_iter().next().unwrap();
        execution.logs = logs;
        execution
    }

    fn texts(logs: Vec<LogRecordLine>, limit: Limit) -> (Vec<String>, usize, usize) {
        let execution = execution(logs);
        let merged = merged(&execution, "2026-01-01T00:00:00Z".parse().ok(), limit);
        let texts = merged.lines.iter().map(|(_, line)| line.text.clone());
        (texts.collect(), merged.left_out, merged.said_twice)
    }

    #[test]
    fn records_stand_where_they_were_logged_and_not_where_they_arrived() {
        let logs = vec![
            line(1.5, 1, None, "b"),
            line(3.0, 0, Some("01.000"), "a"),
            line(3.0, 0, Some("03.000"), "c"),
            line(3.5, 1, Some("not a time"), "d"),
            // Its clock is an hour behind; what counts is when it arrives.
            line(2.5, 2, Some("00.000"), "between"),
        ];
        let (texts, ..) = texts(logs, WIDE);
        assert_eq!(texts, ["a", "b", "between", "c", "d"]);
    }

    #[test]
    fn what_a_record_says_is_not_said_twice() {
        let logs = vec![
            line(1.0, 0, None, "2026 INFO target: a text"),
            line(1.0, 1, None, "2026 INFO target: a text"),
            line(2.0, 0, Some("02.000"), "a text"),
        ];
        let (texts, _, said_twice) = texts(logs, WIDE);
        assert_eq!(texts, ["2026 INFO target: a text", "a text"]);
        assert_eq!(said_twice, 1);
    }

    #[test]
    fn the_last_lines_stay() {
        let logs = |count: usize| {
            let line = |n| line(n as f64, 0, None, &format!("line {n}"));
            (0..count).map(line).collect::<Vec<_>>()
        };
        let limit = Limit {
            lines: 2,
            bytes: 99,
        };
        assert_eq!(
            texts(logs(5), limit),
            (vec!["line 3".into(), "line 4".into()], 3, 0)
        );
        let limit = Limit {
            lines: 9,
            bytes: 12,
        };
        assert_eq!(
            texts(logs(5), limit),
            (vec!["line 3".into(), "line 4".into()], 3, 0)
        );
    }
}
