//! Waiting for space in the request buffer without blocking who needs it.

use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{OwnedMutexGuard, oneshot};

use super::{ChannelName, DuplexError, RequestSender, Result};
use crate::channel::Error;
use crate::span::in_current_span;

/// How long a wait goes on before it looks whether anyone still needs the space.
const PATIENCE: Duration = Duration::from_millis(10);

/// A client's sender, in the hands of who has the turn to send.
pub(crate) type Turn = OwnedMutexGuard<RequestSender>;

/// A thread that waits for space, asleep while nobody needs any.
#[derive(Debug)]
pub(crate) struct SpaceThread {
    channel: ChannelName,
    needs: Option<mpsc::Sender<Need>>,
    thread: Option<JoinHandle<()>>,
}

struct Need {
    turn: Turn,
    length: usize,
    there_is: oneshot::Sender<(Turn, Result<()>)>,
}

impl SpaceThread {
    pub(crate) fn start(channel: &ChannelName) -> Result<SpaceThread> {
        let (needs, needed) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("zerobuffer-space".into())
            .spawn(in_current_span(move || {
                needed.into_iter().for_each(Need::wait)
            }))
            .map_err(|error| Error::from_io(channel.as_str(), "start a thread", error))?;
        Ok(SpaceThread {
            channel: channel.clone(),
            needs: Some(needs),
            thread: Some(thread),
        })
    }

    /// Gives the turn back as soon as there is space for a request of `length` bytes.
    ///
    /// Whoever stops waiting for this gives up the turn.
    ///
    /// # Errors
    ///
    /// What [`RequestSender::loan`] meets, a full buffer aside.
    pub(crate) async fn wait(&self, turn: Turn, length: usize) -> Result<Turn> {
        let (there_is, waited) = oneshot::channel();
        let need = Need {
            turn,
            length,
            there_is,
        };
        let ended = || DuplexError::OtherHalfDropped {
            channel: self.channel.to_string(),
        };
        let needs = self.needs.as_ref().ok_or_else(ended)?;
        needs.send(need).map_err(|_| ended())?;
        let (turn, outcome) = waited.await.map_err(|_| ended())?;
        outcome.map(|()| turn)
    }
}

impl Drop for SpaceThread {
    fn drop(&mut self) {
        // Without needs to come, the thread ends.
        self.needs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(channel = %self.channel, "the thread that waits for space panicked");
        }
    }
}

impl Need {
    fn wait(mut self) {
        self.turn.set_write_timeout(PATIENCE);
        while !self.there_is.is_closed() {
            let outcome = match self.turn.loan(self.length) {
                Ok(_) => Ok(()),
                Err(DuplexError::Channel(Error::BufferFull { .. })) => continue,
                Err(error) => Err(error),
            };
            // If it is not wanted any more, the turn is over as well.
            let _ = self.there_is.send((self.turn, outcome));
            return;
        }
    }
}
