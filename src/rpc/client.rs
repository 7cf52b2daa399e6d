//! The orchestrator's side of a connection to a step server.
//!
//! Requests and their answers are matched by jsonrpsee's client. What a server sends that is no
//! answer to a pending request does not reach it (see `transport`); it is told by the
//! [`CallError`] of the call it came with.

use std::sync::Arc;
use std::time::Duration;

use jsonrpsee::client_transport::ws::{Url, WsHandshakeError, WsTransportClientBuilder};
use jsonrpsee::core::JsonRawValue;
use jsonrpsee::core::client::{
    Client as RpcClient, ClientBuilder, ClientT, Error as RpcError, TransportReceiverT,
    TransportSenderT,
};
use jsonrpsee::core::traits::ToRpcParams;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::framing::MAX_BODY;
use super::transport::{
    FrameReceiver, FrameSender, NOT_AN_ANSWER, Receiver, Sender, Shared, quote,
};

/// How long the inner client waits: longer than any limit given to [`Client::call`].
pub(crate) const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Why a call has no result.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CallError {
    /// The server answered with a JSON-RPC error.
    #[error("`{method}` was refused: {message} ({code})")]
    Refused {
        /// The method called.
        method: String,
        /// JSON-RPC error code.
        code: i32,
        /// The server's message.
        message: String,
    },
    /// The server sent something else in the place of an answer.
    #[error("`{method}` was answered with {what}")]
    NotAnAnswer {
        /// The method called.
        method: String,
        /// What came, quoted in part.
        what: String,
    },
    /// The server's result is not what the contract says.
    #[error("the result of `{method}` is not as agreed: {why}; it is {quote}")]
    BadResult {
        /// The method called.
        method: String,
        /// What is wrong with it.
        why: String,
        /// The result, quoted in part.
        quote: String,
    },
    /// No answer came in time.
    #[error("no answer to `{method}` within {} s{}", limit.as_secs_f64(), and_oddities(oddities))]
    NoAnswer {
        /// The method called.
        method: String,
        /// The limit that was given.
        limit: Duration,
        /// What came instead meanwhile.
        oddities: Vec<String>,
    },
    /// The server closed its side of the connection.
    #[error(
        "the connection was closed before `{method}` was answered{}",
        and_oddities(oddities)
    )]
    Closed {
        /// The method called.
        method: String,
        /// What came before that.
        oddities: Vec<String>,
    },
}

fn and_oddities(oddities: &[String]) -> String {
    match oddities {
        [] => String::new(),
        some => format!("; meanwhile it sent {}", some.join(", ")),
    }
}

/// A connection to a step server.
#[derive(Debug)]
pub struct Client {
    inner: RpcClient,
    shared: Arc<Shared>,
    end: CancellationToken,
}

impl Client {
    /// A client that reads answers from `reader` and writes requests to `writer`.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn new<R, W>(reader: R, writer: W) -> Client
    where
        R: AsyncRead + Unpin + Send + 'static,
        W: AsyncWrite + Unpin + Send + 'static,
    {
        let shared = Arc::new(Shared::default());
        let receiver = FrameReceiver::new(reader, shared.clone());
        Self::over(FrameSender::new(writer), receiver, shared)
    }

    /// A client that is connected to a server at `url`, such as `ws://127.0.0.1:7700`. Connecting may
    /// take as long as `limit`.
    ///
    /// # Errors
    ///
    /// Why there is no connection.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn connect(url: &str, limit: Duration) -> Result<Client, String> {
        let url = Url::parse(url).map_err(|error| error.to_string())?;
        let size = u32::try_from(MAX_BODY).expect("the limit for a frame fits 32 bits");
        let connecting = WsTransportClientBuilder::default()
            .connection_timeout(NEVER)
            .max_request_size(size)
            .max_response_size(size)
            .build(url);
        // The transport's own limit is not for the answer to the handshake.
        let (sender, receiver) = match tokio::time::timeout(limit, connecting).await {
            Ok(Ok(halves)) => halves,
            Ok(Err(WsHandshakeError::Io(error))) => return Err(error.to_string()),
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err(format!("no answer within {} s", limit.as_secs_f64())),
        };
        Ok(Self::over(sender, receiver, Arc::default()))
    }

    fn over<S, R>(sender: S, receiver: R, shared: Arc<Shared>) -> Client
    where
        S: TransportSenderT + Send,
        R: TransportReceiverT + Send,
    {
        let end = CancellationToken::new();
        let sender = Sender::new(sender, shared.clone());
        let receiver = Receiver::new(receiver, shared.clone(), end.clone());
        let inner = ClientBuilder::new()
            .request_timeout(NEVER)
            .build_with_tokio(sender, receiver);
        Client { inner, shared, end }
    }

    /// Set once nothing more can come over the connection, whoever has ended it.
    pub fn end(&self) -> CancellationToken {
        self.end.clone()
    }

    /// Calls `method` and waits for its result, at most for `limit`. `params` travel as an array
    /// of one object, or as an empty array.
    ///
    /// # Errors
    ///
    /// A [`CallError`] that tells what the server did instead of answering.
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        params: Option<&(impl Serialize + Sync)>,
        limit: Duration,
    ) -> Result<T, CallError> {
        let params = match params {
            Some(object) => Params(json!([object])),
            None => Params(json!([])),
        };
        let seen = self.shared.lock().told;
        let answer = self.inner.request::<Value, _>(method, params);
        let method = method.to_owned();
        let value = match tokio::time::timeout(limit, answer).await {
            Ok(Ok(value)) => value,
            Ok(Err(RpcError::Call(error))) if error.code() == NOT_AN_ANSWER => {
                let what = error.message().to_owned();
                return Err(CallError::NotAnAnswer { method, what });
            }
            Ok(Err(RpcError::Call(error))) => {
                return Err(CallError::Refused {
                    method,
                    code: error.code(),
                    message: error.message().to_owned(),
                });
            }
            Ok(Err(_)) => {
                let oddities = self.shared.lock().since(seen);
                return Err(CallError::Closed { method, oddities });
            }
            Err(_) => {
                let oddities = self.shared.lock().since(seen);
                return Err(CallError::NoAnswer {
                    method,
                    limit,
                    oddities,
                });
            }
        };
        let quote = quote(&value.to_string());
        serde_json::from_value(value).map_err(|error| CallError::BadResult {
            method,
            why: error.to_string(),
            quote,
        })
    }

    /// Everything that came and was not an answer to a pending request, the oldest first.
    pub fn oddities(&self) -> Vec<String> {
        self.shared.lock().oddities.clone()
    }
}

struct Params(Value);

impl ToRpcParams for Params {
    fn to_rpc_params(self) -> Result<Option<Box<JsonRawValue>>, serde_json::Error> {
        JsonRawValue::from_string(self.0.to_string()).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};

    const SOON: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(100);

    /// A client, and the server's end of its connection.
    fn connected() -> (Client, DuplexStream) {
        let (ours, theirs) = duplex(1 << 16);
        let (reader, writer) = split(ours);
        (Client::new(reader, writer), theirs)
    }

    fn frame(body: &str) -> String {
        format!("Content-Length: {}\r\n\r\n{body}", body.len())
    }

    /// Reads one request and returns it.
    async fn request(server: &mut DuplexStream) -> Value {
        let mut bytes = Vec::new();
        loop {
            bytes.push(server.read_u8().await.unwrap());
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((_, body)) = text.split_once("\r\n\r\n")
                && let Ok(value) = serde_json::from_str(body)
            {
                return value;
            }
        }
    }

    /// Calls `health`, answers with `answers` (in which ID stands for the id), returns the result.
    async fn answered_with(answers: &str, limit: Duration) -> (Result<Value, CallError>, Client) {
        let (client, mut server) = connected();
        let call = client.call::<Value>("health", None::<&()>, limit);
        let serve = async {
            let id = request(&mut server).await["id"].to_string();
            for answer in answers.split('~') {
                let answer = answer.replace("ID", &id);
                let sent = match answer.strip_prefix("raw:") {
                    Some(raw) => raw.to_owned(),
                    None => frame(&answer),
                };
                server.write_all(sent.as_bytes()).await.unwrap();
            }
            server
        };
        let (result, _server) = tokio::join!(call, serve);
        (result, client)
    }

    #[tokio::test]
    async fn params_are_an_array_of_one_object_or_empty() {
        let (client, mut server) = connected();
        let params = json!({"role": "reader"});
        let _ = tokio::join!(
            client.call::<Value>("initialize", Some(&params), SHORT),
            async { assert_eq!(request(&mut server).await["params"], json!([params])) }
        );
        let _ = tokio::join!(client.call::<Value>("health", None::<&()>, SHORT), async {
            assert_eq!(request(&mut server).await["params"], json!([]))
        });
    }

    #[tokio::test]
    async fn answers_of_every_server_are_understood() {
        for answer in [
            r#"{"jsonrpc":"2.0","id":ID,"result":true}"#,
            r#"{"id":ID,"result":true}"#,
            r#"{"jsonrpc":"2.0","id":ID,"result":true,"error":null,"extra":1}"#,
            "raw:loading...\n~{\"id\":ID,\"result\":true}",
            r#"{"id":77,"result":false}~{"id":"x","result":false}~{"id":ID,"result":true}"#,
            r#"{"method":"log","params":[]}~{"id":ID,"result":true}"#,
        ] {
            let (result, _) = answered_with(answer, SOON).await;
            assert_eq!(result, Ok(json!(true)), "{answer}");
        }
        let (result, _) = answered_with(r#"{"jsonrpc":"2.0","id":ID,"result":null}"#, SOON).await;
        assert_eq!(result, Ok(Value::Null));
    }

    #[tokio::test]
    async fn an_error_tells_what_a_lying_server_did() {
        for (answer, expected) in [
            (
                r#"{"id":ID,"error":{"code":-32602,"message":"bad params"}}"#,
                "`health` was refused: bad params (-32602)",
            ),
            (
                r#"{"id":ID,"error":"odd"}"#,
                "`health` was refused: \"odd\" (-32603)",
            ),
            (
                "}{",
                "`health` was answered with a frame that is no JSON-RPC message: \"}{\"",
            ),
            (
                r#"{"id":null,"error":{"code":-32700,"message":"what?"}}"#,
                "an error that names no request: {\"code\":-32700,\"message\":\"what?\"}",
            ),
            (
                r#"{"id":77,"result":true}"#,
                "no answer to `health` within 0.1 s; meanwhile it sent an answer with id 77, which no request had",
            ),
            (
                "raw:hello\n",
                "meanwhile it sent expected a header line, found \"hello\"",
            ),
        ] {
            let (result, _) = answered_with(answer, SHORT).await;
            let error = result.unwrap_err().to_string();
            assert!(error.contains(expected), "{answer}: {error}");
        }
    }

    #[tokio::test]
    async fn a_result_of_the_wrong_kind_is_quoted() {
        let (client, mut server) = connected();
        let call = client.call::<bool>("health", None::<&()>, SOON);
        let (result, _) = tokio::join!(call, async {
            let id = request(&mut server).await["id"].to_string();
            let answer = frame(&format!(r#"{{"id":{id},"result":"yes"}}"#));
            server.write_all(answer.as_bytes()).await.unwrap();
        });
        let error = result.unwrap_err().to_string();
        assert!(error.contains("the result of `health`"), "{error}");
        assert!(error.ends_with("it is \"yes\""), "{error}");
    }

    #[tokio::test]
    async fn a_repeated_answer_costs_no_later_call() {
        let (client, mut server) = connected();
        for round in 0..3 {
            let call = client.call::<Value>("health", None::<&()>, SOON);
            let (result, _) = tokio::join!(call, async {
                let id = request(&mut server).await["id"].to_string();
                let answer = frame(&format!(r#"{{"id":{id},"result":{round}}}"#));
                server.write_all(answer.repeat(2).as_bytes()).await.unwrap();
            });
            assert_eq!(result, Ok(json!(round)));
        }
        let oddities = client.oddities();
        assert!(oddities.len() >= 2, "{oddities:?}");
        assert!(
            oddities[0].starts_with("a second answer to request"),
            "{oddities:?}"
        );
    }

    #[tokio::test]
    async fn a_closed_connection_is_told_at_once() {
        let (client, mut server) = connected();
        let call = client.call::<Value>("health", None::<&()>, SOON);
        let (result, _) = tokio::join!(call, async move {
            request(&mut server).await;
            server
                .write_all(b"Content-Length: 5\r\n\r\nab")
                .await
                .unwrap();
        });
        let error = result.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the connection was closed before `health` was answered; meanwhile it sent the stream \
             ended within a frame"
        );
        let again = client.call::<Value>("health", None::<&()>, SOON).await;
        assert!(matches!(again, Err(CallError::Closed { .. })), "{again:?}");
    }
}
