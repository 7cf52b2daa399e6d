//! The World: everything that the steps of one scenario share in this process.
//!
//! One process can play any number of roles at once, so nothing here belongs to a role: steps find
//! their reader, writer, server or client by what their text names.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::attempt::Attempts;
use super::calling::CallingEnd;
use super::ends::{Reader, Writer};
use super::failure::Failure;
use super::held::Held;
use super::naming::RunId;
use super::reading::ReadingEnd;
use super::registry::Registry;
use super::serving::ServingEnd;
use super::writing::WritingEnd;
use crate::duplex::ChannelName;
use crate::rpc::message::StringMap;
use crate::{BufferConfig, BufferName, Error};

/// What the steps of one scenario share.
#[derive(cucumber::World)]
#[world(init = World::standalone)]
pub struct World {
    run: RunId,
    registry: Arc<Registry>,
    /// Buffers that this process reads.
    pub readers: Held<ReadingEnd>,
    /// Buffers that this process writes.
    pub writers: Held<WritingEnd>,
    /// Channels that this process serves.
    pub servers: Held<ServingEnd>,
    /// Channels that this process is the client of.
    pub clients: Held<CallingEnd>,
    /// What came of what steps attempted.
    pub attempts: Attempts,
    /// What earlier steps of the scenario told, in any process; what a step adds is handed on.
    pub context: StringMap,
    #[cfg(test)]
    pub(super) witness: Option<super::test_steps::DropNote>,
}

impl World {
    /// A World with nothing in it.
    pub fn for_run(run: RunId, registry: Arc<Registry>) -> Self {
        World {
            run,
            registry,
            readers: Held::new("reader"),
            writers: Held::new("writer"),
            servers: Held::new("server"),
            clients: Held::new("client"),
            attempts: Attempts::default(),
            context: StringMap::new(),
            #[cfg(test)]
            witness: None,
        }
    }

    /// A World without an orchestrator.
    fn standalone() -> Self {
        Self::for_run(RunId::new(None), Arc::default())
    }

    /// The buffer that a step calls `name`.
    ///
    /// # Errors
    ///
    /// If that makes no legal buffer name.
    pub fn buffer_name(&self, name: &str) -> Result<BufferName, Failure> {
        Ok(BufferName::new(self.run.apply(name))?)
    }

    /// The channel that a step calls `name`.
    ///
    /// # Errors
    ///
    /// If that makes no legal channel name.
    pub fn channel_name(&self, name: &str) -> Result<ChannelName, Failure> {
        Ok(ChannelName::new(self.run.apply(name))?)
    }

    /// Makes a buffer that this process reads.
    ///
    /// # Errors
    ///
    /// Those of [`Reader::create`].
    pub fn create_buffer(
        &mut self,
        role: &str,
        buffer: &str,
        config: &BufferConfig,
    ) -> Result<(), Error> {
        let name = BufferName::new(self.run.apply(buffer))?;
        self.registry.note_reader(&name);
        let reader = Reader::create(&name, config)?;
        self.readers.add(role, buffer, ReadingEnd::new(reader));
        Ok(())
    }

    /// Attaches to a buffer that this process writes, waiting up to `timeout` for its reader.
    ///
    /// # Errors
    ///
    /// Those of [`Writer::connect`].
    pub fn connect(&mut self, role: &str, buffer: &str, timeout: Duration) -> Result<(), Error> {
        let name = BufferName::new(self.run.apply(buffer))?;
        self.registry.note_writer(&name);
        let writer = Writer::connect(&name, timeout)?;
        self.writers.add(role, buffer, WritingEnd::new(writer));
        Ok(())
    }

    /// Notes that this process is about to become a client of this channel.
    pub fn note_client(&self, channel: &ChannelName) {
        self.registry.note_reader(channel.response());
        self.registry.note_writer(channel.request());
    }

    /// Where everything is noted that this World makes.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Releases everything, as if the scenario began anew.
    pub fn release(&mut self) {
        self.clients.clear();
        self.servers.clear();
        self.writers.clear();
        self.readers.clear();
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("run", &self.run)
            .finish_non_exhaustive()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.release();
    }
}
