//! What a server's handler does with a request, and the diary in which it is written down.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::death;
use super::failure::{Failure, StepOutcome, expect_equal};
use super::pattern;
use crate::Error;
use crate::duplex::{ChannelName, DuplexError, HandlerError, Reply, Request};

/// What a handler does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Answers with the request's bytes, written in place.
    Echo,
    /// Answers with the request's bytes, twice.
    Double,
    /// Answers with the request's bytes, each combined with a key.
    Xor(u8),
    /// Kills its process.
    Crash,
}

/// A request that a handler was given.
#[derive(Debug, Clone)]
pub struct Call {
    /// The request's sequence number.
    pub sequence: u64,
    /// When the handler began with it.
    pub began: Instant,
    /// What it is about to answer, once it knows.
    pub answer: Option<Answer>,
}

/// An answer, as its handler hands it over.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its size in bytes.
    pub size: usize,
    /// Since when it is there.
    pub since: Instant,
    /// What a handler saw that has made its answer out of the request's bytes.
    pub made_of: Option<Making>,
}

/// A request before and after an answer was made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Making {
    /// The request, as the handler found it.
    pub found: Vec<u8>,
    /// The request, looked at again when the answer was made.
    pub left: Vec<u8>,
    /// The answer.
    pub answer: Vec<u8>,
    /// Whether the answer's memory is none of the request's.
    pub is_apart: bool,
}

/// What a server has reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The error, in words.
    pub message: String,
    /// Whether it says that the client of a request has gone.
    pub is_client_gone: bool,
    /// How many requests the handler had been given by then.
    pub calls_before: usize,
}

/// What has happened in a server, in the order of events; shared with its threads.
#[derive(Debug, Clone, Default)]
pub struct Diary(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    calls: Vec<Call>,
    reports: Vec<Report>,
}

impl Diary {
    /// The requests that handlers were given.
    pub fn calls(&self) -> Vec<Call> {
        self.entries().calls.clone()
    }

    /// What the server has reported.
    pub fn reports(&self) -> Vec<Report> {
        self.entries().reports.clone()
    }

    /// The last request that was given to a handler.
    ///
    /// # Errors
    ///
    /// If none was.
    pub fn last_call(&self) -> Result<Call, Failure> {
        let calls = &self.entries().calls;
        let last = calls.last().cloned();
        last.ok_or_else(|| Failure::new("expected the handler to be given a request, found none"))
    }

    /// Writes down what the server of `channel` reports.
    pub fn note_report(&self, channel: &ChannelName, error: &DuplexError) {
        tracing::error!("server: {error}");
        let mut entries = self.entries();
        let report = Report {
            message: error.to_string(),
            is_client_gone: is_client_gone(channel, error),
            calls_before: entries.calls.len(),
        };
        entries.reports.push(report);
    }

    fn begin(&self, sequence: u64) -> usize {
        let mut entries = self.entries();
        entries.calls.push(Call {
            sequence,
            began: Instant::now(),
            answer: None,
        });
        entries.calls.len() - 1
    }

    fn note_answer(&self, call: usize, size: usize, made_of: Option<Making>) {
        self.entries().calls[call].answer = Some(Answer {
            size,
            since: Instant::now(),
            made_of,
        });
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_client_gone(channel: &ChannelName, error: &DuplexError) -> bool {
    match error {
        DuplexError::Channel(Error::ReaderDead { name, .. }) => name == channel.response().as_str(),
        DuplexError::RequestDropped { .. } => true,
        _ => false,
    }
}

/// A handler.
#[derive(Debug, Clone)]
pub struct Handling {
    /// What it does.
    pub task: Task,
    /// How long it takes before it does that.
    pub delay: Duration,
    /// Where it is written down.
    pub diary: Diary,
}

impl Handling {
    /// Handles a request.
    ///
    /// # Errors
    ///
    /// What it meets in the response buffer.
    pub fn handle<'r>(&self, request: &Request<'r>) -> Result<Reply<'r>, HandlerError> {
        let call = self.diary.begin(request.sequence());
        std::thread::sleep(self.delay);
        match self.task {
            Task::Echo => {
                let data = request.to_vec();
                self.diary.note_answer(call, data.len(), None);
                let mut reply = request.loan(data.len())?;
                reply.copy_from(&data);
                Ok(reply.into())
            }
            Task::Double => {
                let answer = request.to_vec().repeat(2);
                self.diary.note_answer(call, answer.len(), None);
                Ok(Reply::bytes(answer))
            }
            Task::Xor(key) => {
                let found = request.to_vec();
                let answer: Vec<u8> = found.iter().map(|byte| byte ^ key).collect();
                let making = Making::new(found, &answer, request);
                self.diary.note_answer(call, answer.len(), Some(making));
                Ok(Reply::bytes(answer))
            }
            Task::Crash => death::die(),
        }
    }
}

impl Making {
    /// Checks that the request was what this sequence number asks for, before and after.
    ///
    /// # Errors
    ///
    /// A failure that names the first byte that was not.
    pub fn expect_request_unchanged(&self, sequence: u64) -> StepOutcome {
        let expected = pattern::sequenced(self.found.len(), sequence);
        pattern::compare("request, as the handler found it", &expected, &self.found)?;
        pattern::compare("request, as the handler left it", &expected, &self.left)
    }

    /// Checks that the answer is new: in memory of its own, and in every byte another than the
    /// request.
    ///
    /// # Errors
    ///
    /// If it is not.
    pub fn expect_answer_new(&self) -> StepOutcome {
        if !self.is_apart {
            return Err(Failure::new(
                "expected the answer to have memory of its own, found it in the request's",
            ));
        }
        expect_equal("size of the answer", self.found.len(), self.answer.len())?;
        let mut bytes = self.found.iter().zip(&self.answer);
        match bytes.position(|(request, answer)| request == answer) {
            None => Ok(()),
            Some(offset) => Err(Failure::new(format!(
                "byte {offset} of the answer: expected another than the request's, found the same \
                 (0x{:02x})",
                self.answer[offset]
            ))),
        }
    }

    fn new(found: Vec<u8>, answer: &[u8], request: &Request<'_>) -> Making {
        let (memory, own) = (request.frame().as_ptr().addr(), answer.as_ptr().addr());
        Making {
            is_apart: own + answer.len() <= memory || memory + request.len() <= own,
            left: request.to_vec(),
            found,
            answer: answer.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duplex::{ClientOptions, DuplexClient, ImmutableDuplexServer, ServerOptions};

    fn channel(test: &str) -> ChannelName {
        ChannelName::new(format!("serve-handling-{test}-{}", std::process::id())).unwrap()
    }

    /// What a handler with this task answers, and what is written down.
    fn answer(test: &str, task: Task, request: &[u8]) -> (Vec<u8>, Call) {
        let (name, diary) = (channel(test), Diary::default());
        let handling = Handling {
            task,
            delay: Duration::from_millis(20),
            diary: diary.clone(),
        };
        assert!(diary.last_call().is_err());
        let options = ServerOptions::default();
        let server =
            ImmutableDuplexServer::start(&name, options, move |request| handling.handle(request));
        let mut client = DuplexClient::connect(&name, ClientOptions::default()).unwrap();
        let response = client.request(request, Duration::from_secs(5)).unwrap();
        let answer = response.data.to_vec();
        drop((response, client, server));
        (answer, diary.last_call().unwrap())
    }

    #[test]
    fn each_task_answers_as_it_says_and_notes_it() {
        let request = [1, 2, 0xF0];
        for (test, task, expected) in [
            ("echo", Task::Echo, request.to_vec()),
            ("double", Task::Double, request.repeat(2)),
            ("xor", Task::Xor(0xFF), vec![0xFE, 0xFD, 0x0F]),
        ] {
            let (found, call) = answer(test, task, &request);
            assert_eq!(found, expected, "{task:?}");
            let answer = call.answer.unwrap();
            assert_eq!((call.sequence, answer.size), (1, expected.len()));
            assert!(answer.since - call.began >= Duration::from_millis(20));
            let making = answer.made_of.map(|making| (making.found, making.left));
            let looked = (request.to_vec(), request.to_vec());
            assert_eq!(making, (test == "xor").then_some(looked));
        }
    }

    #[test]
    fn an_answer_is_new_and_its_request_as_it_was() {
        let making = Making {
            found: vec![1, 2],
            left: vec![1, 2],
            answer: vec![3, 4],
            is_apart: true,
        };
        assert_eq!(making.expect_request_unchanged(1), Ok(()));
        assert_eq!(making.expect_answer_new(), Ok(()));
        assert!(making.expect_request_unchanged(2).is_err());
        let changed = Making {
            left: vec![1, 3],
            answer: vec![3, 2],
            ..making.clone()
        };
        let failure = changed.expect_request_unchanged(1).unwrap_err().to_string();
        assert!(failure.contains("left it: byte 1 of 2"), "{failure}");
        let failure = changed.expect_answer_new().unwrap_err().to_string();
        assert!(failure.contains("byte 1 of the answer"), "{failure}");
        let shared = Making {
            is_apart: false,
            ..making
        };
        assert!(shared.expect_answer_new().is_err());
    }

    #[test]
    fn only_a_client_that_has_gone_is_one() {
        let (name, diary) = (channel("gone"), Diary::default());
        let dead = |name: &crate::BufferName| {
            DuplexError::Channel(Error::ReaderDead {
                name: name.to_string(),
                pid: 1,
            })
        };
        let failed = DuplexError::Handler {
            channel: name.to_string(),
            sequence: 1,
            why: "on purpose".into(),
        };
        for error in [dead(name.request()), failed, dead(name.response())] {
            diary.note_report(&name, &error);
        }
        let reports = diary.reports();
        let gone: Vec<_> = reports.iter().map(|report| report.is_client_gone).collect();
        assert_eq!(gone, [false, false, true]);
        assert!(reports[1].message.contains("on purpose"));
    }
}
