//! Connections by WebSocket made by hand, and what is refused to them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use zerobuffer::rpc::framing::MAX_BODY;

use crate::ending::end_of;
use crate::listener::Listener;
use crate::serve_support::{PATIENCE, Run, step_params};
use crate::{CONNECT, CREATE, HANG, WRITE};

/// A connection made by hand, to do what no client does.
pub struct RawConnection(TcpStream);

impl RawConnection {
    pub fn open(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let handshake = "GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(handshake.as_bytes()).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            answer.extend(byte);
        }
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        RawConnection(stream)
    }

    /// A connection whose other end is told which run its names belong to.
    pub fn of_run(run: &Run, server: &Listener) -> Self {
        let mut raw = Self::open(server.address);
        let params = json!({"hostPid": run.host_pid, "featureId": run.feature_id});
        raw.send("initialize", params);
        assert_eq!(raw.answer()["result"], true);
        raw
    }

    /// The beginning of a text message of `length` bytes, under a mask that changes nothing.
    fn begin_message(&mut self, length: usize) -> std::io::Result<()> {
        let length = u64::try_from(length).unwrap().to_be_bytes();
        let header = [&[0x81, 0x80 | 127][..], &length, &[0; 4]].concat();
        self.0.write_all(&header)
    }

    pub fn send(&mut self, method: &str, params: Value) {
        self.try_send(method, params).unwrap();
    }

    pub fn try_send(&mut self, method: &str, params: Value) -> std::io::Result<()> {
        self.send_body(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))
    }

    fn send_body(&mut self, body: &Value) -> std::io::Result<()> {
        let body = body.to_string();
        self.begin_message(body.len())?;
        self.0.write_all(body.as_bytes())
    }

    pub fn answer(&mut self) -> Value {
        self.try_answer().unwrap().expect("the connection lasts")
    }

    /// The next text message, or nothing if the connection is closed; pings are left out.
    pub fn try_answer(&mut self) -> std::io::Result<Option<Value>> {
        loop {
            let mut header = [0; 2];
            self.0.read_exact(&mut header)?;
            let length = match header[1] {
                126 => {
                    let mut length = [0; 2];
                    self.0.read_exact(&mut length)?;
                    usize::from(u16::from_be_bytes(length))
                }
                short => usize::from(short),
            };
            let mut body = vec![0; length];
            self.0.read_exact(&mut body)?;
            match header[0] {
                0x81 => return Ok(Some(serde_json::from_slice(&body).unwrap())),
                0x88 => return Ok(None),
                _ => {}
            }
        }
    }
}

#[test]
fn a_request_that_could_not_be_answered_is_refused_with_an_answer() {
    let server = Listener::start();
    let run = Run::new();
    let mut raw = RawConnection::of_run(&run, &server);
    let step = step_params("Given", CREATE);
    let without_id = json!({"jsonrpc": "2.0", "method": "executeStep", "params": step});
    for id in [None, Some(json!(-1)), Some(json!(2.5))] {
        let mut request = without_id.clone();
        if let Some(id) = id {
            request["id"] = id;
        }
        raw.send_body(&request).unwrap();
        let answer = raw.answer();
        assert_eq!(answer["error"]["code"], -32600, "{answer}");
        assert_eq!(answer["id"], Value::Null);
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains("the id of a request"), "{message}");
        run.assert_nothing_left();
    }
    for id in [json!(0), json!("seven"), Value::Null] {
        raw.send_body(&json!({"jsonrpc": "2.0", "id": id, "method": "health"}))
            .unwrap();
        let answer = raw.answer();
        assert_eq!(answer, json!({"jsonrpc": "2.0", "id": id, "result": true}));
    }
}

#[test]
fn a_peer_that_only_sends_is_cut_off() {
    let server = Listener::start();
    let run = Run::new();
    let mut raw = RawConnection::of_run(&run, &server);
    for (kind, step) in [("Given", CREATE), ("When", CONNECT), ("When", WRITE)] {
        raw.send("executeStep", step_params(kind, step));
        assert_eq!(raw.answer()["result"]["success"], true);
    }
    raw.send("executeStep", step_params("When", HANG));
    let mut large = step_params("Given", "all processes are ready");
    large["parameters"] = json!({"p": "p".repeat(MAX_BODY - 1024)});
    for _ in 0..5 {
        // From some time on nobody takes them.
        let _ = raw.try_send("executeStep", large.clone());
    }
    server.await_record("of requests wait to be answered: ending the connection");
    while let Ok(Some(_)) = raw.try_answer() {}
    server.await_record("disconnected: ");
    run.assert_nothing_left();
}

#[test]
fn what_is_too_long_is_refused_and_costs_no_connection() {
    let server = Listener::start();
    let mut raw = RawConnection::open(server.address);
    raw.begin_message(MAX_BODY + 1).unwrap();
    std::io::copy(
        &mut std::io::repeat(b' ').take(MAX_BODY as u64 + 1),
        &mut raw.0,
    )
    .unwrap();
    let answer = raw.answer();
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("too big"), "{answer}");
    // What is not, costs none either.
    raw.send("health", json!(["p".repeat(MAX_BODY / 4)]));
    assert_eq!(raw.answer()["result"], true);
}

#[test]
fn requests_without_a_connection_that_lasts_are_refused() {
    let server = Listener::start();
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"health"}"#;
    let head = format!(
        "POST / HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
}

#[test]
fn web_pages_are_refused() {
    let server = Listener::start();
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let handshake = format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nOrigin: https://example.org\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        server.address
    );
    stream.write_all(handshake.as_bytes()).unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 403");
    drop(stream);
    server.await_record("a web page was refused");
    server.await_record("disconnected: ");
}

#[test]
fn other_machines_are_kept_out_unless_they_are_asked_in() {
    let run = |arguments: &[&str]| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_zerobuffer-serve"))
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let code = end_of(&mut child);
        let mut error = String::new();
        let mut stderr = child.stderr.take().unwrap();
        stderr.read_to_string(&mut error).unwrap();
        (code, error)
    };
    for address in ["0.0.0.0:0", "[::]:0"] {
        let (code, error) = run(&["--listen", address]);
        assert_eq!(code, Some(2), "{error}");
        assert!(error.contains("there is no authentication"), "{error}");
    }
    let (code, error) = run(&["--allow-remote"]);
    assert!(code == Some(2) && error.contains("--listen"), "{error}");
    let (code, error) = run(&["--listen", "7700"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("expected ADDRESS:PORT"), "{error}");

    let server = Listener::start_with(&["--listen", "0.0.0.0:0", "--allow-remote"]);
    assert!(server.address.ip().is_unspecified());
    let (code, error) = run(&["--listen", &format!("127.0.0.1:{}", server.address.port())]);
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("cannot listen on 127.0.0.1:"), "{error}");
}
