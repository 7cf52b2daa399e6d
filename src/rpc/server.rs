//! A JSON-RPC server over a pair of byte streams: jsonrpsee's methods behind the frames of
//! [`framing`](super::framing).
//!
//! A thread of its own reads the input and does nothing else, so that the end of the input is seen
//! whatever the methods are doing. Requests are begun in the order in which they come and answered
//! in the order in which they are done. A bad frame is answered with an error and costs no other
//! frame; a stream that ends within a frame is answered too, and ends the service.

use std::any::Any;
use std::io::{self, Read, Write};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use jsonrpsee::Methods;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::codec::{Decoder, Encoder};

use super::framing::{BadFrame, FrameCodec, Incoming, MAX_BODY};
use super::request::{Refusal, Request, is_result};

/// How much is read at once, in bytes.
const CHUNK: usize = 64 * 1024;

/// How much may wait to be answered, in bytes: a peer that only sends is cut off.
pub const MAX_BACKLOG: usize = 4 * MAX_BODY;

/// What a request costs beside its body while it waits, in bytes, roughly.
pub const REQUEST_COST: usize = 1024;

/// How long requests that came before the end of the input may still take to be answered.
const LAST_ANSWERS: Duration = Duration::from_millis(200);

/// Why a service ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// The input ended between two frames.
    Closed,
    /// A method that ends the service was answered.
    Answered(String),
    /// The input cannot be read on, or the output cannot be written.
    Broken(String),
}

/// Serves `methods` until the input ends, a stream fails, or one of the methods in `last` has given
/// a result.
///
/// `input_ended` is called by the reading thread when the input has ended and the service has been
/// told so: the place for a last resort that does not depend on this function getting on.
///
/// To begin requests in their order, the runtime has to be a current-thread one.
pub async fn serve(
    methods: Methods,
    input: impl Read + Send + 'static,
    output: impl Write,
    last: &[&str],
    input_ended: impl FnOnce() + Send + 'static,
) -> End {
    let backlog = Arc::new(AtomicUsize::new(0));
    let (items, incoming) = mpsc::unbounded_channel();
    let reader = InputReader {
        items,
        backlog: Arc::clone(&backlog),
        max_backlog: MAX_BACKLOG,
    };
    let thread = std::thread::Builder::new()
        .name("rpc-input".into())
        .spawn(move || {
            reader.read_to_end(input);
            input_ended();
        });
    if let Err(error) = thread {
        return End::Broken(format!("cannot start the reading thread: {error}"));
    }
    let service = Service {
        methods,
        output,
        last,
        backlog,
        answers: JoinSet::new(),
    };
    service.run(incoming).await
}

/// What the reading thread tells the service.
enum Input {
    Item(Incoming),
    Ended(io::Result<()>),
}

struct InputReader {
    items: mpsc::UnboundedSender<Input>,
    backlog: Arc<AtomicUsize>,
    max_backlog: usize,
}

impl InputReader {
    fn read_to_end(&self, mut input: impl Read) {
        let mut codec = FrameCodec::new();
        let mut buffer = BytesMut::new();
        let mut chunk = vec![0; CHUNK];
        let ended = loop {
            match input.read(&mut chunk) {
                Ok(0) => break Ok(()),
                Ok(read) => buffer.extend_from_slice(&chunk[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => break Err(error),
            }
            if let Err(error) = self.pass_on(|| codec.decode(&mut buffer)) {
                break Err(error);
            }
            if buffer.is_empty() {
                // Else the memory of one long frame would be kept for ever.
                buffer = BytesMut::new();
            }
        };
        let ended = ended.and_then(|()| self.pass_on(|| codec.decode_eof(&mut buffer)));
        // If nobody listens any more, the service has ended already.
        let _ = self.items.send(Input::Ended(ended));
    }

    /// Hands over all that `decode` yields.
    fn pass_on(&self, mut decode: impl FnMut() -> io::Result<Option<Incoming>>) -> io::Result<()> {
        while let Some(item) = decode()? {
            let cost = cost_of(&item);
            let waiting = cost + self.backlog.fetch_add(cost, Ordering::Relaxed);
            if waiting > self.max_backlog {
                return Err(io::Error::other(format!(
                    "over {} bytes of requests wait to be answered",
                    self.max_backlog
                )));
            }
            if self.items.send(Input::Item(item)).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// What an item costs while it waits, in bytes; a bad frame is answered too.
fn cost_of(item: &Incoming) -> usize {
    match item {
        Incoming::Body(body) => REQUEST_COST + body.len(),
        Incoming::Bad(_) => REQUEST_COST,
    }
}

/// One answer on its way out.
struct Answer {
    /// The method that was called, if it gave a result.
    done: Option<String>,
    body: Option<Vec<u8>>,
    /// What of the backlog it settles, in bytes.
    cost: usize,
}

struct Service<'a, W> {
    methods: Methods,
    output: W,
    last: &'a [&'a str],
    backlog: Arc<AtomicUsize>,
    answers: JoinSet<Answer>,
}

impl<W: Write> Service<'_, W> {
    async fn run(mut self, mut incoming: mpsc::UnboundedReceiver<Input>) -> End {
        loop {
            let step = tokio::select! {
                item = incoming.recv() => match item {
                    Some(Input::Item(item)) => self.begin(item),
                    Some(Input::Ended(ended)) => return self.finish(ended).await,
                    None => return End::Broken("the reading thread broke".into()),
                },
                Some(answer) = self.answers.join_next() => self.give(answer),
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    /// Begins a request; a bad frame is answered at once.
    fn begin(&mut self, item: Incoming) -> Result<(), End> {
        let cost = cost_of(&item);
        match item {
            Incoming::Body(body) => {
                let methods = self.methods.clone();
                self.answers.spawn(answer(methods, body, cost));
                Ok(())
            }
            Incoming::Bad(why) => {
                self.backlog.fetch_sub(cost, Ordering::Relaxed);
                tracing::warn!("bad frame: {why}");
                self.write(Refusal::unreadable(format!("bad frame: {why}")).to_answer())?;
                match why {
                    BadFrame::CutOff => Err(End::Broken(why.to_string())),
                    _ => Ok(()),
                }
            }
        }
    }

    fn give(&mut self, answer: Result<Answer, tokio::task::JoinError>) -> Result<(), End> {
        let answer = answer.map_err(|error| End::Broken(format!("a request was lost: {error}")))?;
        self.backlog.fetch_sub(answer.cost, Ordering::Relaxed);
        if let Some(body) = answer.body {
            self.write(body)?;
        }
        match answer.done {
            Some(method) if self.last.contains(&method.as_str()) => Err(End::Answered(method)),
            _ => Ok(()),
        }
    }

    fn write(&mut self, body: Vec<u8>) -> Result<(), End> {
        let mut frame = BytesMut::new();
        FrameCodec::new()
            .encode(body, &mut frame)
            .and_then(|()| self.output.write_all(&frame))
            .and_then(|()| self.output.flush())
            .map_err(|error| End::Broken(format!("cannot write an answer: {error}")))
    }

    /// Gives the answers that can be had without delay, then ends.
    async fn finish(mut self, ended: io::Result<()>) -> End {
        let last_answers = async {
            while let Some(answer) = self.answers.join_next().await {
                self.give(answer)?;
            }
            Ok(())
        };
        if let Ok(Err(end)) = tokio::time::timeout(LAST_ANSWERS, last_answers).await {
            return end;
        }
        match ended {
            Ok(()) => End::Closed,
            Err(error) => End::Broken(format!("cannot read a request: {error}")),
        }
    }
}

async fn answer(methods: Methods, body: Bytes, cost: usize) -> Answer {
    let request = match Request::read(&body) {
        Ok(request) => request,
        Err(refusal) => {
            tracing::warn!("refused request: {refusal}");
            return Answer {
                done: None,
                body: Some(refusal.to_answer()),
                cost,
            };
        }
    };
    // A large body need not be kept while its method runs.
    drop(body);
    let outcome = AssertUnwindSafe(methods.raw_json_request(&request.call, 1))
        .catch_unwind()
        .await;
    let (body, is_done) = match outcome {
        Ok(Ok((response, _))) => (request.answer(&response), is_result(&response)),
        Ok(Err(error)) => (request.internal_error(&error.to_string()), false),
        Err(panic) => {
            let message = format!("panicked: {}", panic_message(&*panic));
            tracing::error!("method {}: {message}", request.method);
            (request.internal_error(&message), false)
        }
    };
    Answer {
        done: is_done.then_some(request.method),
        body,
        cost,
    }
}

/// What a caught panic says.
pub fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a message")
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonrpsee::RpcModule;
    use serde_json::{Value, json};
    use std::sync::mpsc as std_mpsc;

    fn module() -> Methods {
        let mut module = RpcModule::new(());
        module
            .register_method("echo", |params, (), _| params.parse::<Value>().unwrap())
            .unwrap();
        module
            .register_method("panic", |_, (), _| -> bool { panic!("on purpose") })
            .unwrap();
        module
            .register_method("last", |params, (), _| {
                params.parse::<(i64,)>().map(|_| true)
            })
            .unwrap();
        module
            .register_async_method("never", |_, _, _| std::future::pending::<bool>())
            .unwrap();
        module.into()
    }

    /// Serves `input` to its end; the answers, in the order of their ids, and the end.
    fn serve_all(input: &[u8]) -> (Vec<Value>, End) {
        let mut output = Vec::new();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let input = io::Cursor::new(input.to_vec());
        let end = runtime.block_on(serve(module(), input, &mut output, &["last"], || ()));
        let mut buffer = BytesMut::from(&output[..]);
        let mut codec = FrameCodec::new();
        let mut answers = Vec::new();
        while let Some(Incoming::Body(body)) = codec.decode(&mut buffer).unwrap() {
            answers.push(serde_json::from_slice(&body).unwrap());
        }
        assert!(buffer.is_empty(), "not a frame: {buffer:?}");
        (answers, end)
    }

    fn frame(body: &Value) -> String {
        let body = body.to_string();
        format!("Content-Length: {}\r\n\r\n{body}", body.len())
    }

    fn request(id: i64, method: &str) -> String {
        frame(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": [id]}))
    }

    #[test]
    fn good_requests_between_bad_frames_are_all_answered() {
        let input = [
            request(1, "echo"),
            "nonsense\r\n".into(),
            request(2, "echo"),
            "Content-Length: 3\r\n\r\n{]}".into(),
            "Content-Length: 99999999999\r\n\r\n".into(),
            frame(&json!({"jsonrpc": "2.0", "method": "echo"})),
            request(-3, "echo"),
        ]
        .concat();
        let (answers, end) = serve_all(input.as_bytes());
        assert_eq!(end, End::Closed);
        let results: Vec<_> = answers.iter().filter(|a| a["error"].is_null()).collect();
        assert_eq!(results.len(), 3, "{answers:?}");
        for result in results {
            assert_eq!(result["result"], json!([result["id"]]));
        }
        let errors = answers.iter().filter(|a| a["error"]["code"] == -32700);
        assert_eq!(errors.count(), 3, "{answers:?}");
    }

    #[test]
    fn unknown_methods_and_panics_are_answered() {
        let (answers, end) = serve_all((request(1, "nothing") + &request(2, "panic")).as_bytes());
        assert_eq!(end, End::Closed);
        assert_eq!(answers[0]["error"]["code"], -32601);
        assert_eq!(answers[1]["id"], 2);
        assert_eq!(answers[1]["error"]["code"], -32603);
        let message = answers[1]["error"]["message"].as_str().unwrap();
        assert!(message.contains("on purpose"), "{message}");
    }

    #[test]
    fn a_stream_cut_off_within_a_frame_is_answered_and_ends_the_service() {
        let (answers, end) = serve_all(b"Content-Length: 10\r\n\r\n{}");
        assert_eq!(answers[0]["error"]["code"], -32700);
        assert!(matches!(end, End::Broken(_)), "{end:?}");
    }

    #[test]
    fn the_last_method_is_answered_and_ends_the_service() {
        let (answers, end) = serve_all((request(1, "last") + &request(2, "never")).as_bytes());
        assert_eq!(end, End::Answered("last".into()));
        assert_eq!(
            answers,
            [json!({"jsonrpc": "2.0", "id": 1, "result": true})]
        );
    }

    #[test]
    fn a_last_method_that_is_refused_ends_nothing() {
        let refused = frame(&json!({"jsonrpc": "2.0", "id": 1, "method": "last", "params": {}}));
        let (answers, end) = serve_all((refused + &request(2, "echo")).as_bytes());
        assert_eq!(end, End::Closed);
        assert_eq!(answers[0]["error"]["code"], -32602, "{answers:?}");
        assert_eq!(answers[1]["result"], json!([2]));
    }

    #[test]
    fn the_end_of_the_input_is_seen_while_a_request_hangs() {
        let (tell, told) = std_mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let input = io::Cursor::new(request(1, "never").into_bytes());
        let at_end = move || tell.send(()).unwrap();
        let end = runtime.block_on(serve(module(), input, Vec::new(), &[], at_end));
        assert_eq!(end, End::Closed);
        told.recv_timeout(Duration::from_secs(5)).unwrap();
    }

    /// How many items of `input` are passed on before the sender is cut off, if there is room for
    /// three of them without a body.
    fn passed_on(input: &str) -> usize {
        let (items, mut sent) = mpsc::unbounded_channel();
        let reader = InputReader {
            items,
            backlog: Arc::default(),
            max_backlog: 3 * REQUEST_COST,
        };
        reader.read_to_end(input.as_bytes());
        let mut passed_on = 0;
        loop {
            match sent.try_recv().unwrap() {
                Input::Item(_) => passed_on += 1,
                Input::Ended(ended) => {
                    let error = ended.unwrap_err().to_string();
                    assert!(error.contains("wait to be answered"), "{error}");
                    return passed_on;
                }
            }
        }
    }

    #[test]
    fn a_peer_that_only_sends_is_cut_off() {
        let requests: String = (0..10).map(|id| request(id, "never")).collect();
        assert_eq!(passed_on(&requests), 2);
        assert_eq!(passed_on(&"Content-Length: x\r\n".repeat(10)), 3);
    }

    #[test]
    fn answered_requests_are_no_backlog() {
        let backlog = Arc::new(AtomicUsize::new(0));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut service = Service {
                methods: module(),
                output: Vec::new(),
                last: &[],
                backlog: Arc::clone(&backlog),
                answers: JoinSet::new(),
            };
            for body in [
                &br#"{"jsonrpc":"2.0","id":1,"method":"last","params":[1]}"#[..],
                b"{",
            ] {
                let item = Incoming::Body(Bytes::from_static(body));
                backlog.fetch_add(cost_of(&item), Ordering::Relaxed);
                assert!(service.begin(item).is_ok());
                let answer = service.answers.join_next().await.unwrap();
                assert!(service.give(answer).is_ok());
            }
            let bad = Incoming::Bad(BadFrame::NoLength);
            backlog.fetch_add(cost_of(&bad), Ordering::Relaxed);
            assert!(service.begin(bad).is_ok());
        });
        assert_eq!(backlog.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn an_output_that_fails_ends_the_service() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let input = io::Cursor::new(request(1, "echo").into_bytes());
        let end = runtime.block_on(serve(module(), input, Closed, &[], || ()));
        assert!(matches!(end, End::Broken(_)), "{end:?}");
    }
}
