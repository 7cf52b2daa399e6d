//! Where it was measured.

use std::fs;
use std::thread::available_parallelism;

use nix::sys::utsname::uname;

use crate::Result;
use crate::arguments::Arguments;

/// The machine, what it does beside, and how it is measured.
pub fn describe(arguments: &Arguments) -> Result<String> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("an unnamed CPU", |(_, model)| model);
    let cpus = available_parallelism()?.get();
    let system = uname()?;
    let loadavg = fs::read_to_string("/proc/loadavg")?;
    let load = loadavg.split(' ').next().unwrap_or_default();
    let placing = match (arguments.unpinned, cpus) {
        (false, 2..) => "each end on a CPU of its own",
        _ => "ends where the system puts them",
    };
    Ok(format!(
        "{cpus} CPUs {model}, {} {}; load {load} before the run\n\
         rounds of {} ms: {}; {placing}\n",
        system.sysname().display(),
        system.release().display(),
        arguments.time().as_millis(),
        arguments.rounds(),
    ))
}
