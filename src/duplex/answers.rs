//! Answers that leave in the order of their requests, whatever order they become ready in.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::handler::Answer;
use super::stop::Stop;
use super::{DuplexError, Result};

/// The answers under way, as the server's thread sees them.
#[derive(Debug)]
pub(crate) struct Answers {
    line: Arc<Line>,
    limit: usize,
    /// How many places are taken; only the server's thread takes and clears any.
    count: usize,
}

/// One answer, in its turn.
#[derive(Debug)]
pub(crate) struct Due {
    /// The request's sequence number.
    pub(crate) sequence: u64,
    pub(crate) outcome: Outcome,
}

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Outcome {
    Answer(Answer),
    Failed(DuplexError),
    /// Its handler was not run, or not to its end.
    Cancelled,
}

/// A place in the line, to be filled from any thread.
#[derive(Debug)]
pub(crate) struct Ticket {
    line: Arc<Line>,
    number: u64,
    is_used: bool,
}

#[derive(Debug)]
struct Line {
    places: Mutex<Places>,
    /// The first place was filled.
    first_is_ready: Condvar,
    stop: Arc<Stop>,
}

#[derive(Debug, Default)]
struct Places {
    /// Number of the first place.
    first: u64,
    taken: VecDeque<Place>,
    /// The server's thread waits for requests, and is to be woken when the first place is filled.
    is_listening: bool,
}

#[derive(Debug)]
struct Place {
    sequence: u64,
    outcome: Option<Outcome>,
}

impl Answers {
    /// A line of at most `limit` places, for the server that `stop` ends.
    pub(crate) fn new(limit: usize, stop: Arc<Stop>) -> Answers {
        let (places, first_is_ready) = Default::default();
        Answers {
            line: Arc::new(Line {
                places,
                first_is_ready,
                stop,
            }),
            limit,
            count: 0,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn is_full(&self) -> bool {
        self.count >= self.limit
    }

    /// A place at the end, for the answer to request `sequence`.
    pub(crate) fn open(&mut self, sequence: u64) -> Ticket {
        let mut places = self.line.places();
        let number = places.first + places.taken.len() as u64;
        let outcome = None;
        places.taken.push_back(Place { sequence, outcome });
        drop(places);
        self.count += 1;
        Ticket {
            line: Arc::clone(&self.line),
            number,
            is_used: false,
        }
    }

    /// The first answer, if it is ready.
    pub(crate) fn next(&mut self) -> Option<Due> {
        if self.is_empty() {
            return None;
        }
        let mut places = self.line.places();
        let outcome = places.taken.front_mut()?.outcome.take()?;
        let sequence = places.leave()?.sequence;
        drop(places);
        self.count -= 1;
        Some(Due { sequence, outcome })
    }

    /// The first answer; one that is not ready is cancelled.
    pub(crate) fn next_or_cancel(&mut self) -> Option<Due> {
        let place = self.line.places().leave()?;
        self.count -= 1;
        Some(Due {
            sequence: place.sequence,
            outcome: place.outcome.unwrap_or(Outcome::Cancelled),
        })
    }

    /// Waits until the first answer is ready, up to `timeout`.
    pub(crate) fn wait(&self, timeout: Duration) {
        let places = self.line.places();
        let waited = self
            .line
            .first_is_ready
            .wait_timeout_while(places, timeout, |places| !places.is_ready());
        drop(waited);
    }

    /// Has the server's thread woken from its wait for requests as soon as the first answer is
    /// ready; `false` if it is already.
    pub(crate) fn listen(&self) -> bool {
        let mut places = self.line.places();
        places.is_listening = !places.is_ready();
        places.is_listening
    }

    /// Undoes [`Answers::listen`]; a wake may be under way.
    pub(crate) fn stop_listening(&self) {
        self.line.places().is_listening = false;
    }
}

impl Line {
    fn places(&self) -> MutexGuard<'_, Places> {
        // Nothing that is done under the lock panics half-way.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fill(&self, number: u64, outcome: Outcome) {
        let mut places = self.places();
        let Some(index) = number.checked_sub(places.first) else {
            // Cancelled meanwhile.
            return;
        };
        places.taken[index as usize].outcome = Some(outcome);
        if index > 0 {
            return;
        }
        let is_listening = std::mem::take(&mut places.is_listening);
        drop(places);
        self.first_is_ready.notify_one();
        if is_listening {
            self.stop.wake();
        }
    }
}

impl Places {
    /// Takes the first place out of the line.
    fn leave(&mut self) -> Option<Place> {
        let place = self.taken.pop_front()?;
        self.first += 1;
        Some(place)
    }

    fn is_ready(&self) -> bool {
        self.taken
            .front()
            .is_some_and(|place| place.outcome.is_some())
    }
}

impl Ticket {
    /// Fills the place.
    pub(crate) fn deliver(mut self, result: Result<Answer>) {
        let outcome = match result {
            Ok(answer) => Outcome::Answer(answer),
            Err(error) => Outcome::Failed(error),
        };
        self.fill(outcome);
    }

    fn fill(&mut self, outcome: Outcome) {
        self.is_used = true;
        self.line.fill(self.number, outcome);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.is_used {
            self.fill(Outcome::Cancelled);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{BufferConfig, BufferName, Reader};
    use std::time::Instant;

    const SHORT: Duration = Duration::from_millis(10);

    fn bytes(due: Option<Due>) -> Option<(u64, Vec<u8>)> {
        match due?.outcome {
            Outcome::Answer(Answer::Bytes(bytes)) => Some((u64::from(bytes[0]), bytes)),
            other => panic!("{other:?}"),
        }
    }

    fn answer(byte: u8) -> Result<Answer> {
        Ok(Answer::Bytes(vec![byte]))
    }

    #[test]
    fn answers_leave_in_the_order_of_their_requests() {
        let mut answers = Answers::new(3, Arc::default());
        let [first, second, third] = [1, 2, 3].map(|sequence| answers.open(sequence));
        assert!(answers.is_full());
        third.deliver(answer(3));
        second.deliver(answer(2));
        answers.wait(SHORT);
        assert!(answers.next().is_none(), "the first is not ready");
        first.deliver(answer(1));
        for sequence in 1..=3 {
            assert_eq!(
                bytes(answers.next()),
                Some((sequence, vec![sequence as u8]))
            );
        }
        assert!(answers.is_empty() && answers.next().is_none());
    }

    #[test]
    fn a_ticket_that_is_lost_does_not_hold_up_the_line() {
        let mut answers = Answers::new(3, Arc::default());
        let (lost, kept) = (answers.open(7), answers.open(8));
        kept.deliver(answer(8));
        drop(lost);
        let due = answers.next().unwrap();
        assert!(matches!(
            due,
            Due {
                sequence: 7,
                outcome: Outcome::Cancelled
            }
        ));
        assert_eq!(bytes(answers.next()), Some((8, vec![8])));
    }

    #[test]
    fn whoever_waits_for_requests_is_woken_by_an_answer() {
        let name = BufferName::for_test("answers");
        let mut requests = Reader::create(&name, &BufferConfig::new(0, 1024)).unwrap();
        let stop = Arc::new(Stop::default());
        stop.ends_waits_of(&requests);
        let mut answers = Answers::new(3, stop);
        let (first, second) = (answers.open(1), answers.open(2));
        assert!(answers.listen());
        second.deliver(answer(2));
        assert!(requests.read(SHORT).unwrap().is_none());
        let begun = Instant::now();
        let long = Duration::from_secs(60);
        std::thread::scope(|scope| {
            scope.spawn(|| first.deliver(answer(1)));
            assert!(requests.read(long).unwrap().is_none());
        });
        assert!(begun.elapsed() < long / 2);
    }

    #[test]
    fn the_wait_ends_when_the_first_is_ready() {
        let mut answers = Answers::new(3, Arc::default());
        let (begun, long) = (Instant::now(), Duration::from_secs(60));
        // Often enough that some are delivered in the middle of the wait.
        for _ in 0..200 {
            let ticket = answers.open(1);
            assert!(answers.listen());
            std::thread::scope(|scope| {
                scope.spawn(|| ticket.deliver(answer(1)));
                answers.wait(long);
            });
            assert!(!answers.listen(), "one is ready");
            assert_eq!(bytes(answers.next()), Some((1, vec![1])));
        }
        assert!(begun.elapsed() < long / 2);
    }
}
