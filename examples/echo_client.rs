//! Sends requests to an echo server and verifies what comes back.
//!
//! Any echo server of the protocol will do: `echo_server`, or one in another language, such as this
//! one in Python.
//!
//! ```python
//! import time
//! from zerobuffer import BufferConfig
//! from zerobuffer.duplex import DuplexChannelFactory
//!
//! factory = DuplexChannelFactory()
//! server = factory.create_immutable_server("zerobuffer-echo", BufferConfig(4096, 1 << 20))
//! server.start(lambda frame, writer: writer.write_frame(bytes(frame.data)))
//! time.sleep(60)
//! server.stop()
//! ```

mod common;

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use common::{Interruption, Result, Wait};
use zerobuffer::Error;
use zerobuffer::duplex::{ChannelName, DuplexError, RequestSender, ResponseReceiver};

/// Sends requests to an echo server and verifies what comes back.
#[derive(Debug, Parser)]
struct Arguments {
    /// The channel's name
    #[arg(long, default_value = "zerobuffer-echo")]
    name: String,
    /// How many requests
    #[arg(long, default_value_t = 1000)]
    count: u64,
    /// Bytes in a request (K, M and G are units)
    #[arg(long, default_value = "64", value_parser = common::size)]
    size: usize,
    /// Send on one thread and receive on another, instead of waiting for each answer before the next
    /// request
    #[arg(long)]
    pipelined: bool,
    /// How to wait for answers
    #[arg(long, value_enum, default_value_t = Wait::Spin)]
    wait: Wait,
    /// Seconds to wait for the server, and for each answer
    #[arg(long, default_value = "5", value_parser = common::seconds)]
    timeout: Duration,
}

fn main() -> ExitCode {
    common::report("echo_client", run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<()> {
    let interruption = Interruption::watch()?;
    let name = ChannelName::new(&arguments.name)?;
    let client = common::connect(&name, arguments.wait, arguments.timeout, &interruption)?;
    let (mut sender, receiver) = client.split();
    sender.set_write_timeout(arguments.timeout);
    match sender.set_metadata(b"echo_client") {
        // The server has no room for what it would only print.
        Err(DuplexError::Channel(Error::MetadataTooLarge { .. })) => {}
        outcome => outcome?,
    }
    interruption.ends_waits_of(&receiver);

    let begun = Instant::now();
    let mut answers = Answers {
        receiver,
        arguments,
        interruption: &interruption,
        received: Vec::new(),
    };
    if arguments.pipelined {
        send_ahead(sender, answers)?;
    } else {
        for sequence in 1..=arguments.count {
            sender.send(&content(sequence, arguments.size))?;
            answers.verify(sequence)?;
        }
    }
    let (count, size, took) = (arguments.count, arguments.size, begun.elapsed());
    let each = took.div_f64(count.max(1) as f64);
    println!("{count} answers of {size} bytes verified in {took:.1?}, {each:.1?} each");
    Ok(())
}

/// Sends all requests on a thread of its own, while this one takes the answers.
fn send_ahead(mut sender: RequestSender, mut answers: Answers<'_>) -> Result<()> {
    let Arguments { count, size, .. } = *answers.arguments;
    thread::scope(|scope| {
        let sending = scope.spawn(move || -> std::result::Result<(), DuplexError> {
            for sequence in 1..=count {
                sender.send(&content(sequence, size))?;
            }
            Ok(())
        });
        let verified = (1..=count).try_for_each(|sequence| answers.verify(sequence));
        // If something is wrong, the sender must not wait for space any longer.
        drop(answers);
        let sent = sending.join().map_err(|_| "the sending thread panicked")?;
        match (verified, sent) {
            // The half that came to its end because of the other has nothing to say.
            (Err(error), Err(cause)) if is_other_half(&*error) => Err(cause.into()),
            (Err(error), _) => Err(error),
            (Ok(()), sent) => Ok(sent?),
        }
    })
}

fn is_other_half(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    matches!(
        error.downcast_ref(),
        Some(DuplexError::OtherHalfDropped { .. })
    )
}

/// What request `sequence` consists of: neighbours have no byte in common.
fn content(sequence: u64, size: usize) -> Vec<u8> {
    (0..size as u64)
        .map(|i| (i % 251).wrapping_add(sequence) as u8)
        .collect()
}

/// The answers, one after another.
struct Answers<'a> {
    receiver: ResponseReceiver,
    arguments: &'a Arguments,
    interruption: &'a Interruption,
    received: Vec<u8>,
}

impl Answers<'_> {
    /// Waits for the answer to request `sequence` and looks whether it is what was sent.
    fn verify(&mut self, sequence: u64) -> Result<()> {
        let timeout = self.arguments.timeout;
        let Some(response) = self.receiver.receive(timeout)? else {
            self.interruption.check()?;
            let channel = self.arguments.name.clone();
            let no_answer = DuplexError::NoAnswer {
                channel,
                sequence,
                waited: timeout,
            };
            return Err(no_answer.into());
        };
        self.received.resize(response.data.len(), 0);
        response.data.copy_to(&mut self.received);
        if response.sequence != sequence || self.received != content(sequence, self.arguments.size)
        {
            return Err(format!(
                "the answer to request {sequence} is not what was sent: {} bytes, number {}",
                self.received.len(),
                response.sequence
            )
            .into());
        }
        // Not only while waiting: answers may always be there.
        Ok(self.interruption.check()?)
    }
}
