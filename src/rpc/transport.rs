//! What stands between jsonrpsee's client and the connection to a step server: frames over a pair of
//! streams, or messages over a WebSocket.
//!
//! That client ends the connection at the first message it cannot place, an unknown or repeated id
//! among them, and says little about it. The [`Receiver`] hands on only answers to requests that
//! are pending, in strict form; whatever else the server sent is remembered.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{SinkExt, StreamExt};
use jsonrpsee::core::client::{ReceivedMessage, TransportReceiverT, TransportSenderT};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::codec::{FramedRead, FramedWrite};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::framing::{FrameCodec, Incoming};

/// How many oddities are kept for a connection.
const MAX_ODDITIES: usize = 50;

/// How much of a message an oddity quotes, in characters.
const QUOTE: usize = 160;

/// The code of the error that the receiver puts in the place of an answer that was none. It lies
/// outside the range that JSON-RPC reserves and that servers use.
pub(super) const NOT_AN_ANSWER: i32 = 1;

/// What the two halves of the transport and the client share.
#[derive(Debug, Default)]
pub(super) struct Shared(Mutex<Traffic>);

#[derive(Debug, Default)]
pub(super) struct Traffic {
    pending: BTreeSet<u64>,
    answered: BTreeSet<u64>,
    pub(super) oddities: Vec<String>,
    /// How many oddities there were, the ones not kept included.
    pub(super) told: usize,
}

impl Shared {
    pub(super) fn lock(&self) -> std::sync::MutexGuard<'_, Traffic> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Traffic {
    fn note(&mut self, oddity: String) {
        self.told += 1;
        if self.oddities.len() < MAX_ODDITIES {
            self.oddities.push(oddity);
        }
    }

    /// The oddities that came after the first `seen`.
    pub(super) fn since(&self, seen: usize) -> Vec<String> {
        self.oddities.iter().skip(seen).cloned().collect()
    }

    /// Takes in one frame; what is returned goes to the inner client.
    fn receive(&mut self, body: &[u8]) -> Vec<Value> {
        let Ok(Value::Object(mut message)) = serde_json::from_slice::<Value>(body) else {
            let text = quote(&String::from_utf8_lossy(body));
            return self.refuse_pending(format!("a frame that is no JSON-RPC message: {text:?}"));
        };
        if let Some(method) = message.get("method") {
            let method = quote(&method.to_string());
            self.note(format!("a request of its own: {method}"));
            return Vec::new();
        }
        let error = message.remove("error").filter(|error| !error.is_null());
        let result = message.remove("result");
        let id = match message.remove("id") {
            None | Some(Value::Null) => {
                let error = error.unwrap_or(Value::Null);
                let text = quote(&error.to_string());
                return self.refuse_pending(format!("an error that names no request: {text}"));
            }
            Some(id) => id,
        };
        match id.as_u64() {
            Some(number) if self.pending.remove(&number) => {
                self.answered.insert(number);
                vec![strict(number, result, error)]
            }
            Some(number) if self.answered.contains(&number) => {
                self.note(format!("a second answer to request {number}"));
                Vec::new()
            }
            _ => {
                let id = quote(&id.to_string());
                self.note(format!("an answer with id {id}, which no request had"));
                Vec::new()
            }
        }
    }

    /// Every pending request ends with `what` in the place of its answer.
    fn refuse_pending(&mut self, what: String) -> Vec<Value> {
        let pending = std::mem::take(&mut self.pending);
        if pending.is_empty() {
            self.note(what);
            return Vec::new();
        }
        pending
            .into_iter()
            .map(|id| {
                self.answered.insert(id);
                let error = json!({"code": NOT_AN_ANSWER, "message": what});
                json!({"jsonrpc": "2.0", "id": id, "error": error})
            })
            .collect()
    }
}

/// An answer with exactly the members that the inner client accepts.
fn strict(id: u64, result: Option<Value>, error: Option<Value>) -> Value {
    let Some(error) = error else {
        let result = result.unwrap_or(Value::Null);
        return json!({"jsonrpc": "2.0", "id": id, "result": result});
    };
    let code = error.get("code").and_then(Value::as_i64);
    let code = code.and_then(|code| i32::try_from(code).ok());
    let message = match error.get("message").and_then(Value::as_str) {
        Some(message) => message.to_owned(),
        None => error.to_string(),
    };
    let error = json!({"code": code.unwrap_or(-32603), "message": message});
    json!({"jsonrpc": "2.0", "id": id, "error": error})
}

/// The half that sends requests.
pub(super) struct Sender<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Sender<S> {
    pub(super) fn new(inner: S, shared: Arc<Shared>) -> Self {
        Sender { inner, shared }
    }
}

impl<S: TransportSenderT + Send> TransportSenderT for Sender<S> {
    type Error = S::Error;

    async fn send(&mut self, message: String) -> Result<(), Self::Error> {
        #[derive(serde::Deserialize)]
        struct HasId {
            id: u64,
        }
        if let Ok(HasId { id }) = serde_json::from_str(&message) {
            self.shared.lock().pending.insert(id);
        }
        self.inner.send(message).await
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.inner.close().await
    }
}

/// The half that takes in answers.
pub(super) struct Receiver<R> {
    inner: R,
    shared: Arc<Shared>,
    /// Messages for the inner client that came in one.
    refusals: Vec<Value>,
    /// Tells, when this is dropped, that nothing more will come.
    _end: DropGuard,
}

impl<R> Receiver<R> {
    pub(super) fn new(inner: R, shared: Arc<Shared>, end: CancellationToken) -> Self {
        Receiver {
            inner,
            shared,
            refusals: Vec::new(),
            _end: end.drop_guard(),
        }
    }
}

impl<R: TransportReceiverT + Send> TransportReceiverT for Receiver<R> {
    type Error = R::Error;

    async fn receive(&mut self) -> Result<ReceivedMessage, Self::Error> {
        loop {
            if let Some(message) = self.refusals.pop() {
                return Ok(ReceivedMessage::Text(message.to_string()));
            }
            let body = match self.inner.receive().await? {
                ReceivedMessage::Text(text) => text.into_bytes(),
                ReceivedMessage::Bytes(bytes) => bytes,
                ReceivedMessage::Pong => continue,
            };
            self.refusals = self.shared.lock().receive(&body);
        }
    }
}

/// Sends messages in frames.
pub(super) struct FrameSender<W>(FramedWrite<W, FrameCodec>);

impl<W: AsyncWrite> FrameSender<W> {
    pub(super) fn new(writer: W) -> Self {
        FrameSender(FramedWrite::new(writer, FrameCodec::new()))
    }
}

impl<W: AsyncWrite + Unpin + Send + 'static> TransportSenderT for FrameSender<W> {
    type Error = std::io::Error;

    async fn send(&mut self, message: String) -> Result<(), Self::Error> {
        // A server that no longer reads is about to end, or has ended: the receiver tells, and
        // may still bring the reason.
        match self.0.send(message.into_bytes()).await {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }
}

/// Takes messages out of their frames.
pub(super) struct FrameReceiver<R> {
    stream: FramedRead<R, FrameCodec>,
    shared: Arc<Shared>,
}

impl<R: AsyncRead> FrameReceiver<R> {
    pub(super) fn new(reader: R, shared: Arc<Shared>) -> Self {
        let stream = FramedRead::new(reader, FrameCodec::new());
        FrameReceiver { stream, shared }
    }
}

impl<R: AsyncRead + Unpin + Send + 'static> TransportReceiverT for FrameReceiver<R> {
    type Error = std::io::Error;

    async fn receive(&mut self) -> Result<ReceivedMessage, Self::Error> {
        loop {
            match self.stream.next().await {
                Some(Ok(Incoming::Body(body))) => return Ok(ReceivedMessage::Bytes(body.into())),
                Some(Ok(Incoming::Bad(bad))) => self.shared.lock().note(bad.to_string()),
                Some(Err(error)) => return Err(error),
                None => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }
}

/// The beginning of `text`.
pub(super) fn quote(text: &str) -> String {
    match text.char_indices().nth(QUOTE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_sends_is_quoted_in_part() {
        let mut traffic = Traffic::default();
        let long = "x".repeat(1_000_000);
        for message in [
            json!({"id": 1, "method": long}),
            json!({"id": long, "result": 1}),
            json!({"id": null, "error": long}),
            json!(long),
        ] {
            traffic.receive(message.to_string().as_bytes());
        }
        assert_eq!(traffic.oddities.len(), 4);
        for oddity in &traffic.oddities {
            assert!(oddity.len() < 2 * QUOTE, "{} bytes", oddity.len());
        }
    }
}
