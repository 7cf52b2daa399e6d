//! Pipes with names, one each way.

use std::fs::{File, OpenOptions};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::stream::{Exchange, Incoming, Outgoing};
use super::{Client, Place, Receiver, Sender, Server, Transport};
use crate::Result;
use crate::payload::Touch;

const THERE: &str = "there";
const BACK: &str = "back";

pub struct Pipe;

impl Transport for Pipe {
    fn touch(&self) -> Touch {
        Touch::Stamp
    }

    fn server(&self, place: &Place) -> Result<Box<dyn Server>> {
        make(place, THERE)?;
        make(place, BACK)?;
        let place = place.clone();
        Ok(Box::new(Unopened { place, there: None }))
    }

    fn client(&self, place: &Place) -> Result<Box<dyn Client>> {
        Ok(Box::new(Exchange {
            outgoing: Outgoing::new(open_to_write(place, THERE)?, place.size),
            incoming: Incoming::new(File::open(place.path(BACK))?, place.size),
        }))
    }

    fn receiver(&self, place: &Place) -> Result<Box<dyn Receiver>> {
        make(place, THERE)?;
        let place = place.clone();
        Ok(Box::new(Unopened { place, there: None }))
    }

    fn sender(&self, place: &Place) -> Result<Box<dyn Sender>> {
        let there = open_to_write(place, THERE)?;
        Ok(Box::new(Outgoing::new(there, place.size)))
    }
}

fn make(place: &Place, way: &str) -> Result<()> {
    Ok(mkfifo(&place.path(way), Mode::S_IRUSR | Mode::S_IWUSR)?)
}

fn open_to_write(place: &Place, way: &str) -> Result<File> {
    Ok(OpenOptions::new().write(true).open(place.path(way))?)
}

/// Pipes that are opened once the other process is there: an opening waits for the other end.
struct Unopened {
    place: Place,
    there: Option<Incoming<File>>,
}

impl Server for Unopened {
    fn serve(self: Box<Self>) -> Result<()> {
        let exchange = Exchange {
            incoming: Incoming::new(File::open(self.place.path(THERE))?, self.place.size),
            outgoing: Outgoing::new(open_to_write(&self.place, BACK)?, self.place.size),
        };
        Box::new(exchange).serve()
    }
}

impl Receiver for Unopened {
    fn receive(&mut self, read: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let incoming = match &mut self.there {
            Some(incoming) => incoming,
            none => {
                let pipe = File::open(self.place.path(THERE))?;
                none.insert(Incoming::new(pipe, self.place.size))
            }
        };
        incoming.receive(read)
    }
}
