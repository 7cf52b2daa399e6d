//! What processes that have died left of their buffers: found and removed as a reader does that
//! makes the buffer anew, and with one more rule: what does not look like a buffer stays.

use std::fs;
use std::io;
use std::path::PathBuf;

use super::name::semaphore_path;
use super::owner::{IN_THE_MAKING, Keeper, acquire_lock, keeper, remove_leftovers};
use super::sys::look;
use super::view::{SegmentView, age};
use super::{BufferName, Error, Result};

/// What is to be done with a buffer, or was done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nobody uses these files any more.
    Stale(Vec<PathBuf>),
    /// It stays, for this reason.
    Kept(Kept),
}

/// Why a buffer stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Its reader lives.
    Reader(u64),
    /// Its writer lives.
    Writer(u64),
    /// It is so young that it may be one in the making.
    Young,
    /// Somebody holds its lock.
    Locked,
    /// It may be something else that only has the name.
    NoBuffer(String),
}

impl From<Keeper> for Kept {
    fn from(keeper: Keeper) -> Kept {
        match keeper {
            Keeper::Reader(pid) => Kept::Reader(pid),
            Keeper::Writer(pid) => Kept::Writer(pid),
            Keeper::Maker => Kept::Young,
        }
    }
}

/// Whether the buffer `name` is stale. Its lock is tried for a moment if nobody who uses it lives.
pub(crate) fn examine(name: &BufferName) -> Result<Verdict> {
    let failed = |error| Error::from_io(name.as_str(), "look at", error);
    if let Some(kept) = why_kept(name).map_err(failed)? {
        return Ok(Verdict::Kept(kept));
    }
    match look::is_locked(&name.lock_path()).map_err(failed)? {
        true => Ok(Verdict::Kept(Kept::Locked)),
        false => Ok(Verdict::Stale(files(name))),
    }
}

/// Removes the buffer `name` if it is stale: under its lock.
pub(crate) fn remove(name: &BufferName) -> Result<Verdict> {
    let failed = |error| Error::from_io(name.as_str(), "remove what is stale", error);
    // Looked at before the lock is tried, so that a living reader's lock is left alone.
    if let Some(kept) = why_kept(name).map_err(failed)? {
        return Ok(Verdict::Kept(kept));
    }
    let found = files(name);
    let Some(lock) = acquire_lock(name)? else {
        return Ok(Verdict::Kept(Kept::Locked));
    };
    // Somebody who locks another file may have made it anew.
    let kept = why_kept_locked(name).map_err(failed)?;
    if kept.is_none() {
        remove_leftovers(name)?;
    }
    lock.remove().map_err(failed)?;
    Ok(kept.map_or(Verdict::Stale(found), Verdict::Kept))
}

/// Why the buffer `name` stays, whoever holds its lock.
fn why_kept(name: &BufferName) -> io::Result<Option<Kept>> {
    if let Some(kept) = why_kept_locked(name)? {
        return Ok(Some(kept));
    }
    // A lock file alone may be that of a reader which is about to lock it.
    let is_young = SegmentView::read(name)?.is_none()
        && fs::symlink_metadata(name.lock_path()).is_ok_and(|file| age(&file) < IN_THE_MAKING);
    Ok(is_young.then_some(Kept::Young))
}

/// Why the buffer `name` stays for who holds its lock.
fn why_kept_locked(name: &BufferName) -> io::Result<Option<Kept>> {
    let mut is_young = false;
    for path in semaphores(name) {
        match fs::symlink_metadata(&path) {
            Ok(file) if look::is_semaphore(&file) => is_young |= age(&file) < IN_THE_MAKING,
            Ok(_) => {
                let what = format!("{} is no semaphore", path.display());
                return Ok(Some(Kept::NoBuffer(what)));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    let path = name.segment_path();
    let Some(segment) = SegmentView::read(name)? else {
        return Ok(match fs::symlink_metadata(&path) {
            Ok(_) => Some(Kept::NoBuffer(format!(
                "{} is no plain file",
                path.display()
            ))),
            Err(_) => is_young.then_some(Kept::Young),
        });
    };
    match (segment.no_buffer, segment.block) {
        (None, Some(block)) => {
            let keeper = keeper(block.reader_pid, block.writer_pid, segment.age);
            Ok(keeper.map(Kept::from))
        }
        (why, _) => {
            let why = why.unwrap_or_default();
            let what = format!("{} is no segment: {why}", path.display());
            Ok(Some(Kept::NoBuffer(what)))
        }
    }
}

fn semaphores(name: &BufferName) -> [PathBuf; 2] {
    [name.data_semaphore(), name.space_semaphore()].map(|name| semaphore_path(&name))
}

/// The files of the buffer `name` that are there.
fn files(name: &BufferName) -> Vec<PathBuf> {
    let [data, space] = semaphores(name);
    [name.segment_path(), data, space, name.lock_path()]
        .into_iter()
        .filter(|path| path.symlink_metadata().is_ok())
        .collect()
}
