//! The World: everything that the steps of one scenario share in this process.
//!
//! One process can play any number of roles at once, so nothing here belongs to a role: steps find
//! their reader, writer, server or client by what their text names.

use std::fmt;
use std::sync::Arc;

use super::calling::CallingEnd;
use super::failure::Failure;
use super::held::Held;
use super::naming::RunId;
use super::reading::ReadingEnd;
use super::registry::Registry;
use super::serving::ServingEnd;
use super::writing::WritingEnd;
use crate::BufferName;
use crate::duplex::ChannelName;
use crate::rpc::message::StringMap;

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
