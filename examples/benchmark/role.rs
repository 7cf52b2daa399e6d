//! What a process of this program does as one end of a transport, and how it measures.
//!
//! Programs in other languages play the same roles. Called with a role, the place and the time to
//! measure, they print `ready` when the other end may come or, if they come last, when the first
//! frames have been found right; then they warm up and measure. What they measured they print at
//! their end; they end at the latest when their standard input does.

use std::io::Write as _;
use std::time::{Duration, Instant};

use clap::ValueEnum;

use crate::Result;
use crate::payload::Touch;
use crate::transport::{Client, Place, Transport};

/// What each pair of processes sends first, every byte of it looked at.
const VERIFIED: u64 = 16;

/// The most round trips that are measured in one go.
const MOST_SAMPLES: usize = 2_000_000;

/// One end of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Echoes.
    Answer,
    /// Asks, again and again, and measures.
    Ask,
    /// Asks once, and then does nothing.
    Idle,
    /// Takes frames, and measures.
    Receive,
    /// Sends frames, one way.
    Send,
}

impl Role {
    /// As command lines name it.
    pub fn name(self) -> &'static str {
        match self {
            Role::Answer => "answer",
            Role::Ask => "ask",
            Role::Idle => "idle",
            Role::Receive => "receive",
            Role::Send => "send",
        }
    }
}

/// Plays `role` until its work is done.
pub fn play(role: Role, transport: &dyn Transport, place: &Place, time: Duration) -> Result<()> {
    let touch = transport.touch();
    match role {
        Role::Answer => {
            let server = transport.server(place)?;
            say_ready()?;
            server.serve()
        }
        Role::Ask => {
            let mut asking = Asking {
                client: transport.client(place)?,
                touch,
            };
            asking.verify()?;
            say_ready()?;
            print_samples(asking.measure(time)?)
        }
        Role::Idle => {
            let mut asking = Asking {
                client: transport.client(place)?,
                touch,
            };
            asking.verify()?;
            say_ready()?;
            crate::parent::wait_until_gone();
            Ok(())
        }
        Role::Receive => receive(transport, place, time),
        Role::Send => send(transport, place, time),
    }
}

fn say_ready() -> Result<()> {
    println!("ready");
    Ok(std::io::stdout().flush()?)
}

/// A client, and what it asks.
struct Asking {
    client: Box<dyn Client>,
    touch: Touch,
}

impl Asking {
    /// Nanoseconds of each round trip.
    fn measure(&mut self, time: Duration) -> Result<Vec<u32>> {
        let mut samples = Vec::with_capacity(MOST_SAMPLES);
        self.ask_for(time / 5, &mut samples)?;
        samples.clear();
        self.ask_for(time, &mut samples)?;
        self.verify()?;
        Ok(samples)
    }

    fn verify(&mut self) -> Result<()> {
        let touch = self.touch;
        for number in 1..=VERIFIED {
            let mut is_right = false;
            self.client.round_trip(
                &mut |frame| touch.write_pattern(frame, number),
                &mut |frame| is_right = touch.is_pattern(frame, number),
            )?;
            check(is_right || touch == Touch::Nothing, "answer", number)?;
        }
        Ok(())
    }

    /// From each answer to the next: each sample has one reading of the clock in it.
    fn ask_for(&mut self, time: Duration, samples: &mut Vec<u32>) -> Result<()> {
        let touch = self.touch;
        let mut last = Instant::now();
        let end = last + time;
        let mut number = 0;
        while last < end && samples.len() < MOST_SAMPLES {
            let mut is_right = touch == Touch::Nothing;
            self.client
                .round_trip(&mut |frame| touch.write(frame, number), &mut |frame| {
                    is_right = touch.is_written(frame, number)
                })?;
            check(is_right, "answer", number)?;
            number += 1;
            let now = Instant::now();
            let nanoseconds = now.duration_since(last).as_nanos();
            samples.push(u32::try_from(nanoseconds).unwrap_or(u32::MAX));
            last = now;
        }
        Ok(())
    }
}

fn check(is_right: bool, what: &str, number: u64) -> Result<()> {
    if is_right {
        Ok(())
    } else {
        Err(format!("{what} {number} is not what was sent").into())
    }
}

/// Prints how often each time was measured.
fn print_samples(mut samples: Vec<u32>) -> Result<()> {
    samples.sort_unstable();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for same in samples.chunk_by(|a, b| a == b) {
        writeln!(out, "{} {}", same[0], same.len())?;
    }
    Ok(out.flush()?)
}

/// Measures from the first frame after the warm-up to the last; prints frames and nanoseconds.
fn receive(transport: &dyn Transport, place: &Place, time: Duration) -> Result<()> {
    let touch = transport.touch();
    let mut receiver = transport.receiver(place)?;
    say_ready()?;
    for number in 1..=VERIFIED {
        let mut is_right = touch == Touch::Nothing;
        receiver.receive(&mut |frame| is_right |= touch.is_pattern(frame, number))?;
        check(is_right, "frame", number)?;
    }
    let warm = Instant::now() + time / 5;
    let mut begun = None;
    let mut frames = 0;
    for number in VERIFIED + 1.. {
        let mut is_right = touch == Touch::Nothing;
        if !receiver.receive(&mut |frame| is_right |= touch.is_written(frame, number))? {
            break;
        }
        check(is_right, "frame", number)?;
        if begun.is_some() {
            frames += 1;
        } else {
            let now = Instant::now();
            begun = (now >= warm).then_some(now);
        }
    }
    let begun = begun.ok_or("the sender ended before the receiver was warm")?;
    println!("{frames} {}", begun.elapsed().as_nanos());
    Ok(())
}

/// Sends for longer than the receiver measures.
fn send(transport: &dyn Transport, place: &Place, time: Duration) -> Result<()> {
    let touch = transport.touch();
    let mut sender = transport.sender(place)?;
    let mut number = 0;
    let mut next = || {
        number += 1;
        number
    };
    for _ in 0..VERIFIED {
        let number = next();
        sender.send(&mut |frame| touch.write_pattern(frame, number))?;
    }
    say_ready()?;
    // The clock is looked at so seldom that it costs nothing beside the copies.
    let frames_per_look = (64 * 1024 / place.size).max(1);
    let end = Instant::now() + time + time / 5;
    while Instant::now() < end {
        for _ in 0..frames_per_look {
            let number = next();
            sender.send(&mut |frame| touch.write(frame, number))?;
        }
    }
    sender.finish()
}
