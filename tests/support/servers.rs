//! Servers of every kind and mode, for tests of what they have in common.

use std::num::NonZeroUsize;
use std::time::Duration;

#[cfg(feature = "async")]
use zerobuffer::duplex::AsyncDuplexServer;
use zerobuffer::duplex::{
    ChannelName, DuplexClient, DuplexError, HandlerError, ImmutableDuplexServer,
    MutableDuplexServer, ProcessingMode, Reply, ServerOptions,
};

use super::LONG;

/// What a server does with requests.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Replies with bytes of its own.
    Bytes,
    /// Writes its reply into the memory that it is offered.
    Loan,
    /// Changes the request.
    Mutable,
    /// Replies with bytes, after some time in which others run.
    #[cfg(feature = "async")]
    Async,
}

/// All of them.
pub const KINDS: &[Kind] = &[
    Kind::Bytes,
    Kind::Loan,
    Kind::Mutable,
    #[cfg(feature = "async")]
    Kind::Async,
];

/// Every kind of server in every mode that it has.
pub fn servers() -> impl Iterator<Item = (Kind, ProcessingMode)> {
    KINDS
        .iter()
        .flat_map(|kind| kind.modes().into_iter().map(|mode| (*kind, mode)))
}

/// A server; stopped when dropped.
pub struct Served {
    _server: Box<dyn Send>,
}

impl Kind {
    fn modes(self) -> Vec<ProcessingMode> {
        let pool = |size| ProcessingMode::ThreadPool(NonZeroUsize::new(size).unwrap());
        match self {
            #[cfg(feature = "async")]
            Kind::Async => vec![ProcessingMode::default()],
            _ => vec![ProcessingMode::SingleThread, pool(1), pool(3)],
        }
    }

    /// Serves with a handler that does what requests tell it.
    pub fn start(self, name: &ChannelName, options: ServerOptions) -> Served {
        let server: Box<dyn Send> = match self {
            Kind::Bytes => {
                let server = ImmutableDuplexServer::start(name, options, |request| {
                    let mut data = request.to_vec();
                    obey(&mut data)?;
                    Ok(Reply::bytes(data))
                });
                Box::new(server.unwrap())
            }
            Kind::Loan => {
                let server = ImmutableDuplexServer::start(name, options, |request| {
                    let mut reply = request.loan(request.len())?;
                    let mut data = request.to_vec();
                    obey(&mut data)?;
                    reply.copy_from(&data);
                    Ok(reply.into())
                });
                Box::new(server.unwrap())
            }
            Kind::Mutable => {
                // SAFETY: the clients are the tests' own.
                let server = unsafe { MutableDuplexServer::start(name, options, obey) };
                Box::new(server.unwrap())
            }
            #[cfg(feature = "async")]
            Kind::Async => Box::new(super::duplex::OnRuntime::start(|| {
                AsyncDuplexServer::start(name, options, |request| async move {
                    let mut data = request.to_vec();
                    tokio::time::sleep(delay(&data)).await;
                    data[1] = 0;
                    obey(&mut data)?;
                    data[1] = !request.to_vec()[1];
                    Ok(data)
                })
                .unwrap()
            })),
        };
        Served { _server: server }
    }
}

/// What requests can ask for.
pub const ECHO: u8 = 0;
pub const FAIL: u8 = 1;
pub const PANIC: u8 = 2;
/// As [`ECHO`], with a delay a hundred times as long.
pub const WAIT: u8 = 3;

/// The unit of a handler's delay.
const DELAY: Duration = Duration::from_micros(100);

/// How long a handler takes for a request, which says so in its second byte.
fn delay(data: &[u8]) -> Duration {
    let unit = if data[0] == WAIT { 100 * DELAY } else { DELAY };
    unit * u32::from(data[1])
}

/// Does what a request says in its first byte, after the delay in its second; inverts it.
pub fn obey(data: &mut [u8]) -> Result<(), HandlerError> {
    std::thread::sleep(delay(data));
    match data[0] {
        FAIL => return Err("as it was told".into()),
        // As a panic, without the message on the terminal.
        PANIC => std::panic::resume_unwind(Box::new("as it was told")),
        _ => {}
    }
    data.iter_mut().for_each(|byte| *byte = !*byte);
    Ok(())
}

/// A request without a delay.
pub fn request(verb: u8, text: &[u8]) -> Vec<u8> {
    [&[verb, 0], text].concat()
}

/// What a server makes of a request.
pub fn inverted(data: &[u8]) -> Vec<u8> {
    data.iter().map(|byte| !byte).collect()
}

/// The number of the request that is reported as failed next.
pub fn gap(client: &mut DuplexClient) -> u64 {
    match client.receive(LONG).unwrap_err() {
        DuplexError::HandlerFailed { sequence, .. } => sequence,
        error => panic!("{error}"),
    }
}
