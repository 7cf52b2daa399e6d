//! One handler at a time, on the server's own thread.

use super::answers::Answers;
use super::handler::Handler;
use super::link::Link;
use super::session::Crew;
use super::{ChannelName, Result};
use crate::channel::Frame;

/// A crew of one.
pub(crate) struct Single<H> {
    pub(crate) channel: ChannelName,
    pub(crate) handler: H,
}

impl<H: Handler> Crew for Single<H> {
    fn take(&mut self, request: Frame, link: &mut Link, _: &mut Answers) -> Result<()> {
        match link.responder() {
            Some(responder) => {
                responder.prefetch();
                self.handler
                    .answer_through(&self.channel, request, responder)
            }
            None => Ok(()),
        }
    }
}
