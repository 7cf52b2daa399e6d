//! What a scenario holds, by name, outside the World.
//!
//! A World whose step hangs cannot be asked to let go. What it holds is noted here before it is
//! made, so that another thread can release it: the name is all that takes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::death::is_alive;
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

/// The ends of buffers, and the files, that one scenario may hold in this process.
#[derive(Debug, Default)]
pub struct Registry(Mutex<BTreeSet<Held>>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Held {
    Reader(BufferName),
    Writer(BufferName),
    /// Files such as this buffer's reader makes, made without one.
    Parts(BufferName),
    /// A file of no buffer.
    File(PathBuf),
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

    /// Notes that this process is about to make files such as the reader of this buffer makes, and no
    /// reader. One that comes later takes them over.
    pub fn note_parts(&self, buffer: &BufferName) {
        self.note(Held::Parts(buffer.clone()));
    }

    /// Notes that this process is about to make a file of its own.
    pub fn note_file(&self, path: &Path) {
        self.note(Held::File(path.to_owned()));
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
            Held::Parts(buffer) => write!(f, "files for '{buffer}' that no reader has made"),
            Held::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Whether this process held it until now.
fn release(held: &Held) -> io::Result<bool> {
    match held {
        Held::Reader(buffer) => Ok(leave(buffer, READER_PID)? && remove_all(buffer)?),
        Held::Writer(buffer) => leave(buffer, WRITER_PID),
        Held::Parts(buffer) => Ok(!has_reader(buffer)? && remove_all(buffer)?),
        Held::File(path) => remove(path),
    }
}

/// Takes this process out of its place in a segment; whether it was there.
fn leave(buffer: &BufferName, pid_at: u64) -> io::Result<bool> {
    let segment = buffer.segment_path();
    let Some(file) = if_there(OpenOptions::new().read(true).write(true).open(segment))? else {
        return Ok(false);
    };
    if owner(&file, pid_at)? != u64::from(std::process::id()) {
        return Ok(false);
    }
    file.write_all_at(&0u64.to_le_bytes(), pid_at)?;
    Ok(true)
}

/// Whether a buffer has a reader: somebody who holds its lock, or who lives in its segment.
fn has_reader(buffer: &BufferName) -> io::Result<bool> {
    if if_there(BufferFiles::of(buffer).is_locked())? == Some(true) {
        return Ok(true);
    }
    match if_there(File::open(buffer.segment_path()))? {
        Some(segment) => Ok(is_alive(owner(&segment, READER_PID)?)),
        None => Ok(false),
    }
}

fn if_there<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

/// Removes all files of a buffer; whether there were any.
fn remove_all(buffer: &BufferName) -> io::Result<bool> {
    let mut were_there = false;
    for path in BufferFiles::of(buffer).all() {
        were_there |= remove(path)?;
    }
    Ok(were_there)
}

fn owner(segment: &File, pid_at: u64) -> io::Result<u64> {
    let mut pid = [0; 8];
    segment.read_exact_at(&mut pid, pid_at)?;
    Ok(u64::from_le_bytes(pid))
}

/// Removes a file; whether it was there.
fn remove(path: &Path) -> io::Result<bool> {
    Ok(if_there(fs::remove_file(path))?.is_some())
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
    fn files_without_a_reader_are_removed_unless_one_has_taken_them_over() {
        let registry = Registry::default();
        let fake = Fake::new("parts", 0, 0);
        registry.note_parts(&fake.0);
        for path in [fake.0.segment_path(), fake.0.lock_path()] {
            fs::remove_file(path).unwrap();
        }
        let told = format!("files for '{}' that no reader has made", fake.0);
        assert_eq!(registry.release(), [told]);
        assert_eq!(fake.files(), 0);
        assert_eq!(registry.release(), [""; 0]);

        let living = Fake::new("parts", 0, 1);
        assert_eq!(registry.release(), [""; 0]);
        assert_eq!(living.files(), 4);
        let locked = Fake::new("parts", 0, 0);
        let lock = File::open(locked.0.lock_path()).unwrap();
        lock.lock().unwrap();
        assert_eq!(registry.release(), [""; 0]);
        assert_eq!(locked.files(), 4);
        drop(lock);
        assert_eq!(registry.release().len(), 1);
        assert_eq!(locked.files(), 0);
    }

    #[test]
    fn a_file_of_no_buffer_is_removed() {
        let path = Path::new("/dev/shm").join(format!("registry-file-{}", std::process::id()));
        let registry = Registry::default();
        registry.note_file(&path);
        assert_eq!(registry.release(), [""; 0]);
        fs::write(&path, "").unwrap();
        assert_eq!(registry.release(), [path.display().to_string()]);
        assert!(!path.exists());
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
