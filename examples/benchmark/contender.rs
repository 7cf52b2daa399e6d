//! Who is measured: which program plays at which end.

use std::path::Path;
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

const PYTHON: &str = "target/peers/python/bin/python";
const CPP: &str = "target/peers/cpp/zerobuffer-benchmark-cpp";

impl Program {
    /// The command that plays `role`.
    pub fn command(self, role: Role, place: &Place, milliseconds: u64) -> Result<Command> {
        let mut command = match self {
            Program::Own(transport) => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["play", transport]);
                command
            }
            Program::Python => {
                let mut command = Command::new(repository().join(PYTHON));
                command.arg(repository().join("peers/python/benchmark.py"));
                command
            }
            Program::Cpp => Command::new(repository().join(CPP)),
        };
        command
            .arg(role.name())
            .arg(&place.name)
            .args([place.size, place.ring].map(|number| number.to_string()))
            .arg(milliseconds.to_string());
        Ok(command)
    }

    fn objection(self) -> Option<String> {
        let (program, setup) = match self {
            Program::Own(name) if name.starts_with("iceoryx2/") && !cfg!(feature = "iceoryx2") => {
                return Some("needs the cargo feature iceoryx2".to_owned());
            }
            Program::Own(_) => return None,
            Program::Python => (PYTHON, "peers/python/setup.sh"),
            Program::Cpp => (CPP, "peers/cpp/setup.sh"),
        };
        let is_there = repository().join(program).exists();
        (!is_there).then(|| format!("needs {program}, which {setup} makes"))
    }
}

/// The repository that this program was built from.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What a contender is measured at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// There and back.
    RoundTrip,
    /// As many frames as it can, one way.
    OneWay,
}

/// What a contender is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Carries frames of any size, there and back as well as one way.
    Carrier,
    /// Carries no data: measured there and back, and at one size alone.
    Bare,
    /// Carries frames of any size, one way.
    OneWay,
    /// One process that copies frames.
    Copier,
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
    pub kind: Kind,
}

impl Contender {
    const fn own(name: &'static str, about: &'static str) -> Contender {
        let program = Program::Own(name);
        Contender::between(name, about, program, program)
    }

    const fn limit(name: &'static str, about: &'static str, kind: Kind) -> Contender {
        Contender {
            kind,
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
            kind: Kind::Carrier,
        }
    }

    /// What it is measured at with frames of the smallest size, or of another one.
    pub fn courses(&self, is_smallest: bool) -> &'static [Course] {
        match self.kind {
            Kind::Carrier => &[Course::RoundTrip, Course::OneWay],
            Kind::Bare if is_smallest => &[Course::RoundTrip],
            Kind::Bare => &[],
            Kind::OneWay | Kind::Copier => &[Course::OneWay],
        }
    }

    /// Whether every byte is written and read, so that bytes a second mean something.
    pub fn is_touched(&self) -> bool {
        !self.name.ends_with("/untouched")
    }

    /// Why it cannot be measured here, and what to do about it.
    pub fn objection(&self) -> Option<String> {
        [self.here, self.there]
            .iter()
            .find_map(|program| program.objection())
    }
}

/// This library, as the other side of a program in another language.
const RUST: Program = Program::Own("zerobuffer/spin/copy");

/// All contenders, in the order in which they are measured and shown.
pub const ALL: &[Contender] = &[
    Contender::own("zerobuffer/spin/copy", "spins for a while, then sleeps"),
    Contender::own("zerobuffer/spin/in-place", "data made and read in place"),
    Contender::own("zerobuffer/spin/untouched", "no byte written or read"),
    Contender::own("zerobuffer/busy/copy", "never sleeps"),
    Contender::own("zerobuffer/busy/in-place", "data made and read in place"),
    Contender::own("zerobuffer/busy/untouched", "no byte written or read"),
    Contender::own("zerobuffer/block/copy", "sleeps at once"),
    Contender::own("zerobuffer/block/in-place", "data made and read in place"),
    Contender::own("zerobuffer/block/untouched", "no byte written or read"),
    Contender::between("cpp", "peers/cpp at both ends", Program::Cpp, Program::Cpp),
    Contender::between("cpp-to-rust", "peers/cpp asks", Program::Cpp, RUST),
    Contender::between("rust-to-cpp", "peers/cpp answers", RUST, Program::Cpp),
    Contender::between(
        "python",
        "Python at both ends",
        Program::Python,
        Program::Python,
    ),
    Contender::between("python-to-rust", "Python asks", Program::Python, RUST),
    Contender::between("rust-to-python", "Python answers", RUST, Program::Python),
    Contender::own("unix-socket", "a stream socket"),
    Contender::own("pipe", "a pipe each way"),
    Contender::own("iceoryx2/copy", "polls"),
    Contender::own("iceoryx2/in-place", "polls; data made and read in place"),
    Contender::own("iceoryx2/untouched", "polls; no byte written or read"),
    Contender::limit(
        "limit/cache-line",
        "a number to another core and back",
        Kind::Bare,
    ),
    Contender::limit(
        "limit/semaphore",
        "two bare semaphores, asleep on each",
        Kind::Bare,
    ),
    Contender::limit(
        "limit/slots",
        "one core copies in, another one out; no protocol",
        Kind::OneWay,
    ),
    Contender::limit(
        "limit/memcpy",
        "one process, the same memory over and over",
        Kind::Copier,
    ),
];

/// Those whose names contain one of `parts`, or all; without those that cannot be measured here,
/// of whom the user is told.
pub fn choose(parts: &[String]) -> Result<Vec<&'static Contender>> {
    let is_meant = |contender: &&Contender| {
        parts.is_empty()
            || parts
                .iter()
                .any(|part| contender.name.contains(part.as_str()))
    };
    let mut chosen = Vec::new();
    for contender in ALL.iter().filter(is_meant) {
        match contender.objection() {
            Some(objection) => eprintln!("skipped: {} {objection}", contender.name),
            None => chosen.push(contender),
        }
    }
    if chosen.is_empty() {
        return Err("nobody to measure; --list lists the contenders".into());
    }
    Ok(chosen)
}
