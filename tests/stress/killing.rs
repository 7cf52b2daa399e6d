//! Killing processes at random moments, and measuring when the survivor notices.

use std::fmt;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::{Signal, kill};
use tempfile::TempDir;

use crate::job::{Implementation, Job, Role};
use crate::lateness::Lateness;
use crate::progress::Progress;
use crate::random::Random;
use crate::settings;
use crate::support::{LONG, NOTICED, Peer, leftovers, unique};

/// Roles among which the kills are shared out.
const ROLES: u64 = 4;

/// So many times fewer processes of other implementations are killed: they take long to start.
const FEWER: u64 = 10;

/// Payload bytes of the rings.
const RING: u64 = 4096;

/// A test that kills one process after another.
pub struct Killing {
    pub random: Random,
    role: Role,
    victim: Implementation,
    label: String,
    name: String,
    progress: Progress,
    folder: TempDir,
    lateness: Lateness,
    begun: SystemTime,
    tally: Tally,
}

#[derive(Debug, Default)]
struct Tally {
    noticed: Vec<Duration>,
    never_met: usize,
    zombies: usize,
    latest: Duration,
}

/// When the process is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// So long after its start: it may not have attached yet.
    Early(Duration),
    /// So long after it has come so far.
    InTraffic(u64, Duration),
    /// The same, but it is stopped first, for so long: the survivor runs out of things to do.
    Stopped(u64, Duration),
}

/// One life of the process that is killed.
pub struct Life<'k> {
    pub job: Job,
    victim: Implementation,
    progress: &'k Progress,
    /// Whether it is going to send or answer something before it dies.
    pub has_traffic: bool,
    died: OnceLock<Instant>,
}

impl Life<'_> {
    /// Whether the process died so long ago that everybody has to have noticed.
    pub fn is_long_over(&self) -> bool {
        let died = self.died.get();
        died.is_some_and(|died| died.elapsed() > NOTICED * 2)
    }

    pub fn has_died(&self) -> bool {
        self.died.get().is_some()
    }

    /// The present moment, at which the survivor has been told of the death. Fails if there was none.
    pub fn noticed(&self, told: impl fmt::Display) -> Instant {
        let noticed = Instant::now();
        while !self.has_died() {
            assert!(noticed.elapsed() < NOTICED, "{told}, but it lives");
            std::thread::yield_now();
        }
        noticed
    }

    /// How far the process has come, as it told itself; only ours do.
    pub fn told(&self) -> Option<u64> {
        (self.victim == Implementation::Rust).then(|| self.progress.get())
    }

    /// How far the survivor has come, which counts where the process does not tell.
    pub fn reached(&self, number: u64) {
        if self.victim != Implementation::Rust {
            self.progress.reached(number);
        }
    }
}

impl Moment {
    fn any(random: &mut Random, victim: Implementation) -> Moment {
        // As often a few messages as many.
        let magnitude = random.below(11);
        let reached = 1 + random.below(1 << magnitude);
        match random.below(4) {
            0 => Moment::Early(Duration::from_micros(random.below(starting(victim)))),
            1 => Moment::Stopped(reached, Duration::from_micros(random.below(150_000))),
            _ => Moment::InTraffic(reached, Duration::from_nanos(random.below(100_000))),
        }
    }

    fn wait(self, peer: &Peer, progress: &Progress) {
        match self {
            Moment::Early(time) => std::thread::sleep(time),
            Moment::InTraffic(reached, time) => {
                wait_for_progress(reached, peer, progress);
                // A sleep would be over only after the next few frames.
                let begun = Instant::now();
                while begun.elapsed() < time {
                    std::hint::spin_loop();
                }
            }
            Moment::Stopped(reached, time) => {
                wait_for_progress(reached, peer, progress);
                kill(peer.id(), Signal::SIGSTOP).unwrap();
                std::thread::sleep(time);
            }
        }
    }
}

/// Within so many microseconds a process has begun its work, as a rule.
fn starting(victim: Implementation) -> u64 {
    match victim {
        Implementation::Rust | Implementation::Cpp => 6_000,
        Implementation::Python => 300_000,
    }
}

/// However long it takes: it only has to go on.
fn wait_for_progress(reached: u64, peer: &Peer, progress: &Progress) {
    let (mut seen, mut since) = (0, Instant::now());
    while seen < reached && !peer.has_ended() {
        let got = progress.get();
        if got != seen {
            (seen, since) = (got, Instant::now());
        }
        assert!(since.elapsed() < LONG, "stuck at {got} of {reached}");
        std::thread::sleep(Duration::from_micros(50));
    }
}

impl Killing {
    pub fn new(victim: Implementation, role: Role) -> Killing {
        let folder = tempfile::tempdir().unwrap();
        let label = format!("kills-{victim:?}-{role:?}").to_lowercase();
        Killing {
            name: unique(&label),
            random: settings::random(&label),
            role,
            victim,
            label,
            progress: Progress::create(&folder.path().join("progress")),
            folder,
            lateness: Lateness::measure(),
            begun: SystemTime::now(),
            tally: Tally::default(),
        }
    }

    pub fn kills(&self) -> u64 {
        let ours = settings::kills().div_ceil(ROLES);
        match self.victim {
            Implementation::Rust => ours,
            Implementation::Cpp | Implementation::Python => ours.div_ceil(FEWER),
        }
    }

    /// What a process does until it is killed.
    pub fn job(&mut self) -> Job {
        let for_ever = u64::MAX / 2;
        Job {
            progress: Some(self.folder.path().join("progress")),
            ..Job::new(self.role, &self.name, RING, for_ever, &mut self.random)
        }
    }

    /// Has a process do `job` and kills it at a random moment, while `survive` deals with it on this
    /// thread; that tells when it noticed the death, or that it never met the process.
    pub fn kill_one(&mut self, job: Job, survive: impl FnOnce(&Life<'_>) -> Option<Instant>) {
        self.progress.reset();
        let moment = Moment::any(&mut self.random, self.victim);
        let is_reaped = self.random.one_in(2);
        let life = Life {
            has_traffic: !matches!(moment, Moment::Early(_)),
            victim: self.victim,
            progress: &self.progress,
            died: OnceLock::new(),
            job,
        };
        let mut peer = life.job.start(self.victim);
        let noticed = std::thread::scope(|scope| {
            scope.spawn(|| {
                let waiting = AssertUnwindSafe(|| moment.wait(&peer, &self.progress));
                let waited = catch_unwind(waiting);
                // Stuck or not: the survivor waits for this.
                peer.kill_unreaped();
                self.lateness.restart();
                life.died.set(Instant::now()).unwrap();
                if is_reaped {
                    peer.reap();
                }
                waited.unwrap_or_else(|stuck| resume_unwind(stuck));
            });
            survive(&life)
        });
        let status = peer.reap();
        assert_eq!(
            status.signal(),
            Some(Signal::SIGKILL as i32),
            "it failed: {status}"
        );
        self.tally.zombies += usize::from(!is_reaped);
        let died = *life.died.get().unwrap();
        let took = noticed.map(|noticed| noticed.saturating_duration_since(died));
        self.judge(took, moment);
    }

    /// Nobody may be later than the machine was to wake a thread that only sleeps.
    fn judge(&mut self, took: Option<Duration>, moment: Moment) {
        let late = self.lateness.total();
        self.tally.latest = self.tally.latest.max(late);
        let Some(took) = took else {
            self.tally.never_met += 1;
            return;
        };
        self.tally.noticed.push(took);
        assert!(
            took < NOTICED + late,
            "noticed after {took:?}, when the machine was {late:?} late; killed {moment:?}"
        );
    }

    /// Nothing may be left by now. Says what was measured.
    pub fn finish(self) {
        self.victim.tidy_up(&self.name);
        assert_eq!(leftovers(&self.name), Vec::<PathBuf>::new());
        let drafts = remove_semaphore_drafts(self.begun);
        println!("{}: {}", self.label, self.tally);
        println!(
            "{}: drafts of semaphores left by the C library: {drafts}",
            self.label
        );
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut noticed = self.noticed.clone();
        noticed.sort();
        let killed = noticed.len() + self.never_met;
        let (zombies, never_met) = (self.zombies, self.never_met);
        write!(
            f,
            "{killed} killed, {zombies} of them zombies for a while, "
        )?;
        write!(f, "{never_met} before they were met; ")?;
        for (part, name) in [(500, "median"), (990, "99 %"), (1000, "most")] {
            let index = noticed.len().saturating_sub(1) * part / 1000;
            let took = noticed.get(index).copied().unwrap_or_default();
            write!(f, "noticed after {took:.1?} ({name}), ")?;
        }
        let over = noticed.iter().filter(|took| **took >= NOTICED).count();
        write!(f, "{over} after {NOTICED:?} or more; ")?;
        write!(
            f,
            "the machine delayed everybody by up to {:.1?}",
            self.latest
        )
    }
}

/// The C library makes a semaphore as a file `sem.XXXXXX`, links it to its name and unlinks the
/// first one: killed in between, a process leaves that behind, and no one could know whose it is.
/// How many there were.
fn remove_semaphore_drafts(since: SystemTime) -> usize {
    /// An older one is not being made any more.
    const OLD: Duration = Duration::from_secs(1);
    let is_draft = |name: &str| {
        let random = name.strip_prefix("sem.");
        random
            .is_some_and(|rest| rest.len() == 6 && rest.bytes().all(|b| b.is_ascii_alphanumeric()))
    };
    let begun = Instant::now();
    let mut removed = 0;
    loop {
        let mut young = 0;
        for entry in fs::read_dir("/dev/shm").unwrap().flatten() {
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            let made = metadata.modified().unwrap();
            let is_ours = made >= since && is_draft(&entry.file_name().to_string_lossy());
            if !is_ours || metadata.len() != 32 {
                continue;
            }
            if made.elapsed().is_ok_and(|age| age >= OLD) {
                removed += usize::from(fs::remove_file(entry.path()).is_ok());
            } else {
                young += 1;
            }
        }
        if young == 0 || begun.elapsed() > OLD * 3 {
            return removed;
        }
        std::thread::sleep(OLD / 10);
    }
}
