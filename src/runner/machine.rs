//! Where a run takes place: the machine, and what the project's folder has checked out.

use std::io::Read;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
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
    head: Option<Child>,
    status: Option<Child>,
}

impl Looking {
    /// Begins to look. A folder that is not under version control, and a machine without `git`, are
    /// no errors.
    pub fn into(folder: &Path) -> Looking {
        Looking {
            head: git(folder, &["rev-parse", "HEAD"]),
            status: git(folder, &["status", "--porcelain", "--untracked-files=no"]),
        }
    }

    /// What was found. Waits a moment at most.
    pub fn found(self) -> Option<Commit> {
        self.found_within(PATIENCE)
    }

    fn found_within(mut self, patience: Duration) -> Option<Commit> {
        let deadline = Instant::now() + patience;
        let id = beginning(self.head.as_mut()?, deadline)?.trim().to_owned();
        // Before the first commit it answers `HEAD`.
        let is_hash = id.len() >= 40 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hash.then_some(())?;
        let status = self.status.as_mut();
        let status = status.and_then(|status| beginning(status, deadline));
        Some(Commit {
            id,
            changed: status.map(|status| !status.is_empty()),
        })
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        for child in [&mut self.head, &mut self.status].into_iter().flatten() {
            // One that has ended cannot be killed; what it would have said is not needed.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn git(folder: &Path, arguments: &[&str]) -> Option<Child> {
    let mut command = Command::new("git");
    command
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .env("GIT_OPTIONAL_LOCKS", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command.spawn().ok()
}

/// What a program says first, nothing more than a line; empty where it ends without a word. `None`
/// where that takes too long, or where it fails.
fn beginning(child: &mut Child, deadline: Instant) -> Option<String> {
    let output = child.stdout.as_mut()?;
    let left = deadline.saturating_duration_since(Instant::now());
    let left = PollTimeout::try_from(left).ok()?;
    let mut waiting = [PollFd::new(output.as_fd(), PollFlags::POLLIN)];
    if poll(&mut waiting, left) != Ok(1) {
        return None;
    }
    let mut bytes = [0; 64];
    let count = output.read(&mut bytes).ok()?;
    if count == 0 && !child.wait().ok()?.success() {
        return None;
    }
    Some(String::from_utf8_lossy(&bytes[..count]).into_owned())
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

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_folder_without_version_control_has_no_commit() {
        let folder = tempfile::tempdir().unwrap();
        for folder in [folder.path(), Path::new("/does/not/exist")] {
            assert_eq!(Looking::into(folder).found_within(LONG), None);
        }
    }

    #[test]
    fn a_checkout_has_its_commit() {
        let folder = tempfile::tempdir().unwrap();
        let here = |arguments: &[&str]| {
            let output = git(folder.path(), arguments).unwrap().wait_with_output();
            String::from_utf8(output.unwrap().stdout).unwrap()
        };
        here(&["init", "--quiet"]);
        assert_eq!(Looking::into(folder.path()).found_within(LONG), None);
        std::fs::write(folder.path().join("file"), "1").unwrap();
        here(&["add", "file"]);
        let who = ["-c", "user.name=a", "-c", "user.email=a@b"];
        here(&[&who[..], &["commit", "--quiet", "--message=a"]].concat());
        let id = here(&["rev-parse", "HEAD"]).trim().to_owned();
        let found = || Looking::into(folder.path()).found_within(LONG).unwrap();
        let commit = |changed| Commit {
            id: id.clone(),
            changed: Some(changed),
        };
        assert_eq!(found(), commit(false));
        std::fs::write(folder.path().join("file"), "22").unwrap();
        assert_eq!(found(), commit(true));
    }

    #[test]
    fn a_slow_answer_is_not_waited_for_and_nothing_stays() {
        let mut slow = Command::new("sleep");
        let slow = slow.arg("600").stdout(Stdio::piped()).spawn().unwrap();
        let process = format!("/proc/{}", slow.id());
        let looking = Looking {
            head: Some(slow),
            status: None,
        };
        assert!(Path::new(&process).exists());
        assert_eq!(looking.found(), None);
        assert!(!Path::new(&process).exists());
    }
}
