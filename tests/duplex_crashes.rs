//! Duplex channels whose clients and servers die, leave without a word, or leave requests behind.

#![allow(clippy::unwrap_used)]

mod support;

use std::os::unix::fs::FileExt;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use support::duplex::{answer, channel, collect_errors, connect, echo, echo_with};
use support::{LONG, Peer, leftovers, notices_in_time, wait_until};
use zerobuffer::duplex::{
    ChannelName, ClientOptions, DuplexClient, DuplexError, HandlerError, ImmutableDuplexServer,
    Reply, Request, ServerOptions,
};
use zerobuffer::{BufferConfig, Error};

const SHORT: Duration = Duration::from_millis(30);

/// How many slow requests the client of another process sends.
const SLOW: u8 = 20;

/// Not a test of its own: what the other processes of the tests below do.
#[test]
fn play_a_role() {
    let Some((role, name)) = support::role() else {
        return;
    };
    let name = ChannelName::new(name).unwrap();
    match role.as_str() {
        "client" => {
            let mut client = connect(&name);
            client.request(b"from another process", LONG).unwrap();
            for _ in 0..SLOW {
                client.send(b"slow").unwrap();
            }
            std::thread::sleep(LONG);
        }
        "server" => {
            let _server = echo(&name);
            std::thread::sleep(LONG);
        }
        other => panic!("no such role: {other}"),
    }
}

#[test]
fn a_killed_client_is_cleared_away_with_its_requests() {
    let name = channel("killed-client");
    let handled = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&handled);
    let server = ImmutableDuplexServer::start(&name, ServerOptions::default(), move |request| {
        let data = request.to_vec();
        if data == b"slow" {
            std::thread::sleep(Duration::from_millis(150));
        }
        log.lock().unwrap().push(data.clone());
        Ok(Reply::bytes(data))
    })
    .unwrap();
    let mut peer = Peer::start("client", name.as_str());
    let path = format!("/dev/shm/{}", name.request());
    wait_until("the other process has sent all that it will", || {
        std::fs::read(&path).unwrap()[0x40] > SLOW
    });
    peer.kill();
    let mut client = connect(&name);
    let response = client.request(b"mine", LONG).unwrap();
    assert_eq!(
        (response.sequence, response.data.to_vec()),
        (1, b"mine".to_vec())
    );
    drop(response);
    drop(client);
    let handled = handled.lock().unwrap().clone();
    let slow = handled.iter().filter(|data| *data == b"slow").count();
    // Those of the time in which the client lived, and that in which its death was not yet noticed.
    assert!(
        slow < usize::from(SLOW) / 2,
        "{slow} requests of a dead client were handled"
    );

    let mut peer = Peer::start("client", name.as_str());
    wait_until("its response buffer is there", || {
        std::fs::exists(format!("/dev/shm/{}", name.response())).unwrap()
    });
    peer.kill();
    wait_until("the server removes what the dead client left", || {
        leftovers(name.response().as_str()).is_empty()
    });
    server.stop();
    assert!(leftovers(name.as_str()).is_empty());
}

#[test]
fn requests_that_a_client_left_behind_are_not_answered_to_the_next() {
    let name = channel("left-behind");
    let (begun, has_begun) = mpsc::channel();
    let (open, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let (options, errors) = collect_errors(ServerOptions::default());
    let server = ImmutableDuplexServer::start(&name, options, move |request| {
        begun.send(request.to_vec())?;
        gate.lock().unwrap().recv()?;
        Ok(Reply::bytes(request.to_vec()))
    })
    .unwrap();
    let mut first = connect(&name);
    for data in ["old 1", "old 2", "old 3"] {
        first.send(data.as_bytes()).unwrap();
    }
    assert_eq!(has_begun.recv_timeout(LONG).unwrap(), b"old 1");
    drop(first);
    let at_once = ClientOptions {
        connect_timeout: Duration::ZERO,
        ..Default::default()
    };
    let error = DuplexClient::connect(&name, at_once).unwrap_err();
    assert!(error.to_string().contains("an earlier writer"), "{error}");
    assert!(leftovers(name.response().as_str()).is_empty());
    open.send(()).unwrap();
    open.send(()).unwrap();
    let mut second = connect(&name);
    second.send(b"new 1").unwrap();
    assert_eq!(answer(&mut second), (1, b"new 1".to_vec()));
    assert_eq!(
        has_begun.recv_timeout(LONG).unwrap(),
        b"new 1",
        "handled before it"
    );
    drop(second);
    server.stop();
    let errors = errors.lock().unwrap();
    assert!(errors[0].contains("reader has gone"), "{errors:?}");
    for (error, request) in errors[1..].iter().zip([2, 3]) {
        assert!(
            error.contains(&format!("request {request} was dropped")),
            "{errors:?}"
        );
    }
    assert_eq!(errors.len(), 3);
}

#[test]
fn a_client_that_has_gone_is_noticed_by_handlers_that_fail() {
    type Fail = fn(&Request<'_>) -> Result<(), HandlerError>;
    let loan: Fail = |request| Ok(request.loan(1).map(drop)?);
    let own_error: Fail = |request| match request.loan(1) {
        Ok(_) => Ok(()),
        Err(_) => Err("no memory".into()),
    };
    let always: Fail = |_| Err("as always".into());
    for (i, (fail, told)) in [
        (loan, "reader has gone"),
        (own_error, "no memory"),
        (always, "as always"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = channel(&format!("gone-and-failing-{i}"));
        let (begun, has_begun) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let (options, errors) = collect_errors(ServerOptions::default());
        let server = ImmutableDuplexServer::start(&name, options, move |request| {
            let data = request.to_vec();
            begun.send(data.clone())?;
            if data == b"old" {
                // Once it is open, it stays so.
                let _ = gate.lock().unwrap().recv();
                fail(request)?;
            }
            Ok(Reply::bytes(data))
        })
        .unwrap();
        let mut client = connect(&name);
        for _ in 0..100 {
            client.send(b"old").unwrap();
        }
        assert_eq!(has_begun.recv_timeout(LONG).unwrap(), b"old");
        drop(client);
        drop(open);
        let mut next = connect(&name);
        assert_eq!(next.request(b"new", LONG).unwrap().data.to_vec(), b"new");
        assert_eq!(has_begun.try_recv().unwrap(), b"new", "handled for nobody");
        drop(next);
        server.stop();
        let errors = errors.lock().unwrap();
        assert!(errors[0].contains(told), "{errors:?}");
        let is_handlers = errors[0].contains("handler failed");
        assert_eq!(is_handlers, told != "reader has gone", "{errors:?}");
        assert_eq!(errors.len(), 100);
    }
}

#[test]
fn the_last_answer_waits_for_space_while_the_server_stops() {
    // On a machine with more to do than processors the client may come too late, but not every time.
    let mut lost = 0;
    while lost < 5 {
        let name = channel(&format!("last-answer-{lost}"));
        let slot: Arc<Mutex<Option<ImmutableDuplexServer>>> = Arc::default();
        let own = Arc::clone(&slot);
        let (told, is_stopping) = mpsc::channel();
        let options = ServerOptions::default().on_error(|_| {});
        let server = ImmutableDuplexServer::start(&name, options, move |request| {
            if request.sequence() == 2 {
                // The lock waits for the server to be in the slot.
                drop(own.lock().unwrap().take());
                told.send(())?;
            }
            Ok(Reply::bytes(request.to_vec()))
        });
        *slot.lock().unwrap() = Some(server.unwrap());
        let options = ClientOptions {
            response_buffer: Some(BufferConfig::new(0, 1024)),
            ..Default::default()
        };
        let mut client = DuplexClient::connect(&name, options).unwrap();
        client.send(&[1; 600]).unwrap();
        client.send(&[2; 600]).unwrap();
        is_stopping.recv_timeout(LONG).unwrap();
        assert_eq!(answer(&mut client), (1, vec![1; 600]));
        match client.receive(LONG) {
            Ok(Some(response)) => {
                assert_eq!(
                    (response.sequence, response.data.to_vec()),
                    (2, vec![2; 600])
                );
                return;
            }
            Ok(None) => panic!("the server does not stop"),
            Err(_) => lost += 1,
        }
    }
    panic!("the last answer was lost {lost} times");
}

#[test]
fn a_first_request_whose_client_has_gone_is_not_answered_to_the_next() {
    let name = channel("gone");
    let (options, errors) = collect_errors(ServerOptions::default());
    let server = echo_with(&name, options);
    for _ in 0..50 {
        // A client as the server sees it that leaves before its response buffer is looked for.
        let mut gone = zerobuffer::Writer::connect(name.request(), LONG).unwrap();
        gone.write(b"old").unwrap();
        drop(gone);
        let mut client = connect(&name);
        let response = client.request(b"new", LONG).unwrap();
        assert_eq!(response.data.to_vec(), b"new");
    }
    server.stop();
    let errors = errors.lock().unwrap();
    let dropped = |error: &&String| error.contains("request 1 was dropped");
    assert_eq!(errors.iter().filter(dropped).count(), 50, "{errors:?}");
}

#[test]
fn a_killed_server_is_noticed_by_its_waiting_client() {
    notices_in_time(|| {
        let name = channel("killed-server");
        let mut peer = Peer::start("server", name.as_str());
        let mut client = connect(&name);
        client.request(b"x", LONG).unwrap();
        let waiting = std::thread::spawn(move || {
            let error = client.receive(LONG).unwrap_err();
            (error, Instant::now(), client)
        });
        std::thread::sleep(SHORT);
        peer.kill();
        let died = Instant::now();
        let (error, noticed, client) = waiting.join().unwrap();
        assert!(
            matches!(error, DuplexError::Channel(Error::WriterDead { .. })),
            "{error}"
        );
        drop(client);
        let server = echo(&name);
        connect(&name)
            .request(b"the name is free again", LONG)
            .unwrap();
        server.stop();
        assert!(leftovers(name.as_str()).is_empty());
        (died, vec![noticed])
    });
}

#[test]
fn a_server_that_dies_before_it_attached_is_noticed_too() {
    notices_in_time(|| {
        let name = channel("never-attached");
        let requests =
            zerobuffer::Reader::create(name.request(), &BufferConfig::new(0, 1024)).unwrap();
        let mut client = connect(&name);
        drop(requests);
        let died = Instant::now();
        let error = client.receive(LONG).unwrap_err();
        assert!(
            matches!(error, DuplexError::Channel(Error::ReaderDead { .. })),
            "{error}"
        );
        (died, vec![Instant::now()])
    });
}

#[test]
fn a_corrupt_request_buffer_is_replaced() {
    let name = channel("corrupt");
    let (options, errors) = collect_errors(ServerOptions::default());
    let server = echo_with(&name, options);
    let mut client = connect(&name);
    client.request(b"sound", LONG).unwrap();
    let segment = std::fs::File::options()
        .read(true)
        .write(true)
        .open(format!("/dev/shm/{}", name.request()))
        .unwrap();
    let field = |offset| {
        let mut bytes = [0; 8];
        segment.read_exact_at(&mut bytes, offset).unwrap();
        u64::from_le_bytes(bytes)
    };
    // The server adds to the free bytes after it has answered.
    wait_until("the request's memory is free again", || {
        field(0x28) == field(0x20)
    });
    let loan = client.loan(1).unwrap();
    // More free bytes than there are.
    segment.write_all_at(&u64::MAX.to_le_bytes(), 0x28).unwrap();
    loan.commit().unwrap();
    wait_until("the server reports it", || {
        !errors.lock().unwrap().is_empty()
    });
    let error = client.receive(LONG).unwrap_err();
    assert!(matches!(error, DuplexError::Channel(_)), "{error}");
    drop(client);
    let mut client = connect(&name);
    assert_eq!(
        client.request(b"anew", LONG).unwrap().data.to_vec(),
        b"anew"
    );
    drop(client);
    server.stop();
    assert!(leftovers(name.as_str()).is_empty());
}
