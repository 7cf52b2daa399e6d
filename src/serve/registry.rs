//! What a scenario holds, by name, outside the World.
//!
//! A World whose step hangs cannot be asked to let go. What it holds is noted here before it is
//! made, so that another thread can release it: the name is all that takes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::outside::files::BufferFiles;
use crate::BufferName;

/// Offsets of the owners' process ids in a segment, in bytes.
const WRITER_PID: u64 = 0x50;
const READER_PID: u64 = 0x58;

/// What is noted in all registries of this process, and in how many. That this process holds
/// something is all that the segment says of it, and not for which of its scenarios.
static NOTED: Mutex<BTreeMap<Held, usize>> = Mutex::new(BTreeMap::new());

fn lock_noted() -> MutexGuard<'static, BTreeMap<Held, usize>> {
    NOTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The ends of buffers that one scenario may hold in this process.
#[derive(Debug, Default)]
pub struct Registry(Mutex<BTreeSet<Held>>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Held {
    Reader(BufferName),
    Writer(BufferName),
}

impl Registry {
    /// Notes that this process is about to create the buffer of this name.
    pub fn note_reader(&self, buffer: &BufferName) {
        self.note(Held::Reader(buffer.clone()));
    }

    /// Notes that this process is about to attach to the buffer of this name.
    pub fn note_writer(&self, buffer: &BufferName) {
        self.note(Held::Writer(buffer.clone()));
    }

    fn note(&self, held: Held) {
        if self.held().insert(held.clone()) {
            *lock_noted().entry(held).or_default() += 1;
        }
    }

    fn held(&self) -> MutexGuard<'_, BTreeSet<Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets everything: nobody is left who could still make what was noted.
    pub fn forget(&self) {
        let forgotten = std::mem::take(&mut *self.held());
        let mut noted = lock_noted();
        for held in forgotten {
            match noted.get_mut(&held) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(noted.remove(&held)),
            }
        }
    }

    /// Releases what this process still holds of what was noted, and says what that was. Buffers
    /// that were released in good order, or that another process has taken over, are left alone,
    /// and so are those that another scenario of this process may hold.
    ///
    /// The notes stay: a World that hangs may go on and make what it was about to make.
    pub fn release(&self) -> Vec<String> {
        let own = self.held().clone();
        let noted = lock_noted();
        let is_shared = |held: &&Held| noted.get(held).is_some_and(|count| *count > 1);
        let alone = own.iter().filter(|held| !is_shared(held));
        alone.filter_map(release_and_tell).collect()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.forget();
    }
}

/// Releases what this process still holds, for any scenario: it is about to end.
pub fn release_all() {
    for held in lock_noted().keys() {
        release_and_tell(held);
    }
}

/// What it was, if this process held it until now.
fn release_and_tell(held: &Held) -> Option<String> {
    match release(held) {
        Ok(true) => Some(held.to_string()),
        Ok(false) => None,
        Err(error) => Some(format!("{held}, which cannot be released: {error}")),
    }
}

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Held::Reader(buffer) => write!(f, "the reader of '{buffer}'"),
            Held::Writer(buffer) => write!(f, "the writer of '{buffer}'"),
        }
    }
}

/// Whether this process held it until now.
fn release(held: &Held) -> io::Result<bool> {
    let (buffer, pid_at) = match held {
        Held::Reader(buffer) => (buffer, READER_PID),
        Held::Writer(buffer) => (buffer, WRITER_PID),
    };
    let segment = buffer.segment_path();
    let file = match OpenOptions::new().read(true).write(true).open(segment) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    if owner(&file, pid_at)? != u64::from(std::process::id()) {
        return Ok(false);
    }
    file.write_all_at(&0u64.to_le_bytes(), pid_at)?;
    if matches!(held, Held::Reader(_)) {
        for path in BufferFiles::of(buffer).all() {
            remove(path)?;
        }
    }
    Ok(true)
}

fn owner(segment: &File, pid_at: u64) -> io::Result<u64> {
    let mut pid = [0; 8];
    segment.read_exact_at(&mut pid, pid_at)?;
    Ok(u64::from_le_bytes(pid))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A buffer's files as its reader leaves them when it hangs, for these pids.
    struct Fake(BufferName);

    impl Fake {
        fn new(name: &str, writer: u64, reader: u64) -> Self {
            let name = format!("registry-{name}-{}", std::process::id());
            let name = BufferName::new(name).unwrap();
            fs::create_dir_all(name.lock_path().parent().unwrap()).unwrap();
            for path in BufferFiles::of(&name).all() {
                fs::write(path, vec![0; 128]).unwrap();
            }
            let segment = File::options()
                .write(true)
                .open(name.segment_path())
                .unwrap();
            segment
                .write_all_at(&writer.to_le_bytes(), WRITER_PID)
                .unwrap();
            segment
                .write_all_at(&reader.to_le_bytes(), READER_PID)
                .unwrap();
            Fake(name)
        }

        fn files(&self) -> usize {
            BufferFiles::of(&self.0).existing().len()
        }

        fn writer(&self) -> u64 {
            owner(&File::open(self.0.segment_path()).unwrap(), WRITER_PID).unwrap()
        }
    }

    impl Drop for Fake {
        fn drop(&mut self) {
            for path in BufferFiles::of(&self.0).all() {
                let _ = fs::remove_file(path);
            }
        }
    }

    fn own_pid() -> u64 {
        std::process::id().into()
    }

    #[test]
    fn the_files_of_a_held_reader_are_removed_once() {
        let fake = Fake::new("reader", 0, own_pid());
        let registry = Registry::default();
        registry.note_reader(&fake.0);
        assert_eq!(registry.release(), [format!("the reader of '{}'", fake.0)]);
        assert_eq!(fake.files(), 0);
        assert_eq!(registry.release(), [""; 0]);
    }

    #[test]
    fn what_is_made_after_a_release_is_released_by_the_next_unless_forgotten() {
        let fake = Fake::new("again", 0, own_pid());
        let registry = Registry::default();
        registry.note_reader(&fake.0);
        assert_eq!(registry.release().len(), 1);
        let made_later = Fake::new("again", 0, own_pid());
        assert_eq!(registry.release().len(), 1);
        assert_eq!(made_later.files(), 0);
        let made_later = Fake::new("again", 0, own_pid());
        registry.forget();
        assert_eq!(registry.release(), [""; 0]);
        assert_eq!(made_later.files(), 4);
    }

    #[test]
    fn what_another_scenario_of_the_process_may_hold_is_left_to_it() {
        let fake = Fake::new("shared", own_pid(), own_pid());
        let (one, two) = (Registry::default(), Registry::default());
        one.note_reader(&fake.0);
        two.note_reader(&fake.0);
        one.note_writer(&fake.0);
        assert_eq!(one.release(), [format!("the writer of '{}'", fake.0)]);
        assert_eq!(fake.files(), 4);
        drop(one);
        assert_eq!(two.release(), [format!("the reader of '{}'", fake.0)]);
        assert_eq!(fake.files(), 0);
    }

    #[test]
    fn a_held_writer_leaves_the_readers_files() {
        let fake = Fake::new("writer", own_pid(), 1);
        let registry = Registry::default();
        registry.note_writer(&fake.0);
        assert_eq!(registry.release().len(), 1);
        assert_eq!((fake.files(), fake.writer()), (4, 0));
    }

    #[test]
    fn what_another_process_holds_or_nobody_does_is_left_alone() {
        let fake = Fake::new("other", 1, 1);
        let registry = Registry::default();
        registry.note_reader(&fake.0);
        registry.note_writer(&fake.0);
        registry.note_reader(&BufferName::new("registry-of-nothing").unwrap());
        assert_eq!(registry.release(), [""; 0]);
        assert_eq!((fake.files(), fake.writer()), (4, 1));
    }
}
