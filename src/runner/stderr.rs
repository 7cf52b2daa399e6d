//! What a step server writes to its standard error: kept in a log file, with the last lines at
//! hand for a report. However much a process writes, it costs a fixed amount of memory and disk.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::task::JoinHandle;

use super::terminal::warn;
use super::transcript::Part;

/// How many lines a report shows.
const LINES: usize = 12;

/// How much of a line a report shows, in bytes.
const LINE: usize = 2000;

/// How much a log file takes, in bytes.
const LOG: usize = 64 * 1024 * 1024;

/// What stands at the end of a log file that took no more.
const CUT: &str = "\n[the log ends here: the process wrote too much]\n";

/// The standard error of one process.
#[derive(Debug)]
pub struct StandardError {
    tail: Arc<Mutex<Tail>>,
    reading: Option<JoinHandle<()>>,
}

impl StandardError {
    /// Reads `pipe` to its end, into `log` and, line by line, `transcript`.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn keep(
        pipe: impl AsyncRead + Unpin + Send + 'static,
        log: Log,
        transcript: Option<Part>,
    ) -> StandardError {
        let tail = Arc::new(Mutex::new(Tail {
            transcript,
            ..Tail::default()
        }));
        let reading = tokio::spawn(read(pipe, log, tail.clone()));
        StandardError {
            tail,
            reading: Some(reading),
        }
    }

    /// Waits until everything is read, at most for `limit`: the pipe may outlive its process in a
    /// descendant that has left the group.
    pub async fn finish(&mut self, limit: Duration) {
        if let Some(reading) = self.reading.take() {
            let _ = tokio::time::timeout(limit, reading).await;
        }
    }

    /// The last lines so far.
    pub fn last_lines(&self) -> Vec<String> {
        lock(&self.tail).lines()
    }
}

fn lock(tail: &Mutex<Tail>) -> MutexGuard<'_, Tail> {
    tail.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn read(mut pipe: impl AsyncRead + Unpin, mut log: Log, tail: Arc<Mutex<Tail>>) {
    let mut piece = vec![0; 16 * 1024];
    loop {
        match pipe.read(&mut piece).await {
            Ok(0) => return lock(&tail).end(),
            Ok(count) => {
                log.write(&piece[..count]);
                lock(&tail).push(&piece[..count]);
            }
            Err(error) => {
                let what = format!("standard error cannot be read any more: {error}");
                return lock(&tail).push(format!("[{what}]\n").as_bytes());
            }
        }
    }
}

/// A log file that takes a limited amount.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    /// `None` once it takes no more.
    file: Option<File>,
    room: usize,
}

impl Log {
    /// Makes the file.
    ///
    /// # Errors
    ///
    /// Why that failed, with the path.
    pub fn create(path: PathBuf) -> Result<Log, String> {
        let file = File::create(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Log {
            path,
            file: Some(file),
            room: LOG,
        })
    }

    /// Adds to it, as long as it takes something.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        let Some(file) = &mut self.file else {
            return;
        };
        let taken = bytes.len().min(self.room);
        self.room -= taken;
        let mut written = file.write_all(&bytes[..taken]);
        let full = taken < bytes.len();
        if full {
            written = written.and_then(|()| file.write_all(CUT.as_bytes()));
        }
        if let Err(error) = &written {
            let path = self.path.display();
            warn(&format!("harmony: {path} cannot be written: {error}"));
        }
        if full || written.is_err() {
            self.file = None;
        }
    }
}

/// The last lines of a text that comes in pieces.
#[derive(Debug, Default)]
struct Tail {
    whole: VecDeque<String>,
    /// The beginning of the line that has not ended yet.
    open: Vec<u8>,
    /// Where every line is told.
    transcript: Option<Part>,
}

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = LINE.saturating_sub(self.open.len());
            self.open.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                if self.whole.len() == LINES {
                    self.whole.pop_front();
                }
                let line = text(&self.open);
                self.tell(&line);
                self.whole.push_back(line);
                self.open.clear();
            }
        }
    }

    /// There is nothing more to come.
    fn end(&self) {
        if !self.open.is_empty() {
            self.tell(&text(&self.open));
        }
    }

    fn tell(&self, line: &str) {
        if let Some(transcript) = &self.transcript {
            transcript.line(line);
        }
    }

    fn lines(&self) -> Vec<String> {
        let open = (!self.open.is_empty()).then(|| text(&self.open));
        let lines = self.whole.iter().cloned().chain(open);
        let beyond = (self.whole.len() + usize::from(!self.open.is_empty())).saturating_sub(LINES);
        lines.skip(beyond).collect()
    }
}

fn text(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line).trim_end().to_owned();
    match line.len() < LINE {
        true => text,
        false => text + "…",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(pieces: &[&str]) -> Vec<String> {
        let mut tail = Tail::default();
        for piece in pieces {
            tail.push(piece.as_bytes());
        }
        tail.lines()
    }

    #[test]
    fn lines_come_whole_however_they_are_cut() {
        assert_eq!(tail(&["a\nb", "c\r\n", "d"]), ["a", "bc", "d"]);
        assert_eq!(tail(&[]), [""; 0]);
        let many: Vec<String> = (0..30).map(|number| format!("{number}\n")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let expected: Vec<String> = (18..30).map(|number| number.to_string()).collect();
        assert_eq!(tail(&many), expected);
        assert_eq!(tail(&[&many[..], &["x"]].concat())[11], "x");
    }

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let mut tail = Tail::default();
        for _ in 0..1000 {
            tail.push(&[b'x'; 1000]);
        }
        assert!(tail.open.capacity() <= 2 * LINE);
        assert_eq!(tail.lines(), ["x".repeat(LINE) + "…"]);
        tail.push(b"x\ny\n");
        assert_eq!(tail.lines()[1], "y");
    }

    #[test]
    fn a_log_takes_no_more_than_its_room() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = Log::create(path.clone()).unwrap();
        log.room = 5;
        for piece in ["abc", "def", "ghi"] {
            log.write(piece.as_bytes());
        }
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(text, format!("abcde{CUT}"));
    }

    #[tokio::test]
    async fn everything_is_in_the_log_when_the_pipe_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let log = Log::create(path.clone()).unwrap();
        let mut kept = StandardError::keep(&b"one\ntwo"[..], log, None);
        kept.finish(Duration::from_secs(20)).await;
        assert_eq!(kept.last_lines(), ["one", "two"]);
        assert_eq!(std::fs::read_to_string(path).unwrap(), "one\ntwo");
    }
}
