//! A Unix stream socket.

use std::os::unix::net::{UnixListener, UnixStream};

use super::stream::{Exchange, Incoming, Outgoing};
use super::{Client, Place, Receiver, Sender, Server, Transport};
use crate::Result;
use crate::payload::Touch;

pub struct UnixSocket;

impl Transport for UnixSocket {
    fn touch(&self) -> Touch {
        Touch::Stamp
    }

    fn server(&self, place: &Place) -> Result<Box<dyn Server>> {
        Ok(Box::new(Listener::new(place)?))
    }

    fn client(&self, place: &Place) -> Result<Box<dyn Client>> {
        Ok(Box::new(exchange(connect(place)?, place.size)?))
    }

    fn receiver(&self, place: &Place) -> Result<Box<dyn Receiver>> {
        Ok(Box::new(Listener::new(place)?))
    }

    fn sender(&self, place: &Place) -> Result<Box<dyn Sender>> {
        Ok(Box::new(Outgoing::new(connect(place)?, place.size)))
    }
}

fn connect(place: &Place) -> Result<UnixStream> {
    Ok(UnixStream::connect(place.path("socket"))?)
}

fn exchange(socket: UnixStream, size: usize) -> Result<Exchange<UnixStream, UnixStream>> {
    Ok(Exchange {
        incoming: Incoming::new(socket.try_clone()?, size),
        outgoing: Outgoing::new(socket, size),
    })
}

/// A socket that somebody is going to connect to.
struct Listener {
    socket: UnixListener,
    size: usize,
    connected: Option<Incoming<UnixStream>>,
}

impl Listener {
    fn new(place: &Place) -> Result<Listener> {
        Ok(Listener {
            socket: UnixListener::bind(place.path("socket"))?,
            size: place.size,
            connected: None,
        })
    }
}

impl Server for Listener {
    fn serve(self: Box<Self>) -> Result<()> {
        let (socket, _) = self.socket.accept()?;
        Box::new(exchange(socket, self.size)?).serve()
    }
}

impl Receiver for Listener {
    fn receive(&mut self, read: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let incoming = match &mut self.connected {
            Some(incoming) => incoming,
            none => none.insert(Incoming::new(self.socket.accept()?.0, self.size)),
        };
        incoming.receive(read)
    }
}
