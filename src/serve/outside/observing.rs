//! The control block before and after each write and each read, as seen from outside.

use std::io;

use super::segment::{Field, OIEB_SIZE, RawSegment};
use crate::serve::failure::{Failure, StepOutcome, expect_equal};

/// What the sizes and beginnings of blocks are multiples of, in bytes.
pub const ALIGNMENT: u64 = 64;

/// All fields of the control block at one moment, and how long the segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot {
    values: [u64; Field::ALL.len()],
    length: u64,
}

impl Snapshot {
    /// How things are now.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn of(segment: &RawSegment) -> io::Result<Snapshot> {
        let mut values = [0; Field::ALL.len()];
        for (value, (field, ..)) in values.iter_mut().zip(Field::ALL) {
            *value = segment.get(field)?;
        }
        let length = segment.length()?;
        Ok(Snapshot { values, length })
    }

    fn get(&self, field: Field) -> u64 {
        self.values[field as usize]
    }

    /// Where blocks begin and how large they are: positions inside the ring are no part of it, as
    /// frames stand where the one before them ended.
    fn expect_aligned_blocks(&self) -> StepOutcome {
        let metadata = self.get(Field::MetadataSize);
        let payload = self.get(Field::PayloadSize);
        expect_equal("oieb_size", OIEB_SIZE, self.get(Field::OiebSize))?;
        for (what, value) in [
            ("metadata_size", metadata),
            ("payload_size", payload),
            ("beginning of the metadata block", OIEB_SIZE),
            ("beginning of the payload block", OIEB_SIZE + metadata),
        ] {
            expect_multiple(what, ALIGNMENT, value)?;
        }
        let blocks = OIEB_SIZE + metadata + payload;
        expect_equal("length of the segment", blocks, self.length)
    }
}

/// Fails unless `value` is a multiple of `unit`.
///
/// # Errors
///
/// The failure, naming `what` was looked at.
pub fn expect_multiple(what: &str, unit: u64, value: u64) -> StepOutcome {
    if value.is_multiple_of(unit) {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{what}: expected a multiple of {unit}, found {value}"
    )))
}

/// What one write or read has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Immediately before.
    pub before: Snapshot,
    /// Immediately after; after a read, its frame has been released.
    pub after: Snapshot,
    /// The frame's bytes, header included.
    pub total: u64,
}

impl Change {
    /// Checks what a row of a table says: a field, and what becomes of it.
    fn expect(&self, field: &str, condition: &str) -> StepOutcome {
        if (field, condition) == ("all values", "are 64-byte aligned") {
            return self.after.expect_aligned_blocks();
        }
        let own = Field::named(field)?;
        let (before, mut found) = (self.before.get(own), self.after.get(own));
        let capacity = self.after.get(Field::PayloadSize);
        // A skipped end is counted like a frame, and its bytes with those of the frame behind it.
        let skipped = self.skipped(match (own, condition) {
            (Field::PayloadReadCount, _) | (_, "increases by frame size") => Field::PayloadReadPos,
            _ => Field::PayloadWritePos,
        });
        if own == Field::PayloadReadPos {
            // A reader may tell the end as the end, and not yet as the beginning.
            found %= capacity;
        }
        let expected = match condition {
            "increments by 1" => before.checked_add(1 + u64::from(skipped > 0)),
            "increases by frame size" => before.checked_add(skipped + self.total),
            "decreases by frame size" => before.checked_sub(skipped + self.total),
            "advances correctly" => advanced(before % capacity, self.total, capacity),
            _ => {
                return Err(Failure::new(format!(
                    "{field}: '{condition}' is no condition that is known here"
                )));
            }
        };
        let expected = expected.ok_or_else(|| {
            let total = self.total;
            Failure::new(format!("{field}: {before} leaves no room for {total}"))
        })?;
        expect_equal(&format!("{field}, {before} before"), expected, found)
    }

    /// How many bytes the frame skipped, as there were too few of them from this position to the end.
    fn skipped(&self, position: Field) -> u64 {
        let capacity = self.before.get(Field::PayloadSize);
        let to_end = capacity - self.before.get(position) % capacity;
        if to_end < self.total { to_end } else { 0 }
    }
}

/// The position behind a frame of `total` bytes, which never crosses the end.
fn advanced(before: u64, total: u64, capacity: u64) -> Option<u64> {
    let after = before.checked_add(total)?;
    match after {
        after if after < capacity => Some(after),
        after if after == capacity => Some(0),
        // It did not fit there, and stands at the beginning.
        _ => Some(total),
    }
}

/// Changes of one kind, in their order.
#[derive(Debug, Default)]
pub struct Changes(Vec<Change>);

impl Changes {
    /// Notes one more.
    pub fn note(&mut self, change: Change) {
        self.0.push(change);
    }

    /// Adds those of another buffer.
    pub fn append(&mut self, mut others: Changes) {
        self.0.append(&mut others.0);
    }

    /// Checks that among them are a frame that skipped the end of the ring and one that ended there.
    ///
    /// # Errors
    ///
    /// A failure that says which is missing.
    pub fn expect_variety(&self, position: Field) -> StepOutcome {
        let skips = |change: &Change| change.skipped(position) > 0;
        let ends = |change: &Change| {
            let after = &change.after;
            after
                .get(position)
                .is_multiple_of(after.get(Field::PayloadSize))
        };
        for (what, is_there) in [
            ("that skips the end of the ring", self.0.iter().any(skips)),
            ("that ends where the ring does", self.0.iter().any(ends)),
        ] {
            if !is_there {
                return Err(Failure::new(format!("expected a frame {what}, found none")));
            }
        }
        Ok(())
    }

    /// Checks the rows of a table, a heading and then pairs of field and condition, for every
    /// change.
    ///
    /// # Errors
    ///
    /// If there are fewer than two changes, or no rows, or at the first change that is another.
    pub fn expect(&self, what: &str, rows: &[Vec<String>]) -> StepOutcome {
        if self.0.len() < 2 {
            return Err(Failure::new(format!(
                "expected several {what}s to have been observed, found {}",
                self.0.len()
            )));
        }
        let conditions = rows.get(1..).unwrap_or_default();
        if conditions.is_empty() {
            return Err(Failure::new("expected a table of fields and conditions"));
        }
        for row in conditions {
            let [field, condition] = row.as_slice() else {
                return Err(Failure::new(format!(
                    "expected a field and a condition, found {row:?}"
                )));
            };
            for (number, change) in (1..).zip(&self.0) {
                change
                    .expect(field, condition)
                    .map_err(|failure| failure.while_doing(format!("{what} {number}")))?;
            }
        }
        Ok(())
    }
}

/// What was observed of this process's writes and reads, once it is asked for.
#[derive(Debug, Default)]
pub struct Observations {
    /// Writes, each with its frame in the ring.
    pub writes: Changes,
    /// Reads, up to the release of the frame.
    pub reads: Changes,
    /// Where frames were placed, and how large they are.
    pub placed: Vec<Placed>,
}

/// A frame in the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Offset of its header in the payload block.
    pub offset: u64,
    /// Bytes of data.
    pub size: usize,
    /// Its number.
    pub sequence: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(changes: &[(Field, u64)]) -> Snapshot {
        let mut values = [0; Field::ALL.len()];
        for (field, value) in [
            (Field::OiebSize, 128),
            (Field::MetadataSize, 64),
            (Field::PayloadSize, 1024),
        ]
        .iter()
        .chain(changes)
        {
            values[*field as usize] = *value;
        }
        let length = 128 + values[Field::MetadataSize as usize] + 1024;
        Snapshot { values, length }
    }

    fn written(after: &[(Field, u64)]) -> Change {
        Change {
            before: snapshot(&[
                (Field::PayloadFreeBytes, 500),
                (Field::PayloadWritePos, 900),
            ]),
            after: snapshot(after),
            total: 116,
        }
    }

    fn rows(rows: &[[&str; 2]]) -> Vec<Vec<String>> {
        let heading = [["field", "condition"]];
        let all = heading.iter().chain(rows);
        all.map(|row| row.map(str::to_owned).to_vec()).collect()
    }

    #[test]
    fn each_condition_is_checked() {
        let good = [
            (Field::PayloadFreeBytes, 384),
            (Field::PayloadWritePos, 1016),
            (Field::PayloadWrittenCount, 1),
        ];
        let conditions = [
            ["payload_written_count", "increments by 1"],
            ["payload_free_bytes", "decreases by frame size"],
            ["payload_write_pos", "advances correctly"],
            ["all values", "are 64-byte aligned"],
        ];
        for [field, condition] in conditions {
            assert_eq!(written(&good).expect(field, condition), Ok(()));
        }
        for index in 0..good.len() {
            let mut bad = good;
            bad[index].1 += 1;
            let change = written(&bad);
            let rows = conditions.iter();
            let failures =
                rows.filter(|[field, condition]| change.expect(field, condition).is_err());
            assert_eq!(failures.count(), 1, "{:?}", bad[index]);
        }
        let failure = written(&good)
            .expect("payload_write_pos", "grows")
            .unwrap_err();
        assert!(failure.to_string().contains("grows"), "{failure}");
        assert!(
            written(&good)
                .expect("write_pos", "increments by 1")
                .is_err()
        );
    }

    #[test]
    fn a_skipped_end_counts_like_a_frame() {
        let change = |position, count, free, is_read: bool| {
            let fields = match is_read {
                false => (Field::PayloadWritePos, Field::PayloadWrittenCount),
                true => (Field::PayloadReadPos, Field::PayloadReadCount),
            };
            Change {
                before: snapshot(&[(fields.0, 1000), (Field::PayloadFreeBytes, 500)]),
                after: snapshot(&[
                    (fields.0, position),
                    (fields.1, count),
                    (Field::PayloadFreeBytes, free),
                ]),
                total: 116,
            }
        };
        let written = rows(&[
            ["payload_written_count", "increments by 1"],
            ["payload_free_bytes", "decreases by frame size"],
            ["payload_write_pos", "advances correctly"],
        ]);
        let read = rows(&[
            ["payload_read_count", "increments by 1"],
            ["payload_free_bytes", "increases by frame size"],
            ["payload_read_pos", "advances correctly"],
        ]);
        let judge = |change, rows: &[Vec<String>]| Changes(vec![change; 2]).expect("entry", rows);
        assert_eq!(judge(change(116, 2, 360, false), &written), Ok(()));
        assert_eq!(judge(change(116, 2, 640, true), &read), Ok(()));
        for (position, count, free) in [(92, 2, 640), (116, 1, 640), (116, 2, 616)] {
            assert!(judge(change(position, count, free, true), &read).is_err());
            assert!(judge(change(position, count, 1000 - free, false), &written).is_err());
        }
    }

    #[test]
    fn skipping_and_ending_at_the_end_have_to_be_among_them() {
        let at = |before, after| Change {
            before: snapshot(&[(Field::PayloadReadPos, before)]),
            after: snapshot(&[(Field::PayloadReadPos, after)]),
            total: 116,
        };
        let (skips, ends, other) = (at(1000, 116), at(908, 1024), at(0, 116));
        let variety = |changes: &[Change]| {
            let changes = Changes(changes.to_vec());
            changes.expect_variety(Field::PayloadReadPos)
        };
        assert_eq!(variety(&[other, ends, skips]), Ok(()));
        assert!(variety(&[other, ends]).is_err() && variety(&[other, skips]).is_err());
    }

    #[test]
    fn blocks_have_to_be_aligned_and_to_fill_the_segment() {
        assert_eq!(snapshot(&[]).expect_aligned_blocks(), Ok(()));
        for field in [Field::MetadataSize, Field::PayloadSize, Field::OiebSize] {
            assert!(snapshot(&[(field, 100)]).expect_aligned_blocks().is_err());
        }
        let mut longer = snapshot(&[]);
        longer.length += 64;
        assert!(longer.expect_aligned_blocks().is_err());
    }

    #[test]
    fn a_position_goes_on_or_begins_anew() {
        assert_eq!(advanced(0, 116, 1024), Some(116));
        assert_eq!(advanced(908, 116, 1024), Some(0));
        assert_eq!(advanced(1000, 116, 1024), Some(116));
    }

    #[test]
    fn nothing_observed_and_nothing_asked_are_failures() {
        let mut changes = Changes::default();
        let table = rows(&[["payload_written_count", "increments by 1"]]);
        assert!(changes.expect("write", &table).is_err());
        let good = written(&[(Field::PayloadWrittenCount, 1)]);
        changes.note(good);
        changes.note(good);
        assert_eq!(changes.expect("write", &table), Ok(()));
        assert!(changes.expect("write", &rows(&[])).is_err());
        changes.note(written(&[(Field::PayloadWrittenCount, 2)]));
        let failure = changes.expect("write", &table).unwrap_err().to_string();
        assert_eq!(
            failure,
            "write 3: payload_written_count, 0 before: expected 1, found 2"
        );
    }
}
