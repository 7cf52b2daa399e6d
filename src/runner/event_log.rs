//! The event log of a run: `events.ndjson` in its folder, one event a line, each written at once.
//!
//! A line is an [`Event`] and `at`, the seconds since the start of the run. The first line is
//! [`Event::RunStarted`] with the number of the format; the last one of a whole run is
//! [`Event::RunFinished`].

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, ErrorKind, Write};
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

/// Writes a whole log, and makes the folder for it.
///
/// # Errors
///
/// Why that failed, with the path.
pub fn write(path: &Path, lines: &[Line]) -> Result<(), String> {
    let wrong = |error: std::io::Error| format!("{}: {error}", path.display());
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(wrong)?;
    let mut file = BufWriter::new(File::create(path).map_err(wrong)?);
    for line in lines {
        serde_json::to_writer(&mut file, line).map_err(|error| wrong(error.into()))?;
        file.write_all(b"\n").map_err(wrong)?;
    }
    file.flush().map_err(wrong)
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

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = include_str!("../../tests/fixtures/events.ndjson");

    /// How many lines were taken, and whether the last one is cut off; or what is wrong.
    fn read_text(text: &str) -> Result<(usize, bool), String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        std::fs::write(&path, text).unwrap();
        let mut lines = 0;
        let is_cut = read(&path, |_| {
            lines += 1;
            Ok(())
        });
        let folder = folder.path().display();
        match is_cut {
            Ok(is_cut) => Ok((lines, is_cut)),
            Err(error) => Err(error.to_string().replace(&format!("{folder}/"), "")),
        }
    }

    #[test]
    fn a_last_line_that_is_cut_off_is_left_out() {
        let count = LOG.lines().count();
        assert_eq!(read_text(LOG), Ok((count, false)));
        assert_eq!(read_text(LOG.trim_end()), Ok((count, false)));
        assert_eq!(read_text(&LOG[..LOG.len() - 2]), Ok((count - 1, true)));
        let newline = LOG[..LOG.len() - 2].to_owned() + "\n";
        let error = read_text(&newline).unwrap_err();
        let place = format!("events.ndjson:{count}: is no event: ");
        assert!(error.starts_with(&place), "{error}");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let header = LOG.lines().next().unwrap();
        let second = |line: &str| read_text(&format!("{header}\n{line}\n")).unwrap_err();
        let error = second(r#"{"at":1.0,"event":"no-such-event"}"#);
        let expected = "events.ndjson:2: is no event: unknown variant `no-such-event`";
        assert!(error.starts_with(expected), "{error}");
        let error = second(r#"{"event":"note","text":"x"}"#);
        assert!(error.contains("missing field `at`"), "{error}");
        for text in ["", "\n", "{}\n", "some text", &header[..100]] {
            let expected = "events.ndjson:1: the file does not begin like an event log of harmony";
            assert_eq!(read_text(text), Err(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_newer_format_is_refused() {
        let newer = r#"{"event":"run-started","format":2,"unheard":"of"}"#;
        let error = read_text(newer).unwrap_err();
        let expected =
            "events.ndjson:1: the log has format 2, but this harmony reads formats up to 1";
        assert!(error.starts_with(expected), "{error}");
    }

    #[test]
    fn every_line_is_written_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = EventLog::create(&folder.path().join("a/b")).unwrap();
        let path = folder.path().join("a/b").join(FILE_NAME);
        for (index, text) in ["one\ntwo", "three"].into_iter().enumerate() {
            let text = text.to_owned();
            let event = Event::Note { text };
            log.on(&event);
            let written = std::fs::read_to_string(&path).unwrap();
            let last: Line = serde_json::from_str(written.lines().last().unwrap()).unwrap();
            assert_eq!((written.lines().count(), last.event), (index + 1, event));
            assert!(written.ends_with('\n') && last.at < 60.0, "{written}");
        }
    }
}
