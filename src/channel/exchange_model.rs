//! Every order in which a writer and a reader can work on one ring at the same time.
//!
//! The arithmetic and the orderings are the real ones. The memory is made of cells, and an access to
//! one that is not ordered against every other access to it fails, as does a frame that is not what
//! was written, or a sleep that nothing ends.

// The model runs one of its threads at a time.
#![allow(clippy::arc_with_non_send_sync)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::sync::Mutex;
use loom::sync::atomic::{AtomicU32, AtomicU64, fence};
use loom::thread;

use super::*;
use crate::channel::ring::{Found, HEADER, Header, Ledger, Placement};

/// What the two sides share.
struct Model {
    free: AtomicU64,
    space: AtomicU32,
    memory: Vec<UnsafeCell<u8>>,
    machine: Machine,
    fault: Option<Fault>,
}

/// What the processor promises beyond the orderings that it is told.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Machine {
    /// Nothing.
    Weak,
    /// Nothing is moved across an addition, or across the taking of a post.
    Strong,
}

/// What the model does not do as it is told: with each of them, something must go wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    RelaxedLoad,
    RelaxedAdd,
    SubtractWithoutAcquire,
    SubtractWithoutRelease,
    /// A post that is there does for a new one, without the promise that this takes.
    SparesPosts,
}

impl Exchange for Model {
    fn load_free(&self, order: Ordering) -> u64 {
        self.free.load(match self.fault {
            Some(Fault::RelaxedLoad) => Ordering::Relaxed,
            _ => order,
        })
    }

    fn add_free(&self, bytes: u64, _: Ordering) -> u64 {
        // Nothing that orders memory may depend on more than this.
        let order = match self.fault {
            Some(Fault::RelaxedAdd) => Ordering::Relaxed,
            _ => Ordering::Release,
        };
        let free = self.free.fetch_add(bytes, order);
        self.keep_promise();
        free
    }

    fn subtract_free(&self, bytes: u64, order: Ordering) -> u64 {
        let order = match self.fault {
            Some(Fault::SubtractWithoutAcquire) => Ordering::Release,
            Some(Fault::SubtractWithoutRelease) => Ordering::Acquire,
            _ => order,
        };
        self.free.fetch_sub(bytes, order)
    }

    fn is_signalled(&self) -> bool {
        let spares_posts =
            self.machine == Machine::Strong || self.fault == Some(Fault::SparesPosts);
        spares_posts && self.space.load(Ordering::Relaxed) > 0
    }

    fn post_space(&self) {
        self.space.fetch_add(1, Ordering::Release);
    }

    fn drain_space(&self) {
        self.space.swap(0, Ordering::Acquire);
        self.keep_promise();
    }
}

impl Model {
    fn new(capacity: u64, machine: Machine, fault: Option<Fault>) -> Model {
        Model {
            machine,
            free: AtomicU64::new(capacity),
            space: AtomicU32::new(0),
            memory: (0..capacity).map(|_| UnsafeCell::new(0xEE)).collect(),
            fault,
        }
    }

    fn capacity(&self) -> u64 {
        self.memory.len() as u64
    }

    fn keep_promise(&self) {
        if self.machine == Machine::Strong {
            fence(Ordering::SeqCst);
        }
    }

    fn put(&self, offset: u64, bytes: &[u8]) {
        for (cell, byte) in self.memory[offset as usize..].iter().zip(bytes) {
            // SAFETY: the model fails if any other access is not ordered against this one.
            cell.with_mut(|cell| unsafe { *cell = *byte });
        }
    }

    fn get(&self, offset: u64, length: u64) -> Vec<u8> {
        let cells = &self.memory[offset as usize..(offset + length) as usize];
        let bytes = cells.iter().map(|cell| {
            // SAFETY: as above.
            cell.with(|cell| unsafe { *cell })
        });
        bytes.collect()
    }
}

/// The data of frame `sequence`.
fn data(sequence: u64, size: u64) -> Vec<u8> {
    (0..size).map(|i| (sequence * 64 + i) as u8).collect()
}

/// Writes frames of these sizes as `Writer` does, waiting for space as often as need be.
fn write(model: &Model, sizes: &[u64]) {
    let capacity = model.capacity();
    let (mut position, mut free) = (0, 0);
    for (sequence, size) in (1..).zip(sizes.iter().copied()) {
        let place = Placement::find(capacity, position, size).expect("a frame that fits");
        while free < place.needed() {
            free = model.free_for_writer();
            if free < place.needed() {
                thread::yield_now();
            }
        }
        if place.has_marker() {
            model.put(position, &Header::WRAP.to_bytes());
        } else {
            model.put(position, &vec![0; place.skipped as usize]);
        }
        model.put(place.offset, &Header { size, sequence }.to_bytes());
        model.put(place.data(), &data(sequence, size));
        let tail = vec![0; place.short_tail as usize];
        model.put(place.offset + place.total, &tail);
        free = model.take(place.needed()) - place.needed();
        position = place.next_position(capacity);
    }
}

/// Reads as `Reader` and its `Account` do.
struct Reading {
    model: Arc<Model>,
    ledger: Arc<Mutex<Ledger>>,
    position: u64,
    expected: u64,
    unread: u64,
}

struct Held {
    model: Arc<Model>,
    ledger: Arc<Mutex<Ledger>>,
    offset: u64,
    header: Header,
    number: u64,
}

impl Reading {
    fn new(model: &Arc<Model>) -> Reading {
        Reading {
            model: Arc::clone(model),
            ledger: Arc::new(Mutex::new(Ledger::default())),
            position: 0,
            expected: 1,
            unread: 0,
        }
    }

    fn look(&self) -> u64 {
        let ledger = self.ledger.lock().unwrap();
        let free = self.model.free_for_reader();
        let used = self.model.capacity().checked_sub(free);
        used.and_then(|used| used.checked_sub(ledger.held()))
            .expect("free and held bytes are no more than there are")
    }

    fn read(&mut self) -> Held {
        let (model, capacity) = (Arc::clone(&self.model), self.model.capacity());
        loop {
            if self.unread == 0 {
                self.unread = self.look();
                if self.unread == 0 {
                    thread::yield_now();
                    continue;
                }
            }
            let header = Found::has_header(capacity, self.position).then(|| {
                let bytes = model.get(self.position, HEADER);
                Header::from_bytes(bytes.try_into().expect("as many as were asked for"))
            });
            let mut ledger = self.ledger.lock().unwrap();
            match Found::at(capacity, self.position, header, self.unread).expect("an entry") {
                Found::Wrap { skipped } => {
                    ledger.skip(skipped);
                    give_back(&model, ledger.flush());
                    self.unread -= skipped;
                    self.position = 0;
                }
                Found::Frame { total } => {
                    let header = header.expect("a frame has one");
                    assert_eq!(header.sequence, self.expected);
                    self.expected += 1;
                    self.unread -= total;
                    let may_wait = self.unread > 0;
                    if !may_wait {
                        give_back(&model, ledger.flush());
                    }
                    let number = ledger.hold(total);
                    let offset = self.position;
                    self.position = (offset + total) % capacity;
                    let ledger = Arc::clone(&self.ledger);
                    return Held {
                        model,
                        ledger,
                        offset,
                        header,
                        number,
                    };
                }
            }
        }
    }
}

impl Held {
    /// Reads the data, then gives it back.
    fn release(self) {
        let Header { size, sequence } = self.header;
        let found = self.model.get(self.offset + HEADER, size);
        assert_eq!(found, data(sequence, size));
        let mut ledger = self.ledger.lock().unwrap();
        ledger.release(self.number);
        give_back(&self.model, ledger.flush());
    }
}

/// Called with the ledger locked.
fn give_back(model: &Model, bytes: u64) {
    if bytes > 0 {
        model.give_back(bytes);
    }
}

/// Explores a writer of frames of these sizes beside a reader that does as `read` says.
fn explore(
    fault: Option<Fault>,
    capacity: u64,
    sizes: &'static [u64],
    read: impl Fn(&mut Reading) + Send + Sync + 'static,
) {
    loom::model(move || {
        let model = Arc::new(Model::new(capacity, Machine::Weak, fault));
        let mut reading = Reading::new(&model);
        let writing = {
            let model = Arc::clone(&model);
            thread::spawn(move || write(&model, sizes))
        };
        read(&mut reading);
        writing.join().unwrap();
        assert_eq!(model.free.load(Ordering::Relaxed), capacity);
    });
}

/// Reads and releases one frame after the other.
fn one_by_one(frames: usize) -> impl Fn(&mut Reading) + Send + Sync {
    move |reading| (0..frames).for_each(|_| reading.read().release())
}

#[test]
fn exact_fits_and_the_whole_ring() {
    explore(None, 64, &[16, 16, 48], one_by_one(3));
}

#[test]
fn wraps_with_and_without_a_marker() {
    // The second frame is moved to the beginning; the last one skips a tail without room for a
    // marker.
    explore(None, 128, &[60, 40, 35], one_by_one(3));
    explore(None, 64, &[1, 16, 1], one_by_one(3));
}

#[test]
fn a_frame_held_while_a_later_one_is_released() {
    // The third one needs the memory of both.
    explore(None, 64, &[8, 8, 24], |reading| {
        let first = reading.read();
        reading.read().release();
        first.release();
        reading.read().release();
    });
}

#[test]
fn a_frame_released_by_another_thread() {
    explore(None, 64, &[16, 16], |reading| {
        let first = reading.read();
        let releasing = thread::spawn(move || first.release());
        reading.read().release();
        releasing.join().unwrap();
    });
}

/// A writer that finds too little free goes to sleep while the reader gives back what it waits for.
fn explore_sleep(machine: Machine, fault: Option<Fault>, posted: u32) {
    loom::model(move || {
        let model = Arc::new(Model::new(64, machine, fault));
        model.free.store(0, Ordering::Relaxed);
        model.space.store(posted, Ordering::Relaxed);
        let writing = {
            let model = Arc::clone(&model);
            thread::spawn(move || model.free_before_sleep())
        };
        model.give_back(64);
        let sleeps = writing.join().unwrap() == 0;
        let is_woken = model.space.load(Ordering::Relaxed) > 0;
        assert!(is_woken || !sleeps, "a sleep that nothing ends");
    });
}

#[test]
fn a_sleeping_writer_is_woken() {
    for machine in [Machine::Weak, Machine::Strong] {
        (0..3).for_each(|posted| explore_sleep(machine, None, posted));
    }
}

#[test]
fn each_weaker_ordering_is_caught() {
    let races: [(Fault, fn(Fault)); 5] = [
        (Fault::RelaxedLoad, exchange_frames),
        (Fault::RelaxedAdd, exchange_frames),
        (Fault::SubtractWithoutAcquire, exchange_frames),
        (Fault::SubtractWithoutRelease, exchange_frames),
        (Fault::SparesPosts, |fault| {
            explore_sleep(Machine::Weak, Some(fault), 1);
        }),
    ];
    for (fault, explore) in races {
        let explored = catch_unwind(AssertUnwindSafe(|| explore(fault)));
        let panic = explored.expect_err("nothing went wrong");
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        let is_expected = text.is_some_and(|text| match fault {
            Fault::SparesPosts => text.contains("a sleep that nothing ends"),
            _ => text.contains("Causality violation"),
        });
        assert!(is_expected, "{fault:?}: {text:?}");
    }
}

fn exchange_frames(fault: Fault) {
    explore(Some(fault), 64, &[16, 16, 16, 16], one_by_one(4));
}
