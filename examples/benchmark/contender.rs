//! Who is measured: which program plays at which end.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::role::Role;
use crate::transport::Place;

/// A program that can play a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// This one, with a transport of that name.
    Own(&'static str),
    /// The Python package.
    Python,
    /// The implementation in `peers/cpp`.
    Cpp,
}

impl Program {
    /// The command that plays `role`; an error says how to come by what is missing.
    pub fn command(self, role: Role, place: &Place, milliseconds: u64) -> Result<Command> {
        let mut command = match self {
            Program::Own(transport) => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["play", transport]);
                command
            }
            Program::Python => {
                let python = built("target/peers/python/bin/python", "peers/python/setup.sh")?;
                let mut command = Command::new(python);
                command.arg(repository().join("peers/python/benchmark.py"));
                command
            }
            Program::Cpp => {
                let program = "target/peers/cpp/zerobuffer-benchmark-cpp";
                Command::new(built(program, "peers/cpp/setup.sh")?)
            }
        };
        command
            .arg(role.name())
            .arg(&place.name)
            .args([place.size, place.ring].map(|number| number.to_string()))
            .arg(milliseconds.to_string());
        Ok(command)
    }
}

/// The repository that this program was built from.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn built(program: &str, setup: &str) -> Result<PathBuf> {
    let path = repository().join(program);
    if path.exists() {
        Ok(path)
    } else {
        Err(format!("{program} is not there; {setup} makes it").into())
    }
}

/// What a contender is measured at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// There and back.
    RoundTrip,
    /// As many frames as it can, one way.
    OneWay,
}

/// Two programs with a transport between them.
#[derive(Debug, Clone, Copy)]
pub struct Contender {
    /// As options and files name it.
    pub name: &'static str,
    /// What it is, in a few words.
    pub about: &'static str,
    /// Answers, or receives.
    pub there: Program,
    /// Asks, or sends.
    pub here: Program,
    /// Carries no data, so that it is measured at one size alone, and there and back only.
    pub is_bare: bool,
}

impl Contender {
    const fn own(name: &'static str, about: &'static str) -> Contender {
        let program = Program::Own(name);
        Contender::between(name, about, program, program)
    }

    const fn bare(name: &'static str, about: &'static str) -> Contender {
        Contender {
            is_bare: true,
            ..Contender::own(name, about)
        }
    }

    const fn between(
        name: &'static str,
        about: &'static str,
        here: Program,
        there: Program,
    ) -> Contender {
        Contender {
            name,
            about,
            there,
            here,
            is_bare: false,
        }
    }
}

/// This library, as the other side of a program in another language.
const RUST: Program = Program::Own("zerobuffer/spin/copy");

/// All contenders, in the order in which they are measured and shown.
pub const ALL: &[Contender] = &[
    Contender::own("zerobuffer/spin/copy", "spins for a while, then blocks"),
    Contender::own("zerobuffer/spin/in-place", "data made and read in place"),
    Contender::own("zerobuffer/spin/untouched", "no byte written or read"),
    Contender::own("zerobuffer/block/copy", "sleeps at once"),
    Contender::own("zerobuffer/block/in-place", "data made and read in place"),
    Contender::own("zerobuffer/block/untouched", "no byte written or read"),
    Contender::bare("limit/cache-line", "a number to another core and back"),
    Contender::bare("limit/semaphore", "two bare semaphores, blocking"),
    Contender::own("unix-socket", "stream socket"),
    Contender::own("pipe", "a pipe each way"),
    Contender::between("cpp", "peers/cpp at both ends", Program::Cpp, Program::Cpp),
    Contender::between("cpp-to-rust", "peers/cpp asks", Program::Cpp, RUST),
    Contender::between("rust-to-cpp", "peers/cpp answers", RUST, Program::Cpp),
    Contender::between(
        "python",
        "zerobuffer-ipc at both ends",
        Program::Python,
        Program::Python,
    ),
    Contender::between(
        "python-to-rust",
        "zerobuffer-ipc asks",
        Program::Python,
        RUST,
    ),
    Contender::between(
        "rust-to-python",
        "zerobuffer-ipc answers",
        RUST,
        Program::Python,
    ),
    #[cfg(feature = "iceoryx2")]
    Contender::own("iceoryx2/copy", "polls"),
    #[cfg(feature = "iceoryx2")]
    Contender::own("iceoryx2/in-place", "polls; data made and read in place"),
    #[cfg(feature = "iceoryx2")]
    Contender::own("iceoryx2/untouched", "polls; no byte written or read"),
];
