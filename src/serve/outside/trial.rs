//! A buffer of a step's own: both ends in this process, and the segment seen from outside.

use std::time::Duration;

use super::segment::{Field, RawSegment};
use crate::serve::failure::{Failure, StepOutcome, expect_equal};
use crate::serve::pattern;
use crate::serve::world::World;
use crate::{BufferConfig, Reader, Writer};

/// How long a frame that was written may take to be read.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// A buffer nobody else knows of.
#[derive(Debug)]
pub struct Trial {
    /// Its reader.
    pub reader: Reader,
    /// Its segment.
    pub raw: RawSegment,
}

impl Trial {
    /// Makes the buffer that a step would call `name`.
    ///
    /// # Errors
    ///
    /// Those of [`Reader::create`].
    pub fn new(world: &World, name: &str, config: &BufferConfig) -> Result<Trial, Failure> {
        let name = world.buffer_name(name)?;
        world.registry().note_reader(&name);
        world.registry().note_writer(&name);
        let reader = Reader::create(&name, config)?;
        let raw = RawSegment::open(&name)?;
        Ok(Trial { reader, raw })
    }

    /// Attaches the writer.
    ///
    /// # Errors
    ///
    /// Those of [`Writer::connect`].
    pub fn connect(&self) -> Result<Writer, Failure> {
        Ok(Writer::connect(self.reader.name(), Duration::ZERO)?)
    }

    /// Puts the ring into the state of one that was written up to `write_pos` and read up to
    /// `read_pos`; if they are the same, everything was read.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn set_positions(&self, write_pos: u64, read_pos: u64) -> StepOutcome {
        let size = self.raw.get(Field::PayloadSize)?;
        let used = (write_pos + size - read_pos) % size;
        self.raw.set(Field::PayloadWritePos, write_pos)?;
        self.raw.set(Field::PayloadReadPos, read_pos)?;
        self.raw.set(Field::PayloadFreeBytes, size - used)?;
        Ok(())
    }
}

/// Has a frame cross a buffer, and compares every byte.
///
/// # Errors
///
/// If it cannot be written or read, or is another one.
pub fn expect_frame_crosses(writer: &mut Writer, reader: &mut Reader, data: &[u8]) -> StepOutcome {
    let sequence = writer.write(data)?;
    let frame = reader.read(READ_TIMEOUT)?;
    let frame = frame.ok_or_else(|| Failure::new("expected a frame, found none"))?;
    expect_equal("sequence number", sequence, frame.sequence())?;
    pattern::compare("data of the frame", data, &frame.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::naming::RunId;
    use std::sync::Arc;

    #[test]
    fn a_trial_is_a_buffer_that_works_and_leaves_nothing() {
        let world = World::for_run(RunId::new(None), Arc::default());
        let mut trial = Trial::new(&world, "trial", &BufferConfig::new(0, 1024)).unwrap();
        let files = trial.raw.files().clone();
        trial.set_positions(100, 300).unwrap();
        assert_eq!(trial.raw.get(Field::PayloadFreeBytes).unwrap(), 200);
        trial.set_positions(300, 100).unwrap();
        assert_eq!(trial.raw.get(Field::PayloadFreeBytes).unwrap(), 824);
        trial.set_positions(0, 0).unwrap();
        let mut writer = trial.connect().unwrap();
        expect_frame_crosses(&mut writer, &mut trial.reader, b"abc").unwrap();
        drop((writer, trial));
        assert!(files.existing().is_empty());
    }
}
