//! What was measured, for people.

use crate::contender::{Contender, Kind};
use crate::goal::{self, Direction, Goal, OURS, ROUND_TRIPS};
use crate::idle::Idle;
use crate::results::Results;

/// Prints all tables.
pub fn print(contenders: &[&Contender], sizes: &[usize], results: &Results, idle: &Idle) {
    print_round_trips(contenders, sizes, results);
    print_one_way(contenders, sizes, results);
    print_goals(&goal::all(results, idle));
}

fn print_round_trips(contenders: &[&Contender], sizes: &[usize], results: &Results) {
    let measured: Vec<_> = contenders
        .iter()
        .filter(|c| !matches!(c.kind, Kind::Copier | Kind::OneWay))
        .collect();
    print_head("Round trip, p50 in µs", sizes);
    for contender in &measured {
        print_row(contender.name, sizes, |size| {
            results.round_trip(contender.name, size, 0.5).map(short)
        });
        if contender.name == OURS {
            print_row("  to be reached", sizes, |size| {
                let target = ROUND_TRIPS.iter().find(|target| target.0 == size)?;
                Some(format!("≤ {}", short(target.1)))
            });
        }
    }
    print_head(&format!("Round trip, times as long as {OURS}"), sizes);
    for contender in measured.iter().filter(|c| c.name != OURS) {
        print_row(contender.name, sizes, |size| {
            let ours = results.round_trip(OURS, size, 0.5)?;
            Some(short(results.round_trip(contender.name, size, 0.5)? / ours))
        });
    }
    print_head("Round trip, p99 / p99.9 in µs", sizes);
    for contender in &measured {
        print_row(contender.name, sizes, |size| {
            let [p99, most] = [0.99, 0.999].map(|q| results.round_trip(contender.name, size, q));
            Some(format!("{} / {}", short(p99?), short(most?)))
        });
    }
}

fn print_one_way(contenders: &[&Contender], sizes: &[usize], results: &Results) {
    let measured: Vec<_> = contenders.iter().filter(|c| c.kind != Kind::Bare).collect();
    print_head("One way, million frames a second", sizes);
    for contender in &measured {
        print_row(contender.name, sizes, |size| {
            Some(short(
                results.frames_per_second(contender.name, size)? / 1e6,
            ))
        });
    }
    print_head("One way, GB a second (of memcpy)", sizes);
    for contender in measured.iter().filter(|c| c.is_touched()) {
        print_row(contender.name, sizes, |size| {
            let frames = results.frames_per_second(contender.name, size)?;
            let bytes = short(frames * size as f64 / 1e9);
            Some(match results.frames_per_second("limit/memcpy", size) {
                Some(copies) if size >= LARGE => {
                    format!("{bytes} ({:.0} %)", frames / copies * 100.0)
                }
                _ => bytes,
            })
        });
    }
}

fn print_goals(goals: &[Goal]) {
    if goals.is_empty() {
        return;
    }
    println!(
        "\n{:78} {:>10} {:>10}",
        "To be reached", "target", "measured"
    );
    for goal in goals {
        let sign = match goal.direction {
            Direction::AtMost => "≤",
            Direction::AtLeast => "≥",
        };
        let target = format!("{sign} {} {}", short(goal.target), goal.unit);
        let measured = format!("{} {}", short(goal.measured), goal.unit);
        let verdict = if goal.is_met() { "reached" } else { "MISSED" };
        println!("{:78} {target:>10} {measured:>10}  {verdict}", goal.what);
    }
    println!();
}

/// From so many bytes on, copying takes most of the time.
const LARGE: usize = 64 * 1024;

/// Characters of a column with names, and of one with figures.
const NAME: usize = 27;
const FIGURE: usize = 15;

fn print_head(title: &str, sizes: &[usize]) {
    println!("\n{title}");
    print_row("", sizes, |size| Some(bytes(size)));
}

fn print_row(name: &str, sizes: &[usize], figure: impl Fn(usize) -> Option<String>) {
    let figures: String = sizes
        .iter()
        .map(|size| {
            format!(
                " {:>FIGURE$}",
                figure(*size).unwrap_or_else(|| "–".to_owned())
            )
        })
        .collect();
    println!("{name:NAME$}{figures}");
}

/// With three digits that count.
pub fn short(value: f64) -> String {
    let decimals = match value {
        value if value >= 99.95 => 0,
        value if value >= 9.995 => 1,
        value if value >= 0.01 => 2,
        _ => 4,
    };
    format!("{value:.decimals$}")
}

/// A number of bytes, as people call it.
pub fn bytes(size: usize) -> String {
    const KIB: usize = 1024;
    const MIB: usize = 1024 * 1024;
    match size {
        size if size >= MIB && size % MIB == 0 => format!("{} MiB", size / MIB),
        size if size >= KIB && size % KIB == 0 => format!("{} KiB", size / KIB),
        size => format!("{size} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits() {
        let figures = [0.0018, 0.123, 1.239, 12.345, 99.96, 12_345.6].map(short);
        assert_eq!(figures, ["0.0018", "0.12", "1.24", "12.3", "100", "12346"]);
        let sizes = [64, 1024, 1 << 20, 3_110_400, 1500].map(bytes);
        assert_eq!(sizes, ["64 B", "1 KiB", "1 MiB", "3110400 B", "1500 B"]);
    }
}
