//! What a process costs that waits for a frame and gets none.

use std::fs;
use std::time::{Duration, Instant};

use crate::Result;
use crate::contender::Contender;
use crate::interrupt::Interrupt;
use crate::player::{PATIENCE, Player};
use crate::role::Role;
use crate::transport::{self, Place};

/// A contender, and the part of a CPU that its server took while it waited.
pub type Idle = Vec<(&'static Contender, f64)>;

/// Watches the servers of this library's contenders for `time`, all at once: clients have asked
/// them something, and are silent now.
pub fn measure(
    contenders: &[&'static Contender],
    time: Duration,
    interrupt: &Interrupt,
) -> Result<Idle> {
    let mut waiting = Vec::new();
    for &contender in contenders {
        // Polling for ever takes a CPU, and would take it from the others here.
        if contender.name.starts_with("zerobuffer/")
            && contender.name.ends_with("/copy")
            && !contender.name.contains("/busy/")
        {
            waiting.push(Pair::start(contender, waiting.len(), interrupt)?);
        }
    }
    let before = waiting
        .iter()
        .map(Pair::cpu_time)
        .collect::<Result<Vec<_>>>()?;
    let begun = Instant::now();
    interrupt.sleep(time)?;
    let mut idle = Vec::new();
    for (pair, before) in waiting.iter().zip(before) {
        let spent = pair.cpu_time()? - before;
        let part = spent.as_secs_f64() / begun.elapsed().as_secs_f64();
        idle.push((pair.contender, part));
    }
    waiting.into_iter().try_for_each(Pair::end)?;
    Ok(idle)
}

/// A server, and its silent client.
struct Pair<'i> {
    contender: &'static Contender,
    // Dropped first: a server may be at work for it.
    client: Player<'i>,
    server: Player<'i>,
}

impl<'i> Pair<'i> {
    fn start(
        contender: &'static Contender,
        number: usize,
        interrupt: &'i Interrupt,
    ) -> Result<Pair<'i>> {
        let place = Place {
            name: format!("{}-idle-{number}", transport::own_name()),
            size: 64,
            ring: 1024 * 1024,
        };
        let mut server =
            Player::start(contender.there.command(Role::Answer, &place, 0)?, interrupt)?;
        server.wait_until_ready(PATIENCE)?;
        let mut client = Player::start(contender.here.command(Role::Idle, &place, 0)?, interrupt)?;
        client.wait_until_ready(PATIENCE)?;
        Ok(Pair {
            contender,
            client,
            server,
        })
    }

    /// What all threads of the server have had of a CPU.
    fn cpu_time(&self) -> Result<Duration> {
        let mut total = Duration::ZERO;
        for thread in fs::read_dir(format!("/proc/{}/task", self.server.pid()))? {
            let schedstat = fs::read_to_string(thread?.path().join("schedstat"))?;
            let on_cpu = schedstat.split(' ').next().unwrap_or_default();
            total += Duration::from_nanos(on_cpu.parse()?);
        }
        Ok(total)
    }

    fn end(self) -> Result<()> {
        self.client.end()?;
        self.server.end()
    }
}
