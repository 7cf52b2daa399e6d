//! What a process of this program does as one end of a transport, and how it measures.
//!
//! Programs in other languages play the same roles. Called with a role, the place and the time to
//! measure, they print `ready` when the other end may come or, if they come last, when the first
//! frames have been found right; then they warm up, measure, and print what they measured. They end
//! at the latest when their standard input does.

use std::io::Write as _;
use std::time::{Duration, Instant};

use clap::ValueEnum;

use crate::Result;
use crate::parent;
use crate::payload::Touch;
use crate::transport::{self, Client, Place, Transport};

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
    /// Sends frames one way until it is told to end.
    Send,
    /// Copies frames from one place to another, alone, and measures.
    Copy,
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
            Role::Copy => "copy",
        }
    }
}

/// Plays `role` on the transport of that name until its work is done.
pub fn play(role: Role, transport: &str, place: &Place, time: Duration) -> Result<()> {
    let transport = || transport::named(transport);
    match role {
        Role::Answer => answer(transport()?.as_ref(), place),
        Role::Ask => ask(transport()?.as_ref(), place, time),
        Role::Idle => idle(transport()?.as_ref(), place),
        Role::Receive => receive(transport()?.as_ref(), place, time),
        Role::Send => send(transport()?.as_ref(), place),
        Role::Copy => copy(place.size, time),
    }
}

fn answer(transport: &dyn Transport, place: &Place) -> Result<()> {
    let server = transport.server(place)?;
    say_ready()?;
    server.serve()
}

fn ask(transport: &dyn Transport, place: &Place, time: Duration) -> Result<()> {
    let mut asking = Asking::new(transport, place)?;
    asking.verify()?;
    say_ready()?;
    let samples = asking.measure(time)?;
    asking.verify()?;
    print_samples(samples)
}

fn idle(transport: &dyn Transport, place: &Place) -> Result<()> {
    let mut asking = Asking::new(transport, place)?;
    asking.verify()?;
    say_ready()?;
    parent::wait_until_gone();
    Ok(())
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
    fn new(transport: &dyn Transport, place: &Place) -> Result<Asking> {
        Ok(Asking {
            client: transport.client(place)?,
            touch: transport.touch(),
        })
    }

    /// Nanoseconds of each round trip.
    fn measure(&mut self, time: Duration) -> Result<Vec<u32>> {
        let mut samples = Vec::with_capacity(MOST_SAMPLES);
        self.ask_for(time / 5, &mut samples)?;
        samples.clear();
        self.ask_for(time, &mut samples)?;
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
            if parent::has_gone() {
                return Err("nobody waits for the figures".into());
            }
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

/// Takes frames to the last; prints how many it took in the time that it measured, and the
/// nanoseconds of that.
fn receive(transport: &dyn Transport, place: &Place, time: Duration) -> Result<()> {
    let touch = transport.touch();
    let mut receiver = transport.receiver(place)?;
    say_ready()?;
    for number in 1..=VERIFIED {
        let mut is_right = touch == Touch::Nothing;
        receiver.receive(&mut |frame| is_right |= touch.is_pattern(frame, number))?;
        check(is_right, "frame", number)?;
    }
    let mut window = Window::new(time);
    for number in VERIFIED + 1.. {
        let mut is_right = touch == Touch::Nothing;
        if !receiver.receive(&mut |frame| is_right |= touch.is_written(frame, number))? {
            break;
        }
        check(is_right, "frame", number)?;
        if number % frames_per_look(place.size) == 0 {
            window.look(number);
        }
    }
    Ok(())
}

/// The time in which frames are counted: after a warm-up, and before the last frame.
struct Window {
    time: Duration,
    warm: Instant,
    begun: Option<(Instant, u64)>,
    is_over: bool,
}

impl Window {
    fn new(time: Duration) -> Window {
        Window {
            time,
            warm: Instant::now() + time / 5,
            begun: None,
            is_over: false,
        }
    }

    /// Looks at the clock, after frame `number`; prints what was counted once the time is over.
    fn look(&mut self, number: u64) {
        let now = Instant::now();
        match self.begun {
            None if now >= self.warm => self.begun = Some((now, number)),
            Some((begun, first)) if !self.is_over && now - begun >= self.time => {
                println!("{} {}", number - first, (now - begun).as_nanos());
                self.is_over = true;
            }
            _ => {}
        }
    }
}

/// How many frames lie between two looks at the clock, so that they cost nothing beside the copies.
fn frames_per_look(size: usize) -> u64 {
    (64 * 1024 / size).max(1) as u64
}

/// Sends until it is told to end.
fn send(transport: &dyn Transport, place: &Place) -> Result<()> {
    let touch = transport.touch();
    let mut sender = transport.sender(place)?;
    for number in 1..=VERIFIED {
        sender.send(&mut |frame| touch.write_pattern(frame, number))?;
    }
    say_ready()?;
    for number in VERIFIED + 1.. {
        if parent::has_gone() {
            break;
        }
        sender.send(&mut |frame| touch.write(frame, number))?;
    }
    sender.finish()
}

/// Prints how many frames it has copied, and the nanoseconds that this took.
fn copy(size: usize, time: Duration) -> Result<()> {
    let from = vec![1_u8; size];
    let mut to = vec![0; size];
    let copies_per_look = frames_per_look(size);
    let mut copy_for = |time| {
        let begun = Instant::now();
        let mut frames = 0;
        while begun.elapsed() < time {
            for _ in 0..copies_per_look {
                std::hint::black_box(&mut to[..]).copy_from_slice(std::hint::black_box(&from));
            }
            frames += copies_per_look;
        }
        (frames, begun.elapsed().as_nanos())
    };
    copy_for(time / 5);
    let (frames, nanoseconds) = copy_for(time);
    println!("{frames} {nanoseconds}");
    Ok(())
}
