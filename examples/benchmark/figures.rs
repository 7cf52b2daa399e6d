//! What was measured, for programs.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::Result;
use crate::results::Results;

/// Writes all figures as comma-separated values, a line for each contender and size.
pub fn write(path: &Path, results: &Results) -> Result<()> {
    let mut text = String::from(
        "contender,frame_bytes,round_trips,p50_ns,p99_ns,p99.9_ns,frames_per_second\n",
    );
    for line in results.lines() {
        let trips = &line.round_trips;
        write!(
            text,
            "{},{},{}",
            line.contender.name,
            line.size,
            trips.len()
        )?;
        for quantile in [0.5, 0.99, 0.999] {
            let value = (!trips.is_empty()).then(|| trips.value_at_quantile(quantile).to_string());
            write!(text, ",{}", value.unwrap_or_default())?;
        }
        let speed = line.frames_per_second().map(|speed| format!("{speed:.0}"));
        writeln!(text, ",{}", speed.unwrap_or_default())?;
    }
    Ok(fs::write(path, text)?)
}
