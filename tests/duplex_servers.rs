//! What every duplex server keeps to, whatever it does with requests and in whatever mode.

#![allow(clippy::unwrap_used)]

mod support;

use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use support::duplex::{answer, channel, collect_errors, connect};
use support::servers::Kind;
use support::servers::{ECHO, FAIL, KINDS, PANIC, Served, WAIT, gap, inverted, request, servers};
use support::{LONG, NOTICED, Peer, leftovers, wait_until};
use zerobuffer::duplex::{
    ChannelName, ClientOptions, DuplexClient, DuplexError, ProcessingMode, ServerOptions,
};
use zerobuffer::{BufferConfig, Error, Reader};

const SHORT: Duration = Duration::from_millis(30);

/// In so long, a thread that wakes up too often is seen in a process's times.
const WATCHED: Duration = Duration::from_secs(1);

/// Of which a server that sleeps uses so much at most: half a percent.
const IDLE: Duration = Duration::from_millis(5);

/// Has a client that reads nothing sent a response that fills its buffer, and asks for more.
fn client_that_does_not_read(name: &ChannelName) -> DuplexClient {
    let response_buffer = Some(BufferConfig::new(0, 1024));
    let options = ClientOptions {
        response_buffer,
        ..Default::default()
    };
    let mut client = DuplexClient::connect(name, options).unwrap();
    client.send(&request(ECHO, &[1; 600])).unwrap();
    client.send(&request(ECHO, &[2; 600])).unwrap();
    client
}

/// Removes what a killed server has left, as the next server does.
fn clear_away(name: &ChannelName) {
    drop(Reader::create(name.request(), &BufferConfig::new(0, 1024)).unwrap());
    assert!(leftovers(name.as_str()).is_empty());
}

/// How many entries the server has written into the response buffer.
fn responses_written(name: &ChannelName) -> u8 {
    let segment = std::fs::File::open(format!("/dev/shm/{}", name.response())).unwrap();
    let mut count = [0];
    segment.read_exact_at(&mut count, 0x40).unwrap();
    count[0]
}

/// Not a test of its own: what the other processes of the tests below do.
#[test]
fn play_a_role() {
    let Some((role, name)) = support::role() else {
        return;
    };
    let name = ChannelName::new(name).unwrap();
    if role == "client" {
        let mut client = connect(&name);
        for _ in 0..20 {
            client.send(&[ECHO, 200]).unwrap();
        }
        std::thread::sleep(LONG);
    } else {
        let number: usize = role.parse().unwrap();
        let (kind, mode) = servers().nth(number).unwrap();
        let mut options = ServerOptions::default();
        options.mode = mode;
        let _server = kind.start(&name, options);
        std::thread::sleep(LONG);
    }
}

#[test]
fn a_server_with_nothing_to_do_sleeps() {
    std::thread::scope(|scope| {
        for (i, (kind, mode)) in servers().enumerate() {
            scope.spawn(move || sleeps(i, &format!("{kind:?} {mode:?}")));
        }
    });
}

/// Expects that the server with this number sleeps while there is nothing to do.
fn sleeps(number: usize, server: &str) {
    let name = channel(&format!("sleeps-{number}"));
    let mut peer = Peer::start(&number.to_string(), name.as_str());
    let mut client = connect(&name);
    for sequence in 1..=50 {
        client.send(&request(ECHO, b"")).unwrap();
        assert_eq!(answer(&mut client).0, sequence);
    }
    expect_idle(&format!("{server}, without requests"), &peer, || {});
    expect_idle(&format!("{server}, while handlers wait"), &peer, || {
        // Each for longer than is watched, and as many as any server has at work.
        for _ in 0..3 {
            client.send(&[WAIT, 200]).unwrap();
        }
    });
    peer.kill();
    drop(client);
    clear_away(&name);
}

/// Expects that a process uses next to no processor time once `begin` has been called. On a machine
/// with more to do than processors a wait may cost more, but not five times in a row.
fn expect_idle(what: &str, peer: &Peer, mut begin: impl FnMut()) {
    let mut used = Vec::new();
    for _ in 0..5 {
        begin();
        let before = peer.cpu_time();
        std::thread::sleep(WATCHED);
        used.push(peer.cpu_time().saturating_sub(before));
        if used.last() <= Some(&IDLE) {
            return;
        }
    }
    panic!("{what}: {used:?}");
}

#[test]
fn failed_handlers_are_named_gaps() {
    for (i, (kind, mode)) in servers().enumerate() {
        let name = channel(&format!("gaps-{i}"));
        let (mut options, errors) = collect_errors(ServerOptions::default());
        options.mode = mode;
        let _server = kind.start(&name, options);
        let mut client = connect(&name);
        for verb in [ECHO, FAIL, PANIC, ECHO] {
            client.send(&request(verb, b"x")).unwrap();
        }
        assert_eq!(
            answer(&mut client),
            (1, inverted(&request(ECHO, b"x"))),
            "{kind:?} {mode:?}"
        );
        assert_eq!([gap(&mut client), gap(&mut client)], [2, 3]);
        assert_eq!(answer(&mut client), (4, inverted(&request(ECHO, b"x"))));
        let errors = errors.lock().unwrap();
        assert!(
            errors[0].contains("request 2: as it was told"),
            "{errors:?}"
        );
        assert!(
            errors[1].contains("request 3: it panicked: as it was told"),
            "{errors:?}"
        );
        assert_eq!(errors.len(), 2);
    }
}

#[test]
fn an_unread_response_is_given_up_and_the_next_is_not() {
    for (i, (kind, mode)) in servers().enumerate() {
        let name = channel(&format!("unread-{i}"));
        let (mut options, errors) = collect_errors(ServerOptions::default());
        options.mode = mode;
        options.write_timeout = SHORT;
        let _server = kind.start(&name, options);
        let mut client = client_that_does_not_read(&name);
        wait_until("a response was given up", || {
            !errors.lock().unwrap().is_empty()
        });
        let error = errors.lock().unwrap()[0].clone();
        assert!(error.contains("is full"), "{kind:?} {mode:?}: {error}");
        assert!(error.contains("waited 3"), "{error}");
        assert_eq!(answer(&mut client).0, 1);
        client.send(&request(ECHO, b"next")).unwrap();
        assert_eq!(gap(&mut client), 2);
        assert_eq!(answer(&mut client), (3, inverted(&request(ECHO, b"next"))));
    }
}

#[test]
fn a_callback_that_panics_does_not_end_the_server() {
    for (i, (kind, mode)) in servers().enumerate() {
        let name = channel(&format!("callback-{i}"));
        let panicking =
            |_: &DuplexError| std::panic::resume_unwind(Box::new("the callback's affair"));
        let mut options = ServerOptions::default().on_error(panicking);
        options.mode = mode;
        let _server = kind.start(&name, options);
        let mut client = connect(&name);
        client.send(&request(FAIL, b"")).unwrap();
        client.send(&request(ECHO, b"")).unwrap();
        assert_eq!(gap(&mut client), 1, "{kind:?} {mode:?}");
        assert_eq!(answer(&mut client).0, 2);
    }
}

#[test]
fn clients_come_one_after_another() {
    for (i, (kind, mode)) in servers().enumerate() {
        let name = channel(&format!("clients-{i}"));
        let (told, metadata) = mpsc::channel();
        let mut options =
            ServerOptions::default().on_init(move |data| told.send(data.to_vec()).unwrap());
        options.mode = mode;
        let server = kind.start(&name, options);
        for round in 0..4_u8 {
            let mut client = connect(&name);
            client.set_metadata(&[round]).unwrap();
            for i in 0..8 {
                client.send(&request(ECHO, &[round, i])).unwrap();
            }
            // The last client's answers are not all taken.
            for i in 0..5 {
                let expected = inverted(&request(ECHO, &[round, i]));
                assert_eq!(
                    answer(&mut client),
                    (u64::from(i) + 1, expected),
                    "{kind:?} {mode:?}"
                );
            }
            assert_eq!(metadata.try_recv(), Ok(vec![round]));
        }
        drop(server);
        assert_eq!(leftovers(name.as_str()), Vec::<std::path::PathBuf>::new());
    }
}

#[test]
fn a_killed_client_makes_room_for_the_next() {
    for (i, (kind, mode)) in servers().enumerate() {
        let name = channel(&format!("killed-{i}"));
        let mut options = ServerOptions::default();
        options.mode = mode;
        let server = kind.start(&name, options);
        let mut peer = Peer::start("client", name.as_str());
        wait_until("the other process is served", || {
            std::fs::exists(format!("/dev/shm/{}", name.response())).unwrap()
                && responses_written(&name) > 0
        });
        peer.kill();
        let mut client = connect(&name);
        client.send(&request(ECHO, b"mine")).unwrap();
        let expected = inverted(&request(ECHO, b"mine"));
        assert_eq!(answer(&mut client), (1, expected), "{kind:?} {mode:?}");
        drop(client);
        drop(server);
        assert!(leftovers(name.as_str()).is_empty());
    }
}

/// Expects that stopping what `make` makes is quick. On a machine with more to do than processors
/// anything may take long, but not five times in a row.
fn expect_quick_stop<T>(what: &str, mut make: impl FnMut() -> (Served, T)) {
    let mut took = Vec::new();
    for _ in 0..5 {
        let (server, client) = make();
        let begun = Instant::now();
        drop(server);
        took.push(begun.elapsed());
        drop(client);
        if took.last() < Some(&NOTICED) {
            return;
        }
    }
    panic!("{what}: {took:?}");
}

#[test]
fn stopping_is_quick_whatever_the_server_waits_for() {
    for (i, (kind, mode)) in servers().enumerate() {
        let start = |name: &ChannelName| {
            let mut options = ServerOptions::default();
            options.mode = mode;
            kind.start(name, options)
        };
        let what = |wait: &str| format!("{kind:?} {mode:?} waits for {wait}");

        let name = channel(&format!("stop-{i}"));
        expect_quick_stop(&what("a client"), || (start(&name), ()));

        expect_quick_stop(&what("a request"), || {
            let server = start(&name);
            let mut client = connect(&name);
            client.send(&request(ECHO, b"")).unwrap();
            assert_eq!(answer(&mut client).0, 1);
            (server, client)
        });

        expect_quick_stop(&what("space"), || {
            let server = start(&name);
            let client = client_that_does_not_read(&name);
            wait_until("the first response is there", || {
                responses_written(&name) == 1
            });
            (server, client)
        });
        assert!(leftovers(name.as_str()).is_empty());
    }
}

#[test]
fn what_was_answered_before_the_end_is_received() {
    for (i, (kind, mode)) in servers().enumerate() {
        let name = channel(&format!("end-{i}"));
        let mut options = ServerOptions::default();
        options.mode = mode;
        let server = kind.start(&name, options);
        let mut client = client_that_does_not_read(&name);
        wait_until("the first response is there", || {
            responses_written(&name) == 1
        });
        drop(server);
        assert_eq!(answer(&mut client).0, 1, "{kind:?} {mode:?}");
        let error = client.receive(LONG).unwrap_err();
        assert!(
            matches!(error, DuplexError::Channel(Error::WriterDead { .. })),
            "{error}"
        );
    }
}

#[test]
fn stopping_does_not_wait_for_the_reader_of_a_dead_writer() {
    let name = channel("recovery");
    for phase in [0, 20, 40] {
        expect_quick_stop("the 300 ms that a reader has", || {
            let client = Reader::create(name.response(), &BufferConfig::new(0, 1024)).unwrap();
            let segment = std::fs::File::options()
                .write(true)
                .open(format!("/dev/shm/{}", name.response()))
                .unwrap();
            // No process has such an id: this writer is dead, and nobody reads to notice it.
            let writer_pid = u64::from(u32::MAX).to_le_bytes();
            segment.write_all_at(&writer_pid, 0x50).unwrap();
            let server = Kind::Bytes.start(&name, ServerOptions::default());
            std::thread::sleep(Duration::from_millis(phase));
            (server, client)
        });
    }
}

#[test]
fn a_server_can_be_stopped_by_its_own_callback() {
    for (i, (kind, mode)) in servers().enumerate() {
        let name = channel(&format!("suicide-{i}"));
        let slot: Arc<Mutex<Option<Served>>> = Arc::default();
        let own = Arc::clone(&slot);
        let mut options =
            ServerOptions::default().on_error(move |_| drop(own.lock().unwrap().take()));
        options.mode = mode;
        *slot.lock().unwrap() = Some(kind.start(&name, options));
        let mut client = connect(&name);
        client.send(&request(FAIL, b"")).unwrap();
        let error = client.receive(LONG).unwrap_err();
        assert!(
            matches!(
                error,
                DuplexError::Channel(Error::WriterDead { .. } | Error::ReaderDead { .. })
            ),
            "{kind:?} {mode:?}: {error}"
        );
        drop(client);
        wait_until("the server has cleared away", || {
            leftovers(name.as_str()).is_empty()
        });
    }
}

/// Verb, delay and length of a request.
fn order() -> impl Strategy<Value = (u8, u8, usize)> {
    let verb = prop_oneof![6 => Just(ECHO), 1 => Just(FAIL), 1 => Just(PANIC)];
    (verb, 0..8_u8, 0..300_usize)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn clients_that_come_and_go_get_their_own_answers(
        clients in prop::collection::vec((1..20_u8, 0..20_u8, 0..8_u8), 1..8),
        kind in 0..KINDS.len(),
        threads in 0..4_usize,
    ) {
        let name = channel("come-and-go");
        let mut options = ServerOptions::default().on_error(|_| {});
        if let Some(size) = NonZeroUsize::new(threads) {
            options.mode = ProcessingMode::ThreadPool(size);
        }
        let _server = KINDS[kind].start(&name, options);
        for (number, (sent, received, delay)) in (1_u8..).zip(clients) {
            let mut client = connect(&name);
            let request = |i: u8| [ECHO, delay, number, i];
            for i in 0..sent {
                client.send(&request(i)).unwrap();
            }
            for i in 0..received.min(sent) {
                let expected = inverted(&request(i));
                prop_assert_eq!(answer(&mut client), (u64::from(i) + 1, expected));
            }
        }
    }

    #[test]
    fn every_answer_is_to_its_own_request(
        orders in prop::collection::vec(order(), 1..80),
        kind in 0..KINDS.len(),
        threads in 0..6_usize,
        max_in_flight in 1..100_usize,
    ) {
        let name = channel("property");
        let mut options = ServerOptions::default().on_error(|_| {});
        if let Some(size) = NonZeroUsize::new(threads) {
            options.mode = ProcessingMode::ThreadPool(size);
        }
        options.max_in_flight = NonZeroUsize::new(max_in_flight).unwrap();
        let _server = KINDS[kind].start(&name, options);
        let mut client = connect(&name);
        // One that succeeds at the end, so that every gap before it is told.
        let orders: Vec<_> = orders.into_iter().chain([(ECHO, 0, 1)]).collect();
        let requests: Vec<Vec<u8>> = (1_u8..)
            .zip(&orders)
            .map(|(i, (verb, delay, length))| {
                [vec![*verb, *delay], vec![i; *length]].concat()
            })
            .collect();
        for request in &requests {
            client.send(request).unwrap();
        }
        for (sequence, request) in (1..).zip(&requests) {
            if request[0] == ECHO {
                prop_assert_eq!(answer(&mut client), (sequence, inverted(request)));
            } else {
                prop_assert_eq!(gap(&mut client), sequence);
            }
        }
    }
}
