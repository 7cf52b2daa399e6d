//! The folders of runs: how they are called, which is the latest, and which are removed.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::event_log;

/// The folder that they are in, in the output folder.
pub const FOLDER: &str = "runs";

/// A name for the folder of a run: its time, and the process id for two at the same time.
pub fn new_name() -> String {
    let now = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S");
    format!("{now}-{}", std::process::id())
}

/// What the name of a run says, in the order in which runs come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Stamp {
    date: u32,
    time: u32,
    process: i32,
}

impl Stamp {
    /// Nothing for a name that this program has not made.
    fn of(name: &str) -> Option<Stamp> {
        let parts: Vec<&str> = name.split('-').collect();
        let [date, time, process] = parts.as_slice() else {
            return None;
        };
        let number = |text: &str, digits| {
            let is_number = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
            is_number.then(|| text.parse().ok())?
        };
        Some(Stamp {
            date: number(date, 8)?,
            time: number(time, 6)?,
            process: process.parse().ok()?,
        })
    }
}

/// The runs in a folder whose names this program has made, in any order.
fn stamped(runs: &Path) -> impl Iterator<Item = (Stamp, PathBuf)> {
    let entries = std::fs::read_dir(runs).into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let stamp = Stamp::of(entry.file_name().to_str()?)?;
        Some((stamp, entry.path()))
    })
}

/// Finds the log that the user means: a log, the folder of a run, the name of a run below `runs`, or
/// without any of these the latest run there.
///
/// # Errors
///
/// When there is none, or `runs` cannot be told where it is needed.
pub fn find(
    asked: Option<&Path>,
    runs: impl FnOnce() -> Result<PathBuf, String>,
) -> Result<PathBuf, String> {
    let Some(asked) = asked else {
        let runs = runs()?;
        let none = || format!("there is no run in {} yet", runs.display());
        return latest(&runs).ok_or_else(none);
    };
    for path in [asked.to_owned(), asked.join(event_log::FILE_NAME)] {
        if path.is_file() {
            return std::path::absolute(path).map_err(|error| error.to_string());
        }
    }
    let runs = runs()?;
    let named = runs.join(asked).join(event_log::FILE_NAME);
    let (asked, runs) = (asked.display(), runs.display());
    named.is_file().then_some(named).ok_or_else(|| {
        format!(
            "{asked} is neither an event log nor the folder of a run with one, and there is no run \
             of that name in {runs}"
        )
    })
}

/// The log of the latest run. One that is kept under a name of its own is none: nothing says when it
/// was.
fn latest(runs: &Path) -> Option<PathBuf> {
    let logs = stamped(runs).map(|(stamp, folder)| (stamp, folder.join(event_log::FILE_NAME)));
    let latest = logs.filter(|(_, log)| log.is_file()).max()?;
    Some(latest.1)
}

/// Removes the oldest folders in `runs`, so that `keep` are left. Those stay whose process may still
/// run, and everything that is not the folder of a run.
///
/// # Errors
///
/// Which cannot be removed, and why.
pub fn prune(runs: &Path, keep: usize) -> Result<(), String> {
    let mut folders: Vec<(Stamp, PathBuf)> = stamped(runs).collect();
    folders.sort();
    let surplus = folders.len().saturating_sub(keep);
    for (stamp, folder) in &folders[..surplus] {
        if is_alive(stamp.process) {
            continue;
        }
        match std::fs::remove_dir_all(folder) {
            // Another run does the same.
            Err(error) if error.kind() != ErrorKind::NotFound => {
                let folder = folder.display();
                return Err(format!("the old run {folder} cannot be removed: {error}"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn is_alive(pid: i32) -> bool {
    pid > 0 && kill(Pid::from_raw(pid), None) != Err(nix::errno::Errno::ESRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(runs: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(runs).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_oldest_are_removed_unless_they_run() {
        let runs = tempfile::tempdir().unwrap();
        // Larger than any process id of Linux.
        let dead = 1 << 22;
        let own = std::process::id();
        let made = [
            format!("20250101-000000-{own}"),
            format!("20250102-000000-{}", dead + 1),
            format!("20250103-000000-{}", dead + 2),
            format!("20250104-000000-{}", dead + 3),
            format!("20250105-000000-{}", dead + 4),
            "20250101-mine".to_owned(),
            "20250101-000000-copy".to_owned(),
        ];
        for name in &made {
            std::fs::create_dir(runs.path().join(name)).unwrap();
            std::fs::write(runs.path().join(name).join("file"), "").unwrap();
        }
        prune(runs.path(), 5).unwrap();
        assert_eq!(names(runs.path()).len(), made.len());
        prune(runs.path(), 2).unwrap();
        let expected = [&made[6], &made[0], &made[5], &made[3], &made[4]];
        let mut expected: Vec<String> = expected.into_iter().cloned().collect();
        expected.sort();
        assert_eq!(names(runs.path()), expected);
        assert_eq!(prune(&runs.path().join("none"), 1), Ok(()));
    }

    #[test]
    fn a_run_is_found_by_folder_log_and_name_and_without_any_the_latest() {
        let runs = tempfile::tempdir().unwrap();
        let log = |name: &str| runs.path().join(name).join(event_log::FILE_NAME);
        for name in [
            "20250101-000000-1",
            "20250102-000000-1",
            "20250103-000000-1",
        ] {
            std::fs::create_dir(runs.path().join(name)).unwrap();
        }
        let find = |asked: Option<&Path>| find(asked, || Ok(runs.path().to_owned()));
        assert!(find(None).unwrap_err().contains("there is no run in"));
        for name in ["20250101-000000-1", "20250102-000000-1"] {
            std::fs::write(log(name), "").unwrap();
        }
        assert_eq!(find(None), Ok(log("20250102-000000-1")));
        // Process ids are numbers, and other names say nothing about when a run was.
        for name in [
            "20250102-000000-99",
            "20250102-000000-100",
            "good",
            "20990101-copy",
        ] {
            std::fs::create_dir(runs.path().join(name)).unwrap();
            std::fs::write(log(name), "").unwrap();
        }
        assert_eq!(find(None), Ok(log("20250102-000000-100")));
        assert_eq!(find(Some(Path::new("good"))), Ok(log("good")));
        let first = log("20250101-000000-1");
        for asked in [
            &first,
            first.parent().unwrap(),
            Path::new("20250101-000000-1"),
        ] {
            assert_eq!(find(Some(asked)), Ok(first.clone()), "{}", asked.display());
        }
        let missing = find(Some(Path::new("20250103-000000-1")));
        assert!(
            missing
                .unwrap_err()
                .contains("there is no run of that name")
        );
    }
}
