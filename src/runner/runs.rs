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

/// The process id in the name of a run; nothing for a name that this program has not made.
fn process_of(name: &str) -> Option<i32> {
    let parts: Vec<&str> = name.split('-').collect();
    let [date, time, pid] = parts.as_slice() else {
        return None;
    };
    let is_number =
        |text: &str, digits| text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
    (is_number(date, 8) && is_number(time, 6)).then(|| pid.parse().ok())?
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

/// The log of the latest run: names of runs begin with their times.
fn latest(runs: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(runs).ok()?.flatten();
    let logs = entries.map(|entry| entry.path().join(event_log::FILE_NAME));
    logs.filter(|path| path.is_file()).max()
}

/// Removes the oldest folders in `runs`, so that `keep` are left. Those stay whose process may still
/// run, and everything that is not the folder of a run.
///
/// # Errors
///
/// Which cannot be removed, and why.
pub fn prune(runs: &Path, keep: usize) -> Result<(), String> {
    let Ok(entries) = std::fs::read_dir(runs) else {
        return Ok(());
    };
    let names = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<(String, i32)> = names
        .filter_map(|name| process_of(&name).map(|pid| (name, pid)))
        .collect();
    names.sort();
    let surplus = names.len().saturating_sub(keep);
    for (name, pid) in &names[..surplus] {
        if is_alive(*pid) {
            continue;
        }
        let folder = runs.join(name);
        match std::fs::remove_dir_all(&folder) {
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
