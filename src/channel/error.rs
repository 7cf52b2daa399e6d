//! What can go wrong on a channel.

use std::io;
use std::time::Duration;

/// Every failure of a channel operation, with the buffer's name and the numbers that matter.
///
/// Running out of time while reading is not among them: [`Reader::read`](super::Reader::read)
/// answers `Ok(None)`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No reader has created the buffer within the time allowed.
    #[error("buffer '{name}' does not exist (waited {waited:?})")]
    BufferNotFound {
        /// The buffer.
        name: String,
        /// How long the writer looked for it.
        waited: Duration,
    },
    /// The buffer is there, but was not fit to be attached to within the time allowed.
    #[error("buffer '{name}' is not ready: {why} (waited {waited:?})")]
    NotReady {
        /// The buffer.
        name: String,
        /// What is missing.
        why: &'static str,
        /// How long the writer waited for it.
        waited: Duration,
    },
    /// Another reader holds the buffer's lock.
    #[error("buffer '{name}' already has a reader")]
    ReaderAlreadyConnected {
        /// The buffer.
        name: String,
    },
    /// Another living writer is attached.
    #[error("buffer '{name}' already has a writer, process {pid}")]
    WriterAlreadyConnected {
        /// The buffer.
        name: String,
        /// The attached writer's process id.
        pid: u64,
    },
    /// The name cannot be used for a buffer or a channel.
    #[error("invalid name {name:?}: {why}")]
    InvalidName {
        /// The name.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// The sizes asked for cannot make a buffer.
    #[error("buffer '{name}' cannot have these sizes: {why}")]
    InvalidConfig {
        /// The buffer.
        name: String,
        /// What is wrong with them.
        why: String,
    },
    /// The segment was made by another version of the protocol.
    #[error(
        "buffer '{name}' speaks another protocol: control block of {oieb_size} bytes, \
         major version {major} (expected 128 and 1)"
    )]
    IncompatibleVersion {
        /// The buffer.
        name: String,
        /// The control block's size that it states, in bytes.
        oieb_size: u32,
        /// The major version that it states.
        major: u8,
    },
    /// The segment holds values that no peer keeping to the protocol writes.
    #[error("buffer '{name}' is corrupt: {what}")]
    Corrupt {
        /// The buffer.
        name: String,
        /// Which values, and what they should have been.
        what: String,
    },
    /// A frame or metadata of no bytes.
    #[error("buffer '{name}': a frame needs at least one byte")]
    InvalidFrameSize {
        /// The buffer.
        name: String,
    },
    /// No amount of waiting makes room for the frame.
    #[error(
        "buffer '{name}': a frame of {size} bytes needs {needed} bytes where the writer stands, \
         the buffer has {capacity} (choose at least twice the largest frame)"
    )]
    FrameTooLarge {
        /// The buffer.
        name: String,
        /// The frame's size, in bytes.
        size: u64,
        /// What it takes with its header and the skipped end of the block, in bytes.
        needed: u64,
        /// The payload block's size, in bytes.
        capacity: u64,
    },
    /// The reader did not make room within the write timeout.
    #[error("buffer '{name}' is full: {needed} bytes needed, {free} free (waited {waited:?})")]
    BufferFull {
        /// The buffer.
        name: String,
        /// What the frame takes, in bytes.
        needed: u64,
        /// What was free when the time ran out, in bytes.
        free: u64,
        /// The write timeout.
        waited: Duration,
    },
    /// Metadata is written once in the life of a buffer.
    #[error("buffer '{name}': metadata has been written already")]
    MetadataAlreadyWritten {
        /// The buffer.
        name: String,
    },
    /// The metadata does not fit into its block.
    #[error("buffer '{name}': metadata of {size} bytes, {capacity} is the most")]
    MetadataTooLarge {
        /// The buffer.
        name: String,
        /// The metadata's size, in bytes.
        size: u64,
        /// What the block can hold, in bytes.
        capacity: u64,
    },
    /// A frame does not carry the next sequence number.
    #[error("buffer '{name}': sequence error: expected {expected}, got {got}")]
    Sequence {
        /// The buffer.
        name: String,
        /// The number that was due.
        expected: u64,
        /// The number in the frame's header.
        got: u64,
    },
    /// The reader has left or died, or was replaced by another one.
    #[error("buffer '{name}': the reader has gone (process {pid})")]
    ReaderDead {
        /// The buffer.
        name: String,
        /// The reader's process id when it was last seen.
        pid: u64,
    },
    /// The writer has left or died, and nothing is left to read.
    #[error("buffer '{name}': the writer has gone (process {pid})")]
    WriterDead {
        /// The buffer.
        name: String,
        /// The writer's process id when it was last seen; 0 if it came and went unseen.
        pid: u64,
    },
    /// The system refuses access to one of the buffer's parts.
    #[error("buffer '{name}': no permission for {what}")]
    PermissionDenied {
        /// The buffer.
        name: String,
        /// The file.
        what: String,
    },
    /// There is no room for the buffer in shared memory.
    #[error("buffer '{name}': no room in shared memory for {what}")]
    NoSpace {
        /// The buffer.
        name: String,
        /// What was to be made.
        what: String,
    },
    /// Another failure of the system.
    #[error("buffer '{name}': {doing}: {source}")]
    Io {
        /// The buffer.
        name: String,
        /// What was being done.
        doing: String,
        /// The system's answer.
        source: io::Error,
    },
}

impl Error {
    /// Sorts a failure of the system into the cases that have a name of their own.
    pub(crate) fn from_io(name: &str, doing: impl Into<String>, source: io::Error) -> Error {
        let (name, doing) = (name.to_owned(), doing.into());
        match source.raw_os_error() {
            Some(libc::EACCES | libc::EPERM) => Error::PermissionDenied { name, what: doing },
            Some(libc::ENOSPC | libc::EDQUOT) => Error::NoSpace { name, what: doing },
            _ => Error::Io {
                name,
                doing,
                source,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_the_system_get_their_names() {
        let sort = |code| Error::from_io("b", "lock", io::Error::from_raw_os_error(code));
        assert!(matches!(sort(libc::EACCES), Error::PermissionDenied { .. }));
        assert!(matches!(sort(libc::ENOSPC), Error::NoSpace { .. }));
        assert!(matches!(sort(libc::EIO), Error::Io { .. }));
        assert!(
            sort(libc::EIO)
                .to_string()
                .starts_with("buffer 'b': lock: ")
        );
    }
}
