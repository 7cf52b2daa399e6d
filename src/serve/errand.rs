//! What a step needs another process for: this program again, with an errand to run.
//!
//! A scenario whose text names no process for it gets one of its own this way. It says what came of
//! its errand on its standard output, and ends when its standard input does.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::unistd::{User, getuid, setgid, setgroups, setuid};

use super::attempt::kind_of;
use super::failure::{Failure, StepOutcome};
use crate::rpc::message::SKIPPED;
use crate::{BufferName, Error, Writer};

/// What another process is started for.
#[derive(Debug, Clone, PartialEq, Eq, clap::Subcommand)]
pub enum Errand {
    /// Connects to a buffer once, and says what came of it
    #[command(hide = true)]
    ConnectOnce {
        /// The buffer's whole name
        buffer: String,
    },
    /// Connects to a buffer once, as another user, and says what came of it
    #[command(hide = true)]
    ConnectAs {
        /// Who to become
        user: String,
        /// The buffer's whole name
        buffer: String,
    },
    /// Connects to a buffer again and again, and writes a frame where it can
    #[command(hide = true)]
    KeepConnecting {
        /// The buffer's whole name
        buffer: String,
    },
}

/// What an errand says of a success.
pub const CONNECTED: &str = "Connected";

/// What the frames hold of who keeps connecting.
pub const KNOCK: &[u8] = b"somebody was there";

impl Errand {
    /// Runs the errand in this process.
    pub fn run(&self) -> ExitCode {
        let done = match self {
            Errand::ConnectOnce { buffer } => connect_once(buffer),
            Errand::ConnectAs { user, buffer } => connect_as(user, buffer),
            Errand::KeepConnecting { buffer } => keep_connecting(buffer),
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                eprintln!("{self:?}: {failure}");
                ExitCode::FAILURE
            }
        }
    }

    fn arguments(&self) -> Vec<&str> {
        match self {
            Errand::ConnectOnce { buffer } => vec!["connect-once", buffer],
            Errand::ConnectAs { user, buffer } => vec!["connect-as", user, buffer],
            Errand::KeepConnecting { buffer } => vec!["keep-connecting", buffer],
        }
    }

    /// Starts a process that runs the errand.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn start(&self) -> io::Result<Errander> {
        let child = Command::new(std::env::current_exe()?)
            .args(self.arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        Ok(Errander(Some(child)))
    }
}

fn connect_as(user: &str, buffer: &str) -> StepOutcome {
    let other = find_user(user)?;
    setgroups(&[])?;
    setgid(other.gid)?;
    setuid(other.uid)?;
    connect_once(buffer)
}

fn connect_once(buffer: &str) -> StepOutcome {
    match Writer::connect(&BufferName::new(buffer)?, Duration::ZERO) {
        Ok(_) => println!("{CONNECTED}: to '{buffer}'"),
        Err(error) => println!("{}: {error}", kind_of(&error)),
    }
    Ok(())
}

/// Looks a user up.
///
/// # Errors
///
/// If there is none of that name.
pub fn find_user(name: &str) -> Result<User, Failure> {
    let user = User::from_name(name)?;
    user.ok_or_else(|| Failure::new(format!("this machine has no user '{name}'")))
}

/// Checks that this process may become `user`, who is somebody else.
///
/// # Errors
///
/// The failure of a step that cannot be carried out here.
pub fn expect_other_user(user: &str) -> StepOutcome {
    let other = find_user(user).map_err(|failure| Failure::new(format!("{SKIPPED}{failure}")))?;
    if !getuid().is_root() {
        return Err(Failure::new(format!(
            "{SKIPPED}only root can become user '{user}', this process is of user {}",
            getuid()
        )));
    }
    if other.uid.is_root() {
        return Err(Failure::new(format!("{SKIPPED}'{user}' is root")));
    }
    Ok(())
}

fn keep_connecting(buffer: &str) -> StepOutcome {
    let buffer = BufferName::new(buffer)?;
    let is_over = Arc::new(AtomicBool::new(false));
    let over = Arc::clone(&is_over);
    std::thread::Builder::new()
        .name("input".into())
        .spawn(move || {
            // Whatever ends it, an error included.
            let _ = io::stdin().read_to_end(&mut Vec::new());
            over.store(true, Ordering::Relaxed);
        })?;
    let mut tally = BTreeMap::<String, u64>::new();
    while !is_over.load(Ordering::Relaxed) {
        let outcome = match knock(&buffer) {
            Ok(()) => CONNECTED.to_owned(),
            Err(error) => kind_of(&error).to_owned(),
        };
        *tally.entry(outcome).or_default() += 1;
    }
    for (outcome, count) in tally {
        println!("{outcome} {count}");
    }
    Ok(())
}

fn knock(buffer: &BufferName) -> Result<(), Error> {
    let mut writer = Writer::connect(buffer, Duration::ZERO)?;
    // Nobody may be there to read it.
    writer.set_write_timeout(Duration::ZERO);
    writer.write(KNOCK).map(drop)
}

/// A process that runs an errand. Dropped, it is killed.
#[derive(Debug)]
pub struct Errander(Option<Child>);

impl Errander {
    /// Checks that it has not ended.
    ///
    /// # Errors
    ///
    /// A failure with its status if it has.
    pub fn expect_running(&mut self) -> StepOutcome {
        match self.0.as_mut().map(Child::try_wait).transpose()?.flatten() {
            None => Ok(()),
            Some(status) => Err(Failure::new(format!(
                "expected the other process to be running, found it ended: {status}"
            ))),
        }
    }

    /// Tells the process that it is over, waits for it, and returns what it said.
    ///
    /// # Errors
    ///
    /// If it failed.
    pub fn finish(mut self) -> Result<String, Failure> {
        let child = self.0.take().ok_or_else(|| Failure::new("it has ended"))?;
        let output = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if output.status.success() {
            return Ok(said);
        }
        Err(Failure::new(format!(
            "the other process ended with {}, having said '{said}'",
            output.status
        )))
    }
}

impl Drop for Errander {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take()
            && let Err(error) = child.kill().and_then(|()| child.wait())
        {
            tracing::warn!("cannot end process {}: {error}", child.id());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Arguments {
        #[command(subcommand)]
        errand: Errand,
    }

    #[test]
    fn an_errand_is_what_its_arguments_say() {
        for errand in [
            Errand::ConnectOnce { buffer: "b".into() },
            Errand::ConnectAs {
                user: "nobody".into(),
                buffer: "a b".into(),
            },
            Errand::KeepConnecting { buffer: "b".into() },
        ] {
            let arguments = [vec!["program"], errand.arguments()].concat();
            assert_eq!(
                Arguments::try_parse_from(arguments).ok().unwrap().errand,
                errand
            );
        }
    }

    #[test]
    fn what_a_process_says_comes_with_its_success() {
        let shell = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]).stdin(Stdio::piped());
            Errander(Some(command.stdout(Stdio::piped()).spawn().unwrap()))
        };
        assert_eq!(shell("cat; echo done").finish().unwrap(), "done");
        let failure = shell("echo bad; exit 3").finish().unwrap_err().to_string();
        assert!(failure.contains("'bad'"), "{failure}");
        shell("cat").expect_running().unwrap();
        let mut ended = shell("exit 0");
        while ended.expect_running().is_ok() {
            std::thread::yield_now();
        }
    }
}
