//! Clients that send on one thread and receive on another.

#![allow(clippy::unwrap_used)]

mod support;

use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use support::{LONG, Peer, SOON, leftovers, notices_in_time, unique, wait_until};
use zerobuffer::duplex::{
    ChannelName, ClientOptions, DuplexClient, DuplexError, ImmutableDuplexServer, Reply,
    RequestSender, ResponseReceiver, ServerOptions,
};
use zerobuffer::{BufferConfig, Error, Reader, Writer};

/// Longer than a wait goes on before it looks around.
const SEVERAL_TICKS: Duration = Duration::from_millis(250);

fn channel(label: &str) -> ChannelName {
    ChannelName::new(unique(&format!("split-{label}"))).unwrap()
}

fn connect(name: &ChannelName) -> (RequestSender, ResponseReceiver) {
    DuplexClient::connect(name, ClientOptions::default())
        .unwrap()
        .split()
}

fn echo(name: &ChannelName, options: ServerOptions) -> ImmutableDuplexServer {
    ImmutableDuplexServer::start(name, options, |request| match request.to_vec() {
        data if data == b"fail" => Err("as it was told".into()),
        data => Ok(Reply::bytes(data)),
    })
    .unwrap()
}

/// A server whose request buffer is small: it is soon full.
fn small() -> ServerOptions {
    let mut options = ServerOptions::default();
    options.buffer = BufferConfig::new(0, 4096);
    options
}

/// What request `sequence` consists of: no two neighbours look or measure the same.
fn content(sequence: u64) -> Vec<u8> {
    let size = 1 + sequence * 37 % 900;
    (0..size).map(|i| (sequence * 7 + i) as u8).collect()
}

fn answer(receiver: &mut ResponseReceiver) -> (u64, Vec<u8>) {
    let response = receiver.receive(LONG).unwrap().expect("an answer in time");
    (response.sequence, response.data.to_vec())
}

fn is_end(error: &DuplexError) -> bool {
    matches!(error, DuplexError::OtherHalfDropped { .. })
}

fn is_death(error: &DuplexError) -> bool {
    matches!(
        error,
        DuplexError::Channel(Error::ReaderDead { .. } | Error::WriterDead { .. })
    )
}

fn nothing_left(name: &ChannelName) {
    assert_eq!(leftovers(name.as_str()), Vec::<PathBuf>::new());
}

/// Receives and checks answers until there is an error; how many there were, and the error.
fn receive_all(receiver: &mut ResponseReceiver) -> (u64, DuplexError) {
    let mut count = 0;
    loop {
        match receiver.receive(LONG) {
            Ok(Some(response)) => {
                count += 1;
                assert_eq!(response.sequence, count);
                assert_eq!(response.data.to_vec(), content(count));
            }
            Ok(None) => panic!("nothing more after {count} answers"),
            Err(error) => return (count, error),
        }
    }
}

/// Sends until there is an error; how many went out, and the error.
fn send_on(sender: &mut RequestSender) -> (u64, DuplexError) {
    let mut count = 0;
    loop {
        match sender.send(&content(count + 1)) {
            Ok(sequence) => {
                count += 1;
                assert_eq!(sequence, count);
            }
            Err(error) => return (count, error),
        }
    }
}

/// Not a test of its own: what the other processes of the tests below do.
#[test]
fn play_a_role() {
    let Some((role, name)) = support::role() else {
        return;
    };
    let name = ChannelName::new(name).unwrap();
    match role.as_str() {
        "server" => {
            let _server = echo(&name, small());
            thread::sleep(LONG * 3);
        }
        "server that never answers" => {
            let _requests = Reader::create(name.request(), &BufferConfig::new(0, 4096)).unwrap();
            thread::sleep(LONG * 3);
        }
        other => panic!("no such role: {other}"),
    }
}

#[test]
fn one_thread_sends_while_another_receives() {
    const COUNT: u64 = 20_000;
    let name = channel("both");
    let mut server = Peer::start("server", name.as_str());
    let (mut sender, mut receiver) = connect(&name);
    let sending = thread::spawn(move || {
        for sequence in 1..=COUNT {
            assert_eq!(sender.send(&content(sequence)).unwrap(), sequence);
        }
    });
    let (count, end) = receive_all(&mut receiver);
    assert_eq!(count, COUNT);
    assert!(is_end(&end), "{end}");
    sending.join().unwrap();
    drop(receiver);
    let (sender, mut receiver) = connect(&name);
    wait_until("the next client is served", || {
        receiver.is_server_connected()
    });
    drop((sender, receiver));
    server.kill();
    drop(echo(&name, small()));
    nothing_left(&name);
}

#[test]
fn a_server_killed_with_requests_in_flight_is_noticed_by_both() {
    notices_in_time(|| {
        let name = channel("killed");
        let mut server = Peer::start("server", name.as_str());
        let (mut sender, mut receiver) = connect(&name);
        let (progress, progressed) = mpsc::channel();
        let sending = thread::spawn(move || {
            let (count, error) = send_on(&mut sender);
            (count, error, Instant::now(), sender)
        });
        let receiving = thread::spawn(move || {
            for sequence in 1..=1000 {
                assert_eq!(answer(&mut receiver), (sequence, content(sequence)));
            }
            progress.send(()).unwrap();
            let mut last = 1000;
            let error = loop {
                match receiver.receive(LONG) {
                    Ok(response) => {
                        let response = response.expect("an answer in time");
                        last += 1;
                        assert_eq!(response.sequence, last);
                        assert_eq!(response.data.to_vec(), content(last));
                    }
                    Err(error) => break error,
                }
            };
            (last, error, Instant::now(), receiver)
        });
        progressed.recv_timeout(LONG).unwrap();
        server.kill();
        let died = Instant::now();
        let (sent, error, seen_by_sender, sender) = sending.join().unwrap();
        assert!(is_death(&error), "{error}");
        let (received, error, seen_by_receiver, receiver) = receiving.join().unwrap();
        assert!(is_death(&error), "{error}");
        assert!((1000..=sent).contains(&received), "{received} of {sent}");
        drop(sender);
        drop(receiver);
        let server = echo(&name, small());
        let (mut sender, mut receiver) = connect(&name);
        sender.send(b"the name is free again").unwrap();
        assert_eq!(answer(&mut receiver).0, 1);
        drop((sender, receiver));
        server.stop();
        nothing_left(&name);
        (died, vec![seen_by_sender, seen_by_receiver])
    });
}

#[test]
fn a_receiver_waits_through_times_without_a_request_and_notices_a_death_in_them() {
    notices_in_time(|| {
        let name = channel("idle");
        let mut server = Peer::start("server", name.as_str());
        let (mut sender, mut receiver) = connect(&name);
        let receiving = thread::spawn(move || {
            let first = answer(&mut receiver);
            let error = receiver.receive(LONG).unwrap_err();
            (first, error, Instant::now(), receiver)
        });
        thread::sleep(SEVERAL_TICKS);
        sender.send(b"at last").unwrap();
        thread::sleep(SEVERAL_TICKS);
        server.kill();
        let died = Instant::now();
        let (first, error, noticed, receiver) = receiving.join().unwrap();
        assert_eq!(first, (1, b"at last".to_vec()));
        assert!(is_death(&error), "{error}");
        assert!(is_death(&sender.send(b"too late").unwrap_err()));
        drop((sender, receiver));
        drop(echo(&name, small()));
        nothing_left(&name);
        (died, vec![noticed])
    });
}

#[test]
fn a_server_that_dies_before_it_attached_is_noticed_by_the_receiver() {
    notices_in_time(|| {
        let name = channel("never-attached");
        let mut server = Peer::start("server that never answers", name.as_str());
        let (sender, mut receiver) = connect(&name);
        let receiving = thread::spawn(move || (receiver.receive(LONG), Instant::now()));
        thread::sleep(SEVERAL_TICKS);
        server.kill();
        let died = Instant::now();
        let (outcome, noticed) = receiving.join().unwrap();
        let error = outcome.unwrap_err();
        assert!(
            matches!(error, DuplexError::Channel(Error::ReaderDead { .. })),
            "{error}"
        );
        drop(sender);
        drop(echo(&name, small()));
        nothing_left(&name);
        (died, vec![noticed])
    });
}

#[test]
fn answers_to_what_was_sent_are_received_without_the_sender() {
    let name = channel("no-sender");
    let (open, gate) = mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let server = ImmutableDuplexServer::start(&name, small(), move |request| {
        let _ = gate.lock().unwrap().recv();
        match request.to_vec() {
            data if data == b"fail" => Err("as it was told".into()),
            data => Ok(Reply::bytes(data)),
        }
    })
    .unwrap();
    let mut client = DuplexClient::connect(&name, ClientOptions::default()).unwrap();
    client.send(b"before the split").unwrap();
    let (mut sender, mut receiver) = client.split();
    sender.send(b"fail").unwrap();
    sender.send(b"after").unwrap();
    drop(sender);
    assert!(receiver.receive(SEVERAL_TICKS).unwrap().is_none());
    drop(open);
    assert_eq!(answer(&mut receiver), (1, b"before the split".to_vec()));
    assert!(matches!(
        receiver.receive(LONG),
        Err(DuplexError::HandlerFailed { sequence: 2, .. })
    ));
    assert_eq!(answer(&mut receiver), (3, b"after".to_vec()));
    for _ in 0..2 {
        let begun = Instant::now();
        let end = receiver.receive(LONG).unwrap_err();
        assert!(is_end(&end), "{end}");
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    }
    drop(receiver);
    let (mut sender, mut receiver) = connect(&name);
    sender.send(b"the next client").unwrap();
    assert_eq!(answer(&mut receiver), (1, b"the next client".to_vec()));
    drop((sender, receiver));
    server.stop();
    nothing_left(&name);
}

#[test]
fn a_receiver_that_waits_sees_its_sender_go() {
    let name = channel("sender-goes");
    let server = echo(&name, small());
    let (sender, mut receiver) = connect(&name);
    let receiving = thread::spawn(move || (receiver.receive(LONG), Instant::now()));
    thread::sleep(SEVERAL_TICKS);
    let dropped = Instant::now();
    drop(sender);
    let (outcome, noticed) = receiving.join().unwrap();
    let end = outcome.unwrap_err();
    assert!(is_end(&end), "{end}");
    assert!(noticed - dropped < SOON, "{:?}", noticed - dropped);
    server.stop();
    nothing_left(&name);
}

#[test]
fn a_sender_does_not_go_on_without_its_receiver() {
    let name = channel("no-receiver");
    // Nobody wants to know which requests were dropped.
    let server = echo(&name, small().on_error(|_| {}));
    let (mut sender, mut receiver) = connect(&name);
    // The answers are not read: sending soon waits for space.
    let (started, has_started) = mpsc::channel();
    let sending = thread::spawn(move || {
        started.send(sender.send(&content(1))).unwrap();
        let begun = Instant::now();
        let mut sequence = 1;
        loop {
            assert!(begun.elapsed() < LONG, "it still sends");
            sequence += 1;
            if let Err(error) = sender.send(&content(sequence)) {
                return (sequence, error);
            }
        }
    });
    has_started.recv_timeout(LONG).unwrap().unwrap();
    assert_eq!(answer(&mut receiver).0, 1);
    thread::sleep(SEVERAL_TICKS);
    assert!(!sending.is_finished());
    drop(receiver);
    let (sequence, error) = sending.join().unwrap();
    assert!(sequence > 1);
    assert!(is_end(&error), "{error}");
    let (mut sender, mut receiver) = connect(&name);
    sender.send(b"the next client").unwrap();
    assert_eq!(answer(&mut receiver), (1, b"the next client".to_vec()));
    drop(receiver);
    drop(sender);
    server.stop();
    nothing_left(&name);
}

#[test]
fn failures_behind_the_last_answer_are_named_without_the_sender() {
    let name = channel("last-failed");
    let server = echo(&name, small().on_error(|_| {}));
    for answered in [1, 0] {
        let (mut sender, mut receiver) = connect(&name);
        // Without an answer, nothing would tell that the server has been there.
        wait_until("the client is attached to", || {
            receiver.is_server_connected()
        });
        for _ in 0..answered {
            sender.send(b"good").unwrap();
        }
        sender.send(b"fail").unwrap();
        sender.send(b"fail").unwrap();
        drop(sender);
        // Long enough for the server to attach again, if it did.
        thread::sleep(SEVERAL_TICKS);
        let begun = Instant::now();
        for sequence in 1..=answered {
            assert_eq!(answer(&mut receiver), (sequence, b"good".to_vec()));
        }
        for failed in [answered + 1, answered + 2] {
            match receiver.receive(LONG) {
                Err(DuplexError::HandlerFailed { sequence, .. }) => assert_eq!(sequence, failed),
                outcome => panic!("{outcome:?}"),
            }
        }
        let end = receiver.receive(LONG).unwrap_err();
        assert!(is_end(&end), "{end}");
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    }
    let (mut sender, mut receiver) = connect(&name);
    wait_until("the next client is attached to before it sends", || {
        receiver.is_server_connected()
    });
    sender.send(b"the next client").unwrap();
    assert_eq!(answer(&mut receiver), (1, b"the next client".to_vec()));
    drop((sender, receiver));
    server.stop();
    nothing_left(&name);
}

#[test]
fn a_server_that_ends_leaves_no_failures_behind() {
    let name = channel("ends");
    let requests = Reader::create(name.request(), &BufferConfig::new(0, 4096)).unwrap();
    let (mut sender, mut receiver) = connect(&name);
    let responses = Writer::connect(name.response(), LONG).unwrap();
    assert!(receiver.is_server_connected());
    sender.send(b"never answered").unwrap();
    drop((sender, requests, responses));
    for _ in 0..2 {
        let error = receiver.receive(LONG).unwrap_err();
        assert!(is_death(&error), "{error}");
    }
    drop(receiver);
    nothing_left(&name);
}

#[test]
fn a_sender_that_waits_for_space_sees_its_receiver_go() {
    let name = channel("receiver-goes");
    let requests = Reader::create(name.request(), &BufferConfig::new(0, 4096)).unwrap();
    let (mut sender, receiver) = connect(&name);
    sender.set_write_timeout(Duration::ZERO);
    let (sent, full) = send_on(&mut sender);
    assert!(
        matches!(full, DuplexError::Channel(Error::BufferFull { .. })),
        "{full}"
    );
    sender.set_write_timeout(LONG);
    let sending = thread::spawn(move || sender.send(&content(sent + 1)));
    thread::sleep(SEVERAL_TICKS);
    assert!(!sending.is_finished());
    let dropped = Instant::now();
    drop(receiver);
    let error = sending.join().unwrap().unwrap_err();
    assert!(is_end(&error), "{error}");
    assert!(dropped.elapsed() < SOON, "{:?}", dropped.elapsed());
    drop(requests);
    nothing_left(&name);
}

#[test]
fn an_interrupt_ends_a_wait_and_loses_nothing() {
    let name = channel("interrupt");
    let server = echo(&name, small());
    let (mut sender, mut receiver) = connect(&name);
    let handle = receiver.interrupt_handle();
    let receiving = thread::spawn(move || {
        let outcome = receiver.receive(LONG).map(|response| response.is_some());
        (outcome, Instant::now(), receiver)
    });
    thread::sleep(SEVERAL_TICKS);
    let interrupted = Instant::now();
    handle.interrupt();
    let (outcome, ended, mut receiver) = receiving.join().unwrap();
    assert!(!outcome.unwrap());
    assert!(ended - interrupted < SOON, "{:?}", ended - interrupted);
    sender.send(b"still there").unwrap();
    wait_until("the answer is there", || {
        match receiver.receive(LONG).unwrap() {
            Some(response) => response.data.to_vec() == b"still there",
            None => false,
        }
    });
    let begun = Instant::now();
    assert!(receiver.receive(LONG).unwrap().is_none());
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    drop((sender, receiver));
    handle.interrupt();
    server.stop();
    nothing_left(&name);
}

#[test]
fn a_request_that_was_loaned_and_not_sent_has_no_answer() {
    let name = channel("unasked");
    let mut requests = Reader::create(name.request(), &BufferConfig::new(0, 4096)).unwrap();
    let (mut sender, mut receiver) = connect(&name);
    let mut responses = Writer::connect(name.response(), LONG).unwrap();
    let mut loan = sender.loan(3).unwrap();
    loan.copy_from(b"one");
    assert_eq!((loan.commit().unwrap(), sender.next_sequence()), (1, 2));
    assert_eq!(sender.loan(3).unwrap().sequence(), 2);
    assert_eq!(requests.read(LONG).unwrap().unwrap().to_vec(), b"one");
    assert!(requests.read(Duration::ZERO).unwrap().is_none());
    responses.write(b"answer").unwrap();
    responses.write(b"to nothing").unwrap();
    assert_eq!(answer(&mut receiver), (1, b"answer".to_vec()));
    let error = receiver.receive(LONG).unwrap_err();
    assert!(
        matches!(
            error,
            DuplexError::UnexpectedResponse {
                expected: 2,
                got: 2,
                ..
            }
        ),
        "{error}"
    );
    drop((sender, receiver, requests, responses));
    nothing_left(&name);
}
