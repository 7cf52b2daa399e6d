//! What processes leave behind under a name that is this program's own.

use std::fs;
use std::io::ErrorKind;

use crate::Result;

/// Removes all in shared memory and every lock file whose name has `name` in it.
///
/// Some readers never remove their semaphores, and a process that was killed removes nothing.
pub fn sweep(name: &str) -> Result<()> {
    for folder in ["/dev/shm", "/tmp/zerobuffer"] {
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_name().to_string_lossy().contains(name) {
                let removed = if entry.file_type()?.is_dir() {
                    fs::remove_dir_all(entry.path())
                } else {
                    fs::remove_file(entry.path())
                };
                match removed {
                    Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
                    _ => {}
                }
            }
        }
    }
    Ok(())
}
