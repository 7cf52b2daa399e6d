//! Frames of one size over streams of bytes.

use std::io::{ErrorKind, Read, Write};

use super::{Client, Receiver, Sender, Server};
use crate::Result;

/// A stream that frames come from.
pub struct Incoming<R> {
    pub stream: R,
    pub frame: Vec<u8>,
}

impl<R: Read> Incoming<R> {
    pub fn new(stream: R, size: usize) -> Incoming<R> {
        let frame = vec![0; size];
        Incoming { stream, frame }
    }

    /// Takes the next frame; whether there was one.
    fn fill(&mut self) -> Result<bool> {
        match self.stream.read_exact(&mut self.frame) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl<R: Read> Receiver for Incoming<R> {
    fn receive(&mut self, read: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let is_there = self.fill()?;
        if is_there {
            read(&self.frame);
        }
        Ok(is_there)
    }
}

/// A stream that frames go to.
pub struct Outgoing<W> {
    pub stream: W,
    pub frame: Vec<u8>,
}

impl<W: Write> Outgoing<W> {
    pub fn new(stream: W, size: usize) -> Outgoing<W> {
        let frame = vec![0; size];
        Outgoing { stream, frame }
    }
}

impl<W: Write> Sender for Outgoing<W> {
    fn send(&mut self, write: &mut dyn FnMut(&mut [u8])) -> Result<()> {
        write(&mut self.frame);
        Ok(self.stream.write_all(&self.frame)?)
    }

    fn finish(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

/// One stream each way.
pub struct Exchange<R, W> {
    pub incoming: Incoming<R>,
    pub outgoing: Outgoing<W>,
}

impl<R: Read, W: Write> Server for Exchange<R, W> {
    fn serve(mut self: Box<Self>) -> Result<()> {
        while self.incoming.fill()? {
            self.outgoing.stream.write_all(&self.incoming.frame)?;
        }
        Ok(())
    }
}

impl<R: Read, W: Write> Client for Exchange<R, W> {
    fn round_trip(
        &mut self,
        write: &mut dyn FnMut(&mut [u8]),
        read: &mut dyn FnMut(&[u8]),
    ) -> Result<()> {
        self.outgoing.send(write)?;
        if !self.incoming.receive(read)? {
            return Err("the server has gone".into());
        }
        Ok(())
    }
}
