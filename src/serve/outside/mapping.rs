//! Where in this process's memory a file is mapped, as the system tells it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::sys::stat::{major, minor};

use crate::serve::failure::Failure;

/// A stretch of memory that shows a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapping {
    /// Address of its first byte.
    pub address: u64,
    /// Its size in bytes.
    pub size: u64,
    /// Which byte of the file stands there.
    pub offset: u64,
}

impl Mapping {
    /// All mappings of the file at `path` in this process: known by its number, as a file that was
    /// made without a name keeps being called so.
    ///
    /// # Errors
    ///
    /// If there is no such file, or it is not mapped.
    pub fn of_file(path: &Path) -> Result<Vec<Mapping>, Failure> {
        let file =
            fs::metadata(path).map_err(|error| Failure::from(error).while_doing(path.display()))?;
        let device = format!("{:02x}:{:02x}", major(file.dev()), minor(file.dev()));
        let maps = fs::read_to_string("/proc/self/maps")?;
        let found: Vec<_> = maps
            .lines()
            .filter_map(|line| mapping(line, &device, file.ino()))
            .collect();
        if found.is_empty() {
            return Err(Failure::new(format!(
                "expected {} to be mapped into this process, found no mapping of it",
                path.display()
            )));
        }
        Ok(found)
    }
}

/// The mapping that a line of the system's list tells of, if it is one of this file.
fn mapping(line: &str, device: &str, inode: u64) -> Option<Mapping> {
    let mut words = line.split_ascii_whitespace();
    let (range, _permissions, offset) = (words.next()?, words.next()?, words.next()?);
    if words.next()? != device || words.next()?.parse::<u64>().ok()? != inode {
        return None;
    }
    let (begin, end) = range.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    let address = number(begin)?;
    Some(Mapping {
        address,
        size: number(end)? - address,
        offset: number(offset)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BufferConfig, BufferName, Reader};

    #[test]
    fn lines_are_read() {
        let line = "7f0a-7f1a rw-s 00000010 00:1a 42                 /dev/shm/#42 (deleted)";
        let expected = Mapping {
            address: 0x7f0a,
            size: 0x10,
            offset: 0x10,
        };
        assert_eq!(mapping(line, "00:1a", 42), Some(expected));
        assert_eq!(mapping(line, "00:1b", 42), None);
        assert_eq!(mapping(line, "00:1a", 43), None);
        assert_eq!(
            mapping("7f0a-7f1a rw-p 00000000 00:00 0", "00:1a", 42),
            None
        );
    }

    #[test]
    fn a_segment_is_found_and_what_is_not_mapped_is_not() {
        let name = format!("serve-mapping-{}", std::process::id());
        let name = BufferName::new(name).unwrap();
        let _reader = Reader::create(&name, &BufferConfig::new(64, 8192)).unwrap();
        let found = Mapping::of_file(&name.segment_path()).unwrap();
        assert_eq!((found.len(), found[0].offset), (1, 0));
        assert_eq!(found[0].size, 12288);
        let lock = Mapping::of_file(&name.lock_path()).unwrap_err();
        assert!(lock.to_string().contains("no mapping"), "{lock}");
        assert!(Mapping::of_file(Path::new("/nowhere")).is_err());
    }
}
