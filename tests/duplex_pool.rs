//! Servers whose handlers run in parallel.

#![allow(clippy::unwrap_used)]

mod support;

use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Barrier, Condvar, Mutex};
use std::time::Duration;

use support::duplex::{answer, channel, collect_errors, connect};
use support::{LONG, NOTICED, leftovers, wait_until};
use zerobuffer::duplex::{
    ChannelName, ClientOptions, DuplexClient, DuplexError, ImmutableDuplexServer,
    MutableDuplexServer, ProcessingMode, Reply, ServerOptions,
};
use zerobuffer::{BufferConfig, Error, Reader, Writer};

const SHORT: Duration = Duration::from_millis(30);

fn pool_of(size: usize) -> ServerOptions {
    let mut options = ServerOptions::default();
    options.mode = ProcessingMode::ThreadPool(NonZeroUsize::new(size).unwrap());
    options
}

/// What handlers have begun with, and which of them may go on.
#[derive(Default)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    begun: Vec<Vec<u8>>,
    open: Vec<Vec<u8>>,
}

impl Gate {
    /// In a handler: says what it begins with, and goes on once that is let through.
    fn pass(&self, data: Vec<u8>) {
        let mut state = self.state.lock().unwrap();
        state.begun.push(data.clone());
        let waited = self
            .changed
            .wait_timeout_while(state, LONG, |state| !state.open.contains(&data));
        assert!(!waited.unwrap().1.timed_out(), "never let through");
    }

    fn open(&self, data: &[u8]) {
        self.state.lock().unwrap().open.push(data.to_vec());
        self.changed.notify_all();
    }

    fn begun(&self) -> Vec<Vec<u8>> {
        let mut begun = self.state.lock().unwrap().begun.clone();
        begun.sort();
        begun
    }

    fn wait_for(&self, begun: &[&[u8]]) {
        wait_until("these handlers have begun", || self.begun() == begun);
    }
}

/// Echoes what the gate lets through.
fn gated(name: &ChannelName, options: ServerOptions) -> (ImmutableDuplexServer, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let handlers = Arc::clone(&gate);
    let server = ImmutableDuplexServer::start(name, options, move |request| {
        handlers.pass(request.to_vec());
        Ok(Reply::bytes(request.to_vec()))
    });
    (server.unwrap(), gate)
}

#[test]
fn as_many_handlers_run_at_once_as_there_are_threads() {
    let name = channel("parallel");
    let all = Arc::new(Barrier::new(4));
    let handlers = Arc::clone(&all);
    // SAFETY: the client is this test.
    let server = unsafe {
        MutableDuplexServer::start(&name, pool_of(3), move |data| {
            handlers.wait();
            data.reverse();
            Ok(())
        })
    };
    let server = server.unwrap();
    let mut client = connect(&name);
    for data in [b"ab", b"cd", b"ef"] {
        client.send(data).unwrap();
    }
    all.wait();
    for (sequence, data) in [(1, b"ba"), (2, b"dc"), (3, b"fe")] {
        assert_eq!(answer(&mut client), (sequence, data.to_vec()));
    }
    server.stop();
}

#[test]
fn a_slow_handler_holds_back_answers_but_not_handlers() {
    let name = channel("slow-first");
    let (server, gate) = gated(&name, pool_of(2));
    let mut client = connect(&name);
    for data in [b"1", b"2", b"3", b"4"] {
        client.send(data).unwrap();
    }
    for data in [b"2", b"3", b"4"] {
        gate.open(data);
    }
    gate.wait_for(&[b"1", b"2", b"3", b"4"]);
    assert!(client.receive(SHORT).unwrap().is_none());
    gate.open(b"1");
    for (sequence, data) in [(1, b"1"), (2, b"2"), (3, b"3"), (4, b"4")] {
        assert_eq!(answer(&mut client), (sequence, data.to_vec()));
    }
    server.stop();
}

#[test]
fn a_flood_is_held_back_by_the_request_buffer() {
    let name = channel("flood");
    let mut options = pool_of(2);
    options.buffer = BufferConfig::new(0, 1024);
    options.max_in_flight = NonZeroUsize::new(5).unwrap();
    let (server, gate) = gated(&name, options);
    let mut client = connect(&name);
    client.set_write_timeout(SHORT);
    for data in 1..=9_u8 {
        client.send(&[data]).unwrap();
    }
    for data in 2..=9_u8 {
        gate.open(&[data]);
    }
    // The first is not answered: with it, five are under way, and four wait to be taken.
    gate.wait_for(&[&[1], &[2], &[3], &[4], &[5]]);
    let mut sent = 9;
    let full = loop {
        match client.send(&[9]) {
            Ok(_) => sent += 1,
            Err(error) => break error,
        }
    };
    assert!(
        matches!(full, DuplexError::Channel(Error::BufferFull { .. })),
        "{full}"
    );
    assert!(sent * 17 < 1024, "{sent} requests in 1024 bytes");
    assert_eq!(gate.begun().len(), 5);
    gate.open(&[1]);
    for sequence in 1..=sent {
        assert_eq!(answer(&mut client), (sequence, vec![sequence.min(9) as u8]));
    }
    server.stop();
}

#[test]
fn answers_to_one_client_never_reach_the_next() {
    let name = channel("next-client");
    let (options, errors) = collect_errors(pool_of(2));
    let (server, gate) = gated(&name, options);
    let mut first = connect(&name);
    for data in [b"old 1", b"old 2", b"old 3", b"old 4"] {
        first.send(data).unwrap();
    }
    gate.wait_for(&[b"old 1", b"old 2"]);
    drop(first);

    // A client as others make them, which does not wait until its predecessor's requests are done.
    let mut requests = Writer::connect(name.request(), LONG).unwrap();
    let mut responses = Reader::create(name.response(), &BufferConfig::new(0, 1024)).unwrap();
    requests.write(b"new 1").unwrap();
    assert!(responses.read(SHORT).unwrap().is_none());
    for data in [b"old 1", b"old 2", b"old 3", b"old 4", b"new 1"] {
        gate.open(data);
    }
    let response = responses.read(LONG).unwrap().expect("an answer in time");
    assert_eq!(
        (response.sequence(), response.to_vec()),
        (1, b"new 1".to_vec())
    );
    requests.write(b"new 2").unwrap();
    gate.open(b"new 2");
    let response = responses.read(LONG).unwrap().expect("an answer in time");
    assert_eq!(
        (response.sequence(), response.to_vec()),
        (2, b"new 2".to_vec())
    );

    server.stop();
    let errors = errors.lock().unwrap();
    for sequence in [1, 2, 3, 4] {
        let of_this = format!("request {sequence} was dropped");
        let reader_gone = sequence == 1 && errors[0].contains("reader has gone");
        assert!(
            reader_gone || errors.iter().any(|error| error.contains(&of_this)),
            "{errors:?}"
        );
    }
    assert_eq!(errors.len(), 4, "{errors:?}");
    drop((requests, responses));
    assert!(leftovers(name.as_str()).is_empty());
}

#[test]
fn answers_from_a_request_buffer_that_was_replaced_never_reach_the_next_client() {
    let name = channel("replaced");
    let (options, errors) = collect_errors(pool_of(2));
    let (server, gate) = gated(&name, options);
    let mut old = connect(&name);
    old.send(b"old 1").unwrap();
    old.send(b"old 2").unwrap();
    gate.wait_for(&[b"old 1", b"old 2"]);
    let segment = std::fs::File::options()
        .write(true)
        .open(format!("/dev/shm/{}", name.request()))
        .unwrap();
    let loan = old.loan(1).unwrap();
    // More free bytes than there are.
    segment.write_all_at(&u64::MAX.to_le_bytes(), 0x28).unwrap();
    loan.commit().unwrap();
    wait_until("the server reports it", || {
        !errors.lock().unwrap().is_empty()
    });
    drop(old);
    let mut client = connect(&name);
    client.send(b"new 1").unwrap();
    client.send(b"new 2").unwrap();
    assert!(client.receive(SHORT).unwrap().is_none());
    for data in [b"old 1", b"old 2", b"new 1", b"new 2"] {
        gate.open(data);
    }
    assert_eq!(answer(&mut client), (1, b"new 1".to_vec()));
    assert_eq!(answer(&mut client), (2, b"new 2".to_vec()));
    drop(client);
    server.stop();
    let errors = errors.lock().unwrap();
    for (error, what) in
        errors
            .iter()
            .zip(["corrupt", "request 1 was dropped", "request 2 was dropped"])
    {
        assert!(error.contains(what), "{errors:?}");
    }
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert!(leftovers(name.as_str()).is_empty());
}

#[test]
fn requests_of_a_client_that_has_gone_are_not_begun_with() {
    let name = channel("not-begun");
    let (options, errors) = collect_errors(pool_of(1));
    let (server, gate) = gated(&name, options);
    let mut client = connect(&name);
    for data in [b"1", b"2", b"3"] {
        client.send(data).unwrap();
    }
    gate.wait_for(&[b"1"]);
    drop(client);
    // Either the server has noticed by now, or it does when it sends this answer.
    gate.open(b"1");
    wait_until("an answer is dropped", || {
        !errors.lock().unwrap().is_empty()
    });
    gate.open(b"2");
    wait_until("all are dropped", || errors.lock().unwrap().len() == 3);
    server.stop();
    assert!(!gate.begun().contains(&b"3".to_vec()), "handled for nobody");
}

#[test]
fn a_client_that_only_stops_sending_is_still_answered() {
    let name = channel("half-closed");
    let (server, gate) = gated(&name, pool_of(2));
    let mut requests = Writer::connect(name.request(), LONG).unwrap();
    let mut responses = Reader::create(name.response(), &BufferConfig::new(0, 1024)).unwrap();
    for data in [b"1", b"2", b"3"] {
        requests.write(data).unwrap();
    }
    gate.wait_for(&[b"1", b"2"]);
    drop(requests);
    // By the end of this the server has seen that nobody sends any more.
    assert!(responses.read(NOTICED).unwrap().is_none());
    for data in [b"3", b"2", b"1"] {
        gate.open(data);
    }
    for sequence in 1..=3 {
        let response = responses.read(LONG).unwrap().expect("an answer in time");
        assert_eq!(response.sequence(), sequence);
    }
    server.stop();
}

#[test]
fn stopping_waits_for_handlers_at_work_and_sends_their_answers() {
    // How soon the server's thread sees that it is to stop is the machine's affair: until then a
    // handler that is free takes the next request. On a loaded machine that happens, but not every
    // time.
    let begun_with_third = |attempt: i32| {
        let name = channel(&format!("stop-at-work-{attempt}"));
        let (server, gate) = gated(&name, pool_of(2));
        let mut client = connect(&name);
        for data in [b"1", b"2", b"3"] {
            client.send(data).unwrap();
        }
        gate.wait_for(&[b"1", b"2"]);
        let stopping = std::thread::spawn(move || server.stop());
        std::thread::sleep(SHORT);
        assert!(!stopping.is_finished(), "handlers are at work");
        gate.open(b"3");
        gate.open(b"2");
        gate.open(b"1");
        stopping.join().unwrap();
        let begun = gate.begun();
        for sequence in 1..=begun.len() as u64 {
            assert_eq!(answer(&mut client).0, sequence);
        }
        let error = client.receive(LONG).unwrap_err();
        assert!(
            matches!(error, DuplexError::Channel(Error::WriterDead { .. })),
            "{error}"
        );
        drop(client);
        assert!(leftovers(name.as_str()).is_empty());
        begun.len() > 2
    };
    assert!(
        !(0..5).all(begun_with_third),
        "the third is begun with every time"
    );
}

#[test]
fn a_handler_can_stop_its_own_server() {
    let name = channel("own-stop");
    let slot: Arc<Mutex<Option<ImmutableDuplexServer>>> = Arc::default();
    let own = Arc::clone(&slot);
    let server = ImmutableDuplexServer::start(&name, pool_of(2), move |request| {
        drop(own.lock().unwrap().take());
        Ok(Reply::bytes(request.to_vec()))
    });
    *slot.lock().unwrap() = Some(server.unwrap());
    let mut client = connect(&name);
    let response = client.request(b"last", LONG).unwrap();
    assert_eq!(response.data.to_vec(), b"last");
    drop((response, client));
    wait_until("the server has cleared away", || {
        leftovers(name.as_str()).is_empty()
    });
}

#[test]
fn memory_for_a_reply_is_the_same_for_handlers_in_a_pool() {
    let name = channel("pool-loan");
    let (options, errors) = collect_errors(pool_of(2));
    let _server = ImmutableDuplexServer::start(&name, options, |request| {
        match &request.to_vec()[..] {
            b"none" => drop(request.loan(0)?),
            b"two" => drop((request.loan(1)?, request.loan(1)?)),
            b"bytes" => {
                request.loan(1)?;
                return Ok(Reply::bytes("bytes"));
            }
            _ => {}
        }
        let mut reply = request.loan(4)?;
        assert_eq!(reply.len(), 4);
        reply.write_at(2, b"cd");
        reply.copy_from(b"ab");
        Ok(reply.into())
    })
    .unwrap();
    let mut client = connect(&name);
    for data in ["none", "two", "bytes", "good"] {
        client.send(data.as_bytes()).unwrap();
    }
    for _ in 0..3 {
        assert!(matches!(
            client.receive(LONG),
            Err(DuplexError::HandlerFailed { .. })
        ));
    }
    assert_eq!(answer(&mut client), (4, b"abcd".to_vec()));
    let errors = errors.lock().unwrap();
    for (error, why) in errors.iter().zip([
        "at least one byte",
        "has its memory already",
        "after it had taken memory",
    ]) {
        assert!(error.contains(why), "{errors:?}");
    }
}

#[test]
fn memory_that_was_not_to_be_had_does_not_use_up_the_reply() {
    for (label, options) in [("single", ServerOptions::default()), ("pool", pool_of(2))] {
        let name = channel(&format!("again-{label}"));
        let _server = ImmutableDuplexServer::start(&name, options, |request| {
            assert!(request.loan(0).is_err());
            if request.sequence() == 1 {
                return Ok(Reply::bytes("bytes"));
            }
            let mut reply = request.loan(4)?;
            reply.copy_from(b"loan");
            Ok(reply.into())
        })
        .unwrap();
        let mut client = connect(&name);
        for expected in ["bytes", "loan"] {
            let response = client.request(b"x", LONG).unwrap();
            assert_eq!(response.data.to_vec(), expected.as_bytes(), "{label}");
        }
    }
}

#[test]
fn a_reply_that_cannot_fit_is_a_gap() {
    let name = channel("too-large");
    let (options, errors) = collect_errors(pool_of(2));
    let _server = ImmutableDuplexServer::start(&name, options, |request| {
        let size = if request.sequence() == 1 { 2000 } else { 2 };
        Ok(Reply::bytes(vec![7; size]))
    })
    .unwrap();
    let options = ClientOptions {
        response_buffer: Some(BufferConfig::new(0, 1024)),
        ..Default::default()
    };
    let mut client = DuplexClient::connect(&name, options).unwrap();
    client.send(b"1").unwrap();
    client.send(b"2").unwrap();
    assert!(matches!(
        client.receive(LONG),
        Err(DuplexError::HandlerFailed { sequence: 1, .. })
    ));
    assert_eq!(answer(&mut client), (2, vec![7; 2]));
    assert!(
        errors.lock().unwrap()[0].contains("2000 bytes"),
        "{errors:?}"
    );
}
