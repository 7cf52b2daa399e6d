//! The process that makes a sandbox and keeps it: `harmony hold-sandbox`.
//!
//! It is a program of its own because a process with threads cannot move into a new user
//! namespace. It lives until the runner lets go of its standard input, at the latest by ending.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};

use super::exit::Exit;
use super::leftover::{LOCKS, SHARED_MEMORY};
use super::terminal::say;

/// What it says when the sandbox can be entered; anything else is the reason why there is none.
pub const READY: &str = "ready";

/// How much the folder of the lock files takes, in MiB. Lock files are empty.
const LOCKS_SIZE: u64 = 16;

/// Makes a sandbox whose shared memory takes `shm_size` MiB, and keeps it until the end of the
/// standard input.
pub fn hold(shm_size: u64) -> Exit {
    if let Err(why) = prepare(shm_size) {
        say(&why);
        return Exit::Setup;
    }
    say(READY);
    match io::copy(&mut io::stdin(), &mut io::sink()) {
        Ok(_) => Exit::Green,
        Err(_) => Exit::Setup,
    }
}

fn prepare(shm_size: u64) -> Result<(), String> {
    make_lock_folder().map_err(|error| format!("{LOCKS}: {error}"))?;
    leave_shared_namespaces()?;
    // Without this, what is mounted here would be seen everywhere.
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        None::<&str>,
    )
    .map_err(|error| format!("the mounts cannot be made private: {error}"))?;
    mount_empty(SHARED_MEMORY, shm_size)?;
    mount_empty(LOCKS, LOCKS_SIZE)
}

/// Something can only be mounted on a folder that is there.
fn make_lock_folder() -> io::Result<()> {
    match fs::create_dir(LOCKS) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        // It is everybody's, like `/tmp` itself.
        made => made.and_then(|()| fs::set_permissions(LOCKS, Permissions::from_mode(0o1777))),
    }
}

/// Moves into a mount namespace of its own, where that is not allowed by way of a user namespace
/// in which it is. Process ids stay those of everybody.
fn leave_shared_namespaces() -> Result<(), String> {
    match unshare(CloneFlags::CLONE_NEWNS) {
        Err(Errno::EPERM) => {}
        other => return other.map_err(|error| format!("no mount namespace can be made: {error}")),
    }
    let (user, group) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)
        .map_err(|error| format!("neither a mount nor a user namespace can be made: {error}"))?;
    for (file, text) in [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("{user} {user} 1")),
        ("/proc/self/gid_map", format!("{group} {group} 1")),
    ] {
        fs::write(file, text).map_err(|error| format!("{file}: {error}"))?;
    }
    Ok(())
}

fn mount_empty(folder: &str, size: u64) -> Result<(), String> {
    mount(
        Some("tmpfs"),
        folder,
        Some("tmpfs"),
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
        Some(format!("size={size}m,mode=1777").as_str()),
    )
    .map_err(|error| format!("nothing can be mounted on {folder}: {error}"))
}
