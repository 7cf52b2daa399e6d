//! Where the library puts what it writes: each value of its control block, and metadata, in a buffer in
//! which no two of them are the same.

use std::time::Duration;

use super::segment::{Field, HEADER, OIEB_SIZE};
use super::trial::Trial;
use crate::BufferConfig;
use crate::serve::failure::{Failure, StepOutcome, expect_equal};
use crate::serve::pattern;
use crate::serve::world::World;

/// What metadata's length takes in its block, in bytes.
const METADATA_PREFIX: u64 = 8;

const CONFIG: BufferConfig = BufferConfig {
    metadata_size: 192,
    payload_size: 1024,
};

/// Bytes of the metadata, and of frames, of which two are read.
const METADATA: u64 = 50;
const FRAMES: [u64; 3] = [300, 100, 50];
const READ: usize = 2;

/// How long a frame that was written may take to be read.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// The name that a step would call it.
const NAME: &str = "places";

/// Checks that every value of the control block stands where the protocol has it, which is at a multiple
/// of its size.
///
/// # Errors
///
/// A failure that names the field.
pub fn expect_fields(world: &World) -> StepOutcome {
    let mut trial = Trial::new(world, NAME, &CONFIG)?;
    let mut writer = trial.connect()?;
    writer.set_metadata(&pattern::plain(METADATA as usize)?)?;
    for size in FRAMES {
        writer.write(&pattern::plain(size as usize)?)?;
    }
    for _ in 0..READ {
        let frame = trial.reader.read(READ_TIMEOUT)?;
        drop(frame.ok_or_else(|| Failure::new("expected a frame, found none"))?);
    }
    let (metadata, payload) = (CONFIG.metadata_size as u64, CONFIG.payload_size as u64);
    let with_headers = |frames: &[u64]| frames.iter().map(|size| HEADER + size).sum::<u64>();
    let own = u64::from(std::process::id());
    for (field, expected) in [
        (Field::OiebSize, OIEB_SIZE),
        (Field::Version, 1),
        (Field::MetadataSize, metadata),
        (
            Field::MetadataFreeBytes,
            metadata - METADATA_PREFIX - METADATA,
        ),
        (Field::MetadataWrittenBytes, METADATA_PREFIX + METADATA),
        (Field::PayloadSize, payload),
        (
            Field::PayloadFreeBytes,
            payload - with_headers(&FRAMES[READ..]),
        ),
        (Field::PayloadWritePos, with_headers(&FRAMES)),
        (Field::PayloadReadPos, with_headers(&FRAMES[..READ])),
        (Field::PayloadWrittenCount, FRAMES.len() as u64),
        (Field::PayloadReadCount, READ as u64),
        (Field::WriterPid, own),
        (Field::ReaderPid, own),
    ] {
        expect_equal(&format!("{field:?}"), expected, trial.raw.get(field)?)?;
    }
    // Which of the two process ids is whose.
    drop(writer);
    expect_equal("WriterPid, of nobody", 0, trial.raw.get(Field::WriterPid)?)?;
    expect_equal("ReaderPid", own, trial.raw.get(Field::ReaderPid)?)
}

/// Checks that metadata stands, with its length before it, right behind the control block, and that the
/// rest of its block is empty.
///
/// # Errors
///
/// A failure that names the first byte that is not so.
pub fn expect_metadata(world: &World) -> StepOutcome {
    let trial = Trial::new(world, NAME, &CONFIG)?;
    let metadata = pattern::sequenced(METADATA as usize, 1)?;
    trial.connect()?.set_metadata(&metadata)?;
    let mut expected = METADATA.to_le_bytes().to_vec();
    expected.extend(metadata);
    expected.resize(CONFIG.metadata_size, 0);
    let what = format!("metadata block, from byte {OIEB_SIZE} of the segment on");
    pattern::compare(&what, &expected, &trial.raw.metadata_block()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::naming::RunId;
    use std::sync::Arc;

    #[test]
    fn the_library_keeps_to_its_places() {
        let world = World::for_run(RunId::new(None), Arc::default());
        expect_fields(&world).unwrap();
        expect_metadata(&world).unwrap();
    }
}
