//! What was measured, for people.

use crate::contender::Contender;
use crate::results::Results;

pub fn print(contenders: &[&Contender], sizes: &[usize], results: &Results) {
    for (title, quantile) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
        println!("round trip, {title}, µs");
        rows(contenders, sizes, |name, size| {
            results.round_trip(name, size, quantile)
        });
    }
    println!("one way, million frames a second");
    rows(contenders, sizes, |name, size| {
        Some(results.frames_per_second(name, size)? / 1e6)
    });
    println!("one way, GB a second");
    rows(contenders, sizes, |name, size| {
        Some(results.frames_per_second(name, size)? * size as f64 / 1e9)
    });
}

fn rows(contenders: &[&Contender], sizes: &[usize], value: impl Fn(&str, usize) -> Option<f64>) {
    print!("{:28}", "");
    for size in sizes {
        print!(" {size:>9}");
    }
    println!();
    for contender in contenders {
        print!("{:28}", contender.name);
        for size in sizes {
            match value(contender.name, *size) {
                Some(value) => print!(" {value:>9.3}"),
                None => print!(" {:>9}", "–"),
            }
        }
        println!();
    }
    println!();
}
