//! Two processes that want to make the same buffer at the same moment, again and again.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::rpc::message::StringMap;
use crate::serve::attempt::kind_of;
use crate::serve::failure::{Failure, StepOutcome, expect_equal};
use crate::serve::outside::files::BufferFiles;
use crate::serve::outside::trial::expect_frame_crosses;
use crate::serve::world::World;
use crate::{BufferConfig, BufferName, Error, Reader, Writer};

/// How often they meet.
pub const ROUNDS: usize = 100;

/// How long one waits for the other.
const PATIENCE: Duration = Duration::from_secs(20);

/// Keys of what a process tells in the context: `1` for every round that it has won and `0` for
/// the others; the kinds of errors with which it has lost, and how often; how many of the buffers
/// that it made were sound.
const WINS: &str = "wins";
const LOSSES: &str = "losses";
const INTACT: &str = "intact";

/// What one process has found out.
#[derive(Debug, Default)]
pub struct Race {
    wins: String,
    losses: BTreeMap<String, usize>,
    intact: usize,
}

impl Race {
    /// Runs against another process that does the same.
    ///
    /// # Errors
    ///
    /// If the other one does not come, or the system refuses something.
    pub fn run(world: &World, buffer: &str) -> Result<Race, Failure> {
        let name = world.buffer_name(buffer)?;
        world.registry().note_reader(&name);
        let barrier = Barrier::path(&name);
        world.registry().note_file(&barrier);
        let mut barrier = Barrier::meet(barrier)?;
        let mut race = Race::default();
        for _ in 0..ROUNDS {
            barrier.pass()?;
            let made = Reader::create(&name, &BufferConfig::new(0, 4096));
            barrier.pass()?;
            let won = race.note(made);
            barrier.pass()?;
            drop(won);
        }
        barrier.pass()?;
        Ok(race)
    }

    /// Takes note of a round; the buffer, if it was made.
    fn note(&mut self, made: Result<Reader, Error>) -> Option<Reader> {
        let mut reader = match made {
            Ok(reader) => reader,
            Err(error) => {
                tracing::debug!("round {}: {error}", self.wins.len());
                self.wins.push('0');
                *self.losses.entry(kind_of(&error)).or_default() += 1;
                return None;
            }
        };
        self.wins.push('1');
        match check(&mut reader) {
            Ok(()) => self.intact += 1,
            Err(failure) => tracing::error!("round {}: {failure}", self.wins.len()),
        }
        Some(reader)
    }

    /// Tells the later steps.
    pub fn tell(&self, context: &mut StringMap) {
        let losses: Vec<_> = self
            .losses
            .iter()
            .map(|(kind, count)| format!("{kind}={count}"))
            .collect();
        context.insert(WINS.into(), self.wins.clone());
        context.insert(LOSSES.into(), losses.join(","));
        context.insert(INTACT.into(), self.intact.to_string());
    }
}

/// Checks that a new buffer is whole and works.
fn check(reader: &mut Reader) -> StepOutcome {
    let existing = BufferFiles::of(reader.name()).existing().len();
    expect_equal("files of the buffer", 4, existing)?;
    let mut writer = Writer::connect(reader.name(), Duration::ZERO)?;
    expect_frame_crosses(&mut writer, reader, b"who was first")
}

/// What both processes have told: of the one and of the other.
fn told<'a>(context: &'a StringMap, key: &str) -> Result<[&'a str; 2], Failure> {
    let ending = format!(".{key}");
    let told: Vec<&str> = context
        .iter()
        .filter(|(own, _)| own.ends_with(&ending))
        .map(|(_, value)| value.as_str())
        .collect();
    match (told.as_slice(), context.get(key)) {
        ([one, other], _) => Ok([one, other]),
        // Both have told the same.
        ([], Some(same)) => Ok([same, same]),
        _ => Err(Failure::new(format!(
            "expected two processes to have told their {key}, found {}",
            told.len()
        ))),
    }
}

/// Checks that in every round one of two processes has made the buffer, and not the other.
///
/// # Errors
///
/// A failure that names a round in which it was not so.
pub fn expect_one_winner(context: &StringMap) -> StepOutcome {
    let [one, other] = told(context, WINS)?;
    for wins in [one, other] {
        expect_equal("number of rounds", ROUNDS, wins.len())?;
    }
    let rounds = one.bytes().zip(other.bytes()).enumerate();
    for (round, wins) in rounds {
        let winners = [wins.0, wins.1].iter().filter(|won| **won == b'1').count();
        expect_equal(&format!("winners of round {round}"), 1, winners)?;
    }
    Ok(())
}

/// Checks that in every round there was one loser, and that each was told that there is a reader.
///
/// # Errors
///
/// A failure with what the losers were told.
pub fn expect_right_errors(context: &StringMap) -> StepOutcome {
    let mut losses = 0;
    for told in told(context, LOSSES)? {
        for loss in told.split(',').filter(|loss| !loss.is_empty()) {
            let (kind, count) = loss
                .split_once('=')
                .ok_or_else(|| Failure::new(format!("expected KIND=COUNT, found {loss:?}")))?;
            expect_equal("error of a loser", "ReaderAlreadyConnected", kind)?;
            losses += count.parse::<usize>()?;
        }
    }
    expect_equal("rounds with a loser", ROUNDS, losses)
}

/// Checks that every buffer that was made was sound, and that nothing is left of the last one.
///
/// # Errors
///
/// A failure with the number of sound buffers, or with what is left.
pub fn expect_no_corruption(context: &StringMap, buffer: &BufferName) -> StepOutcome {
    let [one, other] = told(context, INTACT)?;
    let intact = one.parse::<usize>()? + other.parse::<usize>()?;
    expect_equal("sound buffers", ROUNDS, intact)?;
    let left: Vec<_> = BufferFiles::of(buffer)
        .existing()
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    expect_equal("files left over", "", left.join(", ").as_str())
}

/// Where two processes wait for each other: a file in shared memory in which each counts its own
/// arrivals. The first one there makes it, and removes it in the end.
#[derive(Debug)]
struct Barrier {
    file: File,
    /// `Some` if this process has made the file.
    path: Option<PathBuf>,
    arrivals: u64,
}

/// Bytes of a counter.
const COUNTER: u64 = 8;

impl Barrier {
    /// Where the file is.
    fn path(buffer: &BufferName) -> PathBuf {
        let mut path = buffer.segment_path().into_os_string();
        path.push(".barrier");
        path.into()
    }

    fn meet(path: PathBuf) -> io::Result<Barrier> {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let (file, is_first) = match options.clone().create_new(true).open(&path) {
            Ok(file) => (file, true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                (options.open(&path)?, false)
            }
            Err(error) => return Err(error),
        };
        Ok(Barrier {
            file,
            path: is_first.then_some(path),
            arrivals: 0,
        })
    }

    /// Waits until both are here.
    fn pass(&mut self) -> StepOutcome {
        self.arrivals += 1;
        let (own, other) = match self.path {
            Some(_) => (0, COUNTER),
            None => (COUNTER, 0),
        };
        self.file.write_all_at(&self.arrivals.to_le_bytes(), own)?;
        let begun = Instant::now();
        while self.counter(other)? < self.arrivals {
            if begun.elapsed() > PATIENCE {
                return Err(Failure::new(format!(
                    "expected another process at the barrier, found none within {PATIENCE:?} \
                     (arrival {})",
                    self.arrivals
                )));
            }
            std::thread::yield_now();
        }
        Ok(())
    }

    /// A counter; 0 before anything was written to it.
    fn counter(&self, at: u64) -> io::Result<u64> {
        let mut bytes = [0; COUNTER as usize];
        match self.file.read_exact_at(&mut bytes, at) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            read => read.map(|()| u64::from_le_bytes(bytes)),
        }
    }
}

impl Drop for Barrier {
    fn drop(&mut self) {
        if let Some(path) = &self.path
            && let Err(error) = fs::remove_file(path)
        {
            tracing::warn!("{}: {error}", path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(entries: &[(&str, &str)]) -> StringMap {
        let owned = entries.iter().map(|(k, v)| (k.to_string(), v.to_string()));
        owned.collect()
    }

    #[test]
    fn exactly_one_winner_a_round_is_right() {
        let judge = |one: &str, other: &str| {
            let entries = [("reader#1.wins", one), ("reader#2.wins", other)];
            expect_one_winner(&context(&entries))
        };
        judge(&"10".repeat(50), &"01".repeat(50)).unwrap();
        assert!(judge(&"10".repeat(50), &"11".repeat(50)).is_err());
        assert!(judge(&"10".repeat(50), &"00".repeat(50)).is_err());
        assert!(judge(&"10".repeat(49), &"01".repeat(49)).is_err());
        assert!(expect_one_winner(&context(&[("wins", &"1".repeat(100))])).is_err());
        assert!(expect_one_winner(&context(&[("reader#1.wins", "1")])).is_err());
        assert!(expect_one_winner(&context(&[])).is_err());
    }

    #[test]
    fn every_loser_has_to_be_told_the_right_thing() {
        let judge = |one: &str, other: &str| {
            let entries = [("reader#1.losses", one), ("reader#2.losses", other)];
            expect_right_errors(&context(&entries))
        };
        judge("ReaderAlreadyConnected=47", "ReaderAlreadyConnected=53").unwrap();
        judge("", "ReaderAlreadyConnected=100").unwrap();
        assert!(judge("ReaderAlreadyConnected=47", "ReaderAlreadyConnected=52").is_err());
        let mixed = "Io=1,ReaderAlreadyConnected=52";
        assert!(judge("ReaderAlreadyConnected=47", mixed).is_err());
        expect_right_errors(&context(&[("losses", "ReaderAlreadyConnected=50")])).unwrap();
    }

    #[test]
    fn every_buffer_has_to_be_sound_and_gone() {
        let name = format!("serve-race-corruption-{}", std::process::id());
        let name = BufferName::new(name).unwrap();
        let told = context(&[("a.intact", "1"), ("b.intact", "99")]);
        expect_no_corruption(&told, &name).unwrap();
        let mut reader = Reader::create(&name, &BufferConfig::new(0, 64)).unwrap();
        let failure = expect_no_corruption(&told, &name).unwrap_err();
        assert!(failure.to_string().contains("files left over"), "{failure}");
        check(&mut reader).unwrap();
        fs::remove_file(BufferFiles::of(&name).data_semaphore).unwrap();
        assert!(check(&mut reader).is_err());
        let told = context(&[("a.intact", "1"), ("b.intact", "98")]);
        assert!(expect_no_corruption(&told, &name).is_err());
    }

    #[test]
    fn a_barrier_is_passed_together() {
        let name = format!("serve-race-barrier-{}", std::process::id());
        let name = BufferName::new(name).unwrap();
        let mut first = Barrier::meet(Barrier::path(&name)).unwrap();
        let mut second = Barrier::meet(Barrier::path(&name)).unwrap();
        let path = first.path.clone().unwrap();
        assert!(second.path.is_none());
        let other = std::thread::spawn(move || (0..100).try_for_each(|_| second.pass()));
        for _ in 0..100 {
            first.pass().unwrap();
        }
        other.join().unwrap().unwrap();
        drop(first);
        assert!(!path.exists());
    }
}
