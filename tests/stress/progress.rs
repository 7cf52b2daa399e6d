//! How far a process has come that is going to be killed.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::{MmapOptions, MmapRaw};

use crate::job::Job;

/// A number in a file that two processes map.
#[derive(Debug)]
pub struct Progress {
    /// None where nobody wants to know.
    mapping: Option<MmapRaw>,
}

impl Progress {
    /// Makes the file and begins at 0.
    pub fn create(path: &Path) -> Progress {
        std::fs::write(path, 0_u64.to_le_bytes()).unwrap();
        Progress::open(path)
    }

    pub fn of(job: &Job) -> Progress {
        let path: Option<&PathBuf> = job.progress.as_ref();
        path.map_or(Progress { mapping: None }, |path| Progress::open(path))
    }

    fn open(path: &Path) -> Progress {
        let file = OpenOptions::new().read(true).write(true).open(path);
        let mapping = MmapOptions::new().len(8).map_raw(&file.unwrap()).unwrap();
        Progress {
            mapping: Some(mapping),
        }
    }

    fn counter(&self) -> Option<&AtomicU64> {
        let mapping = self.mapping.as_ref()?;
        // SAFETY: eight bytes are mapped from the beginning of a page, as long as `self` lives, and
        // every access to them in every process is atomic.
        Some(unsafe { AtomicU64::from_ptr(mapping.as_mut_ptr().cast()) })
    }

    pub fn reached(&self, number: u64) {
        if let Some(counter) = self.counter() {
            counter.store(number, Ordering::Release);
        }
    }

    pub fn get(&self) -> u64 {
        self.counter()
            .map_or(0, |counter| counter.load(Ordering::Acquire))
    }

    pub fn reset(&self) {
        self.reached(0);
    }
}
