//! What the hot path takes from the allocator: nothing.

#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use zerobuffer::duplex::{
    ClientOptions, DuplexClient, ImmutableDuplexServer, MutableDuplexServer, ServerOptions,
};
use zerobuffer::{BufferConfig, BufferName, ChannelName, Reader, Writer};

/// The system's allocator, with a count of how often the threads that carry messages asked it for
/// memory. The test harness has a thread of its own, and what that does is not counted.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

impl Counting {
    fn asked(&self) {
        if COUNTED.get() {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Has the thread that calls this counted from now on.
fn count_here() {
    COUNTED.set(true);
}

// SAFETY: everything is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.asked();
        // SAFETY: the caller keeps to the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.asked();
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const WARM_UP: usize = 1_000;
const MESSAGES: usize = 10_000;
const LONG: Duration = Duration::from_secs(20);

/// How often `message` allocates in many calls, after some that may.
fn allocations(mut message: impl FnMut()) -> u64 {
    (0..WARM_UP).for_each(|_| message());
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    (0..MESSAGES).for_each(|_| message());
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

/// One test, because the count is of all threads that are counted.
#[test]
fn no_message_allocates() {
    count_here();
    assert!(
        allocations(|| drop(std::hint::black_box(vec![0_u8; 64]))) >= MESSAGES as u64,
        "nothing is counted"
    );
    assert_eq!(of_frames(), 0, "frames, written and read");
    assert_eq!(of_requests(), 0, "requests and their answers");
    assert_eq!(of_changed_requests(), 0, "requests changed into answers");
}

fn of_frames() -> u64 {
    let name = BufferName::new(format!("zb-allocations-{}", std::process::id())).unwrap();
    let mut reader = Reader::create(&name, &BufferConfig::new(64, 4096)).unwrap();
    let mut writer = Writer::connect(&name, LONG).unwrap();
    let mut copy = [0; 100];
    allocations(|| {
        writer.write(&[1; 100]).unwrap();
        let mut loan = writer.loan(50).unwrap();
        loan.copy_from(&[2; 50]);
        loan.commit().unwrap();
        for expected in [[1; 100].as_slice(), &[2; 50]] {
            let frame = reader.read(LONG).unwrap().expect("a frame was written");
            let length = frame.copy_to(&mut copy);
            assert_eq!(&copy[..length], expected);
        }
    })
}

fn of_requests() -> u64 {
    let name = ChannelName::new(format!("zb-allocations-{}", std::process::id())).unwrap();
    let server = ImmutableDuplexServer::start(&name, ServerOptions::default(), |request| {
        count_here();
        let mut copy = [0; 100];
        let length = request.copy_to(&mut copy);
        let mut reply = request.loan(length)?;
        reply.copy_from(&copy[..length]);
        Ok(reply.into())
    })
    .unwrap();
    let counted = of_calls(&name);
    server.stop();
    counted
}

fn of_changed_requests() -> u64 {
    let name = ChannelName::new(format!("zb-allocations-{}", std::process::id())).unwrap();
    let options = ServerOptions::default();
    let leave = |_: &mut [u8]| {
        count_here();
        Ok(())
    };
    // SAFETY: the client is this test.
    let server = unsafe { MutableDuplexServer::start(&name, options, leave) }.unwrap();
    let counted = of_calls(&name);
    server.stop();
    counted
}

/// Calls an echo server. Both sides are in this process, and the server's thread is counted from its
/// first request on.
fn of_calls(name: &ChannelName) -> u64 {
    let mut client = DuplexClient::connect(name, ClientOptions::default()).unwrap();
    let mut copy = [0; 100];
    allocations(|| {
        let response = client.request(&[3; 100], LONG).unwrap();
        response.data.copy_to(&mut copy);
        assert_eq!(copy, [3; 100]);
    })
}
