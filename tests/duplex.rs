//! Duplex channels as a program sees them, within a process and across processes that die.

#![allow(clippy::unwrap_used)]

mod support;

use std::os::unix::fs::FileExt;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use support::duplex::{answer, channel, collect_errors, connect};
use support::{LONG, Peer, leftovers, notices_in_time, wait_until};
use zerobuffer::duplex::{
    ChannelName, ClientOptions, DuplexClient, DuplexError, HandlerError, ImmutableDuplexServer,
    Reply, Request, ServerOptions,
};
use zerobuffer::{BufferConfig, Error};

const SHORT: Duration = Duration::from_millis(30);

fn echo(name: &ChannelName) -> ImmutableDuplexServer {
    echo_with(name, ServerOptions::default())
}

fn echo_with(name: &ChannelName, options: ServerOptions) -> ImmutableDuplexServer {
    ImmutableDuplexServer::start(name, options, |request| Ok(Reply::bytes(request.to_vec())))
        .unwrap()
}

/// Fails for a request that says so, panics for another, echoes the rest.
fn moody(name: &ChannelName, options: ServerOptions) -> ImmutableDuplexServer {
    ImmutableDuplexServer::start(name, options, |request| match &request.to_vec()[..] {
        b"fail" => Err("as it was told".into()),
        b"panic" => panic!("as it was told"),
        other => Ok(Reply::bytes(other)),
    })
    .unwrap()
}

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
            for _ in 0..3 {
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
fn response_n_answers_request_n() {
    let name = channel("numbers");
    let server = echo(&name);
    let mut client = connect(&name);
    for size in [1, 1024, 102_400, 400_000] {
        let data: Vec<u8> = (0..size).map(|i| i as u8).collect();
        let sent = client.send(&data).unwrap();
        assert_eq!(answer(&mut client), (sent, data));
    }
    let sent: Vec<u64> = (0..200_u8).map(|i| client.send(&[i]).unwrap()).collect();
    for (i, sequence) in sent.into_iter().enumerate() {
        assert_eq!(answer(&mut client), (sequence, vec![i as u8]));
    }
    assert!(client.is_server_connected());
    assert!(client.receive(Duration::ZERO).unwrap().is_none());
    drop(client);
    server.stop();
    assert_eq!(leftovers(name.as_str()), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_reply_can_be_written_in_place() {
    let name = channel("in-place");
    let (options, errors) = collect_errors(ServerOptions::default());
    let _server = ImmutableDuplexServer::start(&name, options, |request| {
        let mut reply = request.loan(request.len() + 1)?;
        reply.copy_from(&request.to_vec());
        reply.write_at(request.len(), b"!");
        if request.len() == 1 {
            request.loan(1)?;
        }
        Ok(reply.into())
    })
    .unwrap();
    let mut client = connect(&name);
    client.send(b"x").unwrap();
    client.send(b"hey").unwrap();
    assert!(matches!(
        client.receive(LONG),
        Err(DuplexError::HandlerFailed { sequence: 1, .. })
    ));
    assert_eq!(answer(&mut client), (2, b"hey!".to_vec()));
    assert!(
        errors.lock().unwrap()[0].contains("has its memory already"),
        "{errors:?}"
    );
}

#[test]
fn a_failed_handler_is_a_named_gap_and_no_more() {
    let name = channel("failures");
    let (options, errors) = collect_errors(ServerOptions::default());
    let _server = moody(&name, options);
    let mut client = connect(&name);
    for request in ["a", "fail", "panic", "b", "", "fail"] {
        if !request.is_empty() {
            client.send(request.as_bytes()).unwrap();
        }
    }
    assert_eq!(answer(&mut client), (1, b"a".to_vec()));
    for missing in [2, 3] {
        let error = client.receive(LONG).unwrap_err();
        let DuplexError::HandlerFailed { sequence, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(sequence, missing);
    }
    assert_eq!(answer(&mut client), (4, b"b".to_vec()));
    assert!(
        client.receive(SHORT).unwrap().is_none(),
        "request 5 failed, nothing is behind it"
    );
    let error = client.request(b"c", LONG).unwrap_err();
    assert!(
        matches!(error, DuplexError::Outstanding { count: 1, .. }),
        "{error}"
    );
    client.send(b"c").unwrap();
    assert!(matches!(
        client.receive(LONG),
        Err(DuplexError::HandlerFailed { sequence: 5, .. })
    ));
    assert_eq!(answer(&mut client), (6, b"c".to_vec()));
    let errors = errors.lock().unwrap();
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert!(
        errors[1].contains("request 3: it panicked: as it was told"),
        "{errors:?}"
    );
}

#[test]
fn requests_go_on_behind_one_without_an_answer() {
    let name = channel("go-on");
    let (open, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let options = ServerOptions::default().on_error(|_| {});
    let _server = ImmutableDuplexServer::start(&name, options, move |request| {
        match &request.to_vec()[..] {
            b"fail" => return Err("as it was told".into()),
            b"late" => gate.lock().unwrap().recv()?,
            _ => {}
        }
        Ok(Reply::bytes(request.to_vec()))
    })
    .unwrap();
    let mut client = connect(&name);
    let ask = |client: &mut DuplexClient, data: &[u8], timeout| {
        let response = client.request(data, timeout)?;
        Ok((response.sequence, response.data.to_vec()))
    };
    for (sequence, data) in [(1, "fail"), (2, "fail"), (3, "late")] {
        let error = ask(&mut client, data.as_bytes(), SHORT).unwrap_err();
        let DuplexError::NoAnswer { sequence: of, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(of, sequence);
    }
    open.send(()).unwrap();
    assert_eq!(ask(&mut client, b"a", LONG).unwrap(), (4, b"a".to_vec()));
    assert_eq!(ask(&mut client, b"b", LONG).unwrap(), (5, b"b".to_vec()));

    ask(&mut client, b"fail", SHORT).unwrap_err();
    client.send(b"c").unwrap();
    let error = ask(&mut client, b"d", LONG).unwrap_err();
    assert!(
        matches!(error, DuplexError::Outstanding { count: 2, .. }),
        "{error}"
    );
    assert!(matches!(
        client.receive(LONG),
        Err(DuplexError::HandlerFailed { sequence: 6, .. })
    ));
    assert_eq!(answer(&mut client), (7, b"c".to_vec()));
    assert_eq!(ask(&mut client, b"d", LONG).unwrap(), (8, b"d".to_vec()));
}

#[test]
fn an_empty_reply_is_a_failed_handler() {
    let name = channel("empty");
    let (options, errors) = collect_errors(ServerOptions::default());
    let _server =
        ImmutableDuplexServer::start(&name, options, |_| Ok(Reply::bytes(Vec::new()))).unwrap();
    let mut client = connect(&name);
    let error = client.request(b"x", SHORT).unwrap_err();
    assert!(
        matches!(error, DuplexError::NoAnswer { sequence: 1, .. }),
        "{error}"
    );
    assert!(
        errors.lock().unwrap()[0].contains("at least one byte"),
        "{errors:?}"
    );
}

#[test]
fn clients_come_one_after_another() {
    let name = channel("clients");
    let (told, metadata) = mpsc::channel();
    let options = ServerOptions::default().on_init(move |data| told.send(data.to_vec()).unwrap());
    let server = echo_with(&name, options);
    for round in 0..4_u8 {
        let mut client = connect(&name);
        client.set_metadata(&[round]).unwrap();
        assert!(
            client.set_metadata(&[round]).is_err(),
            "metadata is written once"
        );
        for i in 1..=3 {
            let response = client.request(&[round, i as u8], LONG).unwrap();
            assert_eq!(
                (response.sequence, response.data.to_vec()),
                (i, vec![round, i as u8])
            );
        }
        assert_eq!(
            metadata.try_recv(),
            Ok(vec![round]),
            "told before the first answer"
        );
        assert!(metadata.try_recv().is_err(), "told once");
        let second = DuplexClient::connect(&name, ClientOptions::default()).unwrap_err();
        assert!(
            second.to_string().contains("already has a writer"),
            "{second}"
        );
    }
    server.stop();
    assert!(leftovers(name.as_str()).is_empty());
}

#[test]
fn metadata_that_makes_the_program_panic_costs_one_request() {
    let name = channel("bad-metadata");
    let (options, errors) = collect_errors(ServerOptions::default());
    let server = echo_with(&name, options.on_init(|_| panic!("as it was told")));
    let mut client = connect(&name);
    client.set_metadata(b"bad").unwrap();
    client.send(b"1").unwrap();
    client.send(b"2").unwrap();
    assert!(matches!(
        client.receive(LONG),
        Err(DuplexError::HandlerFailed { sequence: 1, .. })
    ));
    assert_eq!(answer(&mut client), (2, b"2".to_vec()));
    assert!(server.is_running());
    assert!(
        errors.lock().unwrap()[0].contains("metadata, it panicked: as it was told"),
        "{errors:?}"
    );
}

#[test]
fn a_client_waits_for_its_server() {
    let name = channel("late");
    let at_once = ClientOptions {
        connect_timeout: Duration::ZERO,
        ..Default::default()
    };
    let error = DuplexClient::connect(&name, at_once).unwrap_err();
    assert!(
        matches!(error, DuplexError::Channel(Error::BufferNotFound { .. })),
        "{error}"
    );
    assert!(leftovers(name.as_str()).is_empty());
    let waiting = std::thread::spawn({
        let name = name.clone();
        move || {
            connect(&name)
                .request(b"x", LONG)
                .map(|response| response.data.to_vec())
        }
    });
    std::thread::sleep(SHORT);
    let _server = echo(&name);
    assert_eq!(waiting.join().unwrap().unwrap(), b"x");
}

#[test]
fn a_server_ends_without_clients_only_if_told_so() {
    let name = channel("nobody");
    let (mut options, errors) = collect_errors(ServerOptions::default());
    options.client_timeout = Some(SHORT);
    let server = echo_with(&name, options);
    wait_until("the server gives up", || !server.is_running());
    assert!(
        errors.lock().unwrap()[0].contains("no client within"),
        "{errors:?}"
    );
    assert!(leftovers(name.as_str()).is_empty());
}

#[test]
fn answers_given_before_the_end_are_received() {
    let name = channel("pending");
    let server = echo(&name);
    let mut client = connect(&name);
    for i in 1..=5 {
        client.send(&[i]).unwrap();
    }
    for i in 1..=3 {
        assert_eq!(answer(&mut client), (u64::from(i), vec![i]));
    }
    let deadline = Instant::now() + LONG;
    while std::fs::read(format!("/dev/shm/{}", name.response())).unwrap()[0x40] != 5 {
        assert!(
            Instant::now() < deadline,
            "the server never wrote its last answers"
        );
    }
    server.stop();
    assert_eq!(answer(&mut client).0, 4);
    assert_eq!(answer(&mut client).0, 5);
    let error = client.receive(LONG).unwrap_err();
    assert!(
        matches!(error, DuplexError::Channel(Error::WriterDead { .. })),
        "{error}"
    );
    let again = echo(&name);
    drop(client);
    connect(&name).request(b"anew", LONG).unwrap();
    again.stop();
    assert!(leftovers(name.as_str()).is_empty());
}

#[test]
fn a_client_that_does_not_read_loses_its_answer_and_nothing_else() {
    let name = channel("unread");
    let (mut options, errors) = collect_errors(ServerOptions::default());
    options.write_timeout = SHORT;
    let _server = echo_with(&name, options);
    let response_buffer = Some(BufferConfig::new(0, 1024));
    let options = ClientOptions {
        response_buffer,
        ..Default::default()
    };
    let mut client = DuplexClient::connect(&name, options).unwrap();
    client.send(&[1; 600]).unwrap();
    client.send(&[2; 300]).unwrap();
    client.send(&[3; 300]).unwrap();
    wait_until("an answer was given up", || {
        !errors.lock().unwrap().is_empty()
    });
    assert!(errors.lock().unwrap()[0].contains("is full"), "{errors:?}");
    assert_eq!(answer(&mut client), (1, vec![1; 600]));
    assert_eq!(answer(&mut client), (2, vec![2; 300]));
    client.send(b"next").unwrap();
    assert!(matches!(
        client.receive(LONG),
        Err(DuplexError::HandlerFailed { sequence: 3, .. })
    ));
    assert_eq!(answer(&mut client), (4, b"next".to_vec()));
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
    wait_until("the other process was served", || {
        !handled.lock().unwrap().is_empty()
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
    assert!(
        handled.len() < 6,
        "requests of a dead client were handled to the last: {handled:?}"
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
