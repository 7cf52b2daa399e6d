//! One client, used by many tasks at once.

#![allow(clippy::unwrap_used)]

mod support;

use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use support::{LONG, NOTICED, Peer, leftovers, unique, wait_until};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use zerobuffer::duplex::{
    AsyncDuplexClient, ChannelName, ClientOptions, DuplexClient, DuplexError,
    ImmutableDuplexServer, Reply, ServerOptions,
};
use zerobuffer::{BufferConfig, Error, Reader};

fn channel(label: &str) -> ChannelName {
    ChannelName::new(unique(&format!("async-{label}"))).unwrap()
}

/// Runs a future on one thread: whatever blocks it blocks everything.
fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(async { timeout(LONG * 2, future).await.expect("an end in time") })
}

async fn connect(name: &ChannelName) -> AsyncDuplexClient {
    AsyncDuplexClient::connect(name, ClientOptions::default())
        .await
        .unwrap()
}

/// A request buffer that is soon full.
fn small() -> ServerOptions {
    let mut options = ServerOptions::default().on_error(|_| {});
    options.buffer = BufferConfig::new(64, 4096);
    options
}

fn echo(name: &ChannelName, options: ServerOptions) -> ImmutableDuplexServer {
    ImmutableDuplexServer::start(name, options, |request| match request.to_vec() {
        data if data == b"fail" => Err("as it was told".into()),
        data => Ok(Reply::bytes(data)),
    })
    .unwrap()
}

/// An echo server that lets a request pass when it is told to, and how many it has seen.
struct Gated {
    server: ImmutableDuplexServer,
    gate: mpsc::Sender<()>,
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Gated {
    fn start(name: &ChannelName) -> Gated {
        let (gate, passing) = mpsc::channel();
        let passing = Mutex::new(passing);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let server = ImmutableDuplexServer::start(name, small(), move |request| {
            // Once the gate is gone, everything passes.
            let _ = passing.lock().unwrap().recv();
            log.lock().unwrap().push(request.to_vec());
            Ok(Reply::bytes(request.to_vec()))
        })
        .unwrap();
        Gated { server, gate, seen }
    }
}

fn nothing_left(name: &ChannelName) {
    assert_eq!(leftovers(name.as_str()), Vec::<PathBuf>::new());
}

/// What ended all requests.
fn reason(error: &DuplexError) -> &DuplexError {
    match error {
        DuplexError::Ended { why, .. } => why,
        other => panic!("not the end of all: {other}"),
    }
}

fn is_death(error: &DuplexError) -> bool {
    matches!(
        error,
        DuplexError::Channel(Error::ReaderDead { .. } | Error::WriterDead { .. })
    )
}

/// How many requests have gone out.
fn written(name: &ChannelName) -> u8 {
    std::fs::read(format!("/dev/shm/{}", name.request())).unwrap()[0x40]
}

/// Lets a future begin, and no more than that.
fn begin<F: Future>(future: std::pin::Pin<&mut F>) {
    let mut context = Context::from_waker(Waker::noop());
    assert!(future.poll(&mut context).is_pending());
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
            std::thread::sleep(LONG * 3);
        }
        "server that never answers" => {
            let _requests = Reader::create(name.request(), &BufferConfig::new(0, 4096)).unwrap();
            std::thread::sleep(LONG * 3);
        }
        "client that comes and goes" => come_and_go(&name),
        other => panic!("no such role: {other}"),
    }
}

/// Alone in its process, so that it can count the threads.
fn come_and_go(name: &ChannelName) {
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
    let before = threads();
    for _ in 0..20 {
        let client = DuplexClient::connect(name, ClientOptions::default()).unwrap();
        let client = AsyncDuplexClient::new(client).unwrap();
        assert_eq!(threads(), before + 2);
        let another = client.clone();
        run(async { client.request(b"x").await.unwrap() });
        drop(client);
        run(async { another.request(b"y").await.unwrap() });
        let begun = Instant::now();
        drop(another);
        assert!(begun.elapsed() < NOTICED, "{:?}", begun.elapsed());
        // A thread that was joined is out of the list a moment later.
        wait_until("its threads have ended", || threads() == before);
        assert!(leftovers(name.response().as_str()).is_empty());
    }
}

#[test]
fn many_tasks_on_many_threads_each_get_their_own_answer() {
    const THREADS: u64 = 3;
    const TASKS: u64 = 200;
    const ROUNDS: u64 = 10;
    let name = channel("many");
    let server = echo(&name, small());
    let client = run(connect(&name));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let client = client.clone();
            scope.spawn(move || {
                run(async {
                    let mut tasks = JoinSet::new();
                    for task in 0..TASKS {
                        let client = client.clone();
                        tasks.spawn(async move {
                            for round in 0..ROUNDS {
                                let mut data = vec![(task % 251) as u8; 24 + task as usize * 3];
                                data[..8].copy_from_slice(&thread.to_le_bytes());
                                data[8..16].copy_from_slice(&task.to_le_bytes());
                                data[16..24].copy_from_slice(&round.to_le_bytes());
                                let answer = client.request(&data).await.unwrap();
                                assert_eq!(answer.data.to_vec(), data);
                            }
                        });
                    }
                    while let Some(task) = tasks.join_next().await {
                        task.unwrap();
                    }
                });
            });
        }
    });
    let last = run(client.request(b"last")).unwrap();
    assert_eq!(last.sequence, THREADS * TASKS * ROUNDS + 1);
    drop((last, client));
    server.stop();
    nothing_left(&name);
}

#[test]
fn a_dropped_future_gives_up_its_answer_and_no_other() {
    let name = channel("dropped");
    let Gated { server, gate, seen } = Gated::start(&name);
    run(async {
        let client = connect(&name).await;
        {
            let mut given_up = pin!(client.request(b"given up"));
            begin(given_up.as_mut());
        }
        let late = timeout(Duration::from_millis(30), client.request(b"too late")).await;
        assert!(late.is_err());
        drop(gate);
        for text in [b"one", b"two"] {
            let answer = client.request(text).await.unwrap();
            assert_eq!(answer.data.to_vec(), text);
        }
        assert_eq!(client.request(b"three").await.unwrap().sequence, 5);
    });
    let seen = seen.lock().unwrap().clone();
    assert_eq!(
        seen[..2],
        [b"given up".to_vec(), b"too late".to_vec()],
        "sent all the same"
    );
    server.stop();
    nothing_left(&name);
}

#[test]
fn a_full_buffer_makes_requests_wait_and_blocks_no_thread() {
    const COUNT: u64 = 50;
    let name = channel("full");
    let Gated { server, gate, seen } = Gated::start(&name);
    run(async {
        let client = connect(&name).await;
        let mut tasks = JoinSet::new();
        for number in 0..COUNT {
            let client = client.clone();
            tasks.spawn(async move {
                let data = vec![number as u8; 1000];
                let answer = client.request(&data).await.unwrap();
                assert_eq!(answer.data.to_vec(), data);
                answer.sequence
            });
        }
        // All of them have begun when this one goes on, on the only thread that there is.
        let begun = Instant::now();
        for _ in 0..20 {
            sleep(Duration::from_millis(5)).await;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(2),
            "one of them blocked it"
        );
        assert!(tasks.try_join_next().is_none());
        {
            let mut given_up = pin!(client.request(b"never sent"));
            begin(given_up.as_mut());
        }
        drop(gate);
        let mut sequences = Vec::new();
        while let Some(sequence) = tasks.join_next().await {
            sequences.push(sequence.unwrap());
        }
        sequences.sort_unstable();
        assert_eq!(sequences, (1..=COUNT).collect::<Vec<_>>());
    });
    let seen = seen.lock().unwrap().clone();
    let in_turn: Vec<_> = (0..COUNT).map(|number| vec![number as u8; 1000]).collect();
    assert_eq!(seen, in_turn, "in the order in which they were made");
    server.stop();
    nothing_left(&name);
}

#[test]
fn a_request_given_up_while_it_has_the_turn_lets_the_next_one_go() {
    let name = channel("turn");
    let Gated { server, gate, seen } = Gated::start(&name);
    run(async {
        let client = connect(&name).await;
        let mut first = pin!(client.request(&[1; 1500]));
        begin(first.as_mut());
        let mut second = pin!(client.request(&[2; 1500]));
        begin(second.as_mut());
        {
            let mut too_large_for_now = pin!(client.request(&[3; 1500]));
            begin(too_large_for_now.as_mut());
        }
        // There was space for this one, but the other was before it.
        let mut third = pin!(client.request(&[4; 100]));
        while written(&name) < 3 {
            let early = timeout(Duration::from_millis(1), third.as_mut()).await;
            assert!(early.is_err(), "answered by nobody");
        }
        gate.send(()).unwrap();
        gate.send(()).unwrap();
        gate.send(()).unwrap();
        assert_eq!(first.await.unwrap().sequence, 1);
        assert_eq!(second.await.unwrap().sequence, 2);
        assert_eq!(third.await.unwrap().sequence, 3);
    });
    assert_eq!(seen.lock().unwrap()[2], [4; 100]);
    drop(gate);
    server.stop();
    nothing_left(&name);
}

#[test]
fn a_failed_handler_is_the_failure_of_one_request() {
    let name = channel("failures");
    let server = echo(&name, small());
    run(async {
        let client = connect(&name).await;
        let (before, failed, after) = tokio::join!(
            client.request(b"before"),
            client.request(b"fail"),
            client.request(b"after")
        );
        assert_eq!(before.unwrap().data.to_vec(), b"before");
        assert!(matches!(
            failed,
            Err(DuplexError::HandlerFailed { sequence: 2, .. })
        ));
        assert_eq!(after.unwrap().data.to_vec(), b"after");
        assert!(matches!(
            client.request(&[0; 5000]).await,
            Err(DuplexError::Channel(Error::FrameTooLarge { .. }))
        ));
        assert!(matches!(
            client.request(b"").await,
            Err(DuplexError::Channel(Error::InvalidFrameSize { .. }))
        ));
        assert_eq!(client.request(b"x").await.unwrap().sequence, 4);
    });
    server.stop();
    nothing_left(&name);
}

#[test]
fn the_death_of_the_server_ends_all_requests() {
    let name = channel("death");
    let mut server = Peer::start("server that never answers", name.as_str());
    run(async {
        let client = connect(&name).await;
        let failed = Arc::new(AtomicU64::new(0));
        let mut tasks = JoinSet::new();
        // Some are sent, one waits for space, the rest for their turn.
        for _ in 0..20 {
            let (client, failed) = (client.clone(), Arc::clone(&failed));
            tasks.spawn(async move {
                let error = client.request(&[7; 600]).await.unwrap_err();
                assert!(is_death(reason(&error)), "{error}");
                failed.fetch_add(1, Ordering::Relaxed);
                Instant::now()
            });
        }
        sleep(Duration::from_millis(100)).await;
        assert_eq!(failed.load(Ordering::Relaxed), 0);
        let killed = Instant::now();
        server.kill();
        while let Some(noticed) = tasks.join_next().await {
            let took = noticed.unwrap() - killed;
            assert!(took < NOTICED, "{took:?}");
        }
        assert_eq!(failed.load(Ordering::Relaxed), 20);
        for _ in 0..2 {
            let error = client.request(b"later").await.unwrap_err();
            assert!(is_death(reason(&error)), "{error}");
        }
    });
    drop(echo(&name, small()));
    nothing_left(&name);
}

#[test]
fn a_server_killed_under_load_ends_all_requests() {
    let name = channel("killed");
    let mut server = Peer::start("server", name.as_str());
    run(async {
        let client = connect(&name).await;
        let answered = Arc::new(AtomicU64::new(0));
        let mut tasks = JoinSet::new();
        for task in 0..100_u8 {
            let (client, answered) = (client.clone(), Arc::clone(&answered));
            tasks.spawn(async move {
                let data = vec![task; 1 + usize::from(task) * 9];
                loop {
                    match client.request(&data).await {
                        Ok(answer) => assert_eq!(answer.data.to_vec(), data),
                        Err(error) => {
                            assert!(is_death(reason(&error)), "{error}");
                            return Instant::now();
                        }
                    }
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        while answered.load(Ordering::Relaxed) < 5000 {
            sleep(Duration::from_millis(1)).await;
        }
        let killed = Instant::now();
        server.kill();
        while let Some(noticed) = tasks.join_next().await {
            let took = noticed.unwrap() - killed;
            assert!(took < NOTICED, "{took:?}");
        }
    });
    drop(echo(&name, small()));
    nothing_left(&name);
}

#[test]
fn the_last_clone_takes_threads_and_buffers_with_it() {
    let name = channel("threads");
    let server = echo(&name, small());
    Peer::start("client that comes and goes", name.as_str()).finish();
    server.stop();
    nothing_left(&name);
}

#[test]
fn a_client_dropped_with_requests_under_way_leaves_nothing() {
    let name = channel("under-way");
    let Gated { server, gate, .. } = Gated::start(&name);
    run(async {
        let client = connect(&name).await;
        for _ in 0..8 {
            let mut request = pin!(client.request(&[7; 900]));
            begin(request.as_mut());
        }
        let begun = Instant::now();
        let dropping = std::thread::spawn(move || drop(client));
        wait_until("the client is dropped", || dropping.is_finished());
        assert!(begun.elapsed() < NOTICED, "{:?}", begun.elapsed());
    });
    drop(gate);
    let answer = run(async { connect(&name).await.request(b"next").await.unwrap() });
    assert_eq!(
        (answer.sequence, answer.data.to_vec()),
        (1, b"next".to_vec())
    );
    server.stop();
    nothing_left(&name);
}

#[test]
fn connecting_waits_for_the_server_and_says_when_there_is_none() {
    let name = channel("late");
    run(async {
        let options = ClientOptions {
            connect_timeout: Duration::from_millis(20),
            ..Default::default()
        };
        let error = AsyncDuplexClient::connect(&name, options)
            .await
            .unwrap_err();
        assert!(
            matches!(error, DuplexError::Channel(Error::BufferNotFound { .. })),
            "{error}"
        );
        let (told, metadata) = mpsc::channel();
        let start = async {
            sleep(Duration::from_millis(30)).await;
            echo(
                &name,
                small().on_init(move |data| told.send(data.to_vec()).unwrap()),
            )
        };
        let (client, server) = tokio::join!(connect(&name), start);
        assert_eq!(client.name(), &name);
        client.set_metadata(b"who I am").await.unwrap();
        client.request(b"x").await.unwrap();
        assert_eq!(metadata.try_recv(), Ok(b"who I am".to_vec()));
        drop(client);
        server.stop();
    });
    nothing_left(&name);
}
