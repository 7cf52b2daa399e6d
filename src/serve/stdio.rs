//! The standard streams of a step server.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

/// The streams that carry frames.
#[derive(Debug)]
pub struct FrameStreams {
    /// What was the standard input.
    pub input: File,
    /// What was the standard output.
    pub output: File,
}

/// Takes standard input and output for frames, and for frames alone: descriptor 0 then reads
/// nothing and descriptor 1 writes to the standard error, so neither a stray print nor a child
/// process can break the framing. Descriptors of the result are closed when a child is started.
///
/// # Errors
///
/// Those of the system, when descriptors run out.
pub fn take_streams() -> io::Result<FrameStreams> {
    let input = io::stdin().as_fd().try_clone_to_owned()?.into();
    let output = io::stdout().as_fd().try_clone_to_owned()?.into();
    nix::unistd::dup2_stdout(io::stderr())?;
    nix::unistd::dup2_stdin(File::open("/dev/null")?)?;
    Ok(FrameStreams { input, output })
}
