//! Creations of a buffer that cannot succeed, and what they left.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};

use super::census;
use crate::Error;
use crate::serve::attempt::{another_error, kind_of};
use crate::serve::failure::{Failure, StepOutcome};

/// What makes a creation fail, for as long as it is held.
#[derive(Debug)]
pub enum Hindrance {
    /// A folder where a file is to be made.
    Folder(PathBuf),
    /// No more file descriptors than these, and how many were allowed before.
    Descriptors(rlim_t),
}

impl Hindrance {
    /// Puts a folder where a file is to be made: nobody can make it, nor remove what stands there.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn folder_at(path: &Path) -> io::Result<Self> {
        fs::create_dir(path)?;
        Ok(Hindrance::Folder(path.to_owned()))
    }

    /// Leaves this process only so many file descriptors.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn descriptors(left: u32) -> io::Result<Self> {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        // Descriptors are given out from the lowest free number on.
        let free: Vec<File> = (0..=left)
            .map(|_| File::open("/dev/null"))
            .collect::<Result<_, _>>()?;
        let limit = free.last().map_or(0, AsRawFd::as_raw_fd);
        setrlimit(Resource::RLIMIT_NOFILE, limit as rlim_t, hard)?;
        Ok(Hindrance::Descriptors(soft))
    }

    fn lift(&self) -> io::Result<()> {
        match self {
            Hindrance::Folder(path) => fs::remove_dir(path),
            Hindrance::Descriptors(soft) => {
                let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
                Ok(setrlimit(Resource::RLIMIT_NOFILE, *soft, hard)?)
            }
        }
    }
}

impl Drop for Hindrance {
    fn drop(&mut self) {
        if let Err(error) = self.lift() {
            tracing::error!("cannot lift {self:?}: {error}");
        }
    }
}

/// Why a creation cannot succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// There is no room.
    NoSpace,
    /// The system refuses something, with this answer.
    Refused(Errno),
}

impl Cause {
    fn is_told_by(self, error: &Error) -> bool {
        match (self, error) {
            (Cause::NoSpace, Error::NoSpace { .. }) => true,
            (Cause::Refused(errno), Error::Io { source, .. }) => {
                source.raw_os_error() == Some(errno as i32)
            }
            _ => false,
        }
    }
}

/// A creation that was attempted although something was in its way.
#[derive(Debug)]
pub struct Refusal {
    /// What was in its way.
    pub why: String,
    /// What the error is to say: why it could not succeed.
    pub cause: Cause,
    /// What the error is to name: the part that could not be made.
    pub part: String,
    /// How it failed; `None` if it did not.
    pub error: Option<Error>,
    /// What was in the folders before it.
    pub before: BTreeSet<PathBuf>,
    /// What was in the folders after it.
    pub after: BTreeSet<PathBuf>,
}

impl Refusal {
    /// Lets `create` fail at `part` for this `cause`; `mark` is in the names of this run.
    ///
    /// # Errors
    ///
    /// If the folders cannot be listed.
    pub fn witness(
        why: &str,
        cause: Cause,
        part: &Path,
        mark: &str,
        create: impl FnOnce() -> Result<(), Error>,
    ) -> Result<Self, Failure> {
        let before = census::names(mark)?;
        let error = create().err();
        match &error {
            Some(error) => tracing::info!("{why}: {error}"),
            None => tracing::info!("{why}: the buffer was made"),
        }
        Ok(Refusal {
            why: why.to_owned(),
            cause,
            part: part.display().to_string(),
            error,
            before,
            after: census::names(mark)?,
        })
    }

    /// How it failed.
    ///
    /// # Errors
    ///
    /// A failure if it did not.
    pub fn error(&self) -> Result<&Error, Failure> {
        let why = &self.why;
        self.error.as_ref().ok_or_else(|| {
            Failure::new(format!(
                "{why}: expected the creation to fail, but it succeeded"
            ))
        })
    }

    /// Checks that it failed for its cause, and says which part could not be made.
    ///
    /// # Errors
    ///
    /// A failure with what it says instead.
    pub fn expect_cause(&self) -> StepOutcome {
        let (error, part) = (self.error()?, &self.part);
        let is_right = self.cause.is_told_by(error);
        if is_right && error.to_string().contains(part.as_str()) {
            return Ok(());
        }
        let (why, cause) = (&self.why, self.cause);
        Err(Failure::new(format!(
            "{why}: expected the error {cause:?} that names {part}, found {}: {error}",
            kind_of(error)
        )))
    }

    /// Checks that it failed for lack of room.
    ///
    /// # Errors
    ///
    /// A failure with its error instead.
    pub fn expect_no_space(&self) -> StepOutcome {
        match self.error()? {
            Error::NoSpace { .. } => Ok(()),
            other => Err(another_error("NoSpace", other).while_doing(&self.why)),
        }
    }

    /// Checks that the folders are as they were before it.
    ///
    /// # Errors
    ///
    /// A failure that lists what is not.
    pub fn expect_nothing_left(&self) -> StepOutcome {
        census::expect_names(&self.before, &self.after)
            .map_err(|failure| failure.while_doing(&self.why))
    }
}

/// The creations of a scenario that something was in the way of.
#[derive(Debug, Default)]
pub struct Refusals(Vec<Refusal>);

impl Refusals {
    /// Adds one.
    pub fn note(&mut self, refusal: Refusal) {
        self.0.push(refusal);
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Checks every one of them.
    ///
    /// # Errors
    ///
    /// The first failure, or that there was none to check.
    pub fn expect(&self, check: impl Fn(&Refusal) -> StepOutcome) -> StepOutcome {
        if self.0.is_empty() {
            return Err(Failure::new(
                "expected an attempt at making a buffer that something is in the way of, found none",
            ));
        }
        self.0.iter().try_for_each(check)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::outside::files::BufferFiles;
    use crate::{BufferConfig, BufferName, Reader};

    fn witness(name: &BufferName, cause: Cause, part: &Path) -> Refusal {
        Refusal::witness("test", cause, part, name.as_str(), || {
            Reader::create(name, &BufferConfig::new(0, 64)).map(drop)
        })
        .unwrap()
    }

    #[test]
    fn a_folder_is_in_the_way_until_it_is_lifted() {
        let name = format!("serve-hindrance-{}", std::process::id());
        let name = BufferName::new(name).unwrap();
        let files = BufferFiles::of(&name);
        for part in [&files.data_semaphore, &files.space_semaphore] {
            let hindrance = Hindrance::folder_at(part).unwrap();
            let refusal = witness(&name, Cause::Refused(Errno::EISDIR), part);
            refusal.expect_cause().unwrap();
            refusal.expect_nothing_left().unwrap();
            assert!(refusal.expect_no_space().is_err());
            assert!(refusal.before.contains(part));
            for cause in [Cause::NoSpace, Cause::Refused(Errno::EMFILE)] {
                let other = witness(&name, cause, part);
                assert!(other.expect_cause().is_err(), "{cause:?}");
            }
            let elsewhere = witness(&name, Cause::Refused(Errno::EISDIR), &files.segment);
            assert!(elsewhere.expect_cause().is_err());
            drop(hindrance);
        }
        let done = witness(&name, Cause::NoSpace, &files.segment);
        assert!(done.error().is_err() && done.expect_cause().is_err());
        assert!(files.existing().is_empty());
    }

    #[test]
    fn what_is_left_is_told() {
        let name = format!("serve-hindrance-left-{}", std::process::id());
        let path = Path::new(census::SHM).join(&name);
        let left = Refusal::witness("test", Cause::NoSpace, &path, &name, || {
            fs::write(&path, "").unwrap();
            Ok(())
        });
        fs::remove_file(&path).unwrap();
        let failure = left.unwrap().expect_nothing_left().unwrap_err().to_string();
        assert!(failure.contains(&name), "{failure}");
    }

    #[test]
    fn no_attempt_is_no_proof() {
        assert!(Refusals::default().expect(|_| Ok(())).is_err());
    }
}
