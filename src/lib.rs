//! Frames between two processes through shared memory, without copies.
//!
//! A *buffer* is a ring in shared memory with one writer and one reader; [`channel`] has its two
//! ends. A *duplex channel* is two buffers, for requests and for responses; [`duplex`] has client
//! and servers. Both speak the ZeroBuffer protocol, version 1, and so talk to its implementations in
//! C++, C# and Python. The modules behind the cargo features `serve` and `runner` are the step
//! server and the interop runner: a program that only wants channels takes the library with
//! `default-features = false`.
//!
//! This page is a guide, from the first frame to what happens when a process is killed.
//!
//! # The first frame
//!
//! The reader makes the buffer and owns it; the writer finds it by its name and may come first: it
//! waits until the buffer is there.
//!
//! ```
//! use std::time::Duration;
//! use zerobuffer::{BufferConfig, BufferName, Reader, Writer};
//!
//! # fn main() -> Result<(), zerobuffer::Error> {
//! let name = BufferName::new(format!("guide-first-{}", std::process::id()))?;
//! let config = BufferConfig::new(4096, 1024 * 1024); // bytes of metadata, bytes of payload
//! let mut reader = Reader::create(&name, &config)?;
//!
//! // Most often in another process:
//! let mut writer = Writer::connect(&name, Duration::from_secs(5))?;
//! writer.write(b"hello")?;
//!
//! // `None` would mean that the time ran out, which is not an error.
//! let frame = reader.read(Duration::from_secs(1))?.expect("it was written");
//! assert_eq!(frame.to_vec(), b"hello");
//! assert_eq!(frame.sequence(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! # No copies
//!
//! [`Writer::loan`] lends memory in the ring, to be filled in place and committed; until then nobody
//! sees it, and a loan that is dropped was never there. A [`Frame`] is read where it stands and goes
//! back to the writer when it is dropped. Several may be held, dropped in any order, sent to other
//! threads; the writer gets memory back in the order in which it was written, so a frame that is
//! held for long holds up what comes behind it. In a stream, memory goes back for several frames at
//! once: a few milliseconds later at most while frames are read, and never more than a sixteenth of
//! the ring.
//!
//! [`Frame::copy_to`] and [`Loan::write_at`] are sound whatever the other process does.
//! [`Frame::as_slice`] and [`Loan::as_mut_slice`] give references into the ring and are `unsafe`,
//! because a peer that does not keep to the protocol could change what they point to.
//!
//! # How large
//!
//! A frame of `n` bytes takes `n + 16` and never crosses the end of the ring: make the payload
//! **at least twice the largest frame**, and for throughput as large as the frames that may be under
//! way. A frame that no waiting can make room for is [`Error::FrameTooLarge`], with the numbers; one
//! that found no room in time is [`Error::BufferFull`]. The memory is taken when the buffer is made:
//! a machine that has not enough of it says [`Error::NoSpace`] then, and not later.
//!
//! # Waiting
//!
//! A write that finds no room waits up to [`Writer::set_write_timeout`]; a read up to the time that
//! it is given. *How* they wait is a [`WaitStrategy`]: to spin for some microseconds and then sleep
//! (as it is unless set), to sleep at once, or never to sleep. A message takes under a microsecond
//! if its reader spins and some 75 if it sleeps; a side that has slept for a while uses no CPU.
//!
//! # Metadata
//!
//! Once in its life a writer may set metadata, which the reader sees whenever it looks:
//!
//! ```
//! # use std::time::Duration;
//! # use zerobuffer::{BufferConfig, BufferName, Reader, Writer};
//! # fn main() -> Result<(), zerobuffer::Error> {
//! # let name = BufferName::new(format!("guide-metadata-{}", std::process::id()))?;
//! # let reader = Reader::create(&name, &BufferConfig::new(4096, 1024))?;
//! # let mut writer = Writer::connect(&name, Duration::from_secs(5))?;
//! writer.set_metadata(br#"{"width": 1920, "height": 1080, "format": "I420"}"#)?;
//! assert!(reader.metadata()?.is_some());
//! # Ok(())
//! # }
//! ```
//!
//! # The end, good or bad
//!
//! Dropping a [`Writer`] tells the reader, which first reads all that is left and then gets
//! [`Error::WriterDead`]; a new writer may come and is read as well, its first frame marked
//! [`Frame::restarted`]. Dropping a [`Reader`] removes the buffer, and its writer gets
//! [`Error::ReaderDead`].
//!
//! A process that is *killed* is noticed within 200 ms by whoever waits for it, and gives the same
//! two errors. Nothing has to be cleaned up by hand:
//!
//! ```
//! # use std::time::Duration;
//! # use zerobuffer::{BufferConfig, BufferName, Error, Reader, Writer};
//! # fn main() -> Result<(), zerobuffer::Error> {
//! # let name = BufferName::new(format!("guide-end-{}", std::process::id()))?;
//! # let mut reader = Reader::create(&name, &BufferConfig::new(64, 1024))?;
//! # let mut writer = Writer::connect(&name, Duration::from_secs(5))?;
//! # writer.write(b"last words")?;
//! # drop(writer);
//! # let mut seen = Vec::new();
//! loop {
//!     match reader.read(Duration::from_secs(1)) {
//!         Ok(Some(frame)) => seen.push(frame.to_vec()),
//!         Ok(None) => println!("nothing for a second, but the writer lives"),
//!         // It has left or was killed. What it wrote was read; the frame that it was writing when
//!         // it was killed is lost, and nothing else. To go on with the next writer: read again.
//!         Err(Error::WriterDead { .. }) => break,
//!         Err(error) => return Err(error),
//!     }
//! }
//! # assert_eq!(seen, [b"last words"]);
//! # Ok(())
//! # }
//! ```
//!
//! * **A killed writer**: the reader puts the ring in order and the next writer finds it sound.
//! * **A killed reader** leaves files in `/dev/shm` and `/tmp/zerobuffer`: the next reader of that
//!   name removes them. A writer has to [connect](Writer::connect) again.
//! * **Wrong bytes** in the segment are [`Error::Corrupt`] or [`Error::Sequence`]: never a panic, an
//!   endless loop, or a read outside the mapping. The buffer is of no use then: make it anew.
//! * **`fork`**: a child must not use a reader, a writer or a frame that its parent uses. It may drop
//!   readers and writers, which then stay the parent's, but no frame: that would give its memory back
//!   a second time.
//!
//! # Requests and responses
//!
//! ```
//! use std::time::Duration;
//! use zerobuffer::ChannelName;
//! use zerobuffer::duplex::{
//!     ClientOptions, DuplexClient, DuplexError, ImmutableDuplexServer, Reply, ServerOptions,
//! };
//!
//! # fn main() -> Result<(), DuplexError> {
//! let name = ChannelName::new(format!("guide-duplex-{}", std::process::id()))?;
//! let server = ImmutableDuplexServer::start(&name, ServerOptions::default(), |request| {
//!     if request.to_vec() == b"bad" {
//!         return Err("not with me".into());
//!     }
//!     let mut reply = request.loan(request.len())?; // in place, without an allocation
//!     reply.copy_from(&request.to_vec());
//!     Ok(reply.into())
//! })?;
//!
//! let mut client = DuplexClient::connect(&name, ClientOptions::default())?;
//! let response = client.request(b"good", Duration::from_secs(5))?;
//! assert_eq!(response.data.to_vec(), b"good");
//! drop(response);
//!
//! // A request whose handler failed has no answer; that is told when a later one has one.
//! client.send(b"bad")?;
//! client.send(b"better")?;
//! let failed = client.receive(Duration::from_secs(5));
//! assert!(matches!(failed, Err(DuplexError::HandlerFailed { sequence: 2, .. })));
//! let response = client.receive(Duration::from_secs(5))?.expect("it was answered");
//! assert_eq!(response.sequence, 3);
//! # Ok(())
//! # }
//! ```
//!
//! A server outlives its clients, one after another.
//! [`DuplexClient::split`](duplex::DuplexClient::split) sends on one thread and receives on another;
//! [`MutableDuplexServer`](duplex::MutableDuplexServer) changes requests where they stand and sends
//! them back; [`ProcessingMode::ThreadPool`](duplex::ProcessingMode::ThreadPool) handles several at
//! once and answers in order. With the cargo feature `async`, `AsyncDuplexClient` and
//! `AsyncDuplexServer` do the same on tokio, with many requests in flight.
//!
//! # Coming from Python
//!
//! | `zerobuffer` in Python | here |
//! |---|---|
//! | `Reader(name, BufferConfig(m, p))` | [`Reader::create`]`(&name, &BufferConfig::new(m, p))` |
//! | `reader.read_frame(timeout=5.0)` → `Frame` or `None` | [`Reader::read`]`(Duration::from_secs(5))` → `Option<Frame>` |
//! | `with frame: bytes(frame.data)` | [`Frame::to_vec`], [`Frame::copy_to`]; in place [`Frame::as_slice`] |
//! | `frame.sequence`, `frame.size` | [`Frame::sequence`], [`Frame::len`] |
//! | `frame.dispose()`, `reader.release_frame(frame)` | drop the [`Frame`]; in any order, on any thread |
//! | `reader.get_metadata()` | [`Reader::metadata`] |
//! | `reader.is_writer_connected(timeout_ms)` | [`Reader::is_writer_connected`] |
//! | `Writer(name)`, which fails if there is no reader | [`Writer::connect`]`(&name, timeout)`, which waits for it |
//! | `writer.set_metadata(data)` | [`Writer::set_metadata`] |
//! | `writer.write_frame(data)` | [`Writer::write`] |
//! | `writer.get_frame_buffer(n)`, `writer.commit_frame()` | [`Writer::loan`]`(n)`, [`Loan::commit`] |
//! | `writer.write_timeout = timedelta(...)` | [`Writer::set_write_timeout`] |
//! | `writer.is_reader_connected` | [`Writer::check_reader`] |
//! | `reader.close()`, `writer.close()`, `with` | drop |
//! | `WriterDeadException`, `ReaderDeadException` | [`Error::WriterDead`], [`Error::ReaderDead`] |
//! | `BufferFullException`, `FrameTooLargeException` | [`Error::BufferFull`], [`Error::FrameTooLarge`] |
//! | `SequenceError`, `InvalidFrameSizeException` | [`Error::Sequence`], [`Error::InvalidFrameSize`] |
//! | `ReaderAlreadyConnectedException`, `WriterAlreadyConnectedException` | the [`Error`]s of the same names |
//! | `factory.create_client(channel)` | [`DuplexClient::connect`](duplex::DuplexClient::connect), which waits for the server |
//! | `client.send_request(data)`, `client.receive_response(ms)` | [`send`](duplex::DuplexClient::send), [`receive`](duplex::DuplexClient::receive); both: [`request`](duplex::DuplexClient::request) |
//! | `client.acquire_request_buffer(n)`, `client.commit_request()` | [`loan`](duplex::DuplexClient::loan), [`commit`](duplex::RequestLoan::commit) |
//! | `client.is_server_connected` | [`is_server_connected`](duplex::DuplexClient::is_server_connected) |
//! | `factory.create_immutable_server(channel, config).start(handler)`; the handler gets frame and writer | [`ImmutableDuplexServer::start`](duplex::ImmutableDuplexServer::start); the handler returns the reply |
//! | `on_init=callback`, `server.add_error_handler(callback)` | [`ServerOptions::on_init`](duplex::ServerOptions::on_init), [`on_error`](duplex::ServerOptions::on_error) |
//! | a handler that raises shifts all later answers | its request has no answer, all others theirs |
//! | `server.stop()` | [`stop`](duplex::ImmutableDuplexServer::stop), or drop |

pub mod channel;
pub mod duplex;
#[cfg(feature = "rpc")]
pub mod rpc;
#[cfg(feature = "runner")]
pub mod runner;
#[cfg(feature = "serve")]
pub mod serve;
mod span;

pub use channel::{
    BufferConfig, BufferName, Error, Frame, Loan, Reader, Result, WaitStrategy, Writer,
};
pub use duplex::ChannelName;
