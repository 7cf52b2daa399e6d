//! Ways for bytes from one process to another, all behind one interface.

mod cache_line;
#[cfg(feature = "iceoryx2")]
mod iceoryx2;
mod page;
mod pipe;
mod semaphore;
mod slots;
mod stream;
mod unix_socket;
mod zerobuffer;

use std::path::PathBuf;

use crate::Result;
use crate::payload::Touch;

/// Where two processes meet.
#[derive(Debug, Clone)]
pub struct Place {
    /// Begins the name of everything that they make.
    pub name: String,
    /// Bytes in a frame.
    pub size: usize,
    /// Bytes of a ring, for transports that have one.
    pub ring: usize,
}

impl Place {
    /// A path for a file of this place's own.
    pub fn path(&self, suffix: &str) -> PathBuf {
        PathBuf::from(format!("/dev/shm/{}.{suffix}", self.name))
    }
}

/// Begins the names of all that this run of the benchmark makes.
pub fn own_name() -> String {
    format!("zb-bench-{}", std::process::id())
}

/// A way to carry frames.
pub trait Transport {
    /// How much of a frame is written and read at both ends.
    fn touch(&self) -> Touch;

    /// The end that answers; there for a client when this returns.
    fn server(&self, place: &Place) -> Result<Box<dyn Server>>;

    /// The end that asks.
    fn client(&self, place: &Place) -> Result<Box<dyn Client>>;

    /// The end that takes frames one way; there for a sender when this returns.
    fn receiver(&self, place: &Place) -> Result<Box<dyn Receiver>> {
        Err(format!("{} goes both ways only", place.name).into())
    }

    /// The end that gives them.
    fn sender(&self, place: &Place) -> Result<Box<dyn Sender>> {
        Err(format!("{} goes both ways only", place.name).into())
    }
}

/// Answers each request with its own bytes.
pub trait Server {
    /// Serves until the client has left.
    fn serve(self: Box<Self>) -> Result<()>;
}

/// Asks.
pub trait Client {
    /// Has `write` fill a request and `read` see the answer.
    fn round_trip(
        &mut self,
        write: &mut dyn FnMut(&mut [u8]),
        read: &mut dyn FnMut(&[u8]),
    ) -> Result<()>;
}

/// Takes frames.
pub trait Receiver {
    /// Has `read` see the next frame; whether there was one, or the sender has ended.
    fn receive(&mut self, read: &mut dyn FnMut(&[u8])) -> Result<bool>;
}

/// Gives frames.
pub trait Sender {
    /// Has `write` fill a frame, and sends it.
    fn send(&mut self, write: &mut dyn FnMut(&mut [u8])) -> Result<()>;

    /// Tells the receiver that this was all.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// The transport of that name.
pub fn named(name: &str) -> Result<Box<dyn Transport>> {
    let found: Option<Box<dyn Transport>> = match name {
        "unix-socket" => Some(Box::new(unix_socket::UnixSocket)),
        "pipe" => Some(Box::new(pipe::Pipe)),
        "limit/cache-line" => Some(Box::new(cache_line::CacheLine)),
        "limit/slots" => Some(Box::new(slots::Slots)),
        "limit/semaphore" => Some(Box::new(semaphore::Semaphores)),
        #[cfg(feature = "iceoryx2")]
        name if name.starts_with("iceoryx2") => iceoryx2::Iceoryx2::named(name).map(boxed),
        name => zerobuffer::ZeroBuffer::named(name).map(boxed),
    };
    found.ok_or_else(|| format!("there is no transport {name}").into())
}

fn boxed<T: Transport + 'static>(transport: T) -> Box<dyn Transport> {
    Box::new(transport)
}
