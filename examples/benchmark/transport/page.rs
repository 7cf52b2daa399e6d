//! Memory that two processes share, and nothing around it.

use std::fs::OpenOptions;
use std::marker::PhantomData;

use memmap2::{MmapOptions, MmapRaw};

use super::Place;
use crate::Result;

/// A `T` in shared memory.
pub struct Page<T> {
    memory: MmapRaw,
    shared: PhantomData<T>,
}

/// What may lie in shared memory: all of it can be changed by another process at any time.
///
/// # Safety
///
/// Zeros are a valid value, every field allows to be changed through a shared reference, and it is
/// no larger than a page.
pub unsafe trait Shared: Sync {}

impl<T: Shared> Page<T> {
    /// Makes it, filled with zeros.
    pub fn create(place: &Place) -> Result<Page<T>> {
        let path = place.path("page");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)?;
        file.set_len(size_of::<T>() as u64)?;
        Self::map(&file)
    }

    /// Opens what the other process has made.
    pub fn open(place: &Place) -> Result<Page<T>> {
        let path = place.path("page");
        Self::map(&OpenOptions::new().read(true).write(true).open(path)?)
    }

    fn map(file: &std::fs::File) -> Result<Page<T>> {
        Ok(Page {
            memory: MmapOptions::new().len(size_of::<T>()).map_raw(file)?,
            shared: PhantomData,
        })
    }

    pub fn shared(&self) -> &T {
        // SAFETY: the mapping is page-aligned, as long as a `T` and lives as long as `self`. Its
        // bytes were zeros, and what others do to them is within what `Shared` allows.
        unsafe { &*self.memory.as_mut_ptr().cast::<T>() }
    }
}
