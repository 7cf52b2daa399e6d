//! `harmony inspect --watch`: the same every half second, with rates.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use super::exit::{Exit, Refusal};
use super::inspect::{NO_BUFFER, Target, fill, text, unread};
use crate::BufferName;
use crate::channel::view::{ControlBlock, View, control_block};

/// How long between two pictures.
const PICTURE: Duration = Duration::from_millis(500);

/// How long between two looks at the positions. A writer that goes around the whole ring in this
/// time is not seen to do so.
const LOOK: Duration = Duration::from_millis(5);

/// Puts the cursor at the top left corner of an empty screen.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// What went through a buffer since the last picture.
#[derive(Debug)]
struct Traffic {
    first: ControlBlock,
    last: ControlBlock,
    /// Bytes that the writer has gone on, at the least.
    bytes: u64,
}

impl Traffic {
    fn new(block: ControlBlock) -> Traffic {
        Traffic {
            first: block,
            last: block,
            bytes: 0,
        }
    }

    fn see(&mut self, block: ControlBlock) {
        let (before, now) = (self.last.payload_write_pos, block.payload_write_pos);
        // Behind a wrap, what stands at the beginning was written; how much was written before it,
        // and what was skipped, cannot be told.
        self.bytes += match now >= before {
            true => now - before,
            false => now,
        };
        self.last = block;
    }

    fn frames(&self) -> u64 {
        let (first, last) = (self.first, self.last);
        last.payload_written_count
            .wrapping_sub(first.payload_written_count)
    }
}

/// Shows what is seen until the user has seen enough, or nobody reads it any more.
///
/// # Errors
///
/// When the machine's folders cannot be read.
pub fn watch(target: &Target) -> Result<Exit, Refusal> {
    let failed = |error: io::Error| Refusal(Exit::Setup, error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.map_err(failed)?.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        tokio::select! {
            _ = interrupt.recv() => Ok(Exit::Interrupted),
            _ = terminate.recv() => Ok(Exit::Interrupted),
            ended = show(target) => ended,
        }
    })
}

async fn show(target: &Target) -> Result<Exit, Refusal> {
    let is_terminal = io::stdout().is_terminal();
    let mut traffic = BTreeMap::<BufferName, Traffic>::new();
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut next = Instant::now();
    let mut before = Instant::now();
    let mut names = target.names()?;
    loop {
        looks.tick().await;
        for name in &names {
            look(name, &mut traffic);
        }
        if Instant::now() < next {
            continue;
        }
        let picture = picture(&names, &traffic, before.elapsed(), is_terminal);
        // Nobody reads any more: nothing is left to do.
        if io::stdout().write_all(picture.as_bytes()).is_err() || io::stdout().flush().is_err() {
            return Ok(Exit::Green);
        }
        before = Instant::now();
        next = before + PICTURE;
        names = target.names()?;
        traffic.retain(|name, _| names.contains(name));
        for seen in traffic.values_mut() {
            *seen = Traffic::new(seen.last);
        }
    }
}

/// Counts what went through a buffer since the last look.
fn look(name: &BufferName, traffic: &mut BTreeMap<BufferName, Traffic>) {
    let Some(block) = control_block(name) else {
        traffic.remove(name);
        return;
    };
    match traffic.get_mut(name) {
        // Another buffer of the same name begins anew.
        Some(seen) if seen.last.reader_pid == block.reader_pid => seen.see(block),
        _ => {
            traffic.insert(name.clone(), Traffic::new(block));
        }
    }
}

fn picture(
    names: &[BufferName],
    traffic: &BTreeMap<BufferName, Traffic>,
    time: Duration,
    is_terminal: bool,
) -> String {
    let mut picture = String::new();
    if is_terminal {
        picture.push_str(CLEAR);
    }
    if names.is_empty() {
        picture.push_str(&format!("{NO_BUFFER}\n"));
    }
    for name in names {
        let view = View::of(name.clone());
        // The first picture comes too soon to say more.
        let traffic = traffic.get(name).filter(|_| time >= PICTURE / 2);
        let rates = traffic.map(|traffic| rates(traffic, time));
        if is_terminal {
            picture.push_str(&text(&view));
            if let Some(rates) = rates {
                picture.push_str(&format!("  {:10} {rates}\n", "rates"));
            }
            picture.push('\n');
        } else {
            picture.push_str(&line(&view, rates));
        }
    }
    picture
}

fn rates(traffic: &Traffic, time: Duration) -> String {
    let a_second = |number: u64| number as f64 / time.as_secs_f64().max(f64::MIN_POSITIVE);
    let (frames, bytes) = (a_second(traffic.frames()), a_second(traffic.bytes));
    format!("{frames:.0} frames/s, at least {bytes:.0} bytes/s")
}

/// A buffer in one line.
fn line(view: &View, rates: Option<String>) -> String {
    let name = &view.name;
    let said = match &view.segment {
        Ok(Some(segment)) => match (&segment.block, &segment.no_buffer) {
            (Some(block), None) => {
                let broken = segment.broken.as_ref();
                let broken = broken.map_or(String::new(), |broken| format!("; broken: {broken}"));
                let rates = rates.map_or(String::new(), |rates| format!(", {rates}"));
                let (fill, unread) = (fill(block), unread(segment, block));
                format!("{fill}, {unread} unread{rates}{broken}")
            }
            (_, why) => format!("broken: {}", why.clone().unwrap_or_default()),
        },
        Ok(None) => "no segment".to_owned(),
        Err(error) => format!("cannot be read: {error}"),
    };
    format!("{name}: {said}\n")
}
