//! What an execution leaves in `/dev/shm` and in the folder of the lock files: all that is there
//! where the execution has a sandbox, and otherwise the entries that bear its run id.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use globset::{Glob, GlobSet, GlobSetBuilder};

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
    /// What the platforms are known to leave, and what belonged to a killed process.
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

impl Leftovers {
    /// Judges what was found at `path`. Where processes were `killed`, it was theirs, and no leak.
    fn add(&mut self, path: &Path, known: &GlobSet, killed: bool) {
        let name = path.file_name().unwrap_or_default();
        let judged = match killed || known.is_match(Path::new(name)) {
            true => &mut self.expected,
            false => &mut self.leaks,
        };
        judged.push(path.display().to_string());
    }

    fn cannot_look(&mut self, folder: &Path, error: &std::io::Error) {
        let folder = folder.display();
        self.stuck.push(format!(
            "{folder}: {error}; what was left there is not known"
        ));
    }
}

/// Finds and removes everything that bears `run`. Where processes were `killed`, what is left was
/// theirs, and no leak.
pub fn sweep(run: RunId, known: &GlobSet, killed: bool) -> Leftovers {
    sweep_folders(&FOLDERS.map(Path::new), run, known, killed)
}

fn sweep_folders(folders: &[&Path], run: RunId, known: &GlobSet, killed: bool) -> Leftovers {
    let mut found = Leftovers::default();
    for folder in folders {
        let paths = match bearing(folder, run) {
            Ok(paths) => paths,
            Err(error) => {
                found.cannot_look(folder, &error);
                continue;
            }
        };
        for path in paths {
            if let Err(error) = remove(&path) {
                found.stuck.push(format!("{}: {error}", path.display()));
            }
            found.add(&path, known, killed);
        }
    }
    found
}

/// Finds everything in the sandbox whose root folder is `root`; it goes with the sandbox. Where
/// processes were `killed`, what is left was theirs, and no leak.
pub fn look_around(root: &Path, known: &GlobSet, killed: bool) -> Leftovers {
    let mut found = Leftovers::default();
    for folder in FOLDERS.map(Path::new) {
        let inside = root.join(folder.strip_prefix("/").unwrap_or(folder));
        match names(&inside) {
            Ok(names) => {
                for name in names {
                    found.add(&folder.join(name), known, killed);
                }
            }
            Err(error) => found.cannot_look(&inside, &error),
        }
    }
    found
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

/// The entries of `folder` that bear `run`, sorted. A folder that does not exist has none.
fn bearing(folder: &Path, run: RunId) -> std::io::Result<Vec<PathBuf>> {
    let names = match names(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        names => names?,
    };
    let own = names
        .into_iter()
        .filter(|name| run.is_in(&name.to_string_lossy()));
    Ok(own.map(|name| folder.join(name)).collect())
}

fn remove(path: &Path) -> std::io::Result<()> {
    let removed = if path.is_dir() && !path.is_symlink() {
        std::fs::remove_dir_all(path)
    } else {
        std::fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
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

    #[test]
    fn everything_is_removed_and_told_apart() {
        let run = RunId {
            host: 700,
            feature: 1,
        };
        for killed in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            for name in ["sem.sem-w-a_700_1", "a_700_1", "other_701_1"] {
                std::fs::write(folder.path().join(name), "").unwrap();
            }
            let known = known(["sem.*"]).unwrap();
            let missing = folder.path().join("none");
            let found = sweep_folders(&[folder.path(), &missing], run, &known, killed);
            let path = |name: &str| folder.path().join(name).display().to_string();
            if killed {
                assert_eq!(found.expected, [path("a_700_1"), path("sem.sem-w-a_700_1")]);
                assert!(found.leaks.is_empty());
            } else {
                assert_eq!(found.leaks, [path("a_700_1")]);
                assert_eq!(found.expected, [path("sem.sem-w-a_700_1")]);
            }
            assert!(found.stuck.is_empty());
            let left = std::fs::read_dir(folder.path()).unwrap().count();
            assert_eq!(left, 1, "the other run's");
        }
    }

    #[test]
    fn everything_in_a_sandbox_counts() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("dev/shm/folder")).unwrap();
        std::fs::create_dir_all(root.path().join("tmp/zerobuffer")).unwrap();
        std::fs::write(root.path().join("dev/shm/sem.a"), "").unwrap();
        std::fs::write(root.path().join("tmp/zerobuffer/a.lock"), "").unwrap();
        let known = known(["sem.*"]).unwrap();
        let found = look_around(root.path(), &known, false);
        assert_eq!(found.leaks, ["/dev/shm/folder", "/tmp/zerobuffer/a.lock"]);
        assert_eq!(found.expected, ["/dev/shm/sem.a"]);
        assert!(found.stuck.is_empty());
        let found = look_around(root.path(), &known, true);
        assert!(found.leaks.is_empty() && found.expected.len() == 3);
    }

    #[test]
    fn a_sandbox_that_is_gone_cannot_be_looked_into() {
        let found = look_around(Path::new("/does/not/exist"), &GlobSet::empty(), false);
        assert_eq!(found.stuck.len(), 2, "{found:?}");
    }

    #[test]
    fn a_folder_that_cannot_be_looked_into_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let run = RunId {
            host: 700,
            feature: 1,
        };
        let found = sweep_folders(&[file.path()], run, &GlobSet::empty(), false);
        let [stuck] = found.stuck.as_slice() else {
            panic!("{found:?}")
        };
        assert!(
            stuck.contains("what was left there is not known"),
            "{stuck}"
        );
    }
}
