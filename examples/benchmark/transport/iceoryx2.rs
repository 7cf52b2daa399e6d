//! iceoryx2: request-response for round trips, publish-subscribe one way, both of them polling.

use std::fs::File;
use std::hint::spin_loop;
use std::mem::MaybeUninit;
use std::path::PathBuf;
use std::slice;

use iceoryx2::active_request::ActiveRequest;
use iceoryx2::port::client::Client as ClientPort;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::server::Server as ServerPort;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;

use super::{Client, Place, Receiver, Sender, Server, Transport};
use crate::payload::{STAMP, Touch};
use crate::{Result, parent};

/// A frame that is shorter than any other, and the last.
const END: &[u8] = &[0; STAMP - 1];

/// A frame that is shorter still, and the first.
const HELLO: &[u8] = &[0; STAMP - 2];

/// Ends the name of the file that a receiver makes when a frame has come.
const CONNECTED: &str = "connected";

/// The most frames that are under way one way; memory is reserved for all of them.
const MOST_FRAMES: usize = 1024;

pub struct Iceoryx2 {
    touch: Touch,
}

impl Iceoryx2 {
    /// By a name such as `iceoryx2/copy`.
    pub fn named(name: &str) -> Option<Iceoryx2> {
        let touch = match name {
            "iceoryx2/copy" => Touch::Stamp,
            "iceoryx2/in-place" => Touch::Whole,
            "iceoryx2/untouched" => Touch::Nothing,
            _ => return None,
        };
        Some(Iceoryx2 { touch })
    }

    fn copy(&self, place: &Place) -> Option<Vec<u8>> {
        (self.touch == Touch::Stamp).then(|| vec![0; place.size])
    }
}

/// With all files under the place's own name.
fn node(place: &Place) -> Result<Node<ipc::Service>> {
    set_log_level(LogLevel::Error);
    let mut config = Config::default();
    config.global.prefix = format!("{}_", place.name).as_str().try_into()?;
    let folder = place.path("iceoryx2").display().to_string();
    config.global.set_root_path(&folder.as_str().try_into()?);
    // The signals that end a process are for the process that started it.
    let node = NodeBuilder::new()
        .signal_handling_mode(SignalHandlingMode::Disabled)
        .config(&config);
    Ok(node.create()?)
}

/// How many frames have room in a ring, as other transports have one.
fn frames(place: &Place) -> usize {
    (place.ring / place.size).clamp(2, MOST_FRAMES)
}

impl Transport for Iceoryx2 {
    fn touch(&self) -> Touch {
        self.touch
    }

    fn server(&self, place: &Place) -> Result<Box<dyn Server>> {
        let node = node(place)?;
        let service = node
            .service_builder(&place.name.as_str().try_into()?)
            .request_response::<[u8], [u8]>()
            .max_clients(1)
            .max_servers(1)
            .open_or_create()?;
        let port = service
            .server_builder()
            .initial_max_slice_len(place.size)
            .create()?;
        Ok(Box::new(Answering {
            port,
            touch: self.touch,
            copy: vec![0; place.size],
            _node: node,
        }))
    }

    fn client(&self, place: &Place) -> Result<Box<dyn Client>> {
        let node = node(place)?;
        let service = node
            .service_builder(&place.name.as_str().try_into()?)
            .request_response::<[u8], [u8]>()
            .open()?;
        let port = service
            .client_builder()
            .initial_max_slice_len(place.size)
            .create()?;
        Ok(Box::new(Asking {
            port,
            size: place.size,
            request: self.copy(place),
            answer: self.copy(place),
            _node: node,
        }))
    }

    fn receiver(&self, place: &Place) -> Result<Box<dyn Receiver>> {
        let node = node(place)?;
        let service = node
            .service_builder(&place.name.as_str().try_into()?)
            .publish_subscribe::<[u8]>()
            .enable_safe_overflow(false)
            .subscriber_max_buffer_size(frames(place))
            .max_publishers(1)
            .max_subscribers(1)
            .open_or_create()?;
        Ok(Box::new(Taking {
            port: service.subscriber_builder().create()?,
            connected: place.path(CONNECTED),
            copy: self.copy(place),
            _node: node,
        }))
    }

    fn sender(&self, place: &Place) -> Result<Box<dyn Sender>> {
        let node = node(place)?;
        let service = node
            .service_builder(&place.name.as_str().try_into()?)
            .publish_subscribe::<[u8]>()
            .open()?;
        let port = service
            .publisher_builder()
            .initial_max_slice_len(place.size)
            .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
            .create()?;
        port.loan_slice_uninit(HELLO.len())?
            .write_from_slice(HELLO)
            .send()?;
        // Frames that find a full buffer are dropped as long as nobody reads from it.
        let connected = place.path(CONNECTED);
        poll(|| Ok(connected.exists().then_some(())))?;
        Ok(Box::new(Giving {
            port,
            size: place.size,
            copy: self.copy(place),
            _node: node,
        }))
    }
}

/// The next of what `look` finds, looking again and again.
fn poll<T>(mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if parent::has_gone() {
            return Err("nobody waits for it any more".into());
        }
        spin_loop();
    }
}

/// Memory that was loaned, as bytes to write to.
fn bytes(loan: &mut [MaybeUninit<u8>]) -> &mut [u8] {
    // SAFETY: it lies in shared memory, which the system has filled with zeros; no byte of it is
    // uninitialised, only of unknown value.
    unsafe { slice::from_raw_parts_mut(loan.as_mut_ptr().cast(), loan.len()) }
}

struct Answering {
    port: ServerPort<ipc::Service, [u8], (), [u8], ()>,
    touch: Touch,
    copy: Vec<u8>,
    _node: Node<ipc::Service>,
}

impl Server for Answering {
    fn serve(mut self: Box<Self>) -> Result<()> {
        while !parent::has_gone() {
            match self.port.receive()? {
                Some(request) => answer(&request, self.touch, &mut self.copy)?,
                None => spin_loop(),
            }
        }
        Ok(())
    }
}

fn answer(
    request: &ActiveRequest<ipc::Service, [u8], (), [u8], ()>,
    touch: Touch,
    copy: &mut [u8],
) -> Result<()> {
    let data = request.payload();
    let mut response = request.loan_slice_uninit(data.len())?;
    match touch {
        Touch::Stamp => {
            copy.copy_from_slice(data);
            bytes(response.payload_mut()).copy_from_slice(copy);
        }
        Touch::Whole => bytes(response.payload_mut()).copy_from_slice(data),
        Touch::Nothing => {}
    }
    // SAFETY: as in `bytes`.
    Ok(unsafe { response.assume_init() }.send()?)
}

struct Asking {
    port: ClientPort<ipc::Service, [u8], (), [u8], ()>,
    size: usize,
    /// Where requests are copied from, unless they are written in place.
    request: Option<Vec<u8>>,
    /// Where answers are copied to, unless they are read in place.
    answer: Option<Vec<u8>>,
    _node: Node<ipc::Service>,
}

impl Client for Asking {
    fn round_trip(
        &mut self,
        write: &mut dyn FnMut(&mut [u8]),
        read: &mut dyn FnMut(&[u8]),
    ) -> Result<()> {
        let mut request = self.port.loan_slice_uninit(self.size)?;
        let memory = bytes(request.payload_mut());
        match &mut self.request {
            Some(copy) => {
                write(copy);
                memory.copy_from_slice(copy);
            }
            None => write(memory),
        }
        // SAFETY: as in `bytes`.
        let pending = unsafe { request.assume_init() }.send()?;
        let answer = poll(|| Ok(pending.receive()?))?;
        match &mut self.answer {
            Some(copy) => {
                copy.copy_from_slice(answer.payload());
                drop(answer);
                read(copy);
            }
            None => read(answer.payload()),
        }
        Ok(())
    }
}

struct Taking {
    port: Subscriber<ipc::Service, [u8], ()>,
    /// Made once a frame has come.
    connected: PathBuf,
    /// Where frames are copied to, unless they are read in place.
    copy: Option<Vec<u8>>,
    _node: Node<ipc::Service>,
}

impl Receiver for Taking {
    fn receive(&mut self, read: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let mut frame = poll(|| Ok(self.port.receive()?))?;
        if frame.payload().len() == HELLO.len() {
            File::create(&self.connected)?;
            frame = poll(|| Ok(self.port.receive()?))?;
        }
        let data = frame.payload();
        if data.len() == END.len() {
            return Ok(false);
        }
        match &mut self.copy {
            Some(copy) => {
                copy.copy_from_slice(data);
                drop(frame);
                read(copy);
            }
            None => read(data),
        }
        Ok(true)
    }
}

struct Giving {
    port: Publisher<ipc::Service, [u8], ()>,
    size: usize,
    /// Where frames are copied from, unless they are written in place.
    copy: Option<Vec<u8>>,
    _node: Node<ipc::Service>,
}

impl Sender for Giving {
    fn send(&mut self, write: &mut dyn FnMut(&mut [u8])) -> Result<()> {
        let mut frame = self.port.loan_slice_uninit(self.size)?;
        let memory = bytes(frame.payload_mut());
        match &mut self.copy {
            Some(copy) => {
                write(copy);
                memory.copy_from_slice(copy);
            }
            None => write(memory),
        }
        // SAFETY: as in `bytes`.
        unsafe { frame.assume_init() }.send()?;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let end = self.port.loan_slice_uninit(END.len())?;
        end.write_from_slice(END).send()?;
        Ok(())
    }
}
