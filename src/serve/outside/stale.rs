//! What a dead reader has left of a buffer, and what became of it.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::files::BufferFiles;

use super::segment::{Field, RawSegment};
use crate::BufferName;
use crate::serve::ends::waiting::is_alive;
use crate::serve::failure::{Failure, StepOutcome, expect_equal};

/// The files of a buffer as they were found.
#[derive(Debug, Clone)]
pub struct StaleBuffer {
    files: BufferFiles,
    /// Those that were there, with their inodes.
    found: Vec<(PathBuf, u64)>,
    /// Process id of the reader, from the segment, and whether it lived.
    owner: Option<(u64, bool)>,
    was_locked: bool,
}

impl StaleBuffer {
    /// Looks at what there is under this name.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn look(buffer: &BufferName) -> Result<StaleBuffer, Failure> {
        let files = BufferFiles::of(buffer);
        let mut found = Vec::new();
        for path in files.existing() {
            found.push((path.clone(), path.metadata()?.ino()));
        }
        let owner = match files.segment.exists() {
            true => {
                let pid = RawSegment::open(buffer)?.get(Field::ReaderPid)?;
                Some((pid, is_alive(pid)))
            }
            false => None,
        };
        let was_locked = match files.is_locked() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            locked => locked?,
        };
        Ok(StaleBuffer {
            files,
            found,
            owner,
            was_locked,
        })
    }

    /// Checks that everything was there, of a reader that was dead.
    ///
    /// # Errors
    ///
    /// A failure that says what was missing, or who lived.
    pub fn expect_of_dead_reader(&self) -> StepOutcome {
        let missing: Vec<_> = self
            .files
            .all()
            .into_iter()
            .filter(|path| !self.found.iter().any(|(found, _)| found == *path))
            .map(|path| path.display().to_string())
            .collect();
        if !missing.is_empty() {
            return Err(Failure::new(format!(
                "expected all files of a dead reader, found none at {}",
                missing.join(", ")
            )));
        }
        if self.was_locked {
            return Err(Failure::new(
                "expected a lock that nobody held, found it held",
            ));
        }
        match self.owner {
            Some((pid, false)) if pid != 0 => Ok(()),
            Some((pid, _)) => Err(Failure::new(format!(
                "expected the segment of a dead reader, found one of process {pid}"
            ))),
            None => Err(Failure::new("expected a segment, found none")),
        }
    }

    /// Checks that new files have taken the place of the old ones, and that the lock is held. The
    /// lock file itself may be the old one: who holds it counts.
    ///
    /// # Errors
    ///
    /// A failure that names a file that is missing, or is the old one.
    pub fn expect_replaced(&self) -> StepOutcome {
        for path in self.files.all() {
            let found = path.metadata().map_err(|error| {
                Failure::from(error).while_doing(format!("expected {}", path.display()))
            })?;
            let is_old = self.found.contains(&(path.clone(), found.ino()));
            if is_old && *path != self.files.lock {
                return Err(Failure::new(format!(
                    "expected a new file at {}, found the old one (inode {})",
                    path.display(),
                    found.ino()
                )));
            }
        }
        match self.files.is_locked()? {
            true => Ok(()),
            false => Err(Failure::new("expected the lock to be held, found it free")),
        }
    }
}

/// Checks that a buffer is as a new one is, and this process its reader.
///
/// # Errors
///
/// A failure that names the field that is not so.
pub fn expect_fresh(buffer: &BufferName) -> StepOutcome {
    let raw = RawSegment::open(buffer)?;
    let (metadata, payload) = (raw.get(Field::MetadataSize)?, raw.get(Field::PayloadSize)?);
    for (field, expected) in [
        (Field::OiebSize, super::segment::OIEB_SIZE),
        (Field::MetadataFreeBytes, metadata),
        (Field::MetadataWrittenBytes, 0),
        (Field::PayloadFreeBytes, payload),
        (Field::PayloadWritePos, 0),
        (Field::PayloadReadPos, 0),
        (Field::PayloadWrittenCount, 0),
        (Field::PayloadReadCount, 0),
        (Field::WriterPid, 0),
        (Field::ReaderPid, std::process::id().into()),
    ] {
        expect_equal(&format!("{field:?}"), expected, raw.get(field)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BufferConfig, Reader, Writer};
    use std::fs;
    use std::process::Command;
    use std::time::Duration;

    fn name(test: &str) -> BufferName {
        BufferName::new(format!("serve-stale-{test}-{}", std::process::id())).unwrap()
    }

    /// A process that has lived.
    fn dead_process() -> u64 {
        let mut child = Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        child.id().into()
    }

    #[test]
    fn the_files_of_a_dead_reader_are_seen_and_their_replacement_too() {
        let name = name("dead");
        let files = BufferFiles::of(&name);
        let config = BufferConfig::new(64, 1024);
        let reader = Reader::create(&name, &config).unwrap();
        let living = StaleBuffer::look(&name).unwrap();
        assert!(living.expect_of_dead_reader().is_err());
        assert!(living.expect_replaced().is_err());
        let raw = RawSegment::open(&name).unwrap();
        raw.set(Field::ReaderPid, dead_process()).unwrap();
        let locked = StaleBuffer::look(&name).unwrap().expect_of_dead_reader();
        assert!(locked.unwrap_err().to_string().contains("lock"));
        // What a killed reader leaves: everything but the lock on its file.
        let kept: Vec<_> = files
            .all()
            .map(|path| (path, fs::read(path).unwrap()))
            .into();
        drop(reader);
        for (path, content) in kept {
            fs::write(path, content).unwrap();
        }
        let stale = StaleBuffer::look(&name).unwrap();
        stale.expect_of_dead_reader().unwrap();
        assert!(stale.expect_replaced().is_err());
        let reader = Reader::create(&name, &config).unwrap();
        stale.expect_replaced().unwrap();
        expect_fresh(&name).unwrap();
        drop(reader);
        assert!(stale.expect_replaced().is_err());
        let nothing = StaleBuffer::look(&name).unwrap();
        assert!(nothing.expect_of_dead_reader().is_err());
    }

    #[test]
    fn a_buffer_in_use_is_not_fresh() {
        let name = name("fresh");
        let _reader = Reader::create(&name, &BufferConfig::new(64, 1024)).unwrap();
        expect_fresh(&name).unwrap();
        let _writer = Writer::connect(&name, Duration::ZERO).unwrap();
        let failure = expect_fresh(&name).unwrap_err().to_string();
        assert!(failure.starts_with("WriterPid: expected 0"), "{failure}");
    }
}
