//! What an execution leaves in `/dev/shm` and in the folder of the lock files: all that is there
//! where the execution has a sandbox, and otherwise the entries that bear its run id.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use globset::{Glob, GlobSet, GlobSetBuilder};

use super::deaths::Deaths;
use crate::BufferName;
use crate::channel::view::control_block_at;

/// Where segments and semaphores are.
pub const SHARED_MEMORY: &str = "/dev/shm";

/// Where lock files are.
pub const LOCKS: &str = "/tmp/zerobuffer";

const FOLDERS: [&str; 2] = [SHARED_MEMORY, LOCKS];

/// How many bits of a run id count the executions of one runner.
const COUNTER_BITS: u32 = 9;

/// What makes the names of one execution unique on the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunId {
    /// `HARMONY_HOST_PID`.
    pub host: i64,
    /// `HARMONY_FEATURE_ID`.
    pub feature: u32,
}

impl RunId {
    /// A run id that no other execution has at the same time, on this machine.
    ///
    /// The runner's own process id (22 bits at most on Linux) and a counter make a number
    /// that still fits the signed 32 bits that some step servers read it into.
    pub fn next(feature: u32) -> RunId {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let count = i64::from(COUNTER.fetch_add(1, Ordering::Relaxed) % (1 << COUNTER_BITS));
        let host = (i64::from(std::process::id()) << COUNTER_BITS) | count;
        RunId { host, feature }
    }

    /// Whether a file's name bears it: `_<host>_<feature>`, and no further digit.
    fn is_in(&self, name: &str) -> bool {
        let mark = format!("_{}_{}", self.host, self.feature);
        name.match_indices(&mark)
            .any(|(start, _)| !name[start + mark.len()..].starts_with(|c: char| c.is_ascii_digit()))
    }
}

/// What was found and removed after an execution.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// What nobody should have left.
    pub leaks: Vec<String>,
    /// What the platforms are known to leave, and what belonged to a process that died.
    pub expected: Vec<String>,
    /// What could not be looked at or removed, with the reason.
    pub stuck: Vec<String>,
}

/// File names that the platforms of an execution are known to leave.
///
/// # Errors
///
/// A glob that is none.
pub fn known(globs: impl IntoIterator<Item = impl AsRef<str>>) -> Result<GlobSet, globset::Error> {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        set.add(Glob::new(glob.as_ref())?);
    }
    set.build()
}

/// Removes everything that bears any run id of this process, for an end without delay. What cannot
/// be removed stays: nobody is left to be told.
pub fn remove_all() {
    let own = i64::from(std::process::id());
    for entry in FOLDERS
        .iter()
        .flat_map(std::fs::read_dir)
        .flatten()
        .flatten()
    {
        if is_of_runner(&entry.file_name().to_string_lossy(), own) {
            let _ = remove(&entry.path());
        }
    }
}

/// Whether a file's name bears a run id that the runner with this process id gave:
/// `_<host>_<feature>`.
fn is_of_runner(name: &str, pid: i64) -> bool {
    let parts: Vec<&str> = name.split('_').skip(1).collect();
    parts.windows(2).any(|pair| {
        let host = pair[0].parse::<i64>().ok();
        host.is_some_and(|host| host >> COUNTER_BITS == pid)
            && pair[1].starts_with(|c: char| c.is_ascii_digit())
    })
}

/// Where an execution leaves things.
#[derive(Debug, Clone)]
pub struct Place {
    folders: [Folder; 2],
    /// What bears this is the execution's; everything, where there is none.
    run: Option<RunId>,
}

#[derive(Debug, Clone)]
struct Folder {
    /// What it is called in there.
    name: PathBuf,
    path: PathBuf,
}

/// Something that is there.
#[derive(Debug)]
struct Entry {
    name: PathBuf,
    path: PathBuf,
    /// The buffer that it would be part of.
    buffer: String,
}

impl Place {
    /// The sandbox whose root folder is `root`.
    pub fn sandbox(root: &Path) -> Place {
        let inside = |folder: &str| root.join(folder.trim_start_matches('/'));
        Place::new(inside, None)
    }

    /// The folders that everybody shares.
    pub fn shared(run: RunId) -> Place {
        Place::new(|folder| PathBuf::from(folder), Some(run))
    }

    fn new(path: impl Fn(&str) -> PathBuf, run: Option<RunId>) -> Place {
        let folders = FOLDERS.map(|name| Folder {
            name: PathBuf::from(name),
            path: path(name),
        });
        Place { folders, run }
    }

    /// The buffers of which anything is there.
    pub fn buffers(&self) -> BTreeSet<String> {
        let entries = self.folders.iter().filter_map(|it| self.entries(it).ok());
        entries.flatten().map(|entry| entry.buffer).collect()
    }

    /// The reader and the writer that the segment of a buffer names; nothing where there is none, or
    /// it cannot be read.
    pub fn users(&self, buffer: &str) -> Option<[u64; 2]> {
        let name = BufferName::new(buffer).ok()?;
        let block = control_block_at(&self.folders[0].path.join(buffer), &name)?;
        Some([block.reader_pid, block.writer_pid])
    }

    /// Finds what was left; where everybody else is too, it is removed. What the platforms are
    /// `known` to leave and what `deaths` explain is no leak.
    pub fn sweep(&self, known: &GlobSet, deaths: &Deaths) -> Leftovers {
        let mut found = Leftovers::default();
        let mut entries = Vec::new();
        for folder in &self.folders {
            match self.entries(folder) {
                Ok(more) => entries.extend(more),
                Err(error) => found.stuck.push(format!(
                    "{}: {error}; what was left there is not known",
                    folder.path.display()
                )),
            }
        }
        for Entry { name, buffer, .. } in &entries {
            let file_name = Path::new(name.file_name().unwrap_or_default());
            let judged = match known.is_match(file_name) || deaths.explain(buffer, self) {
                true => &mut found.expected,
                false => &mut found.leaks,
            };
            judged.push(name.display().to_string());
        }
        // A sandbox goes as a whole.
        for Entry { path, .. } in entries.iter().filter(|_| self.run.is_some()) {
            if let Err(error) = remove(path) {
                found.stuck.push(format!("{}: {error}", path.display()));
            }
        }
        found
    }

    /// What is in a folder, sorted. One that everybody shares need not be there.
    fn entries(&self, folder: &Folder) -> std::io::Result<Vec<Entry>> {
        let names = match names(&folder.path) {
            Err(error) if error.kind() == ErrorKind::NotFound && self.run.is_some() => Vec::new(),
            names => names?,
        };
        let is_own = |name: &OsString| {
            self.run
                .is_none_or(|run| run.is_in(&name.to_string_lossy()))
        };
        let entry = |name: OsString| Entry {
            buffer: buffer_of(&name.to_string_lossy()).to_owned(),
            path: folder.path.join(&name),
            name: folder.name.join(&name),
        };
        Ok(names.into_iter().filter(is_own).map(entry).collect())
    }
}

/// The names of all entries of `folder`, sorted.
fn names(folder: &Path) -> std::io::Result<Vec<OsString>> {
    let entries = std::fs::read_dir(folder)?;
    let names: std::io::Result<Vec<OsString>> =
        entries.map(|entry| Ok(entry?.file_name())).collect();
    names.map(|mut names| {
        names.sort();
        names
    })
}

/// The name of the buffer that a file of this name is part of, if it is part of one.
fn buffer_of(file: &str) -> &str {
    let semaphore = ["sem.sem-w-", "sem.sem-r-"];
    let owner = semaphore
        .iter()
        .find_map(|prefix| file.strip_prefix(prefix));
    owner.or(file.strip_suffix(".lock")).unwrap_or(file)
}

fn remove(path: &Path) -> std::io::Result<()> {
    let removed = if path.is_dir() && !path.is_symlink() {
        std::fs::remove_dir_all(path)
    } else {
        std::fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_ids_are_unique_and_fit_32_bits() {
        let (a, b) = (RunId::next(1), RunId::next(1));
        assert_ne!(a, b);
        assert!(a.host <= i64::from(i32::MAX) && a.host > 0);
        assert!((i64::from(u32::MAX >> 10) << 9 | 511) <= i64::from(i32::MAX));
    }

    #[test]
    fn only_names_of_the_run_are_its_own() {
        let run = RunId {
            host: 700,
            feature: 1,
        };
        for (name, own) in [
            ("test_700_1", true),
            ("sem.sem-w-test_700_1", true),
            ("duplex_700_1_request", true),
            ("test_700_1.lock", true),
            ("test_700_13", false),
            ("test_1700_1", false),
            ("test_700_2", false),
            ("700_1", false),
        ] {
            assert_eq!(run.is_in(name), own, "{name}");
        }
    }

    #[test]
    fn a_name_tells_its_runner() {
        let host = RunId::next(13).host;
        let pid = i64::from(std::process::id());
        for (name, own) in [
            (format!("sem.sem-w-a_{host}_13_request"), true),
            (format!("a_b_{host}_1.lock"), true),
            (format!("{host}_1"), false),
            (format!("a_{host}_x"), false),
            (format!("a_1{host}_1"), false),
            ("a_700_1".to_owned(), false),
        ] {
            assert_eq!(is_of_runner(&name, pid), own, "{name}");
        }
    }

    /// A place whose folders are `shm` and `locks` of a temporary folder.
    fn place(root: &Path, run: Option<RunId>) -> Place {
        for folder in FOLDERS {
            std::fs::create_dir_all(root.join(&folder[1..])).unwrap();
        }
        Place {
            run,
            ..Place::sandbox(root)
        }
    }

    fn write(root: &Path, files: &[&str]) {
        for file in files {
            std::fs::write(root.join(&file[1..]), "").unwrap();
        }
    }

    /// A segment that names a reader and a writer.
    fn write_segment(root: &Path, buffer: &str, reader: u64, writer: u64) {
        let mut bytes = [0; 128 + 64];
        bytes[..8].copy_from_slice(&[128, 0, 0, 0, 1, 0, 0, 0]);
        for (at, value) in [(0x20, 64), (0x50, writer), (0x58, reader)] {
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        std::fs::write(root.join("dev/shm").join(buffer), bytes).unwrap();
    }

    #[test]
    fn everything_of_the_run_is_removed_and_told_apart() {
        let root = tempfile::tempdir().unwrap();
        let (host, feature) = (700, 1);
        let place = place(root.path(), Some(RunId { host, feature }));
        let own = ["/dev/shm/a_700_1", "/dev/shm/sem.sem-w-a_700_1"];
        write(root.path(), &own);
        write(root.path(), &["/dev/shm/other_701_1"]);
        std::fs::remove_dir(root.path().join("tmp/zerobuffer")).unwrap();
        let found = place.sweep(&known(["sem.*"]).unwrap(), &Deaths::default());
        assert_eq!(found.leaks, [own[0]]);
        assert_eq!(found.expected, [own[1]]);
        assert!(found.stuck.is_empty());
        let left = std::fs::read_dir(root.path().join("dev/shm")).unwrap();
        assert_eq!(left.count(), 1, "the other run's");
    }

    #[test]
    fn everything_in_a_sandbox_counts() {
        let root = tempfile::tempdir().unwrap();
        let place = place(root.path(), None);
        std::fs::create_dir(root.path().join("dev/shm/folder")).unwrap();
        write(root.path(), &["/dev/shm/sem.a", "/tmp/zerobuffer/a.lock"]);
        let found = place.sweep(&known(["sem.*"]).unwrap(), &Deaths::default());
        assert_eq!(found.leaks, ["/dev/shm/folder", "/tmp/zerobuffer/a.lock"]);
        assert_eq!(found.expected, ["/dev/shm/sem.a"]);
        assert!(found.stuck.is_empty());
    }

    #[test]
    fn a_death_explains_what_the_dead_used_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let place = place(root.path(), None);
        let leaks = |deaths: &Deaths| place.sweep(&GlobSet::empty(), deaths).leaks;
        let mut deaths = Deaths::default();
        (1..=3).for_each(|pid| deaths.born(Some(pid)));
        write_segment(root.path(), "read", 1, 0);
        write_segment(root.path(), "written", 2, 1);
        write_segment(root.path(), "other", 2, 3);
        // That of a process which a step server has started.
        write_segment(root.path(), "unknown", 2, 4);
        // Of these there is no segment, or none yet.
        write(
            root.path(),
            &["/dev/shm/begun", "/tmp/zerobuffer/locked.lock"],
        );
        write(
            root.path(),
            &["/dev/shm/sem.sem-r-read", "/tmp/zerobuffer/other.lock"],
        );
        assert_eq!(leaks(&deaths).len(), 8, "nobody has died");
        deaths.add(Some(1), &place);
        let others = ["/dev/shm/other", "/tmp/zerobuffer/other.lock"];
        assert_eq!(leaks(&deaths), others);

        let late = ["/dev/shm/late", "/dev/shm/sem.sem-w-late"];
        write(root.path(), &late);
        deaths.add(Some(1), &place);
        let all = ["/dev/shm/late", others[0], late[1], others[1]];
        assert_eq!(leaks(&deaths), all, "it has died once");

        for buffer in ["read", "other"] {
            std::fs::remove_file(root.path().join("dev/shm").join(buffer)).unwrap();
        }
        let left = ["/dev/shm/late", late[1], others[1]];
        assert_eq!(
            leaks(&deaths),
            left,
            "the rest of what was the dead's is theirs"
        );
        write_segment(root.path(), "read", 2, 0);
        assert_eq!(leaks(&deaths).len(), 5, "somebody else has made it anew");
    }

    #[test]
    fn a_sandbox_that_is_gone_cannot_be_looked_into() {
        let place = Place::sandbox(Path::new("/does/not/exist"));
        let found = place.sweep(&GlobSet::empty(), &Deaths::default());
        assert_eq!(found.stuck.len(), 2, "{found:?}");
    }

    #[test]
    fn a_folder_that_cannot_be_looked_into_is_told() {
        let root = tempfile::tempdir().unwrap();
        let (host, feature) = (700, 1);
        let place = place(root.path(), Some(RunId { host, feature }));
        std::fs::remove_dir(root.path().join("dev/shm")).unwrap();
        write(root.path(), &["/dev/shm"]);
        let found = place.sweep(&GlobSet::empty(), &Deaths::default());
        let [stuck] = found.stuck.as_slice() else {
            panic!("{found:?}")
        };
        assert!(
            stuck.contains("what was left there is not known"),
            "{stuck}"
        );
    }

    #[test]
    fn every_file_of_a_buffer_bears_its_name() {
        let buffer = BufferName::new("a.lock_7_1").unwrap();
        let semaphores = [buffer.data_semaphore(), buffer.space_semaphore()];
        let semaphores =
            semaphores.map(|name| Path::new(SHARED_MEMORY).join(format!("sem.{name}")));
        let others = [buffer.segment_path(), buffer.lock_path()];
        for path in semaphores.iter().chain(&others) {
            let name = path.file_name().unwrap().to_str().unwrap();
            assert_eq!(buffer_of(name), buffer.as_str());
        }
    }
}
