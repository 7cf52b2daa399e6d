//! Where a run takes place: the machine, and what the project's folder has checked out.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::available_parallelism;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long the start of a run waits for version control to say whether anything is changed. Others
/// than very large folders take less.
const PATIENCE: Duration = Duration::from_millis(30);

/// A machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Operating system and kernel, for example `Linux 6.1.0 x86_64`.
    pub kernel: String,
    /// How many processors this program may use.
    pub cpus: usize,
    /// How much memory it has, in bytes; 0 where that cannot be told.
    pub memory: u64,
}

impl Machine {
    /// The machine that this program runs on.
    pub fn here() -> Machine {
        let kernel = nix::sys::utsname::uname().map(|name| {
            let words = [name.sysname(), name.release(), name.machine()];
            words.map(|word| word.to_string_lossy()).join(" ")
        });
        let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        Machine {
            kernel: kernel.unwrap_or_default(),
            cpus: available_parallelism().map_or(1, usize::from),
            memory: memory(&meminfo, "MemTotal:").unwrap_or(0),
        }
    }
}

/// What `/proc/meminfo` says under `key`, in bytes.
pub fn memory(meminfo: &str, key: &str) -> Option<u64> {
    let value = meminfo.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// What a folder under version control has checked out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Its hash.
    pub id: String,
    /// Whether files that it knows are changed; nothing where that took too long to find out.
    pub changed: Option<bool>,
}

/// A look at what a folder has checked out, which goes on in the background.
#[derive(Debug)]
pub struct Looking {
    id: Receiver<String>,
    changed: Receiver<bool>,
}

impl Looking {
    /// Begins to look. A folder that is not under version control, and a machine without `git`, are
    /// no errors.
    pub fn into(folder: &Path) -> Looking {
        let (tell_id, id) = channel();
        let (tell_changed, changed) = channel();
        let folder = folder.to_owned();
        // Nobody may be listening any more.
        std::thread::spawn(move || {
            let Some(head) = git(&folder, &["rev-parse", "HEAD"]) else {
                return;
            };
            let _ = tell_id.send(head.trim().to_owned());
            drop(tell_id);
            let status = ["status", "--porcelain", "--untracked-files=no"];
            if let Some(status) = git(&folder, &status) {
                let _ = tell_changed.send(!status.trim().is_empty());
            }
        });
        Looking { id, changed }
    }

    /// What was found. Waits a moment at most.
    pub fn found(self) -> Option<Commit> {
        let id = self.id.recv_timeout(PATIENCE).ok()?;
        let changed = self.changed.recv_timeout(PATIENCE).ok();
        Some(Commit { id, changed })
    }
}

fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .env("GIT_OPTIONAL_LOCKS", "0")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output.status.success().then_some(())?;
    String::from_utf8(output.stdout).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_processor_and_memory() {
        let machine = Machine::here();
        assert!(machine.cpus >= 1 && machine.memory > 1 << 20, "{machine:?}");
        assert!(machine.kernel.starts_with("Linux "), "{machine:?}");
        let text = "MemTotal: 9 kB\nMemAvailable:    2048 kB\n";
        assert_eq!(memory(text, "MemAvailable:"), Some(2 << 20));
        assert_eq!(memory(text, "MemFree:"), None);
    }

    #[test]
    fn a_folder_without_version_control_has_no_commit() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Looking::into(folder.path()).found(), None);
        assert_eq!(Looking::into(Path::new("/does/not/exist")).found(), None);
    }

    #[test]
    fn a_checkout_has_its_commit() {
        let folder = tempfile::tempdir().unwrap();
        let here = |arguments: &[&str]| git(folder.path(), arguments).unwrap();
        here(&["init", "--quiet"]);
        std::fs::write(folder.path().join("file"), "1").unwrap();
        here(&["add", "file"]);
        let who = ["-c", "user.name=a", "-c", "user.email=a@b"];
        here(&[&who[..], &["commit", "--quiet", "--message=a"]].concat());
        let id = here(&["rev-parse", "HEAD"]).trim().to_owned();
        let patiently = || {
            let Looking { id, changed } = Looking::into(folder.path());
            (id.recv().unwrap(), changed.recv().unwrap())
        };
        assert_eq!(patiently(), (id.clone(), false));
        std::fs::write(folder.path().join("file"), "22").unwrap();
        assert_eq!(patiently(), (id, true));
    }
}
