//! A channel that this process serves.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::diary::{Answer, Call, Diary};
use super::handling::{Handling, Task};
use crate::duplex::{ChannelName, ImmutableDuplexServer, ProcessingMode, ServerOptions};
use crate::serve::failure::{Failure, StepOutcome, expect_equal};
use crate::serve::outside::files::BufferFiles;
use crate::serve::outside::ring_state::Unread;
use crate::serve::outside::segment::{Field, HEADER, RawHeader, RawSegment};
use crate::serve::patience::eventually;
use crate::serve::pattern;
use crate::{BufferName, Reader};

/// How long a step waits for what the server is to do.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long an answer has to be waiting to be called blocked.
const BLOCKED: Duration = Duration::from_millis(50);

/// Size of a pool of handlers.
const POOL: NonZeroUsize = NonZeroUsize::new(4).expect("4 is not 0");

/// A server, before and after a step has given it its handler.
#[derive(Debug)]
pub struct ServingEnd {
    channel: ChannelName,
    state: State,
    task: Option<Task>,
    diary: Diary,
}

#[derive(Debug)]
enum State {
    Planned(ServerOptions),
    Running(ImmutableDuplexServer),
    Failed,
    Disposed,
}

impl State {
    fn what(&self) -> &'static str {
        match self {
            State::Planned(_) => "it has none",
            State::Running(server) if server.is_running() => "it runs",
            State::Running(_) => "it has run and stopped",
            State::Failed => "it could not be started",
            State::Disposed => "it was disposed of",
        }
    }
}

impl ServingEnd {
    /// A server that waits for its handler.
    pub fn plan(channel: ChannelName, options: ServerOptions) -> Self {
        ServingEnd {
            channel,
            state: State::Planned(options),
            task: None,
            diary: Diary::default(),
        }
    }

    /// What has happened in it.
    pub fn diary(&self) -> &Diary {
        &self.diary
    }

    /// The channel.
    pub fn channel(&self) -> &ChannelName {
        &self.channel
    }

    /// Serves: every request is handled by `task`, after `delay`.
    ///
    /// # Errors
    ///
    /// If the server runs already, or cannot be started.
    pub fn start(&mut self, task: Task, delay: Duration) -> StepOutcome {
        let options = match std::mem::replace(&mut self.state, State::Failed) {
            State::Planned(options) => options,
            other => {
                self.state = other;
                return Err(self.failure("to have no handler yet"));
            }
        };
        let handling = Handling {
            task,
            delay,
            diary: self.diary.clone(),
        };
        let (channel, diary) = (self.channel.clone(), self.diary.clone());
        let options = options.on_error(move |error| diary.note_report(&channel, error));
        let server = ImmutableDuplexServer::start(&self.channel, options, move |request| {
            handling.handle(request)
        })?;
        self.state = State::Running(server);
        self.task = Some(task);
        Ok(())
    }

    fn failure(&self, expected: &str) -> Failure {
        let (channel, what) = (self.channel.as_str(), self.state.what());
        Failure::new(format!(
            "expected the server of '{channel}' {expected}, but {what}"
        ))
    }

    /// Checks that the server runs.
    ///
    /// # Errors
    ///
    /// A failure that says what it does instead.
    pub fn expect_running(&self) -> StepOutcome {
        match &self.state {
            State::Running(server) if server.is_running() => Ok(()),
            _ => Err(self.failure("to run")),
        }
    }

    /// Waits for the handler to kill this process.
    ///
    /// # Errors
    ///
    /// If it does not, or if it is none that would.
    pub fn await_crash(&self) -> StepOutcome {
        if self.task != Some(Task::Crash) {
            return Err(Failure::new(format!(
                "expected a handler that crashes, found {:?}",
                self.task
            )));
        }
        eventually(PATIENCE, || {
            Err(Failure::new(format!(
                "expected the handler to crash this process, found it alive with {} requests",
                self.diary.calls().len()
            )))
        })
    }

    /// Waits until the handler has an answer of this size that is not in the response buffer, while
    /// those before it are.
    ///
    /// # Errors
    ///
    /// If it has none in time.
    pub fn expect_answer_waiting(&self, size: usize) -> StepOutcome {
        eventually(PATIENCE, || {
            let waiting = self.waiting_answer()?;
            expect_equal("size of the answer that waits", size, waiting.size)
        })
    }

    /// Checks that the last answer waits for space: it has been for a while, the one before it is
    /// in the response buffer, and nothing was given up.
    ///
    /// # Errors
    ///
    /// If that does not come about.
    pub fn expect_blocked(&self) -> StepOutcome {
        eventually(PATIENCE, || {
            let waited = self.waiting_answer()?.since.elapsed();
            if waited < BLOCKED {
                return Err(Failure::new(format!(
                    "expected an answer to wait for {BLOCKED:?}, found {waited:?} so far"
                )));
            }
            // Only now: it has not got away meanwhile.
            self.waiting_answer()
        })?;
        self.diary.expect_no_reports()
    }

    /// The handler's last answer, which is not in the response buffer while all before it are.
    fn waiting_answer(&self) -> Result<Answer, Failure> {
        self.expect_running()?;
        let calls = self.diary.calls();
        let [before @ .., last] = calls.as_slice() else {
            return Err(Failure::new("expected requests, found none"));
        };
        if before.is_empty() {
            return Err(Failure::new("expected two requests, found one"));
        }
        let expected: Vec<_> = before.iter().filter_map(Call::answer_header).collect();
        self.expect_unread_responses(&expected)?;
        Ok(last.expect_answer()?.clone())
    }

    /// Checks that the last answer is in the response buffer after all.
    ///
    /// # Errors
    ///
    /// If it does not get there, or if the server has given up any.
    pub fn expect_unblocked(&self) -> StepOutcome {
        eventually(PATIENCE, || {
            self.expect_running()?;
            let last = self.diary.last_call()?;
            self.expect_unread_responses(last.answer_header().as_slice())
        })?;
        self.diary.expect_no_reports()
    }

    fn expect_unread_responses(&self, expected: &[RawHeader]) -> StepOutcome {
        let unread = Unread::walk(&RawSegment::open(self.channel.response())?)?.headers();
        match unread == expected {
            true => Ok(()),
            false => Err(Failure::new(format!(
                "unread responses: expected {expected:?}, found {unread:?}"
            ))),
        }
    }

    /// Checks that the handler found the request as it was sent, and left it so: it still stands
    /// like that in the request buffer.
    ///
    /// # Errors
    ///
    /// A failure that names the first byte that differs.
    pub fn expect_request_unchanged(&self) -> StepOutcome {
        let (sequence, making) = self.diary.last_making()?;
        making.expect_request_unchanged(sequence)?;
        let found = last_read(self.channel.request(), making.found.len())?;
        pattern::compare("request, in its buffer", &making.found, &found)
    }

    /// Checks that the handler's answer is new, and what stands in the response buffer.
    ///
    /// # Errors
    ///
    /// If it is not.
    pub fn expect_answer_new(&self) -> StepOutcome {
        let (_, making) = self.diary.last_making()?;
        making.expect_answer_new()?;
        let found = last_read(self.channel.response(), making.answer.len())?;
        pattern::compare("answer, in its buffer", &making.answer, &found)
    }

    /// Waits until the handler has an answer, and compares the time that it took with `least`, and
    /// with a little more.
    ///
    /// # Errors
    ///
    /// If there is no answer in time, or if it was there earlier or later.
    pub fn expect_processing(&self, least: Duration) -> StepOutcome {
        eventually(least + PATIENCE, || {
            self.diary.last_call()?.expect_answer().map(drop)
        })?;
        self.diary.expect_processing(least)
    }

    /// Waits until it is known what came of sending the last answer: it is in the response buffer,
    /// or the server has reported why it is not.
    ///
    /// # Errors
    ///
    /// If neither comes about.
    pub fn expect_sending_attempted(&self) -> StepOutcome {
        eventually(PATIENCE, || {
            let last = self.diary.last_call()?;
            last.expect_answer()?;
            match self.diary.report_on_last_call() {
                Some(_) => Ok(()),
                None => self.expect_unread_responses(last.answer_header().as_slice()),
            }
        })
    }

    /// Disposes of the server once it has answered everything and so many answers are unread.
    ///
    /// # Errors
    ///
    /// If that does not come about, or the server does not run.
    pub fn dispose(&mut self, pending: usize) -> StepOutcome {
        self.expect_running()?;
        eventually(PATIENCE, || {
            let requests = Unread::walk(&RawSegment::open(self.channel.request())?)?;
            expect_equal("number of requests that wait", 0, requests.frames.len())?;
            let calls = self.diary.calls();
            let answered: Vec<_> = calls.iter().filter_map(Call::answer_header).collect();
            let first = answered.len().checked_sub(pending);
            let expected = first.map_or(answered.as_slice(), |first| &answered[first..]);
            expect_equal(
                "number of answers that may be unread",
                pending,
                expected.len(),
            )?;
            self.expect_unread_responses(expected)
        })?;
        self.state = State::Disposed;
        Ok(())
    }

    /// Checks that the channel's name can be used: the request buffer is there and this process's,
    /// or can be made.
    ///
    /// # Errors
    ///
    /// If it is not.
    pub fn expect_name_usable(&self) -> StepOutcome {
        let _made = match &self.state {
            State::Planned(options) => {
                Some(Reader::create(self.channel.request(), &options.buffer)?)
            }
            _ => {
                self.expect_running()?;
                None
            }
        };
        let requests = RawSegment::open(self.channel.request())?;
        let own = u64::from(std::process::id());
        expect_equal(
            "reader of the requests",
            own,
            requests.get(Field::ReaderPid)?,
        )?;
        let (files, there) = (requests.files().all(), requests.files().existing());
        expect_equal("files of the request buffer", files.len(), there.len())?;
        let used = (requests.used()?, requests.get(Field::PayloadWrittenCount)?);
        match used {
            (0, 0) => Ok(()),
            (bytes, frames) => Err(Failure::new(format!(
                "expected a new request buffer, found {bytes} bytes used and {frames} frames \
                 written"
            ))),
        }
    }
}

/// The data of the frame last read from a buffer, if that had this length: nothing has overwritten
/// it yet.
fn last_read(buffer: &BufferName, length: usize) -> Result<Vec<u8>, Failure> {
    let segment = RawSegment::open(buffer)?;
    let end = segment.get(Field::PayloadReadPos)?;
    let start = end.checked_sub(length as u64 + HEADER).ok_or_else(|| {
        Failure::new(format!(
            "expected a frame of {length} bytes before the read position {end} of '{buffer}'"
        ))
    })?;
    let header = segment.header_at(start)?;
    expect_equal("size of the frame last read", length as u64, header.size)?;
    Ok(segment.payload(start + HEADER, length)?)
}

/// Checks that nothing is left of a channel.
///
/// # Errors
///
/// A failure that lists the files that are.
pub fn expect_cleaned_up(channel: &ChannelName) -> StepOutcome {
    let files = [channel.request(), channel.response()].map(BufferFiles::of);
    let left: Vec<_> = files.iter().flat_map(BufferFiles::existing).collect();
    match left.is_empty() {
        true => Ok(()),
        false => Err(Failure::new(format!(
            "expected nothing to be left of '{}', found {left:?}",
            channel.as_str()
        ))),
    }
}

/// The processing mode that a step names.
///
/// # Errors
///
/// If there is no such mode.
pub fn processing_mode(name: &str) -> Result<ProcessingMode, Failure> {
    match name {
        "SingleThread" => Ok(ProcessingMode::SingleThread),
        "ThreadPool" => Ok(ProcessingMode::ThreadPool(POOL)),
        _ => Err(Failure::new(format!(
            "processing mode '{name}': expected SingleThread or ThreadPool"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Writer;

    fn planned(test: &str) -> ServingEnd {
        let name = format!("serve-serving-{test}-{}", std::process::id());
        ServingEnd::plan(ChannelName::new(name).unwrap(), ServerOptions::default())
    }

    #[test]
    fn a_server_has_one_handler() {
        let mut serving = planned("handler");
        assert!(serving.expect_running().is_err());
        serving.start(Task::Echo, Duration::ZERO).unwrap();
        serving.expect_running().unwrap();
        let failure = serving.start(Task::Echo, Duration::ZERO).unwrap_err();
        assert!(failure.to_string().contains("but it runs"), "{failure}");
        assert!(serving.await_crash().is_err(), "it is none that crashes");
        serving.state = State::Disposed;
        let failure = serving.expect_running().unwrap_err().to_string();
        assert!(failure.contains("disposed of"), "{failure}");
        assert!(serving.dispose(0).is_err());
    }

    #[test]
    fn a_name_is_usable_as_long_as_nobody_uses_it() {
        let (mut serving, other) = (planned("usable"), planned("usable"));
        serving.expect_name_usable().unwrap();
        expect_cleaned_up(serving.channel()).unwrap();
        serving.start(Task::Echo, Duration::ZERO).unwrap();
        serving.expect_name_usable().unwrap();
        assert!(other.expect_name_usable().is_err());
        let failure = expect_cleaned_up(serving.channel()).unwrap_err();
        assert!(failure.to_string().contains("_request"), "{failure}");
        let mut writer = Writer::connect(serving.channel().request(), PATIENCE).unwrap();
        writer.write(b"old").unwrap();
        assert!(serving.expect_name_usable().is_err(), "it is not new");
    }

    #[test]
    fn what_was_read_last_still_stands_in_the_buffer() {
        let name = format!("serve-serving-last-{}", std::process::id());
        let name = BufferName::new(name).unwrap();
        let mut reader = Reader::create(&name, &crate::BufferConfig::new(64, 1024)).unwrap();
        let mut writer = Writer::connect(&name, Duration::ZERO).unwrap();
        assert!(last_read(&name, 3).is_err());
        for data in [b"one", b"two"] {
            writer.write(data).unwrap();
            drop(reader.read(PATIENCE).unwrap().unwrap());
        }
        writer.write(b"unread").unwrap();
        assert_eq!(last_read(&name, 3).unwrap(), b"two");
        assert!(last_read(&name, 6).is_err());
    }

    #[test]
    fn modes_have_names() {
        let mode = |name| processing_mode(name).unwrap();
        assert_eq!(mode("SingleThread"), ProcessingMode::SingleThread);
        assert_eq!(mode("ThreadPool"), ProcessingMode::ThreadPool(POOL));
        assert!(processing_mode("Threads").is_err());
    }
}
