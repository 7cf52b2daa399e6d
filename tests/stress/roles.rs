//! The ends of a stress test: each sends messages that follow from a seed, or checks every byte of
//! those that come.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use zerobuffer::duplex::{
    ChannelName, ClientOptions, DuplexClient, ImmutableDuplexServer, Reply, ServerOptions,
};
use zerobuffer::{BufferConfig, BufferName, Error, Reader, Writer};

use crate::asking::Asking;
use crate::held::Held;
use crate::job::{Job, Role};
use crate::message::Messages;
use crate::progress::Progress;
use crate::random::Random;
use crate::support::{LONG, wait_until};

pub fn play(job: &Job) {
    match job.role {
        Role::Write => write(job),
        Role::Read => read(job),
        Role::Client => client(job),
        Role::Serve => serve(job),
    }
}

pub fn buffer_of(job: &Job) -> BufferName {
    BufferName::new(&*job.name).unwrap()
}

pub fn channel_of(job: &Job) -> ChannelName {
    ChannelName::new(&*job.name).unwrap()
}

pub fn config_of(job: &Job) -> BufferConfig {
    BufferConfig::new(64, job.ring as usize)
}

/// Writes message `number` in one of the ways there are.
pub fn write_one(
    writer: &mut Writer,
    messages: &Messages,
    number: u64,
    random: &mut Random,
) -> zerobuffer::Result<()> {
    let data = messages.get(number);
    if random.one_in(8) {
        // A loan that is dropped leaves no trace.
        let _unsent = writer.loan(messages.get(random.next()).len())?;
    }
    let sequence = if random.one_in(2) {
        writer.write(data)?
    } else {
        let mut loan = writer.loan(data.len())?;
        let (first, second) = data.split_at(random.below(data.len() as u64) as usize);
        loan.write_at(first.len(), second);
        loan.write_at(0, first);
        loan.commit()?
    };
    assert_eq!(sequence, number);
    pause_now_and_then(random);
    Ok(())
}

/// Lets the other end catch up, or get ahead.
pub fn pause_now_and_then(random: &mut Random) {
    if random.one_in(1024) {
        std::thread::sleep(Duration::from_micros(random.below(300)));
    }
}

fn write(job: &Job) {
    let messages = Messages::new(job.seed, job.largest);
    let mut random = Random::new(job.seed);
    let progress = Progress::of(job);
    let mut writer = Writer::connect(&buffer_of(job), LONG).unwrap();
    writer.set_wait_strategy(random.strategy());
    writer.set_write_timeout(LONG);
    for number in 1..=job.count {
        write_one(&mut writer, &messages, number, &mut random).unwrap();
        progress.reached(number);
    }
}

fn read(job: &Job) {
    let messages = Messages::new(job.seed, job.largest);
    let mut random = Random::new(job.seed);
    let progress = Progress::of(job);
    let mut reader = Reader::create(&buffer_of(job), &config_of(job)).unwrap();
    reader.set_wait_strategy(random.strategy());
    let mut held = Held::new(&messages, random.clone());
    for number in 1..=job.count {
        let frame = loop {
            match reader.read(held.wait()).unwrap() {
                Some(frame) => break frame,
                None if held.is_empty() => panic!("nothing came for message {number}"),
                None => held.release_one(),
            }
        };
        held.keep(number, frame);
        progress.reached(number);
        pause_now_and_then(&mut random);
    }
    held.release_all();
    match reader.read(LONG) {
        Err(Error::WriterDead { .. }) => {}
        other => panic!("{other:?} behind the last message"),
    }
}

pub fn client_options(job: &Job, random: &mut Random) -> ClientOptions {
    ClientOptions {
        connect_timeout: LONG,
        response_buffer: Some(config_of(job)),
        wait_strategy: random.strategy(),
    }
}

fn client(job: &Job) {
    let requests = Messages::new(job.seed, job.largest);
    let answers = Messages::answers(job.seed, job.largest);
    let mut random = Random::new(job.seed);
    let progress = Progress::of(job);
    let options = client_options(job, &mut random);
    let mut client = DuplexClient::connect(&channel_of(job), options).unwrap();
    let mut asking = Asking::new(&requests, &answers, random);
    while asking.answered() < job.count {
        asking.turn(&mut client, job.count).unwrap();
        progress.reached(asking.answered());
    }
}

fn serve(job: &Job) {
    let requests = Messages::new(job.seed, job.largest);
    let answers = Messages::answers(job.seed, job.largest);
    let progress = Progress::of(job);
    let errors = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&errors);
    let mut options = ServerOptions::default()
        .on_error(move |error| sink.lock().unwrap().push(error.to_string()));
    options.buffer = config_of(job);
    options.wait_strategy = Random::new(job.seed).strategy();
    options.write_timeout = LONG;
    let served = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&served);
    let server = ImmutableDuplexServer::start(&channel_of(job), options, move |request| {
        let number = counter.load(Ordering::Relaxed) + 1;
        requests.check(number, request.sequence(), &request.to_vec());
        let answer = answers.get(number);
        let reply = if number.is_multiple_of(2) {
            Reply::bytes(answer)
        } else {
            let mut loan = request.loan(answer.len())?;
            loan.copy_from(answer);
            Reply::from(loan)
        };
        counter.store(number, Ordering::Relaxed);
        progress.reached(number);
        Ok(reply)
    })
    .unwrap();
    let no_errors = || {
        let errors = errors.lock().unwrap();
        assert!(errors.is_empty(), "{errors:?}");
    };
    let mut seen = 0;
    while seen < job.count {
        // Every answer in good time, however many they are.
        wait_until("the next request is answered", || {
            no_errors();
            served.load(Ordering::Relaxed) > seen
        });
        seen = served.load(Ordering::Relaxed);
    }
    // The client removes its buffer when it has read everything.
    let responses = format!("/dev/shm/{}_response", job.name);
    wait_until("the client has left", || {
        !std::fs::exists(&responses).unwrap()
    });
    server.stop();
    no_errors();
}
