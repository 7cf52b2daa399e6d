//! Shared memory and lock files of this process's own.

use std::fs;
use std::io;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getgid, getuid};

use crate::number_in;

/// Where segments and semaphores are, and where locks are.
const FOLDERS: [&str; 2] = ["/dev/shm", "/tmp/zerobuffer"];

/// The size of shared memory, in MiB, where a scenario does not ask for another one.
const SHM_MEBIBYTES: u64 = 4096;

/// Whether the two folders are private.
#[derive(Debug, Clone, Copy)]
pub enum Sandbox {
    /// Mounted for this process alone.
    Private,
    /// The machine's own: only what bears this process's number is looked at.
    Shared,
}

impl Sandbox {
    /// Mounts both folders anew, for this process and nobody else; where that is not allowed, says
    /// so and goes on. Only while there is one thread.
    pub fn enter() -> Sandbox {
        match enter() {
            Ok(()) => Sandbox::Private,
            Err(error) => {
                eprintln!("native: no private folders, using the machine's: {error}");
                Sandbox::Shared
            }
        }
    }

    /// Gives shared memory the size that a scenario's tags ask for.
    pub fn prepare(self, tags: &[String]) {
        if let Sandbox::Private = self {
            let mebibytes = number_in(tags, "shm-size").unwrap_or(SHM_MEBIBYTES);
            let resized = mount_shm(mebibytes, MsFlags::MS_REMOUNT);
            resized.unwrap_or_else(|error| panic!("/dev/shm of {mebibytes} MiB: {error}"));
        }
    }

    /// Panics if a scenario has left something behind. It is removed, so that the next one does not
    /// suffer from it.
    pub fn expect_empty(self) {
        let own = format!("_{}_", std::process::id());
        let is_ours = |name: &String| matches!(self, Sandbox::Private) || name.contains(&own);
        let mut left = Vec::new();
        for folder in FOLDERS {
            for name in names_in(folder).into_iter().filter(is_ours) {
                let path = Path::new(folder).join(name);
                let removed = fs::remove_file(&path);
                left.push(format!("{} (removed: {removed:?})", path.display()));
            }
        }
        assert!(left.is_empty(), "left behind: {}", left.join(", "));
    }
}

fn names_in(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

fn enter() -> io::Result<()> {
    fs::create_dir_all(FOLDERS[1])?;
    let (uid, gid) = (getuid(), getgid());
    let mut namespaces = CloneFlags::CLONE_NEWNS;
    if !uid.is_root() {
        namespaces |= CloneFlags::CLONE_NEWUSER;
    }
    unshare(namespaces)?;
    if !uid.is_root() {
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
        fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))?;
    }
    let none: Option<&Path> = None;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(none, "/", none, private, none)?;
    mount_shm(SHM_MEBIBYTES, MsFlags::empty())?;
    mount(
        Some("tmpfs"),
        FOLDERS[1],
        Some("tmpfs"),
        MsFlags::empty(),
        Some("mode=1777"),
    )?;
    Ok(())
}

fn mount_shm(mebibytes: u64, flags: MsFlags) -> nix::Result<()> {
    let options = format!("size={mebibytes}m,mode=1777");
    let options = Some(options.as_str());
    mount(Some("tmpfs"), FOLDERS[0], Some("tmpfs"), flags, options)
}
