//! The event log of a run: `events.ndjson` in its folder, one event a line, each written at once.
//!
//! A line is an [`Event`] and `at`, the seconds since the start of the run. The first line is
//! [`Event::RunStarted`] with the number of the format; the last one of a whole run is
//! [`Event::RunFinished`].

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::event::{Event, Reporter};
use super::header::FORMAT;
use super::terminal::warn;

/// The name of the log in the folder of a run.
pub const FILE_NAME: &str = "events.ndjson";

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line<E = Event> {
    /// Seconds since the start of the run, exact to the microsecond.
    pub at: f64,
    /// What happened then.
    #[serde(flatten)]
    pub event: E,
}

/// Writes events to a log.
#[derive(Debug)]
pub struct EventLog {
    began: Instant,
    path: PathBuf,
    /// `None` once it cannot be written any more.
    file: Option<File>,
    line: Vec<u8>,
}

impl EventLog {
    /// Makes the log in the folder of a run, and the folder.
    ///
    /// # Errors
    ///
    /// Why that failed, with the path.
    pub fn create(folder: &Path) -> Result<EventLog, String> {
        let path = folder.join(FILE_NAME);
        let at = |path: &Path, error| format!("{}: {error}", path.display());
        std::fs::create_dir_all(folder).map_err(|error| at(folder, error))?;
        let file = File::create(&path).map_err(|error| at(&path, error))?;
        Ok(EventLog {
            began: Instant::now(),
            path,
            file: Some(file),
            line: Vec::new(),
        })
    }

    fn write(&mut self, event: &Event) -> std::io::Result<()> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let micros = self.began.elapsed().as_micros();
        let at = micros as f64 / 1e6;
        self.line.clear();
        serde_json::to_writer(&mut self.line, &Line { at, event })?;
        self.line.push(b'\n');
        // One system call: a process that is killed leaves whole lines.
        file.write_all(&self.line)
    }
}

impl Reporter for EventLog {
    fn on(&mut self, event: &Event) {
        if let Err(error) = self.write(event) {
            let path = self.path.display();
            let what = "the log of this run ends here, and no report can be made of the whole run";
            warn(&format!("harmony: {path}: {error}; {what}"));
            self.file = None;
        }
    }
}

/// Why a log cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}{}: {message}", path.display(), line.map(|l| format!(":{l}")).unwrap_or_default())]
pub struct ReadError {
    path: PathBuf,
    line: Option<usize>,
    message: String,
}

/// What the first line has to say before anything else is read.
#[derive(Deserialize)]
struct First {
    event: String,
    format: u32,
}

/// Reads the lines of a log, in their order. Whether the last line is cut off, as a process leaves
/// it that is killed while it writes; that one is left out.
///
/// # Errors
///
/// When the file cannot be read, is no log or that of a newer version, or when a line is wrong,
/// `take` included.
pub fn read(
    path: &Path,
    mut take: impl FnMut(Line) -> Result<(), String>,
) -> Result<bool, ReadError> {
    let wrong = |line: Option<usize>, message: String| ReadError {
        path: path.to_owned(),
        line,
        message,
    };
    let unreadable = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => wrong(None, "there is no such log".to_owned()),
        _ => wrong(None, format!("cannot be read: {error}")),
    };
    let mut file = BufReader::new(File::open(path).map_err(unreadable)?);
    let mut text = Vec::new();
    for number in 1.. {
        text.clear();
        file.read_until(b'\n', &mut text).map_err(unreadable)?;
        let is_whole = text.ends_with(b"\n");
        if text.is_empty() && number > 1 {
            break;
        }
        if number == 1 {
            check_format(&text).map_err(|why| wrong(Some(1), why))?;
        }
        match serde_json::from_slice::<Line>(&text) {
            Ok(line) => take(line).map_err(|why| wrong(Some(number), why))?,
            Err(_) if !is_whole && number > 1 => return Ok(true),
            Err(error) => {
                return Err(wrong(Some(number), format!("is no event: {error}")));
            }
        }
    }
    Ok(false)
}

fn check_format(line: &[u8]) -> Result<(), String> {
    let is_header = |first: &First| first.event == "run-started";
    let first = serde_json::from_slice(line).ok().filter(is_header);
    let Some(First { format, .. }) = first else {
        return Err("the file does not begin like an event log of harmony".to_owned());
    };
    if format > FORMAT {
        return Err(format!(
            "the log has format {format}, but this harmony reads formats up to {FORMAT}; use the \
             version that wrote it, or a newer one"
        ));
    }
    Ok(())
}

/// Finds the log that the user means: a log, the folder of a run, the name of a run below `runs`, or
/// without any of these the latest run there.
///
/// # Errors
///
/// When there is none, or `runs` cannot be told where it is needed.
pub fn find(
    asked: Option<&Path>,
    runs: impl FnOnce() -> Result<PathBuf, String>,
) -> Result<PathBuf, String> {
    let Some(asked) = asked else {
        let runs = runs()?;
        let none = || format!("there is no run in {} yet", runs.display());
        return latest(&runs).ok_or_else(none);
    };
    for path in [asked.to_owned(), asked.join(FILE_NAME)] {
        if path.is_file() {
            return std::path::absolute(path).map_err(|error| error.to_string());
        }
    }
    let runs = runs()?;
    let named = runs.join(asked).join(FILE_NAME);
    let (asked, runs) = (asked.display(), runs.display());
    named.is_file().then_some(named).ok_or_else(|| {
        format!(
            "{asked} is neither an event log nor the folder of a run with one, and there is no run \
             of that name in {runs}"
        )
    })
}

/// The log of the latest run: names of runs begin with their times.
fn latest(runs: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(runs).ok()?.flatten();
    let logs = entries.map(|entry| entry.path().join(FILE_NAME));
    logs.filter(|path| path.is_file()).max()
}
