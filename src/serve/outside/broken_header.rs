//! Frame headers that no sound writer leaves, and what a reader makes of them.

use std::time::Duration;

use super::ring_state::Unread;
use super::segment::{Field, HEADER, RawHeader};
use super::trial::{Trial, expect_frame_crosses};
use crate::serve::attempt::another_error;
use crate::serve::failure::{Failure, StepOutcome};
use crate::serve::pattern;
use crate::serve::world::World;
use crate::{BufferConfig, Error};

/// How long a frame that is there may take to be read.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// What is wrong with a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokenHeader {
    /// The frame would reach beyond the end of the ring by one byte.
    TooLarge,
    /// Neither the next sequence number nor the first one.
    WrongSequence,
    /// Sixteen bytes of 0xFF. A header has no magic number that could be wrong.
    Nonsense,
}

impl BrokenHeader {
    /// What a row of a table calls so, with the result that it expects.
    ///
    /// # Errors
    ///
    /// If it calls nothing so.
    pub fn named(corruption: &str, result: &str) -> Result<BrokenHeader, Failure> {
        match (corruption, result) {
            ("payload_size > remaining", "reader handles gracefully") => Ok(Self::TooLarge),
            ("sequence_number invalid", "reader detects error") => Ok(Self::WrongSequence),
            ("header magic corrupted", "reader rejects frame") => Ok(Self::Nonsense),
            _ => Err(Failure::new(format!(
                "no such corruption with such a result: '{corruption}', '{result}'"
            ))),
        }
    }

    /// The header that takes the place of a sound one, of a frame `to_end` bytes before the end.
    fn instead_of(self, sound: RawHeader, to_end: u64) -> RawHeader {
        match self {
            BrokenHeader::TooLarge => RawHeader {
                size: to_end - HEADER + 1,
                ..sound
            },
            BrokenHeader::WrongSequence => RawHeader {
                sequence: sound.sequence + 6,
                ..sound
            },
            BrokenHeader::Nonsense => RawHeader {
                size: u64::MAX,
                sequence: u64::MAX,
            },
        }
    }

    /// Breaks the header of a frame in a buffer of its own and reads it, twice; then has a frame
    /// cross another buffer.
    ///
    /// # Errors
    ///
    /// If the reads do not end in the error that is right for it.
    pub fn try_on(self, world: &World, name: &str, config: &BufferConfig) -> StepOutcome {
        let mut trial = Trial::new(world, name, config)?;
        let mut writer = trial.connect()?;
        writer.write(&pattern::sequenced(pattern::DEFAULT_FRAME_SIZE, 1)?)?;
        let frame = Unread::walk(&trial.raw)?.first()?;
        let to_end = trial.raw.get(Field::PayloadSize)? - frame.offset;
        let broken = self.instead_of(frame.header, to_end);
        trial.raw.put_header(frame.offset, broken)?;
        for _ in 0..2 {
            match trial.reader.read(READ_TIMEOUT) {
                Ok(frame) => {
                    let length = frame.map_or(0, |frame| frame.len());
                    return Err(Failure::new(format!(
                        "expected an error, found a frame of {length} bytes (0: none)"
                    )));
                }
                Err(error) => self.expect_error(&error, frame.header, broken)?,
            }
        }
        drop((writer, trial));
        let mut trial = Trial::new(world, name, config)?;
        let mut writer = trial.connect()?;
        let data = pattern::sequenced(pattern::DEFAULT_FRAME_SIZE, 1)?;
        expect_frame_crosses(&mut writer, &mut trial.reader, &data)
    }

    fn expect_error(self, error: &Error, sound: RawHeader, broken: RawHeader) -> StepOutcome {
        let wanted = match self {
            BrokenHeader::TooLarge | BrokenHeader::Nonsense => "Corrupt".to_owned(),
            BrokenHeader::WrongSequence => format!(
                "Sequence (expected {}, got {})",
                sound.sequence, broken.sequence
            ),
        };
        let is_right = match (self, error) {
            (BrokenHeader::TooLarge | BrokenHeader::Nonsense, Error::Corrupt { .. }) => true,
            (BrokenHeader::WrongSequence, Error::Sequence { expected, got, .. }) => {
                (*expected, *got) == (sound.sequence, broken.sequence)
            }
            _ => false,
        };
        match is_right {
            true => Ok(()),
            false => Err(another_error(&wanted, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::naming::RunId;
    use std::sync::Arc;

    const ALL: [BrokenHeader; 3] = [
        BrokenHeader::TooLarge,
        BrokenHeader::WrongSequence,
        BrokenHeader::Nonsense,
    ];

    #[test]
    fn each_is_refused_and_only_with_its_own_error() {
        let world = World::for_run(RunId::new(None), Arc::default());
        let sound = RawHeader {
            size: 10,
            sequence: 1,
        };
        for broken in ALL {
            let config = BufferConfig::new(0, 4096);
            broken.try_on(&world, "broken", &config).unwrap();
            let header = broken.instead_of(sound, 100);
            assert_ne!(header, sound);
            let wrong = Error::InvalidFrameSize {
                name: "b".to_owned(),
            };
            assert!(broken.expect_error(&wrong, sound, header).is_err());
        }
    }

    #[test]
    fn a_row_has_to_be_known() {
        let known = BrokenHeader::named("header magic corrupted", "reader rejects frame");
        assert_eq!(known.unwrap(), BrokenHeader::Nonsense);
        assert!(BrokenHeader::named("header magic corrupted", "reader detects error").is_err());
    }
}
