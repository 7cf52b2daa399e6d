//! A buffer as a process that keeps to nothing sees it: files that are mapped and written to.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arbitrary::Arbitrary;
use memmap2::MmapRaw;
use zerobuffer::{BufferConfig, BufferName, Error, Reader};

pub const OIEB: usize = 128;

/// For so long a lock may be somebody's who only looks what is behind it.
const SWEEP: Duration = Duration::from_secs(20);

const PREFIX: &str = "zb-fuzz-";

/// A name that no other input and no other process uses.
pub fn unique() -> BufferName {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    BufferName::new(format!("{PREFIX}{}-{number}", std::process::id())).unwrap()
}

/// Removes what fuzzers that were killed have left.
pub fn sweep() {
    for folder in ["/dev/shm", "/tmp/zerobuffer"] {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            let pid = path.to_str().and_then(|path| {
                let (_, rest) = path.split_once(PREFIX)?;
                rest.split_once('-').map(|(pid, _)| pid.to_owned())
            });
            if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
                let _ = fs::remove_file(path);
            }
        }
    }
}

/// The files of a buffer: segment, data semaphore, space semaphore, lock file.
pub fn paths(name: &BufferName) -> [PathBuf; 4] {
    [
        format!("/dev/shm/{name}"),
        format!("/dev/shm/sem.sem-w-{name}"),
        format!("/dev/shm/sem.sem-r-{name}"),
        format!("/tmp/zerobuffer/{name}.lock"),
    ]
    .map(PathBuf::from)
}

/// Makes a buffer, however long its lock is held by a reader of another implementation that looks
/// for leftovers: on a busy machine that can be longer than a creation waits.
pub fn create(name: &BufferName, config: &BufferConfig) -> Reader {
    let begun = Instant::now();
    loop {
        match Reader::create(name, config) {
            Err(Error::ReaderAlreadyConnected { .. }) if begun.elapsed() < SWEEP => {}
            created => return created.unwrap(),
        }
    }
}

pub fn assert_nothing_left(name: &BufferName) {
    for path in paths(name) {
        assert!(!path.exists(), "{} was left behind", path.display());
    }
}

/// A number in the control block.
#[derive(Debug, Clone, Copy, PartialEq, Arbitrary)]
pub enum Field {
    SizeAndVersion,
    MetadataSize,
    MetadataFree,
    MetadataWritten,
    PayloadSize,
    FreeBytes,
    WritePosition,
    ReadPosition,
    WrittenCount,
    ReadCount,
    WriterPid,
    ReaderPid,
}

/// A buffer's segment and semaphores, mapped once more.
pub struct Raw {
    segment: MmapRaw,
    semaphores: [MmapRaw; 2],
}

#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum Semaphore {
    Data,
    Space,
}

impl Raw {
    pub fn open(name: &BufferName) -> Raw {
        let [segment, data, space, _] = paths(name).map(|path| {
            let file = File::options().read(true).write(true).open(path);
            file.and_then(|file| MmapRaw::map_raw(&file))
        });
        Raw {
            segment: segment.unwrap(),
            semaphores: [data.unwrap(), space.unwrap()],
        }
    }

    pub fn get(&self, field: Field) -> u64 {
        self.field(field).load(Ordering::Relaxed)
    }

    pub fn set(&self, field: Field, value: u64) {
        self.field(field).store(value, Ordering::Relaxed);
    }

    fn field(&self, field: Field) -> &AtomicU64 {
        let offset = field as usize * 8;
        assert!(offset + 8 <= self.segment.len());
        // SAFETY: in bounds, aligned as the mapping is to a page, and only ever used atomically.
        unsafe { &*self.segment.as_mut_ptr().add(offset).cast::<AtomicU64>() }
    }

    /// The bytes of the segment at `offset`, as many as there are.
    pub fn bytes(&self, offset: usize, length: usize) -> Vec<u8> {
        let length = length.min(self.segment.len().saturating_sub(offset));
        let mut bytes = vec![0; length];
        if length > 0 {
            // SAFETY: `length` bytes are mapped behind `offset`.
            unsafe {
                let from = self.segment.as_ptr().add(offset);
                std::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), length);
            }
        }
        bytes
    }

    /// Overwrites the segment at `offset`, as far as it goes.
    pub fn put(&self, offset: usize, bytes: &[u8]) {
        let length = bytes.len().min(self.segment.len().saturating_sub(offset));
        if length > 0 {
            // SAFETY: as in `bytes`.
            unsafe {
                let to = self.segment.as_mut_ptr().add(offset);
                std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, length);
            }
        }
    }

    /// Takes back a post of the data semaphore.
    pub fn take_back_post(&self) {
        self.words(Semaphore::Data)[0].fetch_sub(1, Ordering::Relaxed);
    }

    /// Sets a semaphore's value and the number of those that it takes to be waiting.
    pub fn set_semaphore(&self, semaphore: Semaphore, value: u32, waiters: u32) {
        let words = self.words(semaphore);
        words[0].store(value, Ordering::Relaxed);
        words[1].store(waiters, Ordering::Relaxed);
    }

    /// A semaphore's value, and the number of those that wait for it.
    fn words(&self, semaphore: Semaphore) -> &[AtomicU32] {
        let words = self.semaphores[semaphore as usize].as_mut_ptr();
        // SAFETY: a semaphore has 32 bytes, the first two words of which glibc changes atomically.
        unsafe { std::slice::from_raw_parts(words.cast::<AtomicU32>(), 2) }
    }
}
