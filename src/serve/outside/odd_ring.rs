//! A buffer of sizes that are no multiples of 64, and all ways in which a frame can end in it.

use std::io;
use std::time::Duration;

use super::observing::{Change, Observations, Snapshot};
use super::ring_state::RingState;
use super::segment::{Field, HEADER, OIEB_SIZE};
use super::trial::{Trial, expect_frame_crosses};
use super::written::Written;
use crate::BufferConfig;
use crate::serve::failure::{Failure, StepOutcome, expect_equal};
use crate::serve::pattern;
use crate::serve::world::World;

/// What is asked for, and what it is rounded up to.
const ASKED: BufferConfig = BufferConfig {
    metadata_size: 100,
    payload_size: 1000,
};
const METADATA: usize = 128;
const PAYLOAD: usize = 1024;

/// What metadata's length takes in its block, in bytes.
const METADATA_PREFIX: usize = 8;

/// Data bytes of frames each of which is read before the next one: the first one fills the ring, two
/// end inside it, the fourth has no room behind them and skips the end, the last one ends where the
/// ring does.
const SIZES: [usize; 5] = [1008, 500, 300, 300, 692];

/// How long a frame that was written may take to be read.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// The name that a step would call it.
const NAME: &str = "odd-ring";

/// Writes and reads frames that end in all ways, and notes what each write and each read changes.
///
/// # Errors
///
/// If a frame does not cross whole.
pub fn observe(world: &World) -> Result<Observations, Failure> {
    let mut observed = Observations::default();
    let mut trial = Trial::new(world, NAME, &ASKED)?;
    let mut writer = trial.connect()?;
    let mut now = Snapshot::of(&trial.raw)?;
    for size in SIZES {
        let total = HEADER + size as u64;
        let change = |now: &mut Snapshot| {
            let before = std::mem::replace(now, Snapshot::of(&trial.raw)?);
            let after = *now;
            io::Result::Ok(Change {
                before,
                after,
                total,
            })
        };
        let ring = RingState::of(&trial.raw)?;
        let data = pattern::sequenced(size, writer.next_sequence())?;
        let sequence = writer.write(&data)?;
        observed.writes.note(change(&mut now)?);
        let written = Written {
            sequence,
            data,
            before: ring,
            waited: false,
        };
        written.expect_in_ring(&trial.raw)?;
        let frame = trial.reader.read(READ_TIMEOUT)?;
        let frame = frame.ok_or_else(|| Failure::new("expected a frame, found none"))?;
        expect_equal("sequence number", sequence, frame.sequence())?;
        pattern::compare("data of the frame", &written.data, &frame.to_vec())?;
        drop(frame);
        observed.reads.note(change(&mut now)?);
    }
    Ok(observed)
}

/// Checks that both sizes are rounded up to multiples of 64, and that all of it can be used.
///
/// # Errors
///
/// A failure that names what is not so.
pub fn expect_rounded_up(world: &World) -> StepOutcome {
    let mut trial = Trial::new(world, NAME, &ASKED)?;
    let all = OIEB_SIZE + (METADATA + PAYLOAD) as u64;
    for (field, asked, expected) in [
        (Field::MetadataSize, ASKED.metadata_size, METADATA),
        (Field::PayloadSize, ASKED.payload_size, PAYLOAD),
    ] {
        let what = format!("{field:?}, of {asked} bytes asked for");
        expect_equal(&what, expected as u64, trial.raw.get(field)?)?;
    }
    expect_equal("length of the segment", all, trial.raw.length()?)?;
    let mut writer = trial.connect()?;
    let metadata = pattern::plain(METADATA - METADATA_PREFIX)?;
    writer.set_metadata(&metadata)?;
    let found = trial.reader.metadata()?.unwrap_or_default();
    pattern::compare("metadata that fills its block", &metadata, &found)?;
    let data = pattern::plain(PAYLOAD - HEADER as usize)?;
    expect_frame_crosses(&mut writer, &mut trial.reader, &data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::naming::RunId;
    use std::sync::Arc;

    #[test]
    fn frames_end_in_all_ways_and_all_of_it_can_be_used() {
        let world = World::for_run(RunId::new(None), Arc::default());
        expect_rounded_up(&world).unwrap();
        let observed = observe(&world).unwrap();
        observed
            .writes
            .expect_variety(Field::PayloadWritePos)
            .unwrap();
        observed
            .reads
            .expect_variety(Field::PayloadReadPos)
            .unwrap();
    }
}
