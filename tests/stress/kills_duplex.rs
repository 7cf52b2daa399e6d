//! Clients and servers that are killed at random moments while requests and answers travel.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use zerobuffer::duplex::{
    ClientOptions, DuplexClient, DuplexError, ImmutableDuplexServer, Reply, Request, ServerOptions,
};
use zerobuffer::{Error, Reader};

use crate::asking::Asking;
use crate::job::{Implementation, Job, Role};
use crate::killing::{Killing, Life};
use crate::message::Messages;
use crate::random::Random;
use crate::roles::{channel_of, client_options, config_of};
use crate::support::{LONG, wait_until};

/// How long to wait for a process that may be killed before it comes.
const MEETING: Duration = Duration::from_millis(20);

/// What the clients of a server are up to, and what went wrong.
#[derive(Default)]
struct Clients {
    /// Requests and answers of the present one, and of the one before it, whose requests may still
    /// be on their way.
    messages: Mutex<Vec<(Messages, Messages)>>,
    /// Requests of the present one that were answered.
    answered: AtomicU64,
    failures: Mutex<Vec<String>>,
}

impl Clients {
    fn next(&self, job: &Job) {
        let (seed, largest) = (job.seed, job.largest);
        let mut messages = self.messages.lock().unwrap();
        messages.insert(
            0,
            (
                Messages::new(seed, largest),
                Messages::answers(seed, largest),
            ),
        );
        messages.truncate(2);
        self.answered.store(0, Ordering::Relaxed);
    }

    /// The answer to what somebody has asked.
    fn answer(&self, request: &Request<'_>) -> Option<Vec<u8>> {
        let (number, asked) = (request.sequence(), request.to_vec());
        let messages = self.messages.lock().unwrap();
        let client = messages
            .iter()
            .position(|(requests, _)| requests.get(number) == asked)?;
        if client == 0 {
            self.answered.store(number, Ordering::Relaxed);
        }
        Some(messages[client].1.get(number).to_vec())
    }

    fn went_wrong(&self, error: &DuplexError) {
        let is_due_to_a_death = matches!(
            error,
            DuplexError::RequestDropped { .. } | DuplexError::Channel(Error::ReaderDead { .. })
        );
        if !is_due_to_a_death {
            self.failures.lock().unwrap().push(error.to_string());
        }
    }
}

/// A server that answers each client by its own messages.
fn serve(job: &Job, clients: &Arc<Clients>, random: &mut Random) -> ImmutableDuplexServer {
    let [asking, failing] = [clients, clients].map(Arc::clone);
    let mut options = ServerOptions::default().on_error(move |error| failing.went_wrong(error));
    options.buffer = config_of(job);
    options.wait_strategy = random.strategy();
    options.write_timeout = LONG;
    ImmutableDuplexServer::start(&channel_of(job), options, move |request| {
        let answer = asking.answer(request);
        Ok(Reply::bytes(answer.ok_or("no client has sent this")?))
    })
    .unwrap()
}

/// Whether a segment says who reads it. One that does not may be in the making: it is left alone
/// for some seconds, whoever has died.
fn names_a_reader(segment: &str) -> bool {
    let mut pid = [0; 8];
    let file = File::open(segment);
    let read = file.and_then(|file| file.read_exact_at(&mut pid, 0x58));
    read.is_ok() && pid != [0; 8]
}

fn server_survives(victim: Implementation) {
    let _apart = victim.keep_apart();
    let mut killing = Killing::new(victim, Role::Client);
    let mut job = killing.job();
    let clients = Arc::new(Clients::default());
    let server = serve(&job, &clients, &mut killing.random);
    let responses = format!("/dev/shm/{}", channel_of(&job).response());
    for _ in 0..killing.kills() {
        clients.next(&job);
        killing.kill_one(job, |life| {
            while !life.has_died() {
                life.reached(clients.answered.load(Ordering::Relaxed));
                std::thread::sleep(Duration::from_millis(1));
            }
            let was_made = names_a_reader(&responses);
            // The server removes what a dead client left, to make room for the next one.
            wait_until("the server has noticed", || {
                !std::fs::exists(&responses).unwrap()
            });
            was_made.then(Instant::now)
        });
        let failures = clients.failures.lock().unwrap();
        assert!(failures.is_empty(), "{failures:?}");
        assert!(server.is_running());
        job = killing.job();
    }
    // What the last client may have left before it had made all of its buffer, the next one removes.
    let mut client = DuplexClient::connect(&channel_of(&job), ClientOptions::default()).unwrap();
    client.set_metadata(b"the last one").unwrap();
    drop(client);
    server.stop();
    killing.finish();
}

/// Connects to a server that may be killed before it has come up.
fn meet(life: &Life<'_>, random: &mut Random) -> Option<DuplexClient> {
    let mut options = client_options(&life.job, random);
    if life.has_traffic {
        return Some(DuplexClient::connect(&channel_of(&life.job), options).unwrap());
    }
    options.connect_timeout = MEETING;
    loop {
        match DuplexClient::connect(&channel_of(&life.job), options.clone()) {
            Ok(client) => return Some(client),
            Err(DuplexError::Channel(
                Error::BufferNotFound { .. } | Error::NotReady { .. } | Error::ReaderDead { .. },
            )) => {}
            Err(error) => panic!("{error}"),
        }
        if life.is_long_over() {
            return None;
        }
    }
}

/// Removes what a dead server left, by being the next reader of its buffer. In Python the next
/// server cannot, if the one before it was killed in the middle of that.
fn clear_away(job: &Job) {
    drop(Reader::create(channel_of(job).request(), &config_of(job)).unwrap());
}

fn client_survives(victim: Implementation) {
    let _apart = victim.keep_apart();
    let mut killing = Killing::new(victim, Role::Serve);
    for _ in 0..killing.kills() {
        let job = killing.job();
        let mut random = killing.random.clone();
        killing.kill_one(job, |life| {
            let (seed, largest) = (life.job.seed, life.job.largest);
            let requests = Messages::new(seed, largest);
            let answers = Messages::answers(seed, largest);
            let mut client = meet(life, &mut random)?;
            let mut asking = Asking::new(&requests, &answers, random);
            let first_error = (0..).find_map(|_| {
                life.reached(asking.answered());
                asking.turn(&mut client, u64::MAX).err()
            });
            let noticed = life.noticed(first_error.as_ref().unwrap());
            // Where it was a request that could not be sent, answers to earlier ones may be there.
            let last_error = (0..).find_map(|_| asking.take_answer(&mut client).err());
            for error in [first_error, last_error].into_iter().flatten() {
                let is_right = matches!(
                    error,
                    DuplexError::Channel(Error::WriterDead { .. } | Error::ReaderDead { .. })
                );
                assert!(is_right, "{error}");
            }
            let answered = asking.answered();
            if let Some(told) = life.told() {
                // Told before it was answered: the last answer may be missing.
                let may_be = answered..=answered + 1;
                assert!(may_be.contains(&told), "{answered} of {told} answers came");
            }
            Some(noticed)
        });
        if victim == Implementation::Python {
            clear_away(&killing.job());
        }
    }
    clear_away(&killing.job());
    killing.finish();
}

#[test]
fn a_server_survives_its_clients() {
    server_survives(Implementation::Rust);
}

#[test]
fn a_server_survives_clients_in_cpp() {
    server_survives(Implementation::Cpp);
}

#[test]
fn a_server_survives_clients_in_python() {
    server_survives(Implementation::Python);
}

#[test]
fn a_client_survives_its_servers() {
    client_survives(Implementation::Rust);
}

#[test]
fn a_client_survives_servers_in_cpp() {
    client_survives(Implementation::Cpp);
}

#[test]
fn a_client_survives_servers_in_python() {
    client_survives(Implementation::Python);
}
