//! The arithmetic of the payload ring, without any shared memory in it.
//!
//! A frame is a header of [`HEADER`] bytes and its data, and never crosses the end of the ring.
//! Where it would, it begins anew at offset 0, and the bytes up to the end are *skipped*: marked by
//! a header of zeros if there is room for one. Positions here are always below the capacity.

use std::collections::VecDeque;

/// Size of a frame's header, in bytes.
pub(crate) const HEADER: u64 = 16;

/// A frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// Number of data bytes.
    pub(crate) size: u64,
    pub(crate) sequence: u64,
}

impl Header {
    /// What stands where the rest of the ring is skipped.
    pub(crate) const WRAP: Header = Header {
        size: 0,
        sequence: 0,
    };

    pub(crate) fn from_bytes(bytes: [u8; HEADER as usize]) -> Header {
        let value = u128::from_le_bytes(bytes);
        Header {
            size: value as u64,
            sequence: (value >> 64) as u64,
        }
    }

    pub(crate) fn to_bytes(self) -> [u8; HEADER as usize] {
        (u128::from(self.sequence) << 64 | u128::from(self.size)).to_le_bytes()
    }
}

/// Where the writer's next frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placement {
    /// Bytes from the write position to the end that are skipped; 0 if the frame stands right there.
    pub(crate) skipped: u64,
    /// Where the header goes.
    pub(crate) offset: u64,
    /// Header and data, in bytes.
    pub(crate) total: u64,
    /// Bytes behind the frame, too few for a marker, that have to be zeroed.
    pub(crate) short_tail: u64,
}

impl Placement {
    /// Where a frame of `size` bytes goes when the writer stands at `position`; the bytes that it
    /// would take if no wait can make room for it.
    ///
    /// A frame that would leave 1 to 15 bytes before the end is moved to the beginning, because
    /// some readers look for a header there; unless that can never succeed.
    pub(crate) fn find(capacity: u64, position: u64, size: u64) -> Result<Placement, u64> {
        debug_assert!(position < capacity);
        let total = size.saturating_add(HEADER);
        let to_end = capacity - position;
        let wrapped = to_end.saturating_add(total);
        let left = to_end.checked_sub(total);
        match left {
            Some(left) if !is_short(left) || wrapped > capacity => Ok(Placement {
                skipped: 0,
                offset: position,
                total,
                short_tail: if is_short(left) { left } else { 0 },
            }),
            _ if wrapped > capacity => Err(wrapped),
            _ => {
                let left = capacity - total;
                let short_tail = if is_short(left) { left } else { 0 };
                Ok(Placement {
                    skipped: to_end,
                    offset: 0,
                    total,
                    short_tail,
                })
            }
        }
    }

    /// As [`Placement::find`] on a ring of which all is free: beyond `hot` bytes a frame goes to the
    /// beginning rather than further on, because the memory there is in the caches of both sides.
    ///
    /// Until the reader has looked, what was skipped is lost for other frames: for a writer that
    /// waits for an answer before it writes the next one.
    pub(crate) fn find_in_empty(
        capacity: u64,
        position: u64,
        size: u64,
        hot: u64,
    ) -> Result<Placement, u64> {
        let near = Placement::find(capacity, position, size)?;
        let has_room_before = near.skipped == 0 && near.total <= position;
        if !has_room_before || near.offset + near.total <= hot {
            return Ok(near);
        }
        Ok(Placement {
            skipped: capacity - position,
            offset: 0,
            total: near.total,
            short_tail: 0,
        })
    }

    /// Where the data goes.
    pub(crate) fn data(&self) -> u64 {
        self.offset + HEADER
    }

    /// Bytes that have to be free.
    pub(crate) fn needed(&self) -> u64 {
        self.skipped + self.total
    }

    /// Whether the skipped bytes have room for a marker.
    pub(crate) fn has_marker(&self) -> bool {
        self.skipped >= HEADER
    }

    /// The write position behind the frame.
    pub(crate) fn next_position(&self, capacity: u64) -> u64 {
        (self.offset + self.total) % capacity
    }
}

/// Whether `left` bytes before the end are too few for a marker, but not none.
fn is_short(left: u64) -> bool {
    (1..HEADER).contains(&left)
}

/// What stands at the read position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// So many bytes up to the end are skipped.
    Wrap { skipped: u64 },
    /// A frame of so many bytes with its header.
    Frame { total: u64 },
}

/// Why what stands at the read position is neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadEntry {
    #[error("a frame of no bytes with sequence {sequence} at {position}")]
    Empty { position: u64, sequence: u64 },
    #[error("the frame at {position} has {size} bytes, beyond the ring's {capacity}")]
    OutOfBounds {
        position: u64,
        size: u64,
        capacity: u64,
    },
    #[error("the entry at {position} takes {taken} bytes, of which {unread} have been written")]
    Unwritten {
        position: u64,
        taken: u64,
        unread: u64,
    },
}

impl Found {
    /// Whether there is room for a header between `position` and the end.
    pub(crate) fn has_header(capacity: u64, position: u64) -> bool {
        capacity - position >= HEADER
    }

    /// What `header`, read at `position`, says; `None` where there is no room for one.
    ///
    /// `unread` is what has been written and not been read, in bytes.
    pub(crate) fn at(
        capacity: u64,
        position: u64,
        header: Option<Header>,
        unread: u64,
    ) -> Result<Found, BadEntry> {
        let to_end = capacity - position;
        let (found, taken) = match header {
            None | Some(Header::WRAP) => (Found::Wrap { skipped: to_end }, to_end),
            Some(Header { size: 0, sequence }) => {
                return Err(BadEntry::Empty { position, sequence });
            }
            Some(Header { size, .. }) => match size.checked_add(HEADER) {
                Some(total) if total <= to_end => (Found::Frame { total }, total),
                _ => {
                    return Err(BadEntry::OutOfBounds {
                        position,
                        size,
                        capacity,
                    });
                }
            },
        };
        if taken > unread {
            return Err(BadEntry::Unwritten {
                position,
                taken,
                unread,
            });
        }
        Ok(found)
    }
}

/// What has been read and not yet been given back to the writer.
///
/// The writer knows only how many bytes are free, not which ones. So memory goes back in the order
/// in which it was written, frames and skipped bytes alike: what is released early waits for what
/// lies before it.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    entries: VecDeque<Entry>,
    /// The number of the first entry.
    first: u64,
    held: u64,
    /// Of the held bytes, those that could go back.
    settled: u64,
}

#[derive(Debug)]
struct Entry {
    bytes: u64,
    released: bool,
}

impl Ledger {
    /// Bytes that are read and not given back.
    pub(crate) fn held(&self) -> u64 {
        self.held
    }

    /// Enters a frame that was read; its number is for [`Ledger::release`].
    pub(crate) fn hold(&mut self, bytes: u64) -> u64 {
        self.entries.push_back(Entry {
            bytes,
            released: false,
        });
        self.held += bytes;
        self.first + self.entries.len() as u64 - 1
    }

    /// Of the held bytes, those that could go back to the writer.
    pub(crate) fn settled(&self) -> u64 {
        self.settled
    }

    /// Releases the frame with this number.
    pub(crate) fn release(&mut self, number: u64) {
        let index = number
            .checked_sub(self.first)
            .and_then(|index| usize::try_from(index).ok());
        if let Some(entry) = index.and_then(|index| self.entries.get_mut(index)) {
            entry.released = true;
        }
        while let Some(entry) = self.entries.pop_front_if(|entry| entry.released) {
            self.settled += entry.bytes;
            self.first += 1;
        }
    }

    /// Enters skipped bytes, which nobody holds.
    pub(crate) fn skip(&mut self, bytes: u64) {
        let number = self.hold(bytes);
        self.release(number);
    }

    /// Gives back all that could go back; how many bytes that is.
    pub(crate) fn flush(&mut self) -> u64 {
        let freed = std::mem::take(&mut self.settled);
        self.held -= freed;
        freed
    }
}

#[cfg(test)]
#[path = "ring_tests.rs"]
mod tests;
