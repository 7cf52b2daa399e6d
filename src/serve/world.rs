//! The World: everything that the steps of one scenario share in this process.
//!
//! One process can play any number of roles at once, so nothing here belongs to a role: steps find
//! their reader, writer, server or client by what their text names.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::attempt::Attempts;
use super::benchmark::Benchmarks;
use super::channels::calling::CallingEnd;
use super::channels::serving::ServingEnd;
use super::ends::audit::{audit, left_out, not_in_order};
use super::ends::draining::Draining;
use super::ends::reading::ReadingEnd;
use super::ends::told::{tell_broken, told_broken};
use super::ends::writing::WritingEnd;
use super::ends::{Reader, Writer};
use super::failure::Failure;
use super::findings::Findings;
use super::held::Held;
use super::naming::RunId;
use super::outside::files::BufferFiles;
use super::outside::observing::Observations;
use super::outside::segment::RawSegment;
use super::registry::Registry;
use super::strain::Strain;
use super::strain::structure::Structures;
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
    /// Buffers that this process reads in the background.
    pub draining: Held<Draining>,
    /// Buffers that this process writes.
    pub writers: Held<WritingEnd>,
    /// Channels that this process serves.
    pub servers: Held<ServingEnd>,
    /// Channels that this process is the client of.
    pub clients: Held<CallingEnd>,
    /// What came of what steps attempted.
    pub attempts: Attempts,
    /// What single operations changed in shared memory, if that is to be observed.
    pub observations: Option<Observations>,
    /// What benchmarks have measured.
    pub benchmarks: Benchmarks,
    /// What steps found out otherwise.
    pub findings: Findings,
    /// How the machine is strained.
    pub strain: Strain,
    /// Structures of many fields that cross.
    pub structures: Structures,
    /// Files that were seen, and should be gone later.
    pub seen: Vec<BufferFiles>,
    /// What earlier steps of the scenario told, in any process; what a step adds is handed on.
    pub context: StringMap,
    /// Names of the buffers that steps have broken on purpose, in any process.
    broken: BTreeSet<String>,
    #[cfg(test)]
    pub(super) witness: Option<super::test_steps::DropNote>,
    #[cfg(test)]
    pub(super) burden: Option<super::test_steps::Burden>,
}

impl World {
    /// A World with nothing in it.
    pub fn for_run(run: RunId, registry: Arc<Registry>) -> Self {
        World {
            run,
            registry,
            readers: Held::new("reader"),
            draining: Held::new("reader in the background"),
            writers: Held::new("writer"),
            servers: Held::new("server"),
            clients: Held::new("client"),
            attempts: Attempts::default(),
            observations: None,
            benchmarks: Benchmarks::default(),
            findings: Findings::default(),
            strain: Strain::default(),
            structures: Structures::default(),
            seen: Vec::new(),
            context: StringMap::new(),
            broken: BTreeSet::new(),
            #[cfg(test)]
            witness: None,
            #[cfg(test)]
            burden: None,
        }
    }

    /// A World without an orchestrator.
    fn standalone() -> Self {
        Self::for_run(RunId::new(None), Arc::default())
    }

    /// What is in all names of this run, and in no others.
    pub fn mark(&self) -> String {
        self.run.apply("")
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
        self.create_named_buffer(role, buffer, &name, config)
    }

    /// As [`World::create_buffer`], for a buffer whose name in shared memory is known.
    ///
    /// # Errors
    ///
    /// Those of [`Reader::create`].
    pub fn create_named_buffer(
        &mut self,
        role: &str,
        buffer: &str,
        name: &BufferName,
        config: &BufferConfig,
    ) -> Result<(), Error> {
        self.registry.note_reader(name);
        let reader = Reader::create(name, config)?;
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

    /// The buffer that a step is about which names none: the one last written, or else read, by a
    /// process of this role.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn buffer_in_use(&mut self, role: &str) -> Result<BufferName, Failure> {
        if let Ok(writing) = self.writers.find(role, None) {
            return Ok(writing.buffer().clone());
        }
        Ok(self.readers.find(role, None)?.buffer().clone())
    }

    /// The segment of [`buffer_in_use`](Self::buffer_in_use), from outside.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn segment_in_use(&mut self, role: &str) -> Result<RawSegment, Failure> {
        RawSegment::open(&self.buffer_in_use(role)?)
    }

    /// Whether an orchestrator has given this run its id.
    pub fn is_orchestrated(&self) -> bool {
        self.run.is_given()
    }

    /// Where everything is noted that this World makes.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Notes that a step breaks this buffer on purpose, so that its account need not be in order; other
    /// processes are told.
    pub fn note_broken(&mut self, buffer: &BufferName) {
        self.broken.insert(buffer.to_string());
        tell_broken(&mut self.context, buffer);
    }

    /// Takes the context that an earlier step has handed on.
    pub fn take_context(&mut self, context: StringMap) {
        self.broken.extend(told_broken(&context).map(str::to_owned));
        self.context = context;
    }

    /// Checks the buffers that the scenario writes and reads, the latter when nobody here writes them
    /// any more. Yields what is not in order. What may take long to be released is still there: see
    /// [`release`](Self::release).
    pub fn audit(&mut self) -> Vec<String> {
        let mut complaints = Vec::new();
        let broken = &self.broken;
        let is_sound = |buffer: &BufferName| {
            let is_broken = broken.contains(buffer.as_str());
            if is_broken {
                left_out(buffer.as_str(), "a step has broken it on purpose");
            }
            !is_broken
        };
        for writing in self.writers.iter_mut() {
            if is_sound(writing.buffer())
                && let Err(failure) = writing.audit()
            {
                complaints.push(not_in_order(writing.buffer().as_str(), failure));
            }
        }
        self.strain = Strain::default();
        self.structures = Structures::default();
        self.benchmarks = Benchmarks::default();
        self.writers.clear();
        self.draining
            .iter_mut()
            .for_each(|draining| draining.stop());
        let mut drained = Vec::new();
        for draining in self.draining.iter_mut() {
            match draining.end() {
                Ok(reading) => drained.extend(reading),
                Err(failure) => complaints.push(failure),
            }
        }
        let readers = self.readers.iter_mut().chain(&mut drained);
        // A reader that has come upon what was broken knows what there is left to be checked.
        let sound =
            readers.filter(|reading| reading.has_found_flaw() || is_sound(reading.buffer()));
        complaints.extend(audit(sound));
        complaints.iter().map(ToString::to_string).collect()
    }

    /// Releases everything, as if the scenario began anew.
    pub fn release(&mut self) {
        self.strain = Strain::default();
        self.structures = Structures::default();
        self.draining.clear();
        self.benchmarks = Benchmarks::default();
        self.writers.clear();
        self.readers.clear();
        self.clients.clear();
        // Their handlers are waited for.
        self.servers.clear();
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
