//! A structure of many fields with a checksum: whether a reader ever sees a part of it.
//!
//! All numbers are little-endian, one behind the other, [`SIZE`] bytes in all:
//!
//! | bytes | field | of structure i |
//! |---|---|---|
//! | 8 | number | i |
//! | 8 | inverse | all bits of i turned over |
//! | 8 | ratio | i / 7, a double |
//! | 4 | count | 3 i mod 2^32 |
//! | 2 | flags | i mod 2^16 |
//! | 2 | kind | i mod 5 |
//! | 32 | label | `structure i` and zeros |
//! | 128 | samples | 32 numbers of 4 bytes: (i + their place) mod 2^32 |
//! | 8 | checksum | FNV-1a, 64 bits, of all bytes before |

use std::time::{Duration, Instant};

use super::task::{Stop, Task};
use crate::Error;
use crate::serve::ends::{Reader, Writer};
use crate::serve::failure::{Failure, StepOutcome, expect_equal};
use crate::serve::outside::segment::{Field, HEADER, RawSegment};

/// How many structures are written.
pub const STRUCTURES: u64 = 100_000;

/// Size of a structure, in bytes.
pub const SIZE: usize = 200;

/// So many structures may be unread: the reader is always at the heels of the writer.
const LEAD: u64 = 64;

/// How long one structure may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often a waiting writer looks whether it is to stop.
const TICK: Duration = Duration::from_millis(100);

const LABEL: usize = 32;
const SAMPLES: usize = 32;

/// The structure.
#[derive(Debug, Clone, PartialEq)]
struct Structure {
    number: u64,
    inverse: u64,
    ratio: f64,
    count: u32,
    flags: u16,
    kind: u16,
    label: [u8; LABEL],
    samples: [u32; SAMPLES],
}

impl Structure {
    fn numbered(number: u64) -> Structure {
        let mut label = [0; LABEL];
        let text = format!("structure {number}");
        label[..text.len()].copy_from_slice(text.as_bytes());
        Structure {
            number,
            inverse: !number,
            ratio: number as f64 / 7.0,
            count: (number as u32).wrapping_mul(3),
            flags: number as u16,
            kind: (number % 5) as u16,
            label,
            samples: std::array::from_fn(|place| (number as u32).wrapping_add(place as u32)),
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SIZE);
        bytes.extend(self.number.to_le_bytes());
        bytes.extend(self.inverse.to_le_bytes());
        bytes.extend(self.ratio.to_le_bytes());
        bytes.extend(self.count.to_le_bytes());
        bytes.extend(self.flags.to_le_bytes());
        bytes.extend(self.kind.to_le_bytes());
        bytes.extend(self.label);
        bytes.extend(self.samples.iter().flat_map(|sample| sample.to_le_bytes()));
        bytes.extend(checksum(&bytes).to_le_bytes());
        bytes
    }
}

/// FNV-1a.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Where each field begins, and where the last one ends.
const FIELDS: [(&str, usize); 9] = [
    ("number", 0),
    ("inverse", 8),
    ("ratio", 16),
    ("count", 24),
    ("flags", 28),
    ("kind", 30),
    ("label", 32),
    ("samples", 64),
    ("checksum", 192),
];

/// What is wrong with the bytes of structure `number`: fields that differ, and a checksum that does
/// not fit the rest.
#[derive(Debug, Default, PartialEq, Eq)]
struct Flaws {
    fields: Vec<&'static str>,
    is_torn: bool,
}

impl Flaws {
    fn of(number: u64, bytes: &[u8]) -> Flaws {
        let expected = Structure::numbered(number).to_bytes();
        if bytes.len() != SIZE {
            return Flaws {
                fields: vec!["size"],
                is_torn: true,
            };
        }
        let ends = FIELDS[1..].iter().map(|(_, begin)| *begin).chain([SIZE]);
        let fields = FIELDS.iter().zip(ends);
        let wrong =
            fields.filter(|((_, begin), end)| bytes[*begin..*end] != expected[*begin..*end]);
        let (content, sum) = bytes.split_at(SIZE - 8);
        Flaws {
            fields: wrong.map(|((name, _), _)| *name).collect(),
            is_torn: checksum(content).to_le_bytes() != *sum,
        }
    }
}

/// Writes structures in the background, never more than a few ahead of the reader.
///
/// # Errors
///
/// If threads run out, or the segment cannot be looked at.
pub fn write_in_background(writer: Writer) -> Result<Task<u64>, Failure> {
    let segment = RawSegment::open(writer.name())?;
    Task::start("structure-writer", move |stop| {
        write(writer, &segment, stop)
    })
}

fn write(mut writer: Writer, segment: &RawSegment, stop: &Stop) -> Result<u64, Failure> {
    writer.set_write_timeout(TICK);
    for number in 0..STRUCTURES {
        let begun = Instant::now();
        while segment.used()? >= LEAD * (SIZE as u64 + HEADER) {
            writer.check_reader()?;
            if stop.is_asked_for() {
                return Ok(number);
            }
            if begun.elapsed() > PATIENCE {
                return Err(Failure::new(format!("structure {number} is not read")));
            }
            std::thread::yield_now();
        }
        writer.write(&Structure::numbered(number).to_bytes())?;
    }
    Ok(STRUCTURES)
}

/// Waits until the writer is as far ahead as it goes, and checks from outside that what it has
/// published is there in full.
///
/// # Errors
///
/// A failure that names the first structure that is not.
pub fn expect_published(segment: &RawSegment) -> StepOutcome {
    let begun = Instant::now();
    while segment.get(Field::PayloadWrittenCount)? < LEAD {
        if begun.elapsed() > PATIENCE {
            return Err(Failure::new(format!(
                "expected {LEAD} structures in the segment, found {} after {PATIENCE:?}",
                segment.get(Field::PayloadWrittenCount)?
            )));
        }
        std::thread::yield_now();
    }
    expect_equal(
        "bytes of structures in the segment",
        LEAD * (SIZE as u64 + HEADER),
        segment.used()?,
    )?;
    for number in 0..LEAD {
        let bytes = segment.payload(number * (SIZE as u64 + HEADER) + HEADER, SIZE)?;
        expect_flawless(number, &Flaws::of(number, &bytes))?;
    }
    Ok(())
}

fn expect_flawless(number: u64, flaws: &Flaws) -> StepOutcome {
    if *flaws == Flaws::default() {
        return Ok(());
    }
    Err(Failure::new(format!("structure {number}: {flaws:?}")))
}

/// Both sides of the structures of a scenario.
#[derive(Debug, Default)]
pub struct Structures {
    /// They are being written.
    pub writing: Option<Task<u64>>,
    /// What was read.
    pub seen: Option<Sightings>,
}

impl Structures {
    /// What was read.
    ///
    /// # Errors
    ///
    /// If nothing was.
    pub fn seen(&self) -> Result<&Sightings, Failure> {
        self.seen
            .as_ref()
            .ok_or_else(|| Failure::new("expected structures to have been read, found none"))
    }
}

/// What a reader has seen.
#[derive(Debug, Default)]
pub struct Sightings {
    read: u64,
    /// Structures with a field that is not what was written.
    wrong: Vec<String>,
    /// Structures whose checksum does not fit the rest.
    torn: Vec<u64>,
}

impl Sightings {
    /// Reads structures until their writer has left and nothing is unread.
    ///
    /// # Errors
    ///
    /// If a read fails, or nothing comes.
    pub fn read(reader: &mut Reader) -> Result<Sightings, Failure> {
        let mut seen = Sightings::default();
        loop {
            match reader.read(PATIENCE) {
                Ok(Some(frame)) => seen.look_at(&frame.to_vec()),
                Ok(None) => {
                    return Err(Failure::new(format!(
                        "expected structure {}, found none within {PATIENCE:?}",
                        seen.read
                    )));
                }
                Err(Error::WriterDead { .. }) => return Ok(seen),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn look_at(&mut self, bytes: &[u8]) {
        let flaws = Flaws::of(self.read, bytes);
        if !flaws.fields.is_empty() {
            let fields = flaws.fields.join(", ");
            self.wrong.push(format!("{}: {fields}", self.read));
        }
        if flaws.is_torn {
            self.torn.push(self.read);
        }
        self.read += 1;
    }

    /// Compares their number with that of the structures written.
    ///
    /// # Errors
    ///
    /// A failure with both numbers.
    pub fn expect_all(&self) -> StepOutcome {
        expect_equal("structures read", STRUCTURES, self.read)
    }

    /// Checks that every field of every structure was what had been written.
    ///
    /// # Errors
    ///
    /// A failure that names the first ones that were not.
    pub fn expect_every_field(&self) -> StepOutcome {
        self.expect_all()?;
        expect_none("structures with wrong fields", &self.wrong)
    }

    /// Checks that every checksum fitted its structure.
    ///
    /// # Errors
    ///
    /// A failure that names the first ones that did not.
    pub fn expect_none_torn(&self) -> StepOutcome {
        self.expect_all()?;
        expect_none("structures seen in part", &self.torn)
    }
}

fn expect_none<T: std::fmt::Debug>(what: &str, found: &[T]) -> StepOutcome {
    if found.is_empty() {
        return Ok(());
    }
    let first = &found[..found.len().min(5)];
    Err(Failure::new(format!(
        "{what}: expected none, found {}, the first {first:?}",
        found.len()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BufferConfig, BufferName};

    #[test]
    fn every_byte_of_a_structure_counts() {
        let bytes = Structure::numbered(1234).to_bytes();
        assert_eq!(bytes.len(), SIZE);
        assert_eq!(Flaws::of(1234, &bytes), Flaws::default());
        for at in 0..SIZE {
            let mut wrong = bytes.clone();
            wrong[at] ^= 1;
            let flaws = Flaws::of(1234, &wrong);
            let (name, _) = FIELDS.iter().rfind(|(_, begin)| *begin <= at).unwrap();
            assert_eq!(flaws.fields, [*name], "byte {at}");
            assert!(flaws.is_torn, "byte {at}");
        }
        let flaws = Flaws::of(1235, &bytes);
        assert!(!flaws.is_torn && flaws.fields.contains(&"number"));
        assert!(Flaws::of(1, &bytes[1..]).is_torn);
    }

    #[test]
    fn the_checksum_is_the_one_that_all_languages_have() {
        assert_eq!(checksum(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(checksum(b"a"), 0xaf63_dc4c_8601_ec8c);
    }

    #[test]
    fn the_writer_keeps_a_few_ahead_and_ends_when_dropped() {
        let name = format!("serve-structure-{}", std::process::id());
        let name = BufferName::new(name).unwrap();
        let mut reader = Reader::create(&name, &BufferConfig::new(0, 1 << 20)).unwrap();
        let writing = write_in_background(Writer::connect(&name, PATIENCE).unwrap()).unwrap();
        let raw = RawSegment::open(&name).unwrap();
        expect_published(&raw).unwrap();
        raw.put_payload(HEADER + 40, b"!").unwrap();
        assert!(expect_published(&raw).is_err());
        drop(reader.read(PATIENCE).unwrap().unwrap());
        drop(writing);
        let seen = Sightings::read(&mut reader).unwrap();
        assert!(seen.read >= LEAD - 1 && seen.expect_all().is_err());
    }

    #[test]
    fn what_is_seen_in_part_is_told() {
        let mut seen = Sightings {
            read: STRUCTURES - 1,
            ..Sightings::default()
        };
        let mut bytes = Structure::numbered(STRUCTURES - 1).to_bytes();
        bytes[100] ^= 1;
        seen.look_at(&bytes);
        seen.expect_all().unwrap();
        assert!(seen.expect_none_torn().is_err());
        let failure = seen.expect_every_field().unwrap_err().to_string();
        assert!(failure.contains("99999: samples"), "{failure}");
    }
}
