//! A server whose handlers are futures.

#![allow(clippy::unwrap_used)]

mod support;

use std::future::pending;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use support::duplex::{OnRuntime, answer, channel, collect_errors, connect};
use support::{LONG, SOON, leftovers, wait_until};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use zerobuffer::duplex::{
    AsyncDuplexServer, AsyncRequest, ChannelName, DuplexError, ServerOptions,
};
use zerobuffer::{BufferConfig, Error};

const SHORT: Duration = Duration::from_millis(30);

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

/// Counts the handlers that are at work.
#[derive(Clone, Default)]
struct AtWork(Arc<AtomicUsize>);

struct Work(AtWork);

impl AtWork {
    fn begin(&self) -> Work {
        self.0.fetch_add(1, Ordering::SeqCst);
        Work(self.clone())
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A server whose handlers never end; to be called on a runtime.
fn endless(name: &ChannelName, options: ServerOptions, at_work: &AtWork) -> AsyncDuplexServer {
    let at_work = at_work.clone();
    AsyncDuplexServer::start(name, options, move |_| {
        let work = at_work.begin();
        async move {
            let _work = work;
            pending().await
        }
    })
    .unwrap()
}

#[test]
fn handlers_run_at_once_up_to_the_limit_and_answers_leave_in_order() {
    let name = channel("async-order");
    let (at_work, open) = (AtWork::default(), Arc::new(Notify::new()));
    let (count, gate) = (at_work.clone(), Arc::clone(&open));
    let mut options = ServerOptions::default();
    options.max_in_flight = NonZeroUsize::new(3).unwrap();
    let server = OnRuntime::start(|| {
        AsyncDuplexServer::start(&name, options, move |request: AsyncRequest| {
            let (work, gate) = (count.begin(), Arc::clone(&gate));
            async move {
                if request.sequence() == 1 {
                    gate.notified().await;
                    drop(work);
                } else {
                    // At work for as long as the first is.
                    std::mem::forget(work);
                }
                Ok(request.to_vec())
            }
        })
        .unwrap()
    });
    let mut client = connect(&name);
    for data in 1..=5_u8 {
        client.send(&[data]).unwrap();
    }
    wait_until("three handlers have begun", || at_work.count() == 3);
    assert!(
        client.receive(SHORT).unwrap().is_none(),
        "not before the first"
    );
    assert_eq!(at_work.count(), 3, "no more than the limit");
    open.notify_one();
    for data in 1..=5_u8 {
        assert_eq!(answer(&mut client), (u64::from(data), vec![data]));
    }
    assert!(server.guest().is_running());
}

#[test]
fn stopping_cancels_handlers_and_does_not_need_the_runtime_to_itself() {
    for is_dropped in [false, true] {
        let name = channel(&format!("async-stop-{is_dropped}"));
        let at_work = AtWork::default();
        runtime().block_on(async {
            let server = endless(&name, ServerOptions::default(), &at_work);
            let (channel, count) = (name.clone(), at_work.clone());
            let client = tokio::task::spawn_blocking(move || {
                let mut client = connect(&channel);
                client.send(b"1").unwrap();
                wait_until("the handler is at work", || count.count() == 1);
                client
            });
            let client = client.await.unwrap();
            let begun = Instant::now();
            if is_dropped {
                drop(server);
            } else {
                server.stop().await;
            }
            assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
            assert_eq!(leftovers(name.request().as_str()).len(), 0);
            drop(client);
            // The runtime drops what was cancelled when it gets to it.
            while at_work.count() > 0 {
                tokio::task::yield_now().await;
            }
        });
        assert!(leftovers(name.as_str()).is_empty());
    }
}

#[test]
fn stopping_sends_answers_behind_one_that_never_comes() {
    let name = channel("async-stop-answers");
    let (begun, has_begun) = mpsc::channel();
    let (open, gate) = mpsc::channel::<()>();
    let gate = Arc::new(Mutex::new(gate));
    let server = OnRuntime::start(|| {
        AsyncDuplexServer::start(&name, ServerOptions::default(), move |request| {
            let (begun, gate) = (begun.clone(), Arc::clone(&gate));
            async move {
                match request.sequence() {
                    1 => pending().await,
                    2 => Ok(request.to_vec()),
                    _ => {
                        // Nothing else can run here, cancelling the first not even.
                        begun.send(())?;
                        let _ = gate.lock().unwrap().recv();
                        Ok(request.to_vec())
                    }
                }
            }
        })
        .unwrap()
    });
    let mut client = connect(&name);
    for data in [b"1", b"2", b"3"] {
        client.send(data).unwrap();
    }
    has_begun.recv_timeout(LONG).unwrap();
    let stopping = std::thread::spawn(move || drop(server));
    assert!(matches!(
        client.receive(LONG),
        Err(DuplexError::HandlerFailed { sequence: 1, .. })
    ));
    assert_eq!(answer(&mut client), (2, b"2".to_vec()));
    stopping.join().unwrap();
    drop(open);
    drop(client);
    assert!(leftovers(name.as_str()).is_empty());
}

#[test]
fn dropping_does_not_wait_for_a_callback_that_waits_for_the_runtime() {
    let name = channel("async-callback");
    let (open, gate) = mpsc::channel::<()>();
    let (told, tells) = mpsc::channel();
    let options = ServerOptions::default().on_error(move |_| {
        told.send(()).unwrap();
        gate.recv_timeout(LONG).unwrap();
    });
    runtime().block_on(async {
        let server = AsyncDuplexServer::start(&name, options, |_| async { Err("always".into()) });
        let server = server.unwrap();
        let channel = name.clone();
        let client = tokio::task::spawn_blocking(move || {
            let mut client = connect(&channel);
            client.send(b"1").unwrap();
            tells.recv_timeout(LONG).unwrap();
            client
        });
        let client = client.await.unwrap();
        let begun = Instant::now();
        drop(server);
        assert!(begun.elapsed() < LONG / 2, "{:?}", begun.elapsed());
        open.send(()).unwrap();
        drop(client);
    });
    wait_until("the server has cleared away", || {
        leftovers(name.as_str()).is_empty()
    });
}

#[test]
fn handlers_of_a_client_that_leaves_are_cancelled() {
    let name = channel("async-leave");
    let at_work = AtWork::default();
    let (options, errors) = collect_errors(ServerOptions::default());
    let count = at_work.clone();
    let server = OnRuntime::start(|| {
        AsyncDuplexServer::start(&name, options, move |request: AsyncRequest| {
            let work = count.begin();
            async move {
                if request.to_vec() == b"endless" {
                    pending::<()>().await;
                }
                drop(work);
                Ok(request.to_vec())
            }
        })
        .unwrap()
    });
    let mut client = connect(&name);
    client.send(b"endless").unwrap();
    client.send(b"endless").unwrap();
    wait_until("the handlers are at work", || at_work.count() == 2);
    drop(client);
    let mut client = connect(&name);
    client.send(b"short").unwrap();
    assert_eq!(answer(&mut client), (1, b"short".to_vec()));
    assert_eq!(at_work.count(), 0);
    let errors: Vec<String> = errors.lock().unwrap().clone();
    for (error, sequence) in errors.iter().zip([1, 2]) {
        let dropped = format!("request {sequence} was dropped");
        assert!(error.contains(&dropped), "{errors:?}");
    }
    assert_eq!(errors.len(), 2);
    drop((client, server));
    assert!(leftovers(name.as_str()).is_empty());
}

#[test]
fn a_runtime_that_ends_first_fails_requests_and_nothing_else() {
    let name = channel("async-runtime");
    let (options, errors) = collect_errors(ServerOptions::default());
    let runtime = runtime();
    let server = runtime.block_on(async { endless(&name, options, &AtWork::default()) });
    let mut client = connect(&name);
    client.send(b"before").unwrap();
    drop(runtime);
    client.send(b"after").unwrap();
    wait_until("both have failed", || errors.lock().unwrap().len() == 2);
    for (error, sequence) in errors.lock().unwrap().iter().zip([1, 2]) {
        let failed = format!("request {sequence}: it was cancelled");
        assert!(error.contains(&failed), "{error}");
    }
    assert!(server.is_running());
    drop(server);
    // The server goes, seen by one buffer or the other.
    assert!(matches!(
        client.receive(LONG),
        Err(DuplexError::Channel(
            Error::WriterDead { .. } | Error::ReaderDead { .. }
        ))
    ));
}

#[test]
fn a_handler_that_makes_no_future_is_a_failed_handler() {
    let name = channel("async-no-future");
    let (options, errors) = collect_errors(ServerOptions::default());
    let _server = OnRuntime::start(|| {
        AsyncDuplexServer::start(&name, options, |request: AsyncRequest| {
            if request.sequence() == 1 {
                std::panic::resume_unwind(Box::new("before the first await"));
            }
            async move { Ok(request.to_vec()) }
        })
        .unwrap()
    });
    let mut client = connect(&name);
    client.send(b"1").unwrap();
    client.send(b"2").unwrap();
    assert!(matches!(
        client.receive(LONG),
        Err(DuplexError::HandlerFailed { sequence: 1, .. })
    ));
    assert_eq!(answer(&mut client), (2, b"2".to_vec()));
    assert!(
        errors.lock().unwrap()[0].contains("it panicked: before the first await"),
        "{errors:?}"
    );
}

#[test]
fn memory_of_a_request_is_held_as_long_as_the_request() {
    let name = channel("async-held");
    let kept: Arc<Mutex<Vec<AsyncRequest>>> = Arc::default();
    let keeper = Arc::clone(&kept);
    let mut options = ServerOptions::default();
    options.buffer = BufferConfig::new(0, 1024);
    let _server = OnRuntime::start(|| {
        AsyncDuplexServer::start(&name, options, move |request: AsyncRequest| {
            let data = request.to_vec();
            keeper.lock().unwrap().push(request);
            async move { Ok(data) }
        })
        .unwrap()
    });
    let mut client = connect(&name);
    client.set_write_timeout(SHORT);
    client.send(&[1; 600]).unwrap();
    assert_eq!(answer(&mut client).0, 1);
    let full = client.send(&[2; 380]).unwrap_err();
    assert!(full.to_string().contains("is full"), "{full}");
    let request = kept.lock().unwrap().pop().unwrap();
    assert_eq!((request.len(), request.to_vec()), (600, vec![1; 600]));
    drop(request);
    client.send(&[2; 380]).unwrap();
    assert_eq!(answer(&mut client), (2, vec![2; 380]));
}
