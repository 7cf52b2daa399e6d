//! Semaphores and sizes as benchmarks use them.

use std::io;
use std::path::PathBuf;

use crate::BufferName;
use crate::channel::Semaphore;
use crate::serve::failure::Failure;
use crate::serve::outside::files::BufferFiles;

/// A semaphore of a benchmark's own, removed when dropped.
#[derive(Debug)]
pub(super) struct OwnSemaphore {
    semaphore: Semaphore,
    path: PathBuf,
}

impl OwnSemaphore {
    /// Two of them, with value 0: those that a buffer of this name would have.
    ///
    /// # Errors
    ///
    /// If there are semaphores of these names already, or no more can be made.
    pub(super) fn pair(name: &BufferName) -> io::Result<[OwnSemaphore; 2]> {
        let files = BufferFiles::of(name);
        Ok([
            Self::create(&name.data_semaphore(), files.data_semaphore)?,
            Self::create(&name.space_semaphore(), files.space_semaphore)?,
        ])
    }

    fn create(name: &str, path: PathBuf) -> io::Result<OwnSemaphore> {
        let semaphore = Semaphore::create(name, path.clone())?;
        Ok(OwnSemaphore { semaphore, path })
    }
}

impl std::ops::Deref for OwnSemaphore {
    type Target = Semaphore;

    fn deref(&self) -> &Semaphore {
        &self.semaphore
    }
}

impl Drop for OwnSemaphore {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::error!("{}: {error}", self.path.display());
        }
    }
}

/// Bytes, from a text like `64KB`.
///
/// # Errors
///
/// If it is none.
pub(super) fn bytes(text: &str) -> Result<usize, Failure> {
    number_with_unit(
        text,
        &[("KB", 1 << 10), ("MB", 1 << 20)],
        "a size like 64KB",
    )
}

/// Times a second, from a text like `10kHz`.
///
/// # Errors
///
/// If it is none.
pub(super) fn hertz(text: &str) -> Result<usize, Failure> {
    // The longer unit first, as the other one ends it.
    number_with_unit(text, &[("kHz", 1000), ("Hz", 1)], "a rate like 10kHz")
}

fn number_with_unit(text: &str, units: &[(&str, usize)], wanted: &str) -> Result<usize, Failure> {
    let found = units.iter().find_map(|(unit, factor)| {
        let number: usize = text.strip_suffix(unit)?.trim_end().parse().ok()?;
        number.checked_mul(*factor).filter(|product| *product > 0)
    });
    found.ok_or_else(|| Failure::new(format!("expected {wanted}, found '{text}'")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_units() {
        assert_eq!(bytes("1KB"), Ok(1024));
        assert_eq!(bytes("10MB"), Ok(10 * 1024 * 1024));
        assert_eq!(hertz("100kHz"), Ok(100_000));
        assert_eq!(hertz("1Hz"), Ok(1));
        for text in ["", "KB", "0KB", "1GB", "1"] {
            assert!(bytes(text).is_err(), "{text}");
        }
        assert!(hertz("0Hz").is_err());
    }

    #[test]
    fn semaphores_are_gone_with_their_owner() {
        let name = BufferName::new(format!("serve-own-{}", std::process::id())).unwrap();
        let [there, back] = OwnSemaphore::pair(&name).unwrap();
        assert!(OwnSemaphore::pair(&name).is_err());
        there.post();
        assert!(there.try_wait() && !back.try_wait());
        drop((there, back));
        assert!(BufferFiles::of(&name).existing().is_empty());
    }
}
