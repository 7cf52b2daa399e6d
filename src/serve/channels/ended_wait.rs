//! A wait for responses that has ended, however it has.

use std::time::Duration;

use crate::Error;
use crate::duplex::{ChannelName, DuplexError};
use crate::serve::failure::{Failure, StepOutcome, expect_equal};

/// How soon the death of the server has to be noticed.
const DEATH_NOTICED: Duration = Duration::from_millis(200);

/// A wait for responses that has ended.
#[derive(Debug)]
pub struct EndedWait {
    /// How many requests had no response before.
    pub outstanding: usize,
    /// How many responses came.
    pub came: usize,
    /// How it failed; `None` if the time ran out, or if all came that was waited for.
    pub error: Option<DuplexError>,
    /// How long the last response, or the error, was waited for.
    pub took: Duration,
}

impl EndedWait {
    /// Checks that the wait was ended by the death of the channel's server, and soon.
    ///
    /// # Errors
    ///
    /// If it ended otherwise, or later.
    pub fn expect_server_death(&self, channel: &ChannelName) -> StepOutcome {
        let EndedWait { came, took, .. } = self;
        let found = match &self.error {
            Some(error) if is_server_death(channel, error) && *took < DEATH_NOTICED => {
                return Ok(());
            }
            Some(error) => format!("{error} after {took:?}"),
            None => format!("no error, {came} responses, the last wait {took:?} long"),
        };
        Err(Failure::new(format!(
            "expected the server's death to be noticed within {DEATH_NOTICED:?}, found {found}"
        )))
    }

    /// Checks that so many of the outstanding responses came before that.
    ///
    /// # Errors
    ///
    /// If more or fewer came, or if none was outstanding.
    pub fn expect_responses(&self, expected: usize) -> StepOutcome {
        if self.outstanding == 0 {
            return Err(Failure::new(
                "expected responses to be outstanding, found none",
            ));
        }
        expect_equal("number of responses", expected, self.came)
    }
}

/// Whether an error says that the server of this channel has gone.
pub fn is_server_death(channel: &ChannelName, error: &DuplexError) -> bool {
    match error {
        DuplexError::Channel(Error::WriterDead { name, .. }) => name == channel.response().as_str(),
        DuplexError::Channel(Error::ReaderDead { name, .. }) => name == channel.request().as_str(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel() -> ChannelName {
        ChannelName::new("c").unwrap()
    }

    fn writer_dead(name: &crate::BufferName) -> Option<DuplexError> {
        Some(DuplexError::Channel(Error::WriterDead {
            name: name.to_string(),
            pid: 1,
        }))
    }

    #[test]
    fn the_death_of_the_server_is_an_error_of_its_own_and_seen_soon() {
        let (channel, soon) = (channel(), DEATH_NOTICED / 2);
        let check = |error, took| {
            let wait = EndedWait {
                outstanding: 1,
                came: 0,
                error,
                took,
            };
            wait.expect_server_death(&channel)
        };
        assert_eq!(check(writer_dead(channel.response()), soon), Ok(()));
        assert!(check(writer_dead(channel.response()), DEATH_NOTICED).is_err());
        // The writer of requests is this client itself.
        assert!(check(writer_dead(channel.request()), soon).is_err());
        assert!(check(None, soon).is_err());
        let failed = DuplexError::HandlerFailed {
            channel: channel.to_string(),
            sequence: 1,
        };
        let failure = check(Some(failed), soon).unwrap_err().to_string();
        assert!(failure.contains("the handler failed"), "{failure}");
    }

    #[test]
    fn what_came_is_compared_where_something_could_have_come() {
        let wait = |outstanding| EndedWait {
            outstanding,
            came: 0,
            error: None,
            took: Duration::ZERO,
        };
        assert_eq!(wait(2).expect_responses(0), Ok(()));
        assert!(wait(2).expect_responses(2).is_err());
        assert!(wait(0).expect_responses(0).is_err());
    }
}
