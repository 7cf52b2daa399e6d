//! What a server's handler does with a request.

use std::time::Duration;

use super::diary::Diary;
use super::making::Making;
use crate::duplex::{HandlerError, Reply, Request};
use crate::serve::death;
use crate::serve::faults::{Fault, strikes};

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
        let found = request.to_vec();
        let mut answer = self.answer(&found);
        let number = request.sequence();
        if strikes(Fault::AnswerDropped, &format_args!("request {number}")) {
            return Err("its answer is dropped on purpose".into());
        }
        if strikes(Fault::AnswerAltered, &format_args!("request {number}")) {
            answer[0] ^= 1;
        }
        let made_of = matches!(self.task, Task::Xor(_))
            .then(|| Box::new(Making::new(found, &answer, request)));
        self.diary.note_answer(call, answer.len(), made_of);
        if self.task != Task::Echo {
            return Ok(Reply::bytes(answer));
        }
        let mut reply = request.loan(answer.len())?;
        reply.copy_from(&answer);
        Ok(reply.into())
    }

    fn answer(&self, request: &[u8]) -> Vec<u8> {
        match self.task {
            Task::Echo => request.to_vec(),
            Task::Double => request.repeat(2),
            Task::Xor(key) => request.iter().map(|byte| byte ^ key).collect(),
            Task::Crash => death::die(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duplex::{
        ChannelName, ClientOptions, DuplexClient, ImmutableDuplexServer, ServerOptions,
    };
    use crate::serve::channels::diary::Call;

    /// What a handler with this task answers, and what is written down.
    fn answer(test: &str, task: Task, request: &[u8]) -> (Vec<u8>, Call) {
        let name = format!("serve-handling-{test}-{}", std::process::id());
        let (name, diary) = (ChannelName::new(name).unwrap(), Diary::default());
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
}
