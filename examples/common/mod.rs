//! What the examples share: sizes and waits as arguments, Ctrl-C, and errors that say what to do.

#![allow(dead_code)]

use std::error::Error;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use nix::sys::signal::{SigSet, Signal};
use zerobuffer::WaitStrategy;
use zerobuffer::duplex::{
    ChannelName, ClientOptions, DuplexClient, DuplexError, InterruptHandle, ResponseReceiver,
};

pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The exit code of a program that Ctrl-C has ended before it was done, as shells have it.
const INTERRUPTED: u8 = 130;

/// How often a client that waits for its server looks whether it is still to wait.
const CONNECT_SLICE: Duration = Duration::from_millis(100);

/// How to wait for the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Wait {
    /// Sleep at once: no CPU time, some 75 microseconds to wake up
    Block,
    /// Look for a moment, then sleep
    Spin,
    /// Never sleep: the fastest, and a CPU of its own
    BusyPoll,
}

impl Wait {
    pub fn strategy(self) -> WaitStrategy {
        match self {
            Wait::Block => WaitStrategy::Block,
            Wait::Spin => WaitStrategy::default(),
            Wait::BusyPoll => WaitStrategy::BusyPoll,
        }
    }
}

/// A number of bytes, as in `4096`, `64K`, `16M` or `1G`.
pub fn size(text: &str) -> std::result::Result<usize, String> {
    let (digits, unit) = match text.trim_end_matches(['K', 'M', 'G']) {
        digits if digits.len() == text.len() => (digits, 1),
        digits => match &text[digits.len()..] {
            "K" => (digits, 1 << 10),
            "M" => (digits, 1 << 20),
            "G" => (digits, 1 << 30),
            unit => return Err(format!("no such unit: {unit}")),
        },
    };
    let number: usize = digits
        .parse()
        .map_err(|_| "a number of bytes, as in 4096, 64K or 16M".to_owned())?;
    number
        .checked_mul(unit)
        .ok_or_else(|| "more than there can be".to_owned())
}

/// A number of seconds, as in `5` or `0.5`.
pub fn seconds(text: &str) -> std::result::Result<Duration, String> {
    let number: f64 = text
        .parse()
        .map_err(|_| "a number of seconds, as in 5 or 0.5".to_owned())?;
    Duration::try_from_secs_f64(number).map_err(|error| error.to_string())
}

/// Calls `action` on a thread of its own when the user presses Ctrl-C or the system asks the program
/// to end. A second time ends the program as it stands.
///
/// A signal that the program was started to ignore, as `nohup` does with one, stays ignored.
///
/// Comes before all other threads: they must not take the signals that this one waits for.
pub fn on_ctrl_c(action: impl FnOnce() + Send + 'static) -> Result<()> {
    let ignored = ignored_signals()?;
    let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]
        .into_iter()
        .filter(|signal| ignored & (1 << (*signal as u32 - 1)) == 0)
        .collect();
    signals.thread_block()?;
    let waiting = move || -> nix::Result<()> {
        signals.wait()?;
        action();
        signals.wait()?;
        std::process::exit(INTERRUPTED.into());
    };
    std::thread::Builder::new()
        .name("ctrl-c".into())
        .spawn(waiting)?;
    Ok(())
}

/// The signals that this process ignores, a bit for each; the lowest is for signal 1.
fn ignored_signals() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .ok_or("/proc/self/status names no ignored signals")?;
    Ok(u64::from_str_radix(mask.trim(), 16)?)
}

/// When a server ends: on Ctrl-C, or after so many requests.
#[derive(Debug)]
pub struct Requests {
    handled: AtomicU64,
    limit: Option<u64>,
    end: mpsc::Sender<()>,
}

impl Requests {
    /// The count that the server's handler keeps, and what hears of the end.
    pub fn up_to(limit: Option<u64>) -> Result<(Arc<Requests>, mpsc::Receiver<()>)> {
        let (end, ended) = mpsc::channel();
        let ctrl_c = end.clone();
        // Here and below: if nobody listens, the server is ending already.
        on_ctrl_c(move || {
            let _ = ctrl_c.send(());
        })?;
        if limit == Some(0) {
            let _ = end.send(());
        }
        let requests = Requests {
            handled: AtomicU64::new(0),
            limit,
            end,
        };
        Ok((Arc::new(requests), ended))
    }

    /// To be called by the handler. The last request is answered like all others: a server that is
    /// stopped sends the answers of handlers at work.
    pub fn count(&self) {
        // Relaxed: a number and no more.
        let handled = self.handled.fetch_add(1, Ordering::Relaxed) + 1;
        if self.limit.is_some_and(|limit| handled >= limit) {
            let _ = self.end.send(());
        }
    }

    pub fn handled(&self) -> u64 {
        self.handled.load(Ordering::Relaxed)
    }
}

/// Ctrl-C, as a client has to deal with it: its waits end, and it cleans up.
#[derive(Debug, Default)]
pub struct Interruption {
    asked: AtomicBool,
    receiving: Mutex<Option<InterruptHandle>>,
}

impl Interruption {
    /// From now on, Ctrl-C is noticed here.
    pub fn watch() -> Result<Arc<Interruption>> {
        let interruption = Arc::new(Interruption::default());
        let asked = Arc::clone(&interruption);
        on_ctrl_c(move || asked.raise())?;
        Ok(interruption)
    }

    fn raise(&self) {
        self.asked.store(true, Ordering::Relaxed);
        let receiving = self
            .receiving
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = &*receiving {
            handle.interrupt();
        }
    }

    /// Ctrl-C, be it before this or after, ends the waits of `receiver`.
    pub fn ends_waits_of(&self, receiver: &ResponseReceiver) {
        let handle = receiver.interrupt_handle();
        let mut receiving = self
            .receiving
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Raised before the lock was had, it has found no handle here.
        if self.asked.load(Ordering::Relaxed) {
            handle.interrupt();
        }
        *receiving = Some(handle);
    }

    /// # Errors
    ///
    /// [`Interrupted`] if the user has pressed Ctrl-C.
    pub fn check(&self) -> std::result::Result<(), Interrupted> {
        if self.asked.load(Ordering::Relaxed) {
            return Err(Interrupted);
        }
        Ok(())
    }
}

/// The user has pressed Ctrl-C.
#[derive(Debug)]
pub struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted")
    }
}

impl Error for Interrupted {}

/// Connects to the server of channel `name`, waiting for it up to `timeout` or until Ctrl-C.
pub fn connect(
    name: &ChannelName,
    wait: Wait,
    timeout: Duration,
    interruption: &Interruption,
) -> Result<DuplexClient> {
    let begun = Instant::now();
    loop {
        interruption.check()?;
        let left = timeout.saturating_sub(begun.elapsed());
        let options = ClientOptions {
            connect_timeout: left.min(CONNECT_SLICE),
            wait_strategy: wait.strategy(),
            ..Default::default()
        };
        match DuplexClient::connect(name, options) {
            Ok(client) => return Ok(client),
            Err(error) => {
                let error = after(begun.elapsed(), error);
                if left.is_zero() || !comes_with_time(&error) {
                    return Err(error.into());
                }
            }
        }
    }
}

fn comes_with_time(error: &DuplexError) -> bool {
    use zerobuffer::Error;
    matches!(
        error,
        DuplexError::Channel(Error::BufferNotFound { .. } | Error::NotReady { .. })
    )
}

/// An error of the last of many tries, with the time that all of them took.
fn after(time: Duration, mut error: DuplexError) -> DuplexError {
    use zerobuffer::Error;
    if let DuplexError::Channel(
        Error::BufferNotFound { waited, .. } | Error::NotReady { waited, .. },
    ) = &mut error
    {
        *waited = time;
    }
    error
}

/// The program's exit code; an error goes to standard error, with what to do about it.
pub fn report(program: &str, result: Result<()>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    eprintln!("{program}: {error}");
    if error.is::<Interrupted>() {
        return ExitCode::from(INTERRUPTED);
    }
    let advice = match error.downcast_ref::<DuplexError>() {
        Some(DuplexError::Channel(error)) => advice(error),
        Some(DuplexError::HandlerFailed { .. } | DuplexError::NoAnswer { .. }) => {
            Some("look at what the server has printed")
        }
        _ => None,
    };
    if let Some(advice) = advice {
        eprintln!("{program}: {advice}");
    }
    ExitCode::FAILURE
}

fn advice(error: &zerobuffer::Error) -> Option<&'static str> {
    use zerobuffer::Error;
    Some(match error {
        Error::BufferNotFound { .. } => {
            "start the server first, and give both the same channel with --name"
        }
        Error::NotReady { .. } => "the server is busy or starting: try again in a moment",
        Error::WriterAlreadyConnected { .. } => {
            "the server has a client already: end that, or give both another channel with --name"
        }
        Error::ReaderAlreadyConnected { .. } => {
            "another process has taken the channel: end that, or choose another name with --name"
        }
        Error::FrameTooLarge { .. } => "start the server with a larger --payload",
        Error::BufferFull { .. } => "the server does not keep up: is it stopped?",
        Error::NoSpace { .. } => "choose a smaller --payload, or free memory in /dev/shm",
        Error::ReaderDead { .. } | Error::WriterDead { .. } => "the server has gone: start it anew",
        Error::InvalidName { .. } => "choose another name with --name",
        _ => return None,
    })
}
