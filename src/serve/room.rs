//! Memory for as many things as a step's text asks for, however many those are.

use nix::unistd::{SysconfVar, sysconf};

use super::failure::Failure;

/// An empty vector with room for `count` items: a number that no memory is enough for fails a step, and
/// not the process.
///
/// # Errors
///
/// A failure that says how much cannot be had.
pub fn room_for<T>(count: usize) -> Result<Vec<T>, Failure> {
    let bytes = count as u128 * size_of::<T>() as u128;
    let mut room = Vec::new();
    // Some systems promise more than there is, and end whoever takes it.
    if bytes <= installed() && room.try_reserve_exact(count).is_ok() {
        return Ok(room);
    }
    Err(Failure::new(format!(
        "{bytes} bytes of memory cannot be had"
    )))
}

/// Bytes of memory that this machine has.
fn installed() -> u128 {
    // A system that does not know has none to give away.
    let ask = |variable| sysconf(variable).ok().flatten().unwrap_or(0).max(0) as u128;
    ask(SysconfVar::_PHYS_PAGES) * ask(SysconfVar::PAGE_SIZE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_had_is_a_failure() {
        assert!(room_for::<u64>(10).unwrap().capacity() >= 10);
        assert!(installed() > 64 << 20);
        for count in [usize::MAX, installed() as usize / 8 + 1] {
            let failure = room_for::<u64>(count).unwrap_err().to_string();
            let bytes = count as u128 * 8;
            assert_eq!(failure, format!("{bytes} bytes of memory cannot be had"));
        }
    }
}
