//! What has happened in a server: the requests that its handler was given, and what it reported.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::making::Making;
use crate::Error;
use crate::duplex::{ChannelName, DuplexError};
use crate::serve::failure::{Failure, StepOutcome, expect_equal};
use crate::serve::faults::{Fault, strikes};
use crate::serve::outside::segment::RawHeader;

/// How much longer than it says a handler may take.
const PROCESSING_SLACK: Duration = Duration::from_secs(1);

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
    pub made_of: Option<Box<Making>>,
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
        let is_client_gone = is_client_gone(channel, error);
        if is_client_gone && strikes(Fault::DeathNotNoticed, error) {
            return;
        }
        let mut entries = self.entries();
        let report = Report {
            message: error.to_string(),
            is_client_gone,
            calls_before: entries.calls.len(),
        };
        entries.reports.push(report);
    }

    /// How the last answer was made of its request, with its sequence number.
    ///
    /// # Errors
    ///
    /// If there is no such answer.
    pub fn last_making(&self) -> Result<(u64, Box<Making>), Failure> {
        let call = self.last_call()?;
        let making = call.answer.and_then(|answer| answer.made_of);
        let making = making.ok_or_else(|| {
            Failure::new("expected an answer made of the request's bytes, found none")
        })?;
        Ok((call.sequence, making))
    }

    /// Compares the time that the handler took for its last answer with `least`, and with a little
    /// more.
    ///
    /// # Errors
    ///
    /// If it took less or more, or if there is no answer yet.
    pub fn expect_processing(&self, least: Duration) -> StepOutcome {
        let call = self.last_call()?;
        let (took, most) = (
            call.expect_answer()?.since - call.began,
            least + PROCESSING_SLACK,
        );
        if (least..most).contains(&took) {
            return Ok(());
        }
        Err(Failure::new(format!(
            "processing: expected at least {least:?} and under {most:?}, found {took:?}"
        )))
    }

    /// What the server has reported since the last request came.
    pub fn report_on_last_call(&self) -> Option<Report> {
        let last = self.reports().pop()?;
        (last.calls_before == self.calls().len()).then_some(last)
    }

    /// Checks that the last answer could not be sent because the client had gone.
    ///
    /// # Errors
    ///
    /// If the server has reported nothing of that, or something else.
    pub fn expect_client_death(&self) -> StepOutcome {
        let report = self.report_on_last_call().ok_or_else(|| {
            Failure::new("expected the server to report the client's death, found no report")
        })?;
        match report.is_client_gone {
            true => Ok(()),
            false => Err(Failure::new(format!(
                "expected the server to report the client's death, found: {}",
                report.message
            ))),
        }
    }

    /// Whether a request has come since the death of a client.
    ///
    /// # Errors
    ///
    /// If no client has died.
    pub fn has_been_asked_since_death(&self) -> Result<bool, Failure> {
        Ok(self.calls().len() > self.calls_before_death()?)
    }

    /// Checks that a request was answered that came after the death of a client, from another one.
    ///
    /// # Errors
    ///
    /// If there was none, or it was not answered, or no client has died.
    pub fn expect_answer_since_death(&self) -> StepOutcome {
        let dead = self.calls_before_death()?;
        let last = self.last_call()?;
        expect_equal(
            "sequence number of another client's request",
            1,
            last.sequence,
        )?;
        last.expect_answer()?;
        let (calls, reports) = (self.calls().len(), self.reports());
        if calls <= dead {
            return Err(Failure::new(format!(
                "expected more requests than the {dead} before a client's death, found {calls}"
            )));
        }
        match reports.iter().find(|report| report.calls_before > dead) {
            None => Ok(()),
            Some(report) => Err(Failure::new(format!(
                "expected no error since the client's death, found: {}",
                report.message
            ))),
        }
    }

    fn calls_before_death(&self) -> Result<usize, Failure> {
        let reports = self.reports();
        let death = reports.iter().find(|report| report.is_client_gone);
        let death = death.ok_or_else(|| {
            Failure::new("expected a client's death to have been reported, found none")
        })?;
        Ok(death.calls_before)
    }

    /// Checks that the server has reported nothing.
    ///
    /// # Errors
    ///
    /// A failure with the first report.
    pub fn expect_no_reports(&self) -> StepOutcome {
        let reports = self.reports();
        match reports.first() {
            None => Ok(()),
            Some(report) => Err(Failure::new(format!(
                "expected no errors of the server, found {}: {}",
                reports.len(),
                report.message
            ))),
        }
    }

    /// Writes down that a handler begins with a request; the number of the entry.
    pub fn begin(&self, sequence: u64) -> usize {
        let mut entries = self.entries();
        entries.calls.push(Call {
            sequence,
            began: Instant::now(),
            answer: None,
        });
        entries.calls.len() - 1
    }

    /// Writes down the answer to a request, by the number of its entry.
    pub fn note_answer(&self, call: usize, size: usize, made_of: Option<Box<Making>>) {
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

impl Call {
    /// The answer.
    ///
    /// # Errors
    ///
    /// If there is none yet.
    pub fn expect_answer(&self) -> Result<&Answer, Failure> {
        let sequence = self.sequence;
        self.answer.as_ref().ok_or_else(|| {
            Failure::new(format!(
                "expected an answer to request {sequence}, found none yet"
            ))
        })
    }

    /// The header of the answer, once there is one.
    pub fn answer_header(&self) -> Option<RawHeader> {
        let answer = self.answer.as_ref()?;
        Some(RawHeader {
            size: answer.size as u64,
            sequence: self.sequence,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel() -> ChannelName {
        ChannelName::new("c").unwrap()
    }

    fn report(diary: &Diary, error: impl Fn(&ChannelName) -> DuplexError) {
        let channel = channel();
        diary.note_report(&channel, &error(&channel));
    }

    fn client_dead(channel: &ChannelName) -> DuplexError {
        let name = channel.response().to_string();
        DuplexError::Channel(Error::ReaderDead { name, pid: 1 })
    }

    fn failed(channel: &ChannelName) -> DuplexError {
        DuplexError::Handler {
            channel: channel.to_string(),
            sequence: 1,
            why: "on purpose".into(),
        }
    }

    fn answer(diary: &Diary, sequence: u64) {
        let call = diary.begin(sequence);
        diary.note_answer(call, 10, None);
    }

    #[test]
    fn only_a_client_that_has_gone_is_one() {
        let diary = Diary::default();
        diary.expect_no_reports().unwrap();
        assert!(diary.expect_client_death().is_err());
        report(&diary, |channel| {
            let name = channel.request().to_string();
            DuplexError::Channel(Error::ReaderDead { name, pid: 1 })
        });
        assert!(diary.expect_client_death().is_err());
        report(&diary, failed);
        let failure = diary.expect_client_death().unwrap_err().to_string();
        assert!(failure.contains("on purpose"), "{failure}");
        report(&diary, client_dead);
        diary.expect_client_death().unwrap();
        assert!(diary.expect_no_reports().is_err());
        diary.begin(1);
        assert!(diary.expect_client_death().is_err(), "it was before that");
    }

    #[test]
    fn an_answer_to_another_client_comes_after_the_death_of_the_first() {
        let diary = Diary::default();
        answer(&diary, 1);
        assert!(diary.has_been_asked_since_death().is_err());
        report(&diary, client_dead);
        assert_eq!(diary.has_been_asked_since_death(), Ok(false));
        assert!(diary.expect_answer_since_death().is_err());
        let call = diary.begin(1);
        assert_eq!(diary.has_been_asked_since_death(), Ok(true));
        assert!(diary.expect_answer_since_death().is_err());
        diary.note_answer(call, 10, None);
        diary.expect_answer_since_death().unwrap();
        report(&diary, failed);
        assert!(diary.expect_answer_since_death().is_err());
    }

    #[test]
    fn requests_of_the_dead_client_itself_do_not_count() {
        let diary = Diary::default();
        answer(&diary, 1);
        report(&diary, client_dead);
        answer(&diary, 2);
        assert!(diary.expect_answer_since_death().is_err());
    }

    #[test]
    fn the_time_of_processing_has_two_bounds() {
        let diary = Diary::default();
        assert!(diary.expect_processing(Duration::ZERO).is_err());
        let call = diary.begin(1);
        assert!(diary.expect_processing(Duration::ZERO).is_err());
        diary.note_answer(call, 10, None);
        diary.expect_processing(Duration::ZERO).unwrap();
        assert!(diary.expect_processing(PROCESSING_SLACK).is_err());
        diary.entries().calls[0].began -= 2 * PROCESSING_SLACK;
        assert!(diary.expect_processing(Duration::ZERO).is_err());
    }
}
