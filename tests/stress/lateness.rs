//! How much a loaded machine delays this process: the only excuse for noticing something late.
//!
//! Two things are measured. A thread sleeps a little, again and again, and adds up how much later it
//! wakes. And the system counts for each thread how long it was ready to run and had no CPU, which a
//! thread that is at work suffers from most; of the threads that have to notice, the worst counts.

use std::collections::HashMap;
use std::fs;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::unistd::gettid;

const NAP: Duration = Duration::from_millis(2);

/// What the threads of servers are called, as far as the system remembers it.
const SERVERS: &str = "zerobuffer-dupl";

/// Measures it, from the moment when it was last told to, for the thread that has made this and for
/// servers.
#[derive(Debug)]
pub struct Lateness {
    shared: Arc<Shared>,
    thread_here: String,
    waited_before: Mutex<HashMap<String, u64>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    begun: Instant,
    /// When the present nap began, and how late the ones before it were in all; in microseconds.
    asleep_since: AtomicU64,
    total: AtomicU64,
    over: AtomicBool,
}

impl Shared {
    fn now(&self) -> u64 {
        self.begun.elapsed().as_micros() as u64
    }

    /// How late the present nap is by now.
    fn late(&self) -> u64 {
        let due = self.asleep_since.load(Ordering::Relaxed) + NAP.as_micros() as u64;
        self.now().saturating_sub(due)
    }
}

impl Lateness {
    pub fn measure() -> Lateness {
        let shared = Arc::new(Shared {
            begun: Instant::now(),
            asleep_since: AtomicU64::new(0),
            total: AtomicU64::new(0),
            over: AtomicBool::new(false),
        });
        let measuring = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            while !measuring.over.load(Ordering::Relaxed) {
                let now = measuring.now();
                measuring.asleep_since.store(now, Ordering::Relaxed);
                std::thread::sleep(NAP);
                measuring
                    .total
                    .fetch_add(measuring.late(), Ordering::Relaxed);
            }
        });
        Lateness {
            shared,
            thread_here: gettid().to_string(),
            waited_before: Mutex::default(),
            thread: Some(thread),
        }
    }

    /// Begins to measure anew.
    pub fn restart(&self) {
        *self.waited_before.lock().unwrap() = self.waits_for_a_cpu();
        self.shared.total.store(0, Ordering::Relaxed);
    }

    /// What the machine may have added, since then, to what somebody in this process had to do.
    pub fn total(&self) -> Duration {
        let overslept = self.shared.total.load(Ordering::Relaxed) + self.shared.late();
        let before = self.waited_before.lock().unwrap();
        let waits = self
            .waits_for_a_cpu()
            .into_iter()
            .map(|(thread, waited)| waited - before.get(&thread).copied().unwrap_or(0).min(waited));
        Duration::from_micros(overslept) + Duration::from_nanos(waits.max().unwrap_or(0))
    }

    /// How long each of the threads has been ready to run without a CPU, in nanoseconds; nothing
    /// where the system does not count it.
    fn waits_for_a_cpu(&self) -> HashMap<String, u64> {
        let threads = fs::read_dir("/proc/self/task").into_iter().flatten();
        threads
            .filter_map(|thread| {
                let thread = thread.ok()?;
                let about = |what| fs::read_to_string(thread.path().join(what)).ok();
                let id = thread.file_name().to_string_lossy().into_owned();
                if id != self.thread_here && !about("comm")?.starts_with(SERVERS) {
                    return None;
                }
                let waited = about("schedstat")?.split_ascii_whitespace().nth(1)?.parse();
                Some((id, waited.ok()?))
            })
            .collect()
    }
}

impl Drop for Lateness {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
