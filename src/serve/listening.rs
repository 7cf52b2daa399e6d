//! A step server for many: a scenario each for every WebSocket connection to a socket.
//!
//! The methods are those of the standard streams, with two exceptions: `shutdown` ends the connection
//! and not the process, and `crash` is refused, because others are connected as well. For the same
//! reason no step lets this process die. HTTP requests without a connection that lasts are refused:
//! nobody could tell when their scenario is over.
//!
//! Web pages are kept out: a browser lets each of them open connections to its user's machine. Only
//! where other machines are let in, a page there whose name leads here cannot be told from a program.
//!
//! Requests are those that jsonrpsee knows: one without an id, or with a negative or fractional number,
//! is refused, where over standard streams it is carried out.
//!
//! What a connection holds is released when it ends, however it does; a peer that has gone without a
//! word is noticed by its silence.

use std::io::Write;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use jsonrpsee::server::http::response;
use jsonrpsee::server::middleware::rpc::RpcServiceBuilder;
use jsonrpsee::server::{
    BatchRequestConfig, HttpRequest, PingConfig, Server, ServerConfig, ServerHandle, StopHandle,
    serve_with_graceful_shutdown, stop_channel,
};
use nix::sys::signal::Signal;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tracing::Instrument;

use super::admission::{Admission, Budget};
use super::executor::Executor;
use super::logs::Logs;
use super::{ending, methods, naming, sharing};
use crate::rpc::framing::MAX_BODY;

/// What stands before the address on the standard output, once connections are accepted.
pub const LISTENING_ON: &str = "listening on ";

/// How many connections are served at the same time.
const MAX_CONNECTIONS: usize = 1024;

/// How often a peer is asked for a sign of life.
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// How long a peer may be silent: long enough for one that is stopped for a moment.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);

/// How long to wait after a connection could not be accepted, for example because descriptors have
/// run out: trying again at once would only take the time of those that could give some back.
const PAUSE: Duration = Duration::from_millis(100);

/// Checks that only who may do so can reach this address.
///
/// # Errors
///
/// Why it is refused.
pub fn check_reach(address: SocketAddr, allow_remote: bool) -> Result<(), String> {
    if allow_remote || address.ip().is_loopback() {
        return Ok(());
    }
    Err(format!(
        "--listen {address} is refused: other machines could reach it, and there is no authentication, \
         so whoever does can have any step executed here; listen on 127.0.0.1, or add --allow-remote"
    ))
}

/// Takes the address.
///
/// # Errors
///
/// Why it cannot be had.
pub fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    let bound = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound.map_err(|error| format!("cannot listen on {address}: {error}"))
}

/// Serves every connection until `signal`; then ends all of them, and says the status to end with.
///
/// # Errors
///
/// If it cannot even begin.
pub async fn serve(
    listener: TcpListener,
    step_timeout: Duration,
    signal: oneshot::Receiver<Signal>,
) -> Result<u8, String> {
    let failed = |error: std::io::Error| format!("cannot listen: {error}");
    let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    sharing::begin();
    if naming::is_in_environment() {
        tracing::warn!(
            "{} and {} are ignored: names come from `initialize`, so that every connection has its own",
            naming::HOST_PID,
            naming::FEATURE_ID
        );
    }
    let mut output = std::io::stdout();
    let told = writeln!(output, "{LISTENING_ON}{address}").and_then(|()| output.flush());
    told.map_err(|error| format!("cannot say where it listens: {error}"))?;
    Ok(accept_all(&listener, step_timeout, signal).await)
}

async fn accept_all(
    listener: &tokio::net::TcpListener,
    step_timeout: Duration,
    mut signal: oneshot::Receiver<Signal>,
) -> u8 {
    let ending = CancellationToken::new();
    let mut connections = JoinSet::new();
    let mut number = 0;
    let signal = loop {
        tokio::select! {
            Ok(signal) = &mut signal => break signal,
            Some(ended) = connections.join_next() => complain_of(ended),
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((socket, peer)) => {
                    number += 1;
                    let ending = ending.clone();
                    connections.spawn(attend(socket, peer, number, step_timeout, ending));
                }
                Err(error) => {
                    tracing::warn!("cannot accept a connection: {error}");
                    tokio::time::sleep(PAUSE).await;
                }
            },
        }
    };
    tracing::warn!("ended by {signal}");
    ending.cancel();
    while let Some(ended) = connections.join_next().await {
        complain_of(ended);
    }
    ending::status_after(signal)
}

fn complain_of(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!("a connection was lost: {error}");
    }
}

/// Serves one connection until it ends, or all are to; nothing is left of it then.
async fn attend(
    socket: TcpStream,
    peer: SocketAddr,
    number: u64,
    step_timeout: Duration,
    ending: CancellationToken,
) {
    let logs = Logs::of_connection(number);
    let span = logs.span();
    let serving = async {
        tracing::info!("connected: {peer}");
        let executor = Arc::new(Executor::new(step_timeout, logs));
        let (stopped, stop) = stop_channel();
        let budget = Budget::new();
        let conversation = Conversation {
            executor: Arc::clone(&executor),
            budget: budget.clone(),
            stopped,
            stop: stop.clone(),
        };
        tokio::select! {
            () = conversation.hold(socket) => {}
            () = ending.cancelled() => {}
            why = budget.exceeded() => tracing::error!("{why}: ending the connection"),
        }
        // Requests may still be taken in, and their calls still wait for their turn.
        let _ = stop.stop();
        // What is not in order is in the log.
        let _ = executor.close().await;
        tracing::info!("disconnected: {peer}");
    };
    serving.instrument(span).await;
}

/// One connection's requests and answers.
struct Conversation {
    executor: Arc<Executor>,
    budget: Budget,
    stopped: StopHandle,
    stop: ServerHandle,
}

impl Conversation {
    /// Answers requests until the connection has ended.
    async fn hold(self, socket: TcpStream) {
        let Conversation {
            executor,
            budget,
            stopped,
            stop,
        } = self;
        let methods = methods::of_connection(executor, move || {
            // Where nobody is left to be told, the connection has ended already.
            let _ = stop.stop();
        });
        let admission = RpcServiceBuilder::new()
            .layer_fn(move |service| Admission::to(service, budget.clone()));
        let builder = Server::builder()
            .set_config(configuration())
            .set_rpc_middleware(admission)
            .to_service_builder();
        let mut service = builder.build(methods, stopped.clone());
        let closed = service.on_session_closed();
        let is_remote = is_of_another_machine(&socket);
        let guarded = tower::service_fn(move |request| {
            let service = service.clone();
            async move {
                if is_of_a_page(&request, is_remote) {
                    tracing::warn!("a web page was refused");
                    return Ok(response::denied());
                }
                let answered = service.oneshot(request).await;
                answered.map_err(|error| error.to_string())
            }
        });
        let served = serve_with_graceful_shutdown(socket, guarded, stopped.shutdown()).await;
        if let Err(error) = served {
            tracing::warn!("the connection was not a good one: {error}");
        }
        // What was served so far may have become a session, which goes on by itself.
        closed.await;
    }
}

/// Whether the peer may be on another machine: it has not come from the address that it has come to.
fn is_of_another_machine(socket: &TcpStream) -> bool {
    let (Ok(own), Ok(peer)) = (socket.local_addr(), socket.peer_addr()) else {
        return false;
    };
    let [own, peer] = [own, peer].map(|address| address.ip().to_canonical());
    !own.is_loopback() && own != peer
}

/// Whether somebody else's web page asks. Browsers say where a page comes from; of programs some say
/// the same, and name this server then. A page can have this server's address under a name of its own,
/// so that here only other machines are called by names.
fn is_of_a_page<B>(request: &HttpRequest<B>, is_remote: bool) -> bool {
    let header = |name| request.headers().get(name)?.to_str().ok();
    if !request.headers().contains_key("origin") {
        return false;
    }
    let origin = header("origin").and_then(|origin| origin.split_once("://"));
    let (Some((_, origin)), Some(host)) = (origin, header("host")) else {
        return true;
    };
    let is_number = host.parse::<SocketAddr>().is_ok() || host.parse::<IpAddr>().is_ok();
    let name = host.split(':').next().unwrap_or_default();
    origin != host || !(is_remote || is_number || name == "localhost")
}

fn configuration() -> ServerConfig {
    let limit = u32::try_from(MAX_BODY).expect("the limit for a frame fits 32 bits");
    let ping = PingConfig::new()
        .ping_interval(PING_INTERVAL)
        .inactive_limit(LONGEST_SILENCE);
    ServerConfig::builder()
        .ws_only()
        .max_request_body_size(limit)
        .max_response_body_size(limit)
        .set_batch_request_config(BatchRequestConfig::Disabled)
        .enable_ws_ping(ping)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn web_pages_are_told_from_programs() {
        let asks = |origin: Option<&str>, host: &str, is_remote| {
            let request = HttpRequest::builder().header("host", host);
            let request = match origin {
                Some(origin) => request.header("origin", origin),
                None => request,
            };
            is_of_a_page(&request.body(()).unwrap(), is_remote)
        };
        assert!(!asks(None, "test", false));
        for host in [
            "127.0.0.1:7700",
            "localhost:7700",
            "[::1]:7700",
            "127.0.0.1",
        ] {
            assert!(
                !asks(Some(&format!("http://{host}")), host, false),
                "{host}"
            );
        }
        assert!(asks(Some("https://example.org"), "127.0.0.1:7700", false));
        assert!(asks(Some("http://localhost:7701"), "localhost:7700", false));
        assert!(asks(Some("null"), "127.0.0.1:7700", false));
        let own = Some("http://example.org:7700");
        assert!(asks(own, "example.org:7700", false), "a name of its own");
        assert!(!asks(own, "example.org:7700", true));
    }

    #[test]
    fn only_this_machine_may_reach_it_unless_that_is_asked_for() {
        for address in ["127.0.0.1:0", "127.3.2.1:7700", "[::1]:7700"] {
            assert_eq!(check_reach(address.parse().unwrap(), false), Ok(()));
        }
        for address in ["0.0.0.0:7700", "[::]:7700", "192.168.0.7:7700"] {
            let address = address.parse().unwrap();
            let why = check_reach(address, false).unwrap_err();
            assert!(why.contains("there is no authentication"), "{why}");
            assert!(why.contains("--allow-remote"), "{why}");
            assert_eq!(check_reach(address, true), Ok(()));
        }
    }
}
