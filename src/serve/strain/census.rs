//! What this process holds and what is in the folders of shared memory and locks, counted, so that
//! a later count tells what was left behind.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::serve::failure::{Failure, StepOutcome};
use crate::serve::sharing::expect_alone;

/// Where segments and semaphores are.
pub const SHM: &str = "/dev/shm";

/// Where lock files are.
pub const LOCKS: &str = "/tmp/zerobuffer";

/// How much memory a process may take for itself without being said to lose some. What steps do for
/// the first time takes some once and for all, above all their regular expressions: up to 1.6 MiB were
/// seen, however often they then did it. A thousand times 4 KiB are told, and of a lost buffer there
/// are its mappings and its descriptor as well, of which none may be left. Where buffers come and go
/// in one step, [`Cycles`](super::cycle::Cycles) are stricter.
const MEMORY_SLACK: u64 = 4 * 1024 * 1024;

/// For how long what has ended may still be counted: the system takes a moment to forget a thread.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often it is counted again meanwhile.
const TICK: Duration = Duration::from_millis(5);

/// One count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Census {
    /// Open file descriptors.
    pub descriptors: usize,
    /// Mapped pieces of files in `/dev/shm`, deleted ones included.
    pub mappings: usize,
    /// Threads.
    pub threads: usize,
    /// Memory of this process alone, in bytes.
    pub memory: u64,
    /// What is in `/dev/shm` and in the folder of the lock files: see [`names`].
    pub names: BTreeSet<PathBuf>,
}

impl Census {
    /// Counts; of the names only those that bear `mark`, unless all are this run's.
    ///
    /// # Errors
    ///
    /// Those of the system, where it does not tell; the failure of a step that cannot be carried out
    /// here, where others than this run are counted as well.
    pub fn take(mark: &str) -> Result<Census, Failure> {
        expect_alone("what this process holds cannot be counted here")?;
        let maps = fs::read_to_string("/proc/self/maps")?;
        Ok(Census {
            descriptors: entries("/proc/self/fd")?,
            mappings: maps.lines().filter(|line| line.contains(SHM)).count(),
            threads: entries("/proc/self/task")?,
            memory: own_memory()?,
            names: names(mark)?,
        })
    }

    /// What there is now and was not `before`, or the other way round where names are concerned.
    pub fn changes_since(&self, before: &Census) -> Vec<String> {
        let counts = [
            ("descriptors", before.descriptors, self.descriptors),
            ("mappings of shared memory", before.mappings, self.mappings),
            ("threads", before.threads, self.threads),
        ];
        let mut changes = Vec::new();
        for (what, before, now) in counts {
            if now > before {
                changes.push(format!("{what}: expected {before}, found {now}"));
            }
        }
        if self.memory > before.memory + MEMORY_SLACK {
            let (before, now) = (mebibytes(before.memory), mebibytes(self.memory));
            changes.push(format!("memory: expected about {before}, found {now}"));
        }
        changes.extend(name_changes(&before.names, &self.names));
        changes
    }

    /// Counts until nothing is left behind since `before`, or patience ends; the last count.
    ///
    /// # Errors
    ///
    /// Those of [`take`](Self::take).
    pub fn settled(before: &Census, mark: &str) -> Result<Census, Failure> {
        let begun = Instant::now();
        loop {
            let now = Census::take(mark)?;
            if now.changes_since(before).is_empty() || begun.elapsed() > PATIENCE {
                return Ok(now);
            }
            std::thread::sleep(TICK);
        }
    }

    /// Counts until nothing was left behind since `before`; the last count.
    ///
    /// # Errors
    ///
    /// A failure that lists what is still there after some patience.
    pub fn expect_nothing_left(before: &Census, mark: &str) -> Result<Census, Failure> {
        let now = Self::settled(before, mark)?;
        let changes = now.changes_since(before);
        if changes.is_empty() {
            return Ok(now);
        }
        let changes = changes.join("; ");
        Err(Failure::new(format!("left behind: {changes}")))
    }
}

impl fmt::Display for Census {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} descriptors, {} mappings of shared memory, {} threads, {} of own memory, {} names",
            self.descriptors,
            self.mappings,
            self.threads,
            mebibytes(self.memory),
            self.names.len()
        )
    }
}

/// What is in `/dev/shm` and in the folder of the lock files: everything if this run has them for
/// itself, else what bears `mark`.
///
/// # Errors
///
/// Those of the system, where it does not tell.
pub fn names(mark: &str) -> io::Result<BTreeSet<PathBuf>> {
    let all = are_private();
    let mut names = BTreeSet::new();
    for folder in [SHM, LOCKS] {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            if all || entry.file_name().to_string_lossy().contains(mark) {
                names.insert(entry.path());
            }
        }
    }
    Ok(names)
}

/// Checks that no name bears `mark` any more that did not `before`, and none is missing.
///
/// # Errors
///
/// A failure that lists them.
pub fn expect_names(before: &BTreeSet<PathBuf>, now: &BTreeSet<PathBuf>) -> StepOutcome {
    let changes = name_changes(before, now);
    if changes.is_empty() {
        return Ok(());
    }
    Err(Failure::new(changes.join("; ")))
}

fn name_changes(before: &BTreeSet<PathBuf>, now: &BTreeSet<PathBuf>) -> Vec<String> {
    let added = now.difference(before);
    let added = added.map(|path| format!("{} was not there before", path.display()));
    let missing = before.difference(now);
    added
        .chain(missing.map(|path| format!("{} is missing", path.display())))
        .collect()
}

/// Whether both folders belong to one run: where the lock files are mounted for it, all is.
fn are_private() -> bool {
    let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev());
    let locks = Path::new(LOCKS);
    let parent = locks.parent().unwrap_or(locks);
    matches!((device(locks), device(parent)), (Ok(own), Ok(above)) if own != above)
}

/// A size for people.
pub fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / (1024.0 * 1024.0))
}

fn entries(folder: &str) -> io::Result<usize> {
    Ok(fs::read_dir(folder)?.count())
}

/// Memory of this process alone, in bytes.
///
/// # Errors
///
/// Those of the system, where it does not tell.
pub fn own_memory() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse::<u64>().ok())
        .map(|kibibytes| kibibytes * 1024)
        .ok_or_else(|| io::Error::other("/proc/self/status does not tell RssAnon"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BufferConfig, BufferName, Reader};

    /// Other tests of this process come and go: only what is this test's is counted.
    fn census(names: &[&str]) -> Census {
        Census {
            descriptors: 10,
            mappings: 2,
            threads: 3,
            memory: 5 << 20,
            names: names.iter().map(PathBuf::from).collect(),
        }
    }

    #[test]
    fn a_buffer_is_counted_while_it_is_there() {
        let mark = format!("serve-census-{}", std::process::id());
        let name = BufferName::new(&mark).unwrap();
        assert!(names(&mark).unwrap().is_empty());
        let reader = Reader::create(&name, &BufferConfig::new(64, 1024)).unwrap();
        let held = Census::take(&mark).unwrap();
        assert_eq!(held.names.len(), 4, "{held}");
        assert!(held.names.contains(&name.lock_path()), "{held}");
        assert!(held.mappings >= 3 && held.descriptors > 0 && held.threads > 0);
        assert!(held.memory > 100_000, "{held}");
        drop(reader);
        assert!(names(&mark).unwrap().is_empty());
    }

    #[test]
    fn only_growth_is_a_change_and_any_other_name() {
        let before = census(&["/dev/shm/a"]);
        assert_eq!(before.changes_since(&before), [""; 0]);
        let mut now = census(&["/dev/shm/b"]);
        now.descriptors = 9;
        now.mappings = 3;
        now.threads = 4;
        now.memory += MEMORY_SLACK;
        assert_eq!(
            now.changes_since(&before),
            [
                "mappings of shared memory: expected 2, found 3",
                "threads: expected 3, found 4",
                "/dev/shm/b was not there before",
                "/dev/shm/a is missing",
            ]
        );
        now = census(&["/dev/shm/a"]);
        now.descriptors = 11;
        now.memory += MEMORY_SLACK + 1;
        assert_eq!(
            now.changes_since(&before),
            [
                "descriptors: expected 10, found 11",
                "memory: expected about 5.0 MiB, found 9.0 MiB",
            ]
        );
    }

    #[test]
    fn what_stays_is_told_after_some_patience() {
        let mark = format!("serve-census-stays-{}", std::process::id());
        let path = Path::new(SHM).join(&mark);
        let mut before = Census::take(&mark).unwrap();
        // Other tests of this process come and go.
        before.descriptors += 10_000;
        before.mappings += 10_000;
        before.threads += 10_000;
        before.memory += 1 << 40;
        Census::expect_nothing_left(&before, &mark).unwrap();
        fs::write(&path, "").unwrap();
        let left = Census::expect_nothing_left(&before, &mark);
        fs::remove_file(&path).unwrap();
        let failure = left.unwrap_err().to_string();
        assert!(failure.contains(&mark), "{failure}");
    }
}
