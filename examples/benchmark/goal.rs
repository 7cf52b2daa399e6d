//! What this library has to reach, and whether it does.

use crate::idle::Idle;
use crate::results::Results;
use crate::table::bytes;

/// One thing to reach.
pub struct Goal {
    pub what: String,
    pub target: f64,
    pub measured: f64,
    pub direction: Direction,
    pub unit: &'static str,
}

/// On which side of its target a figure has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    AtMost,
    AtLeast,
}

impl Goal {
    pub fn is_met(&self) -> bool {
        match self.direction {
            Direction::AtMost => self.measured <= self.target,
            Direction::AtLeast => self.measured >= self.target,
        }
    }
}

/// Round trips at most so many microseconds long, with frames of so many bytes.
pub const ROUND_TRIPS: &[(usize, f64)] = &[
    (64, 0.5),
    (1024, 1.0),
    (64 * 1024, 12.0),
    (1024 * 1024, 170.0),
];

/// The contender that is held against the targets.
pub const OURS: &str = "zerobuffer/spin/copy";

/// All goals that something was measured for.
pub fn all(results: &Results, idle: &Idle) -> Vec<Goal> {
    let mut goals = Vec::new();
    goals.extend(round_trips(results));
    goals.extend(beside_others(results));
    goals.extend(one_way(results));
    goals.extend(with_peers(results));
    goals.extend(idle.iter().map(|(contender, part)| Goal {
        what: format!("{}, idle, of a CPU", contender.name),
        target: 0.5,
        measured: part * 100.0,
        direction: Direction::AtMost,
        unit: "%",
    }));
    goals
}

fn round_trips(results: &Results) -> impl Iterator<Item = Goal> {
    ROUND_TRIPS.iter().filter_map(|&(size, target)| {
        Some(Goal {
            what: format!("{OURS}, {}, round trip p50", bytes(size)),
            target,
            measured: results.round_trip(OURS, size, 0.5)?,
            direction: Direction::AtMost,
            unit: "µs",
        })
    })
}

/// Round trips of 64 bytes against those of others.
fn beside_others(results: &Results) -> Vec<Goal> {
    let p50 = |name: &str| results.round_trip(name, 64, 0.5);
    let times = |what: &str, slow: &str, fast: &str, target, direction| {
        Some(Goal {
            what: what.to_owned(),
            target,
            measured: p50(slow)? / p50(fast)?,
            direction,
            unit: "×",
        })
    };
    let faster = |than: &'static str, ours: &'static str, target| {
        let what = format!("{ours}, 64 B, round trip, faster than {than}");
        times(&what, than, ours, target, Direction::AtLeast)
    };
    let block = "zerobuffer/block/copy, 64 B, round trip, to limit/semaphore";
    [
        times(
            block,
            "zerobuffer/block/copy",
            "limit/semaphore",
            1.1,
            Direction::AtMost,
        ),
        faster("unix-socket", OURS, 150.0),
        faster("iceoryx2/copy", OURS, 1.0),
        faster("iceoryx2/untouched", "zerobuffer/spin/untouched", 1.0),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn one_way(results: &Results) -> Vec<Goal> {
    let frames = |size| results.frames_per_second(OURS, size);
    let of = |limit: &str, size| {
        Some(Goal {
            what: format!("{OURS}, {}, one way, of {limit}", bytes(size)),
            target: 85.0,
            measured: frames(size)? / results.frames_per_second(limit, size)? * 100.0,
            direction: Direction::AtLeast,
            unit: "%",
        })
    };
    let small = frames(64).map(|frames| Goal {
        what: format!("{OURS}, 64 B, one way, million frames a second"),
        target: 5.0,
        measured: frames / 1e6,
        direction: Direction::AtLeast,
        unit: "",
    });
    let of_limits = ["limit/memcpy", "limit/slots"]
        .into_iter()
        .flat_map(|limit| [64 * 1024, 1024 * 1024].map(|size| of(limit, size)));
    small.into_iter().chain(of_limits.flatten()).collect()
}

/// Other implementations lose nothing with this library at the other end: at the size at which
/// they fare worst.
fn with_peers(results: &Results) -> Vec<Goal> {
    let mut goals = Vec::new();
    for (peer, pair) in [
        ("cpp", "cpp-to-rust"),
        ("cpp", "rust-to-cpp"),
        ("python", "python-to-rust"),
        ("python", "rust-to-python"),
    ] {
        let round_trip = |size| {
            let alone = results.round_trip(peer, size, 0.5)?;
            Some(alone / results.round_trip(pair, size, 0.5)?)
        };
        let one_way = |size| {
            let alone = results.frames_per_second(peer, size)?;
            Some(results.frames_per_second(pair, size)? / alone)
        };
        for (course, worst) in [
            ("round trip", worst(results, round_trip)),
            ("one way", worst(results, one_way)),
        ] {
            goals.extend(worst.map(|measured| Goal {
                what: format!("{pair}, worst size, {course}, as fast as {peer}"),
                target: 1.0,
                measured,
                direction: Direction::AtLeast,
                unit: "×",
            }));
        }
    }
    goals
}

/// The least speed at any size.
fn worst(results: &Results, speed: impl Fn(usize) -> Option<f64>) -> Option<f64> {
    let speeds = results.sizes().into_iter().filter_map(speed);
    speeds.min_by(f64::total_cmp)
}
