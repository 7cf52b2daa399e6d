//! How a segment is laid out, and checked access to its parts.
//!
//! `[control block: 128 bytes][metadata block][payload block]`, all little-endian. The control
//! block is called OIEB (operation info exchange block) in the protocol.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use super::sys::shm::Mapping;
use super::{BufferName, Error, Result};

#[cfg(target_endian = "big")]
compile_error!("the protocol is little-endian");

/// Size of the control block, in bytes.
pub(crate) const OIEB_SIZE: u64 = 128;

/// The protocol's major version.
pub(crate) const MAJOR: u8 = 1;

/// Size of the length in front of the metadata, in bytes.
pub(crate) const METADATA_PREFIX: u64 = 8;

/// Block sizes are multiples of this, in bytes.
const ALIGNMENT: u64 = 64;

/// How large a buffer is made.
///
/// Both sizes are rounded up to a multiple of 64. The default is 4096 bytes of metadata and 32 MiB
/// of payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BufferConfig {
    /// Size of the metadata block, in bytes; 8 of them are taken by a length. May be 0.
    pub metadata_size: usize,
    /// Size of the payload block, in bytes: at least twice the largest frame.
    pub payload_size: usize,
}

impl BufferConfig {
    /// Sizes in bytes.
    pub fn new(metadata_size: usize, payload_size: usize) -> Self {
        BufferConfig {
            metadata_size,
            payload_size,
        }
    }
}

impl Default for BufferConfig {
    fn default() -> Self {
        BufferConfig::new(4096, 32 * 1024 * 1024)
    }
}

/// The sizes of a segment's blocks, known to add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockSizes {
    pub(crate) metadata: u64,
    pub(crate) payload: u64,
}

impl BlockSizes {
    /// The sizes of a new segment.
    pub(crate) fn of(name: &BufferName, config: &BufferConfig) -> Result<BlockSizes> {
        let refuse = |why: String| Error::InvalidConfig {
            name: name.to_string(),
            why,
        };
        if config.payload_size == 0 {
            return Err(refuse("the payload block needs at least one byte".into()));
        }
        let round = |size: usize| (size as u64).checked_next_multiple_of(ALIGNMENT);
        let (metadata, payload) = match (round(config.metadata_size), round(config.payload_size)) {
            (Some(metadata), Some(payload)) => (metadata, payload),
            _ => return Err(refuse("they overflow".into())),
        };
        let sizes = BlockSizes { metadata, payload };
        sizes
            .total()
            .map(|_| sizes)
            .ok_or_else(|| refuse("they overflow".into()))
    }

    /// The segment's size in bytes, if it can be told in 63 bits.
    pub(crate) fn total(self) -> Option<u64> {
        let total = OIEB_SIZE
            .checked_add(self.metadata)?
            .checked_add(self.payload)?;
        i64::try_from(total).ok().map(|_| total)
    }
}

/// The control block at the beginning of a segment, shared with the peer.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Oieb {
    pub(crate) oieb_size: AtomicU32,
    pub(crate) version: [AtomicU8; 4],
    pub(crate) metadata_size: AtomicU64,
    pub(crate) metadata_free_bytes: AtomicU64,
    pub(crate) metadata_written_bytes: AtomicU64,
    pub(crate) payload_size: AtomicU64,
    /// Changed by both sides: only added to and subtracted from.
    pub(crate) payload_free_bytes: AtomicU64,
    pub(crate) payload_write_pos: AtomicU64,
    pub(crate) payload_read_pos: AtomicU64,
    /// Frames and wraps.
    pub(crate) payload_written_count: AtomicU64,
    /// Frames and wraps.
    pub(crate) payload_read_count: AtomicU64,
    /// 0: none, or left in good order.
    pub(crate) writer_pid: AtomicU64,
    /// 0: left in good order.
    pub(crate) reader_pid: AtomicU64,
    reserved: [AtomicU64; 4],
}

const _: () = {
    assert!(size_of::<Oieb>() as u64 == OIEB_SIZE);
    assert!(std::mem::offset_of!(Oieb, metadata_size) == 0x08);
    assert!(std::mem::offset_of!(Oieb, payload_size) == 0x20);
    assert!(std::mem::offset_of!(Oieb, payload_free_bytes) == 0x28);
    assert!(std::mem::offset_of!(Oieb, payload_write_pos) == 0x30);
    assert!(std::mem::offset_of!(Oieb, payload_written_count) == 0x40);
    assert!(std::mem::offset_of!(Oieb, writer_pid) == 0x50);
    assert!(std::mem::offset_of!(Oieb, reader_pid) == 0x58);
};

#[cfg(feature = "runner")]
impl Oieb {
    /// The control block that these bytes are a copy of.
    pub(crate) fn from_bytes(bytes: [u8; OIEB_SIZE as usize]) -> Oieb {
        // SAFETY: both are of the same size, and every field is an integer, valid for any bytes.
        unsafe { std::mem::transmute(bytes) }
    }
}

/// A mapped segment whose block sizes fit its real size.
#[derive(Debug)]
pub(crate) struct Segment {
    mapping: Mapping,
    sizes: BlockSizes,
}

impl Segment {
    /// Takes a mapping that is at least as long as `sizes` says.
    ///
    /// # Panics
    ///
    /// If it is not: the caller has compared them.
    pub(crate) fn new(mapping: Mapping, sizes: BlockSizes) -> Segment {
        assert!(sizes.total().is_some_and(|total| total <= mapping.length()));
        Segment { mapping, sizes }
    }

    pub(crate) fn sizes(&self) -> BlockSizes {
        self.sizes
    }

    /// Size of the payload block, in bytes.
    pub(crate) fn capacity(&self) -> u64 {
        self.sizes.payload
    }

    pub(crate) fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    pub(crate) fn oieb(&self) -> &Oieb {
        // `new` has seen that the mapping is long enough.
        oieb_of(&self.mapping).expect("a segment is longer than its control block")
    }

    /// Fills in the control block of a new segment, `reader_pid` last.
    pub(crate) fn initialise(&self, reader_pid: u64) {
        let oieb = self.oieb();
        let BlockSizes { metadata, payload } = self.sizes;
        oieb.oieb_size.store(OIEB_SIZE as u32, Ordering::Relaxed);
        oieb.version[0].store(MAJOR, Ordering::Relaxed);
        oieb.metadata_size.store(metadata, Ordering::Relaxed);
        oieb.metadata_free_bytes.store(metadata, Ordering::Relaxed);
        oieb.payload_size.store(payload, Ordering::Relaxed);
        oieb.payload_free_bytes.store(payload, Ordering::Relaxed);
        // Release: pairs with the acquire load of `reader_pid` when a writer attaches.
        oieb.reader_pid.store(reader_pid, Ordering::Release);
    }

    /// Says that no metadata has been written. Only for who holds the writer's place.
    pub(crate) fn reset_metadata(&self) {
        let oieb = self.oieb();
        oieb.metadata_written_bytes.store(0, Ordering::Relaxed);
        oieb.metadata_free_bytes
            .store(self.sizes.metadata, Ordering::Relaxed);
    }

    /// Copies payload bytes from `offset` into `to`.
    ///
    /// # Panics
    ///
    /// If the range is not inside the payload block; here and below, offsets are private copies
    /// that were checked before.
    pub(crate) fn read_payload(&self, offset: u64, to: &mut [u8]) {
        let from = self.payload(offset, to.len());
        // SAFETY: `payload` has seen that the range is mapped; `to` is private memory, so the two
        // do not overlap. The peer may write meanwhile: bytes then come mixed, which the protocol
        // excludes and which is a wrong value, not a wrong access.
        unsafe { std::ptr::copy_nonoverlapping(from, to.as_mut_ptr(), to.len()) };
    }

    /// Copies `from` into the payload block at `offset`.
    pub(crate) fn write_payload(&self, offset: u64, from: &[u8]) {
        let to = self.payload(offset, from.len());
        // SAFETY: as in `read_payload`, with the roles exchanged.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), to, from.len()) };
    }

    /// Writes `count` zeros into the payload block at `offset`.
    pub(crate) fn zero_payload(&self, offset: u64, count: u64) {
        let to = self.payload(offset, count as usize);
        // SAFETY: `payload` has seen that the range is mapped and writable.
        unsafe { std::ptr::write_bytes(to, 0, count as usize) };
    }

    /// The address of `length` payload bytes at `offset`.
    pub(crate) fn payload(&self, offset: u64, length: usize) -> *mut u8 {
        self.block(
            OIEB_SIZE + self.sizes.metadata,
            self.sizes.payload,
            offset,
            length,
        )
    }

    /// The address of `length` metadata bytes at `offset`, for `read_metadata` and the like.
    fn metadata(&self, offset: u64, length: usize) -> *mut u8 {
        self.block(OIEB_SIZE, self.sizes.metadata, offset, length)
    }

    /// Copies metadata bytes from `offset` into `to`.
    pub(crate) fn read_metadata(&self, offset: u64, to: &mut [u8]) {
        let from = self.metadata(offset, to.len());
        // SAFETY: as in `read_payload`.
        unsafe { std::ptr::copy_nonoverlapping(from, to.as_mut_ptr(), to.len()) };
    }

    /// Copies `from` into the metadata block at `offset`.
    pub(crate) fn write_metadata(&self, offset: u64, from: &[u8]) {
        let to = self.metadata(offset, from.len());
        // SAFETY: as in `write_payload`.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), to, from.len()) };
    }

    /// The address of `length` bytes at `offset` of a block of `size` bytes that begins at `start`.
    fn block(&self, start: u64, size: u64, offset: u64, length: usize) -> *mut u8 {
        let end = offset.checked_add(length as u64);
        assert!(
            end.is_some_and(|end| end <= size),
            "{offset} + {length} is outside {size} bytes"
        );
        // SAFETY: start + size is within the mapping (`new`), and offset + length within size.
        unsafe { self.mapping.as_ptr().add((start + offset) as usize) }
    }
}

/// The control block of a mapping that may not be a whole segment; `None` if it is too short.
pub(crate) fn oieb_of(mapping: &Mapping) -> Option<&Oieb> {
    if mapping.length() < OIEB_SIZE {
        return None;
    }
    // SAFETY: the mapping is page-aligned, at least as long as an `Oieb` and lives as long as the
    // reference; every field is an atomic integer, valid for any bytes and made to be changed by
    // others meanwhile.
    Some(unsafe { &*mapping.as_ptr().cast::<Oieb>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(metadata: usize, payload: usize) -> Result<BlockSizes> {
        let name = BufferName::new("sizes").unwrap();
        BlockSizes::of(&name, &BufferConfig::new(metadata, payload))
    }

    #[test]
    fn sizes_are_rounded_up_to_64() {
        let rounded = sizes(100, 1000).unwrap();
        assert_eq!(
            rounded,
            BlockSizes {
                metadata: 128,
                payload: 1024
            }
        );
        assert_eq!(rounded.total(), Some(128 + 128 + 1024));
        assert_eq!(
            sizes(0, 1).unwrap(),
            BlockSizes {
                metadata: 0,
                payload: 64
            }
        );
    }

    #[test]
    fn impossible_sizes_are_refused() {
        for (metadata, payload) in [
            (64, 0),
            (0, usize::MAX),
            (usize::MAX, 64),
            (1 << 62, 1 << 62),
        ] {
            let error = sizes(metadata, payload).unwrap_err();
            assert!(matches!(error, Error::InvalidConfig { .. }), "{error}");
        }
    }
}
