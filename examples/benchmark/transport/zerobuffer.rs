//! This library: duplex channels for round trips, plain buffers one way.

use std::cell::RefCell;
use std::time::Duration;

use zerobuffer::duplex::{
    ChannelName, ClientOptions, DuplexClient, HandlerError, ImmutableDuplexServer, Reply, Request,
    ServerOptions,
};
use zerobuffer::{BufferConfig, BufferName, Error, Reader, WaitStrategy, Writer};

use super::{Client, Place, Receiver, Sender, Server, Transport};
use crate::payload::{STAMP, Touch};
use crate::{Result, parent};

/// Longer than any answer takes.
const LONG: Duration = Duration::from_secs(10);

/// How long a receiver waits before it looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(100);

/// A frame that is shorter than any other, and the last.
const END: &[u8] = &[0; STAMP - 1];

pub struct ZeroBuffer {
    strategy: WaitStrategy,
    touch: Touch,
}

impl ZeroBuffer {
    /// By a name such as `zerobuffer/spin/copy`.
    pub fn named(name: &str) -> Option<ZeroBuffer> {
        let (strategy, touch) = name.strip_prefix("zerobuffer/")?.split_once('/')?;
        Some(ZeroBuffer {
            strategy: match strategy {
                "block" => WaitStrategy::Block,
                "spin" => WaitStrategy::default(),
                "busy" => WaitStrategy::BusyPoll,
                _ => return None,
            },
            touch: match touch {
                "copy" => Touch::Stamp,
                "in-place" => Touch::Whole,
                "untouched" => Touch::Nothing,
                _ => return None,
            },
        })
    }
}

fn buffer(place: &Place) -> BufferConfig {
    BufferConfig::new(64, place.ring)
}

impl Transport for ZeroBuffer {
    fn touch(&self) -> Touch {
        self.touch
    }

    fn server(&self, place: &Place) -> Result<Box<dyn Server>> {
        let name = ChannelName::new(place.name.as_str())?;
        let mut options =
            ServerOptions::default().on_error(|error| eprintln!("benchmark: {error}"));
        options.buffer = buffer(place);
        options.wait_strategy = self.strategy;
        let handler = match self.touch {
            Touch::Stamp => answer_by_copy,
            Touch::Whole => answer_in_place,
            Touch::Nothing => answer_untouched,
        };
        Ok(Box::new(ImmutableDuplexServer::start(
            &name, options, handler,
        )?))
    }

    fn client(&self, place: &Place) -> Result<Box<dyn Client>> {
        let options = ClientOptions {
            response_buffer: Some(buffer(place)),
            wait_strategy: self.strategy,
            ..ClientOptions::default()
        };
        let name = ChannelName::new(place.name.as_str())?;
        let channel = DuplexClient::connect(&name, options)?;
        Ok(if self.touch == Touch::Stamp {
            Box::new(CopyingClient {
                channel,
                request: vec![0; place.size],
                answer: vec![0; place.size],
            })
        } else {
            Box::new(InPlaceClient {
                channel,
                size: place.size,
            })
        })
    }

    fn receiver(&self, place: &Place) -> Result<Box<dyn Receiver>> {
        let name = BufferName::new(place.name.as_str())?;
        let mut buffer = Reader::create(&name, &buffer(place))?;
        buffer.set_wait_strategy(self.strategy);
        Ok(Box::new(FrameReceiver {
            buffer,
            copy: (self.touch == Touch::Stamp).then(|| vec![0; place.size]),
        }))
    }

    fn sender(&self, place: &Place) -> Result<Box<dyn Sender>> {
        let name = BufferName::new(place.name.as_str())?;
        let mut buffer = Writer::connect(&name, LONG)?;
        buffer.set_wait_strategy(self.strategy);
        Ok(Box::new(FrameSender {
            buffer,
            size: place.size,
            copy: (self.touch == Touch::Stamp).then(|| vec![0; place.size]),
        }))
    }
}

type Answer<'r> = std::result::Result<Reply<'r>, HandlerError>;

thread_local! {
    /// Where a server keeps the request while it works on it.
    static TAKEN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

fn answer_by_copy<'r>(request: &Request<'r>) -> Answer<'r> {
    TAKEN.with_borrow_mut(|taken| {
        taken.resize(request.len(), 0);
        request.copy_to(taken);
        let mut reply = request.loan(taken.len())?;
        reply.copy_from(taken);
        Ok(reply.into())
    })
}

fn answer_in_place<'r>(request: &Request<'r>) -> Answer<'r> {
    let mut reply = request.loan(request.len())?;
    // SAFETY: the client keeps to the protocol, and leaves both alone until they are given back.
    unsafe {
        let request = request.frame().as_slice();
        reply.as_mut_slice().copy_from_slice(request);
    }
    Ok(reply.into())
}

fn answer_untouched<'r>(request: &Request<'r>) -> Answer<'r> {
    Ok(request.loan(request.len())?.into())
}

impl Server for ImmutableDuplexServer {
    fn serve(self: Box<Self>) -> Result<()> {
        // It has a thread of its own, and would serve the next client as well.
        parent::wait_until_gone();
        self.stop();
        Ok(())
    }
}

struct CopyingClient {
    channel: DuplexClient,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Client for CopyingClient {
    fn round_trip(
        &mut self,
        write: &mut dyn FnMut(&mut [u8]),
        read: &mut dyn FnMut(&[u8]),
    ) -> Result<()> {
        write(&mut self.request);
        let answer = self.channel.request(&self.request, LONG)?;
        let length = answer.data.copy_to(&mut self.answer);
        drop(answer);
        read(&self.answer[..length]);
        Ok(())
    }
}

struct InPlaceClient {
    channel: DuplexClient,
    size: usize,
}

impl Client for InPlaceClient {
    fn round_trip(
        &mut self,
        write: &mut dyn FnMut(&mut [u8]),
        read: &mut dyn FnMut(&[u8]),
    ) -> Result<()> {
        let mut request = self.channel.loan(self.size)?;
        // SAFETY: the server keeps to the protocol, and does not touch what it was not sent yet.
        write(unsafe { request.as_mut_slice() });
        request.commit()?;
        let answer = self.channel.receive(LONG)?.ok_or("no answer came")?;
        // SAFETY: nor does it touch what was not given back to it.
        read(unsafe { answer.data.as_slice() });
        Ok(())
    }
}

struct FrameReceiver {
    buffer: Reader,
    /// Where frames are copied to, unless they are read in place.
    copy: Option<Vec<u8>>,
}

impl Receiver for FrameReceiver {
    fn receive(&mut self, read: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let frame = loop {
            match self.buffer.read(LOOK) {
                Ok(Some(frame)) => break frame,
                Ok(None) if parent::has_gone() => return Err("nobody wants the frames".into()),
                Ok(None) => {}
                Err(error @ Error::WriterDead { .. }) => {
                    return Err(format!("before the last frame: {error}").into());
                }
                Err(error) => return Err(error.into()),
            }
        };
        if frame.len() == END.len() {
            return Ok(false);
        }
        match &mut self.copy {
            Some(copy) => {
                let length = frame.copy_to(copy);
                drop(frame);
                read(&copy[..length]);
            }
            // SAFETY: the sender keeps to the protocol, and leaves the frame alone.
            None => read(unsafe { frame.as_slice() }),
        }
        Ok(true)
    }
}

struct FrameSender {
    buffer: Writer,
    size: usize,
    /// Where frames are copied from, unless they are written in place.
    copy: Option<Vec<u8>>,
}

impl Sender for FrameSender {
    fn send(&mut self, write: &mut dyn FnMut(&mut [u8])) -> Result<()> {
        match &mut self.copy {
            Some(copy) => {
                write(copy);
                self.buffer.write(copy)?;
            }
            None => {
                let mut frame = self.buffer.loan(self.size)?;
                // SAFETY: the receiver keeps to the protocol, and reads nothing that was not sent.
                write(unsafe { frame.as_mut_slice() });
                frame.commit()?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.buffer.write(END)?;
        Ok(())
    }
}
