//! What a dead reader has left of a buffer: looked at, or made by hand.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::files::BufferFiles;
use super::segment::{Field, OIEB_SIZE, RawSegment};
use super::semaphore;
use crate::BufferName;
use crate::serve::death::{ended_pid, is_alive};
use crate::serve::failure::{Failure, StepOutcome, expect_equal};

/// Block sizes of the orphaned segment, in bytes.
const METADATA: u64 = 64;
const PAYLOAD: u64 = 1024;

/// How often the dead reader's semaphores were posted.
const POSTS: u32 = 3;

/// What was left of a buffer before it was made anew.
#[derive(Debug, Clone)]
pub struct Relics {
    buffer: BufferName,
    /// The files that were there, with their inodes.
    found: Vec<(PathBuf, u64)>,
    /// Process id of the reader, from the segment, and whether it lived.
    owner: Option<(u64, bool)>,
    was_locked: bool,
}

impl Relics {
    /// Looks at what there is under this name.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn of(buffer: &BufferName) -> Result<Relics, Failure> {
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
        Ok(Relics {
            buffer: buffer.clone(),
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
        let missing: Vec<_> = BufferFiles::of(&self.buffer)
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

    /// Checks that new files have taken the place of the old ones, that the semaphores are unposted,
    /// and that the lock is held. The lock file itself may be the old one: who holds it counts.
    ///
    /// # Errors
    ///
    /// A failure that names a file that is missing or the old one, or says what else is not new.
    pub fn expect_replaced(&self) -> StepOutcome {
        let files = BufferFiles::of(&self.buffer);
        for path in files.all() {
            let found = path.metadata().map_err(|error| {
                Failure::from(error).while_doing(format!("expected {}", path.display()))
            })?;
            let is_old = self.found.contains(&(path.clone(), found.ino()));
            if is_old && *path != files.lock {
                return Err(Failure::new(format!(
                    "expected a new file at {}, found the old one (inode {})",
                    path.display(),
                    found.ino()
                )));
            }
        }
        let segment = RawSegment::open(&self.buffer)?;
        expect_equal("value of the data semaphore", 0, segment.data_posts()?)?;
        expect_equal("value of the space semaphore", 0, segment.space_posts()?)?;
        match files.is_locked()? {
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
        (Field::OiebSize, OIEB_SIZE),
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

/// Makes a lock file that nobody has locked.
///
/// # Errors
///
/// Those of the system.
pub fn leave_lock(buffer: &BufferName) -> io::Result<()> {
    let path = BufferFiles::of(buffer).lock;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    File::create_new(path).map(drop)
}

/// Makes a segment whose reader is dead.
///
/// # Errors
///
/// Those of the system.
pub fn leave_segment(buffer: &BufferName) -> StepOutcome {
    let path = BufferFiles::of(buffer).segment;
    File::create_new(&path)?.set_len(OIEB_SIZE + METADATA + PAYLOAD)?;
    let segment = RawSegment::open(buffer)?;
    for (field, value) in [
        (Field::OiebSize, OIEB_SIZE),
        (Field::Version, 1),
        (Field::MetadataSize, METADATA),
        (Field::MetadataFreeBytes, METADATA),
        (Field::PayloadSize, PAYLOAD),
        (Field::PayloadFreeBytes, PAYLOAD),
        (Field::ReaderPid, ended_pid()?.into()),
    ] {
        segment.set(field, value)?;
    }
    Ok(())
}

/// Makes semaphores that were posted.
///
/// # Errors
///
/// Those of the system.
pub fn leave_semaphores(buffer: &BufferName) -> io::Result<()> {
    let files = BufferFiles::of(buffer);
    semaphore::make(&files.data_semaphore, POSTS)?;
    semaphore::make(&files.space_semaphore, POSTS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BufferConfig, Reader, Writer};
    use std::fs;
    use std::time::Duration;

    fn name(test: &str) -> BufferName {
        BufferName::new(format!("serve-relic-{test}-{}", std::process::id())).unwrap()
    }

    #[test]
    fn the_files_of_a_dead_reader_are_seen_and_their_replacement_too() {
        let name = name("dead");
        let files = BufferFiles::of(&name);
        let config = BufferConfig::new(64, 1024);
        let reader = Reader::create(&name, &config).unwrap();
        let living = Relics::of(&name).unwrap();
        assert!(living.expect_of_dead_reader().is_err());
        assert!(living.expect_replaced().is_err());
        let raw = RawSegment::open(&name).unwrap();
        raw.set(Field::ReaderPid, ended_pid().unwrap().into())
            .unwrap();
        let locked = Relics::of(&name).unwrap().expect_of_dead_reader();
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
        let stale = Relics::of(&name).unwrap();
        stale.expect_of_dead_reader().unwrap();
        assert!(stale.expect_replaced().is_err());
        let reader = Reader::create(&name, &config).unwrap();
        stale.expect_replaced().unwrap();
        expect_fresh(&name).unwrap();
        drop(reader);
        assert!(stale.expect_replaced().is_err());
        let nothing = Relics::of(&name).unwrap();
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

    #[test]
    fn what_is_made_by_hand_is_stale_until_a_reader_replaces_them() {
        let name = name("by-hand");
        assert!(Relics::of(&name).unwrap().expect_of_dead_reader().is_err());
        leave_lock(&name).unwrap();
        leave_semaphores(&name).unwrap();
        assert!(Relics::of(&name).unwrap().expect_of_dead_reader().is_err());
        leave_segment(&name).unwrap();
        let relics = Relics::of(&name).unwrap();
        relics.expect_of_dead_reader().unwrap();
        assert!(relics.expect_replaced().is_err());
        let reader = Reader::create(&name, &BufferConfig::new(0, 64)).unwrap();
        relics.expect_replaced().unwrap();
        assert!(Relics::of(&name).unwrap().expect_of_dead_reader().is_err());
        drop(reader);
        assert!(BufferFiles::of(&name).existing().is_empty());
    }
}
