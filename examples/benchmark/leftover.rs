//! What processes leave behind under a name that is this program's own.

use std::fs::{self, DirEntry};
use std::io::{self, ErrorKind};

use crate::Result;

/// Removes everything in shared memory and every lock file with `name` in its name.
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
            if is_of(&entry.file_name().to_string_lossy(), name) {
                match remove(&entry) {
                    Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
                    _ => {}
                }
            }
        }
    }
    Ok(())
}

/// Whether a file called `file` belongs to `name`, and not to one that goes on with more digits.
fn is_of(file: &str, name: &str) -> bool {
    let after = file.find(name).map(|at| &file[at + name.len()..]);
    after.is_some_and(|after| !after.starts_with(|next: char| next.is_ascii_digit()))
}

fn remove(entry: &DirEntry) -> io::Result<()> {
    if entry.file_type()?.is_dir() {
        fs::remove_dir_all(entry.path())
    } else {
        fs::remove_file(entry.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_its_own_is_removed() {
        for (file, is_its_own) in [
            ("zb-bench-12", true),
            ("zb-bench-12-3_request", true),
            ("sem.sem-w-zb-bench-12-3_response", true),
            ("zb-bench-12.lock", true),
            ("zb-bench-123", false),
            ("zb-bench-1", false),
            ("another", false),
        ] {
            assert_eq!(is_of(file, "zb-bench-12"), is_its_own, "{file}");
        }
    }
}
