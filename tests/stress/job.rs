//! What one end of a stress test has to do, and the programs that can do it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{PoisonError, RwLock};

use crate::random::Random;
use crate::support::{Peer, leftovers};

/// What a process does, and on which buffer or channel.
#[derive(Debug, Clone)]
pub struct Job {
    pub role: Role,
    pub name: String,
    pub seed: u64,
    pub count: u64,
    /// Bytes in the largest message.
    pub largest: u64,
    /// Payload bytes of the buffer that is made.
    pub ring: u64,
    /// Where a process that is going to be killed writes down how far it has come.
    pub progress: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Write,
    Read,
    Client,
    Serve,
}

impl Role {
    const ALL: [Role; 4] = [Role::Write, Role::Read, Role::Client, Role::Serve];

    fn word(self) -> &'static str {
        match self {
            Role::Write => "write",
            Role::Read => "read",
            Role::Client => "client",
            Role::Serve => "serve",
        }
    }

    /// Who has to be there for this one.
    pub fn counterpart(self) -> Role {
        match self {
            Role::Write => Role::Read,
            Role::Read => Role::Write,
            Role::Client => Role::Serve,
            Role::Serve => Role::Client,
        }
    }
}

impl Job {
    /// Messages of up to a third of a ring of `ring` bytes.
    pub fn new(role: Role, name: &str, ring: u64, count: u64, random: &mut Random) -> Job {
        Job {
            role,
            name: name.to_owned(),
            seed: random.next(),
            count,
            largest: ring / 3,
            ring,
            progress: None,
        }
    }

    pub fn counterpart(&self) -> Job {
        let role = self.role.counterpart();
        Job {
            role,
            ..self.clone()
        }
    }

    /// The arguments that all peers understand.
    fn options(&self) -> Vec<String> {
        [
            ("seed", self.seed),
            ("count", self.count),
            ("largest", self.largest),
            ("ring", self.ring),
        ]
        .into_iter()
        .flat_map(|(option, value)| [format!("--{option}"), value.to_string()])
        .collect()
    }

    /// The job in one line, for another process of this program.
    fn line(&self) -> String {
        let mut words = vec![self.role.word().to_owned()];
        words.extend(self.options());
        if let Some(path) = &self.progress {
            words.extend(["--progress".to_owned(), path.display().to_string()]);
        }
        words.join(" ")
    }

    /// The other way round.
    pub fn parse(line: &str, name: &str) -> Job {
        let mut words = line.split(' ');
        let role = words.next().unwrap();
        let role = Role::ALL.into_iter().find(|known| known.word() == role);
        let mut job = Job {
            role: role.unwrap(),
            name: name.to_owned(),
            seed: 0,
            count: 0,
            largest: 0,
            ring: 0,
            progress: None,
        };
        while let Some(option) = words.next() {
            let value = words.next().unwrap();
            match option {
                "--seed" => job.seed = value.parse().unwrap(),
                "--count" => job.count = value.parse().unwrap(),
                "--largest" => job.largest = value.parse().unwrap(),
                "--ring" => job.ring = value.parse().unwrap(),
                "--progress" => job.progress = Some(value.into()),
                other => panic!("no such option: {other}"),
            }
        }
        job
    }

    /// Starts a process that does it.
    pub fn start(&self, implementation: Implementation) -> Peer {
        match implementation.command() {
            Some(mut command) => {
                let arguments = [self.role.word(), &self.name];
                Peer::spawn(command.args(arguments).args(self.options()))
            }
            None => Peer::start(&self.line(), &self.name),
        }
    }
}

/// An implementation of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Implementation {
    Rust,
    Cpp,
    Python,
}

impl Implementation {
    /// The beginning of the command, for implementations that are other programs.
    fn command(self) -> Option<Command> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let (program, script, folder) = match self {
            Implementation::Rust => return None,
            Implementation::Cpp => ("cpp/zerobuffer-stress-cpp", None, "cpp"),
            Implementation::Python => ("python/bin/python", Some("stress.py"), "python"),
        };
        let program = root.join("target/peers").join(program);
        assert!(
            program.exists(),
            "{} is missing: run peers/{folder}/setup.sh once",
            program.display()
        );
        let mut command = Command::new(program);
        command.args(script.map(|script| root.join("peers").join(folder).join(script)));
        Some(command)
    }

    /// Has processes of this implementation live apart from tests that kill and replace readers,
    /// until what this gives is dropped.
    ///
    /// A reader in Python, when it is made, sweeps up after all dead readers. It unlocks a lock file,
    /// looks whether the processes are dead and then removes by name: what it removes may by then be
    /// the buffer of the next reader, alive and at work, whose writer takes it for dead.
    pub fn keep_apart(self) -> impl Sized {
        static SWEEPS: RwLock<()> = RwLock::new(());
        // It protects nothing that a failed test could have broken.
        match self {
            Implementation::Python => {
                let alone = SWEEPS.write().unwrap_or_else(PoisonError::into_inner);
                (Some(alone), None)
            }
            Implementation::Rust | Implementation::Cpp => {
                let together = SWEEPS.read().unwrap_or_else(PoisonError::into_inner);
                (None, Some(together))
            }
        }
    }

    /// What is left of `name` that this implementation is known to leave.
    pub fn tidy_up(self, name: &str) {
        if self != Implementation::Python {
            return;
        }
        for path in leftovers(name) {
            let file = path.file_name().unwrap().to_string_lossy().into_owned();
            // The package closes its semaphores before it unlinks them, which then does nothing.
            if file.starts_with("sem.") {
                std::fs::remove_file(path).unwrap();
            }
        }
    }
}
