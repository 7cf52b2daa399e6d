//! What the tests of duplex channels share.

#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use zerobuffer::duplex::{
    ChannelName, ClientOptions, DuplexClient, ImmutableDuplexServer, Reply, ServerOptions,
};

use super::{LONG, unique};

/// A name for a channel of this test alone.
pub fn channel(label: &str) -> ChannelName {
    ChannelName::new(unique(&format!("duplex-{label}"))).unwrap()
}

/// A client, as soon as there is a server for it.
pub fn connect(name: &ChannelName) -> DuplexClient {
    DuplexClient::connect(name, ClientOptions::default()).unwrap()
}

/// What a server has reported.
pub type Errors = Arc<Mutex<Vec<String>>>;

/// Has the server's errors collected.
pub fn collect_errors(options: ServerOptions) -> (ServerOptions, Errors) {
    let errors = Errors::default();
    let sink = Arc::clone(&errors);
    (
        options.on_error(move |error| sink.lock().unwrap().push(error.to_string())),
        errors,
    )
}

/// The next answer, which has to come.
pub fn answer(client: &mut DuplexClient) -> (u64, Vec<u8>) {
    let response = client.receive(LONG).unwrap().expect("an answer in time");
    (response.sequence, response.data.to_vec())
}

/// Something on a tokio runtime, whose one thread runs until it is dropped.
#[cfg(feature = "async")]
pub struct OnRuntime<T> {
    // First: it goes while the runtime still runs.
    guest: T,
    _end: tokio::sync::oneshot::Sender<()>,
}

#[cfg(feature = "async")]
impl<T> OnRuntime<T> {
    /// Makes what `start` makes, within a runtime.
    pub fn start(start: impl FnOnce() -> T) -> OnRuntime<T> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let guest = {
            let _within = runtime.enter();
            start()
        };
        let (end, ended) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || runtime.block_on(ended));
        OnRuntime { guest, _end: end }
    }

    /// What was made.
    pub fn guest(&self) -> &T {
        &self.guest
    }
}

/// Answers with the request's own bytes.
pub fn echo(name: &ChannelName) -> ImmutableDuplexServer {
    echo_with(name, ServerOptions::default())
}

/// Likewise, set up in its own way.
pub fn echo_with(name: &ChannelName, options: ServerOptions) -> ImmutableDuplexServer {
    ImmutableDuplexServer::start(name, options, |request| Ok(Reply::bytes(request.to_vec())))
        .unwrap()
}

/// Fails for a request that says so, panics for another, echoes the rest.
pub fn moody(name: &ChannelName, options: ServerOptions) -> ImmutableDuplexServer {
    ImmutableDuplexServer::start(name, options, |request| match &request.to_vec()[..] {
        b"fail" => Err("as it was told".into()),
        b"panic" => panic!("as it was told"),
        other => Ok(Reply::bytes(other)),
    })
    .unwrap()
}
