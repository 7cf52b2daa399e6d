//! A semaphore as the file that glibc keeps it in.
//!
//! Of its first eight bytes, the lower half is the value and the upper half how many sleep on it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The size of the file, in bytes.
pub const SIZE: usize = 32;

/// Makes a semaphore with this value.
///
/// # Errors
///
/// Those of the system; then there is no file.
pub fn make(path: &Path, value: u32) -> io::Result<()> {
    let mut content = [0; SIZE];
    content[..4].copy_from_slice(&value.to_le_bytes());
    let made = fs::write(path, content);
    if made.is_err() {
        fs::remove_file(path)?;
    }
    made
}

/// Its value.
pub(super) fn value(path: &Path) -> io::Result<u32> {
    Ok(halves(path)?[0])
}

/// How many threads sleep on it.
pub(super) fn sleepers(path: &Path) -> io::Result<u32> {
    Ok(halves(path)?[1])
}

/// Overwrites its value; whoever sleeps on it sleeps on.
pub(super) fn set_value(path: &Path, value: u32) -> io::Result<()> {
    let semaphore = OpenOptions::new().write(true).open(path)?;
    semaphore.write_all_at(&value.to_le_bytes(), 0)
}

fn halves(path: &Path) -> io::Result<[u32; 2]> {
    let mut halves = [[0; 4]; 2];
    File::open(path)?.read_exact_at(halves.as_flattened_mut(), 0)?;
    Ok(halves.map(u32::from_le_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BufferName;

    #[test]
    fn a_semaphore_by_hand_has_its_value() {
        let name = format!("serve-semaphore-{}", std::process::id());
        let path = BufferName::new(name).unwrap().segment_path();
        make(&path, 3).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), SIZE as u64);
        assert_eq!((value(&path).unwrap(), sleepers(&path).unwrap()), (3, 0));
        set_value(&path, 7).unwrap();
        assert_eq!(value(&path).unwrap(), 7);
        fs::remove_file(&path).unwrap();
    }
}
