//! A step server as a child process, driven over its standard streams.

// Not every test file that includes this module uses all of it.
#![allow(dead_code)]

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use serde_json::{Value, json};
use tokio_util::codec::Decoder;
use zerobuffer::rpc::framing::{FrameCodec, Incoming};

/// How long anything may take that is expected to happen.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A run id that no other test has; it is part of every name that a step server makes.
#[derive(Debug, Clone)]
pub struct Run {
    pub host_pid: u32,
    pub feature_id: u64,
}

impl Run {
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Run {
            host_pid: std::process::id(),
            feature_id: NEXT.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// What is left of this run in shared memory and among the lock files.
    pub fn leftovers(&self) -> Vec<String> {
        let id = format!("_{}_{}", self.host_pid, self.feature_id);
        let of_this_run = |name: &str| {
            let plain = name.strip_suffix(".lock").unwrap_or(name);
            let plain = ["_request", "_response", ".barrier"]
                .iter()
                .find_map(|end| plain.strip_suffix(end))
                .unwrap_or(plain);
            plain.ends_with(&id)
        };
        ["/dev/shm", "/tmp/zerobuffer"]
            .into_iter()
            .filter_map(|folder| std::fs::read_dir(folder).ok())
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path().to_string_lossy().into_owned()))
            .filter(|path| of_this_run(&Path::new(path).file_name().unwrap().to_string_lossy()))
            .collect()
    }

    pub fn assert_nothing_left(&self) {
        assert_eq!(self.leftovers(), [""; 0]);
    }

    pub fn remove_leftovers(&self) {
        for path in self.leftovers() {
            std::fs::remove_file(path).unwrap();
        }
    }
}

pub struct StepServer {
    pub child: Child,
    input: Option<ChildStdin>,
    answers: Receiver<Value>,
    errors: Arc<Mutex<String>>,
    threads: Vec<JoinHandle<()>>,
    next_id: u64,
}

impl StepServer {
    pub fn start(run: &Run, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zerobuffer-serve"));
        command
            .args(arguments)
            .env("HARMONY_HOST_PID", run.host_pid.to_string())
            .env("HARMONY_FEATURE_ID", run.feature_id.to_string());
        Self::spawn(command)
    }

    pub fn spawn(mut command: Command) -> Self {
        let mut child = command
            .env_remove("RUST_LOG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (pass_on, answers) = channel();
        let mut output = child.stdout.take().unwrap();
        let decoding = std::thread::spawn(move || {
            let mut codec = FrameCodec::new();
            let mut buffer = BytesMut::new();
            let mut chunk = [0; 65536];
            while let Ok(read @ 1..) = output.read(&mut chunk) {
                buffer.extend_from_slice(&chunk[..read]);
                while let Some(item) = codec.decode(&mut buffer).unwrap() {
                    let Incoming::Body(body) = item else {
                        panic!("the step server wrote what is no frame: {item:?}");
                    };
                    let _ = pass_on.send(serde_json::from_slice(&body).unwrap());
                }
            }
            assert!(buffer.is_empty(), "the step server wrote half a frame");
        });
        let errors = Arc::new(Mutex::new(String::new()));
        let collected = Arc::clone(&errors);
        let mut stderr = child.stderr.take().unwrap();
        let collecting = std::thread::spawn(move || {
            let mut chunk = [0; 65536];
            while let Ok(read @ 1..) = stderr.read(&mut chunk) {
                let text = String::from_utf8_lossy(&chunk[..read]);
                collected.lock().unwrap().push_str(&text);
            }
        });
        StepServer {
            input: child.stdin.take(),
            child,
            answers,
            errors,
            threads: vec![decoding, collecting],
            next_id: 1,
        }
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.input.as_mut().unwrap().write_all(bytes).unwrap();
    }

    pub fn send(&mut self, body: &Value) {
        self.write(&frame(body.to_string().as_bytes()));
    }

    /// Sends a request; its id.
    pub fn request(&mut self, method: &str, params: Value) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        id
    }

    pub fn answer(&self) -> Value {
        match self.answers.recv_timeout(PATIENCE) {
            Ok(answer) => answer,
            Err(error) => panic!("no answer ({error}); stderr:\n{}", self.errors()),
        }
    }

    pub fn no_answer_within(&self, time: Duration) {
        if let Ok(answer) = self.answers.recv_timeout(time) {
            panic!("unexpected answer {answer}");
        }
    }

    /// Calls a method; its result.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        let id = self.request(method, params);
        let answer = self.answer();
        assert_eq!(answer["id"], id, "{answer}");
        assert!(answer.get("error").is_none(), "{answer}");
        answer["result"].clone()
    }

    /// Executes a step; the whole result.
    pub fn step(&mut self, kind: &str, step: &str) -> Value {
        self.call("executeStep", step_params(kind, step))
    }

    /// Executes a step that has to succeed.
    pub fn pass(&mut self, kind: &str, step: &str) {
        let result = self.step(kind, step);
        assert_eq!(result["success"], true, "{kind} {step}: {result}");
    }

    /// Executes a step that has to fail; its error.
    pub fn fail(&mut self, kind: &str, step: &str) -> String {
        let result = self.step(kind, step);
        assert_eq!(result["success"], false, "{kind} {step}: {result}");
        result["error"].as_str().unwrap().to_owned()
    }

    pub fn errors(&self) -> String {
        self.errors.lock().unwrap().clone()
    }

    /// Waits until the standard error holds this text.
    pub fn await_error_line(&self, text: &str) {
        let begun = Instant::now();
        while !self.errors().contains(text) {
            assert!(
                begun.elapsed() < PATIENCE,
                "no {text:?} in:\n{}",
                self.errors()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Resident memory, in KiB.
    pub fn resident(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// Closes the input and waits for the end.
    pub fn end(&mut self) -> ExitStatus {
        self.close_input();
        self.wait()
    }

    /// Waits for the process to end, and for all that it wrote.
    pub fn wait(&mut self) -> ExitStatus {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if begun.elapsed() > PATIENCE {
                self.child.kill().unwrap();
                self.child.wait().unwrap();
                panic!("the step server did not end; stderr:\n{}", self.errors());
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
        status
    }
}

impl Drop for StepServer {
    fn drop(&mut self) {
        self.input = None;
        let begun = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if begun.elapsed() > PATIENCE {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

pub fn frame(body: &[u8]) -> Vec<u8> {
    let mut frame = format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    frame.extend_from_slice(body);
    frame
}

pub fn step_params(kind: &str, step: &str) -> Value {
    json!({"process": "", "stepType": kind, "step": step, "parameters": {}, "context": {},
        "isBroadcast": false})
}
