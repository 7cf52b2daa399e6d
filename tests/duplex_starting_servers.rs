//! Clients of servers that replace a semaphore while they start, as some implementations do: what was
//! posted to the old one woke nobody.

#![allow(clippy::unwrap_used)]

mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use support::duplex::{channel, connect};
use support::{leftovers, wait_until};
use zerobuffer::duplex::ChannelName;
use zerobuffer::{BufferConfig, Reader};

/// A server that gets no further than its request buffer.
struct Starting {
    requests: Reader,
    name: ChannelName,
}

impl Starting {
    fn new(label: &str) -> Starting {
        let name = channel(label);
        let requests = Reader::create(name.request(), &BufferConfig::new(0, 1024)).unwrap();
        Starting { requests, name }
    }

    /// Replaces the semaphore that clients post.
    fn replace_semaphore(&self) -> Replaced {
        let name = format!("sem.sem-w-{}", self.name.request());
        let path = Path::new("/dev/shm").join(name);
        let mut semaphore = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        // Value and sleepers, as glibc keeps them.
        semaphore[..8].fill(0);
        std::fs::write(&path, semaphore).unwrap();
        Replaced(path)
    }

    fn end(self, semaphore: Replaced) {
        drop((self.requests, semaphore));
        assert_eq!(leftovers(self.name.as_str()), Vec::<PathBuf>::new());
    }
}

/// The file of the new semaphore; removed when dropped.
struct Replaced(PathBuf);

impl Replaced {
    fn value(&self) -> u8 {
        std::fs::read(&self.0).unwrap()[0]
    }
}

impl Drop for Replaced {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn a_client_posts_a_lone_request_again() {
    let server = Starting::new("lone");
    let mut client = connect(&server.name);
    client.send(b"alone").unwrap();
    let semaphore = server.replace_semaphore();
    wait_until("the request is posted again", || {
        let response = client.receive(Duration::from_millis(200)).unwrap();
        assert!(response.is_none());
        semaphore.value() == 1
    });
    drop(client);
    server.end(semaphore);
}

#[cfg(feature = "async")]
#[test]
fn an_asynchronous_client_posts_a_lone_request_again() {
    use std::future::Future;
    use std::task::{Context, Waker};
    use zerobuffer::duplex::AsyncDuplexClient;

    let server = Starting::new("lone-async");
    let client = AsyncDuplexClient::new(connect(&server.name)).unwrap();
    let mut request = Box::pin(client.request(b"alone"));
    let mut context = Context::from_waker(Waker::noop());
    assert!(request.as_mut().poll(&mut context).is_pending());
    let semaphore = server.replace_semaphore();
    wait_until("the request is posted again", || semaphore.value() == 1);
    drop(request);
    drop(client);
    server.end(semaphore);
}
