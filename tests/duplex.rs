//! Duplex channels as a program sees them.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Mutex;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use support::duplex::{answer, channel, collect_errors, connect, echo, echo_with, moody};
use support::{LONG, leftovers, wait_until};
use zerobuffer::duplex::{
    ClientOptions, DuplexClient, DuplexError, ImmutableDuplexServer, Reply, ServerOptions,
};
use zerobuffer::{BufferConfig, Error};

const SHORT: Duration = Duration::from_millis(30);

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
