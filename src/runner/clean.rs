//! `harmony clean`: removes what processes that have died left of their buffers on this machine.

use super::exit::{Exit, Refusal};
use super::inspect::process;
use super::report::console::Verbosity;
use super::terminal::{say, warn};
use crate::Error;
use crate::channel::stale::{self, Kept, Verdict};
use crate::channel::view::Machine;

/// How many buffers had each end.
#[derive(Debug, Default)]
struct Count {
    removed: usize,
    kept: usize,
    failed: usize,
}

/// Looks at every buffer on the machine and, unless it is a `dry_run`, removes those that are stale.
///
/// # Errors
///
/// When the machine's folders cannot be read.
pub fn clean(dry_run: bool, verbosity: Verbosity) -> Result<Exit, Refusal> {
    let machine = Machine::look().map_err(Refusal::usage)?;
    let (done, decide): (_, fn(&_) -> _) = match dry_run {
        true => ("would remove", stale::examine),
        false => ("removed", stale::remove),
    };
    let mut count = Count::default();
    for name in &machine.buffers {
        match decide(name) {
            Ok(Verdict::Stale(files)) => {
                // Where somebody else was faster there is nothing left to tell.
                if files.is_empty() {
                    continue;
                }
                count.removed += 1;
                say(&format!("{done}  {name}"));
                for file in files {
                    say(&format!("    {}", file.display()));
                }
            }
            Ok(Verdict::Kept(kept)) => {
                count.kept += 1;
                if verbosity != Verbosity::Quiet {
                    say(&format!("left alone  {name}: {}", why(&kept)));
                }
            }
            Err(error) => {
                count.failed += 1;
                let hint = match error {
                    Error::PermissionDenied { .. } => {
                        "; try again as the user whose it is, or as root"
                    }
                    _ => "",
                };
                warn(&format!("harmony: {error}{hint}"));
            }
        }
    }
    if verbosity == Verbosity::Verbose {
        for stranger in &machine.strangers {
            say(&format!(
                "left alone  {}: no part of a buffer",
                stranger.display()
            ));
        }
    }
    say(&summary(&count, done));
    Ok(match count.failed {
        0 => Exit::Green,
        _ => Exit::Red,
    })
}

fn summary(count: &Count, done: &str) -> String {
    let Count {
        removed,
        kept,
        failed,
    } = count;
    let mut summary = match (removed, failed) {
        (0, 0) => "nothing is stale".to_owned(),
        _ => format!("{done} {removed}"),
    };
    if *kept > 0 {
        summary.push_str(&format!(", left {kept} alone"));
    }
    if *failed > 0 {
        summary.push_str(&format!(", {failed} could not be removed"));
    }
    summary
}

fn why(kept: &Kept) -> String {
    match kept {
        Kept::Reader(pid) => format!("its reader lives, {}", process(*pid)),
        Kept::Writer(pid) => format!("its writer lives, {}", process(*pid)),
        Kept::Young => "it is so young that it may be in the making".to_owned(),
        Kept::Locked => "somebody holds its lock".to_owned(),
        Kept::NoBuffer(what) => {
            format!("{what}; if it was a buffer, remove its files by hand")
        }
    }
}
