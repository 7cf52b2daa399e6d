//! What the processes of one execution do and say, told as events. However much they say, it takes a
//! limited amount of the event log; the rest is in files beside it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::event::{Event, Events, LogLine, LogRecord, ProcessInfo};
use super::spawn::Exit;
use super::stderr::Log;
use super::terminal::warn;
use crate::rpc::message::LogEntry;

/// How many lines of an execution are events.
const LINES: usize = 500;

/// How long a line may be, in bytes.
const LINE: usize = 2000;

/// How much room the lines of a whole run take, in bytes: a report holds all of them in memory.
const RUN: usize = 24 << 20;

/// How much of it an execution has, at least and at most.
const EXECUTION: [usize; 2] = [4 << 10, 256 << 10];

/// How much a line takes beside its text.
const OVERHEAD: usize = 100;

/// The file with the records that are no events.
pub const MORE: &str = "more-records.log";

/// The transcript of one execution. Clones write to the same one.
#[derive(Debug, Clone)]
pub struct Transcript(Arc<Mutex<Writing>>);

struct Writing {
    events: Events,
    execution: usize,
    folder: PathBuf,
    lines: usize,
    room: usize,
    /// Whether nothing more is to be told.
    is_closed: bool,
    /// Whether it was said that there is no more room.
    is_full: bool,
    /// Records that are no events.
    more: Option<Log>,
}

impl std::fmt::Debug for Writing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writing")
            .field("execution", &self.execution)
            .finish_non_exhaustive()
    }
}

impl Transcript {
    /// The transcript of an execution whose logs are in `folder`, in a run of so many executions.
    pub fn new(events: &Events, execution: usize, folder: &Path, executions: usize) -> Transcript {
        let [least, most] = EXECUTION;
        Transcript(Arc::new(Mutex::new(Writing {
            events: events.clone(),
            execution,
            folder: folder.to_owned(),
            lines: LINES,
            room: (RUN / executions.max(1)).clamp(least, most),
            is_closed: false,
            is_full: false,
            more: None,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Writing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The part of the process with this number.
    pub fn of(&self, process: usize) -> Part {
        Part {
            transcript: self.clone(),
            process,
        }
    }

    /// Lets nothing be told any more: the execution is over.
    pub fn close(&self) {
        self.lock().is_closed = true;
    }
}

/// What one process does and says.
#[derive(Debug, Clone)]
pub struct Part {
    transcript: Transcript,
    process: usize,
}

impl Part {
    /// Its program was started.
    pub fn started(&self, name: &str, role: &str, platform: &str, pid: Option<i32>, log: &Path) {
        let writing = self.transcript.lock();
        let process = ProcessInfo {
            number: self.process,
            name: name.to_owned(),
            role: role.to_owned(),
            platform: platform.to_owned(),
            pid,
            log: within_run(log),
        };
        writing.emit(Event::ProcessStarted {
            execution: writing.execution,
            process,
        });
    }

    /// It answers. `who` is role, platform and process id, `took` the time from its start to now.
    pub fn ready(&self, who: String, took: Duration) {
        let writing = self.transcript.lock();
        writing.emit(Event::ProcessReady {
            execution: writing.execution,
            process: self.process,
            who,
            took,
        });
    }

    /// The step of that index is sent to it.
    pub fn sent(&self, step: usize) {
        let writing = self.transcript.lock();
        writing.emit(Event::StepSent {
            execution: writing.execution,
            step,
            process: self.process,
        });
    }

    /// It has done with that step.
    pub fn answered(&self, step: usize, took: Duration, success: bool) {
        let writing = self.transcript.lock();
        writing.emit(Event::StepAnswered {
            execution: writing.execution,
            step,
            process: self.process,
            took,
            success,
        });
    }

    /// It has ended.
    pub fn exited(&self, exit: &Exit) {
        let writing = self.transcript.lock();
        writing.emit(Event::ProcessExited {
            execution: writing.execution,
            process: self.process,
            how: exit.how.to_string(),
            left_behind: exit.left_behind,
        });
    }

    /// It wrote a line to its standard error.
    pub fn line(&self, text: &str) {
        self.transcript.lock().line(self.process, None, text);
    }

    /// A record came with its answer to a step.
    pub fn record(&self, step: usize, entry: &LogEntry) {
        let record = LogRecord {
            step,
            timestamp: shortened(&entry.timestamp, 64),
            level: entry.level,
        };
        let mut writing = self.transcript.lock();
        let is_whole = writing.line(self.process, Some(record), &entry.message);
        if !is_whole {
            writing.keep(self.process, entry);
        }
    }
}

impl Writing {
    fn emit(&self, event: Event) {
        if !self.is_closed {
            self.events.emit(event);
        }
    }

    /// Tells a line if there is room for it. Whether all of it was told.
    fn line(&mut self, process: usize, record: Option<LogRecord>, text: &str) -> bool {
        let short = shortened(text, LINE);
        let cost = short.len() + OVERHEAD;
        if self.lines == 0 || cost > self.room {
            // What comes later and is shorter would stand in the wrong place.
            self.room = 0;
            self.say_full();
            return false;
        }
        self.lines -= 1;
        self.room -= cost;
        let is_whole = short.len() == text.len();
        self.emit(Event::LogLine(LogLine {
            execution: self.execution,
            process,
            record,
            text: short,
        }));
        is_whole
    }

    fn say_full(&mut self) {
        if !self.is_full {
            self.is_full = true;
            self.emit(Event::LogEnded {
                execution: self.execution,
                more: within_run(&self.folder.join(MORE)),
            });
        }
    }

    /// Keeps a record that is not whole among the events.
    fn keep(&mut self, process: usize, entry: &LogEntry) {
        if self.more.is_none() {
            match Log::create(self.folder.join(MORE)) {
                Ok(log) => self.more = Some(log),
                Err(why) => return warn(&format!("harmony: {why}")),
            }
        }
        if let Some(log) = &mut self.more {
            let LogEntry {
                timestamp,
                level,
                message,
            } = entry;
            let line = format!("{timestamp} process {process} level {level}: {message}\n");
            log.write(line.as_bytes());
        }
    }
}

/// The path of a file in the folder of an execution, relative to the folder of the run.
fn within_run(file: &Path) -> PathBuf {
    let folder = file.parent().and_then(Path::file_name).unwrap_or_default();
    Path::new(folder).join(file.file_name().unwrap_or_default())
}

/// The beginning of a text, where it is longer than `limit` bytes.
pub fn shortened(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let mark = '…';
    let end = text.floor_char_boundary(limit.saturating_sub(mark.len_utf8()));
    format!("{}{mark}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::event::Reporter;

    #[derive(Clone, Default)]
    struct Heard(Arc<Mutex<Vec<Event>>>);

    impl Reporter for Heard {
        fn on(&mut self, event: &Event) {
            self.0.lock().unwrap().push(event.clone());
        }
    }

    /// What is told of so many lines of this length, in a run of so many executions.
    fn told(lines: usize, length: usize, executions: usize) -> Vec<Event> {
        let heard = Heard::default();
        let events = Events::new(vec![Box::new(heard.clone())]);
        let transcript = Transcript::new(&events, 3, Path::new("/runs/r/1.1-a"), executions);
        for _ in 0..lines {
            transcript.of(0).line(&"x".repeat(length));
        }
        let told = heard.0.lock().unwrap();
        told.clone()
    }

    #[test]
    fn however_much_is_said_it_takes_limited_room() {
        let events = told(600, 10, 1);
        assert_eq!(events.len(), LINES + 1);
        let more = Path::new("1.1-a").join(MORE);
        let execution = 3;
        assert_eq!(events[LINES], Event::LogEnded { execution, more });
        for (length, executions) in [(1900, 1), (10, 2000), (1900, 2000), (10, usize::MAX)] {
            let lines = told(600, length, executions).len() - 1;
            let room = (RUN / executions).clamp(EXECUTION[0], EXECUTION[1]);
            let cost = lines * (length + OVERHEAD);
            assert!(
                cost <= room && cost > room / 2 || lines == LINES,
                "{lines} {length}"
            );
        }
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let Event::LogLine(line) = &told(1, 5000, 1)[0] else {
            panic!()
        };
        assert_eq!(line.text.len(), LINE);
        assert!(line.text.ends_with("x…"));
        assert_eq!(shortened("äöü", 6), "äöü");
        assert_eq!(shortened("äöüß", 6), "ä…");
    }

    #[test]
    fn records_for_which_there_is_no_room_are_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let heard = Heard::default();
        let events = Events::new(vec![Box::new(heard.clone())]);
        let transcript = Transcript::new(&events, 0, folder.path(), 1);
        let record = |message: &str| {
            let entry = LogEntry {
                timestamp: "now".into(),
                level: 3,
                message: message.into(),
            };
            transcript.of(1).record(2, &entry);
        };
        for number in 0..LINES {
            record(&number.to_string());
        }
        assert!(!folder.path().join(MORE).exists());
        record("one more");
        let kept = || std::fs::read_to_string(folder.path().join(MORE)).unwrap();
        assert_eq!(kept(), "now process 1 level 3: one more\n");
        transcript.close();
        let before = heard.0.lock().unwrap().len();
        transcript.of(1).line("late");
        transcript.of(1).ready("late".into(), Duration::ZERO);
        assert_eq!(heard.0.lock().unwrap().len(), before);
    }
}
