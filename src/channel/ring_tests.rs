use super::*;
use proptest::prelude::*;

fn find(capacity: u64, position: u64, size: u64) -> Result<Placement, u64> {
    Placement::find(capacity, position, size)
}

fn placed(skipped: u64, offset: u64, total: u64, short_tail: u64) -> Result<Placement, u64> {
    Ok(Placement {
        skipped,
        offset,
        total,
        short_tail,
    })
}

#[test]
fn a_header_is_two_little_endian_numbers() {
    let header = Header {
        size: 0x0102,
        sequence: 0x0304,
    };
    let bytes = header.to_bytes();
    assert_eq!(bytes[..2], [2, 1]);
    assert_eq!(bytes[8..10], [4, 3]);
    assert_eq!(Header::from_bytes(bytes), header);
    assert_eq!(Header::WRAP.to_bytes(), [0; 16]);
}

#[test]
fn a_frame_stands_where_it_fits() {
    assert_eq!(find(1024, 0, 100), placed(0, 0, 116, 0));
    assert_eq!(find(1024, 908, 100), placed(0, 908, 116, 0), "an exact fit");
    assert_eq!(find(1024, 908, 100).map(|p| p.next_position(1024)), Ok(0));
    assert_eq!(
        find(64, 0, 48),
        placed(0, 0, 64, 0),
        "the largest there can be"
    );
}

#[test]
fn a_frame_that_would_cross_the_end_begins_anew() {
    let wrapped = find(1024, 1000, 100).unwrap();
    assert_eq!(
        wrapped,
        Placement {
            skipped: 24,
            offset: 0,
            total: 116,
            short_tail: 0
        }
    );
    assert!(wrapped.has_marker() && wrapped.needed() == 140 && wrapped.next_position(1024) == 116);
    let no_marker = find(1024, 1010, 100).unwrap();
    assert!(no_marker.skipped == 14 && !no_marker.has_marker());
}

#[test]
fn a_short_tail_is_avoided_where_it_can_be() {
    // 100 bytes at 900 would leave 8: the frame goes to the beginning instead.
    assert_eq!(find(1024, 900, 100), placed(124, 0, 116, 0));
    for (left, skipped) in [(1, 117), (15, 131), (16, 0), (0, 0)] {
        let position = 1024 - 116 - left;
        assert_eq!(
            find(1024, position, 100).unwrap().skipped,
            skipped,
            "{left} bytes left"
        );
    }
    // Nearly the whole ring: there is no other place, the tail is to be zeroed.
    assert_eq!(find(1024, 0, 1000), placed(0, 0, 1016, 8));
    // It could only go to the beginning of an empty ring that is too small for both.
    assert_eq!(find(1024, 500, 500), placed(0, 500, 516, 8));
    // Wrapped, it leaves a short tail all the same.
    assert_eq!(find(1024, 1016, 1000), placed(8, 0, 1016, 8));
    assert_eq!(find(1024, 1016, 1001), Err(8 + 1017));
    assert_eq!(find(64, 56, 1), placed(8, 0, 17, 0));
}

#[test]
fn what_no_wait_can_place_is_refused_with_the_number() {
    assert_eq!(find(64, 0, 49), Err(64 + 65));
    // After a frame of 500 bytes: 508 bytes to the end and 616 for the frame.
    assert_eq!(find(1024, 516, 600), Err(508 + 616));
    assert_eq!(find(1024, 0, u64::MAX), Err(u64::MAX));
}

#[test]
fn on_an_empty_ring_a_frame_beyond_the_hot_part_goes_to_the_beginning() {
    let (capacity, hot) = (2048, 512);
    let find_in_empty = |position, size| Placement::find_in_empty(capacity, position, size, hot);
    let near = hot - 100 - HEADER;
    assert_eq!(
        find_in_empty(near, 100),
        find(capacity, near, 100),
        "still hot"
    );
    let early = find_in_empty(near, 101).unwrap();
    assert_eq!((early.skipped, early.offset), (capacity - near, 0));
    assert!(early.has_marker() && early.needed() <= capacity);
    assert_eq!(early.next_position(capacity), 101 + HEADER);
    // It would reach into what it skips.
    assert_eq!(find_in_empty(near, hot), find(capacity, near, hot));
    // It has to wrap in any case, or fits nowhere.
    let last = capacity - 64;
    assert_eq!(find_in_empty(last, 100), find(capacity, last, 100));
    assert_eq!(
        find_in_empty(last, capacity),
        find(capacity, last, capacity)
    );
}

#[test]
fn entries_are_told_apart_and_checked() {
    let at = |position, header, unread| Found::at(1024, position, header, unread);
    let header = |size, sequence| Some(Header { size, sequence });
    assert_eq!(at(0, header(100, 7), 116), Ok(Found::Frame { total: 116 }));
    assert_eq!(at(900, header(0, 0), 200), Ok(Found::Wrap { skipped: 124 }));
    assert_eq!(at(1010, None, 14), Ok(Found::Wrap { skipped: 14 }));
    assert_eq!(
        at(0, header(0, 7), 99),
        Err(BadEntry::Empty {
            position: 0,
            sequence: 7
        })
    );
    for size in [124, 1024, u64::MAX, u64::MAX - 15] {
        let out = BadEntry::OutOfBounds {
            position: 900,
            size,
            capacity: 1024,
        };
        assert_eq!(at(900, header(size, 7), 1024), Err(out));
    }
    let unwritten = BadEntry::Unwritten {
        position: 0,
        taken: 116,
        unread: 115,
    };
    assert_eq!(at(0, header(100, 7), 115), Err(unwritten));
}

#[test]
fn memory_goes_back_in_order() {
    let mut ledger = Ledger::default();
    let numbers: Vec<u64> = [10, 20, 30]
        .into_iter()
        .map(|bytes| ledger.hold(bytes))
        .collect();
    ledger.release(numbers[1]);
    ledger.skip(5);
    assert_eq!(ledger.settled(), 0, "what lies behind a held frame waits");
    assert_eq!((ledger.flush(), ledger.held()), (0, 65));
    ledger.release(numbers[0]);
    assert_eq!((ledger.settled(), ledger.held()), (30, 65));
    ledger.release(numbers[0]);
    assert_eq!(ledger.flush(), 30, "a second time changes nothing");
    ledger.release(numbers[2]);
    assert_eq!((ledger.flush(), ledger.flush()), (35, 0));
    ledger.skip(7);
    assert_eq!((ledger.held(), ledger.flush(), ledger.held()), (7, 7, 0));
}

/// What a byte of the simulated ring belongs to.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Owner {
    Free,
    Written,
}

/// Writer and reader on one ring, with an independent record of which bytes are in use.
struct Simulation {
    capacity: u64,
    memory: Vec<u8>,
    owners: Vec<Owner>,
    free: u64,
    write_position: u64,
    read_position: u64,
    next: u64,
    expected: u64,
    ledger: Ledger,
    /// Whether what could go back is put together.
    is_batching: bool,
    /// Held frames: number in the ledger, offset, size, sequence.
    held: Vec<(u64, u64, u64, u64)>,
    /// What is read, in order, with what became of it: offset, bytes, released.
    read: VecDeque<(u64, u64, bool)>,
}

impl Simulation {
    fn new(capacity: u64) -> Self {
        Simulation {
            capacity,
            memory: vec![0xEE; capacity as usize],
            owners: vec![Owner::Free; capacity as usize],
            free: capacity,
            write_position: 0,
            read_position: 0,
            next: 1,
            expected: 1,
            ledger: Ledger::default(),
            is_batching: false,
            held: Vec::new(),
            read: VecDeque::new(),
        }
    }

    fn claim(&mut self, offset: u64, bytes: u64) {
        for owner in &mut self.owners[offset as usize..(offset + bytes) as usize] {
            assert_eq!(*owner, Owner::Free, "memory in use was overwritten");
            *owner = Owner::Written;
        }
    }

    fn put(&mut self, offset: u64, bytes: &[u8]) {
        self.memory[offset as usize..offset as usize + bytes.len()].copy_from_slice(bytes);
    }

    fn write(&mut self, size: u64, is_in_step: bool) {
        let hot = self.capacity / 4;
        let found = if is_in_step && self.free == self.capacity {
            Placement::find_in_empty(self.capacity, self.write_position, size, hot)
        } else {
            find(self.capacity, self.write_position, size)
        };
        let Ok(place) = found else {
            let to_end = self.capacity - self.write_position;
            assert!(
                to_end + size + HEADER > self.capacity,
                "refused without need"
            );
            return;
        };
        if self.free < place.needed() {
            return;
        }
        self.claim(self.write_position, place.skipped);
        self.claim(place.offset, place.total);
        if place.has_marker() {
            self.put(self.write_position, &Header::WRAP.to_bytes());
        }
        let header = Header {
            size,
            sequence: self.next,
        };
        self.put(place.offset, &header.to_bytes());
        self.put(place.data(), &vec![self.next as u8; size as usize]);
        let end = place.offset + place.total;
        self.put(end, &vec![0; place.short_tail as usize]);
        self.free -= place.needed();
        self.next += 1;
        self.write_position = place.next_position(self.capacity);
        if (1..HEADER).contains(&(self.capacity - self.write_position)) {
            assert_eq!(place.short_tail, self.capacity - self.write_position);
            assert!(
                self.capacity - place.offset + place.total > self.capacity,
                "a short tail that an early wrap would have avoided"
            );
        }
    }

    fn read(&mut self) {
        let mut wraps = 0;
        loop {
            let unread = self.capacity - self.free - self.ledger.held();
            if unread == 0 {
                return;
            }
            let at = self.read_position as usize;
            let header = Found::has_header(self.capacity, self.read_position).then(|| {
                Header::from_bytes(self.memory[at..at + HEADER as usize].try_into().unwrap())
            });
            match Found::at(self.capacity, self.read_position, header, unread).unwrap() {
                Found::Wrap { skipped } => {
                    wraps += 1;
                    assert_eq!(wraps, 1, "two wraps in a row");
                    self.read.push_back((self.read_position, skipped, true));
                    self.ledger.skip(skipped);
                    self.give_back();
                    self.read_position = 0;
                }
                Found::Frame { total } => {
                    let (offset, header) = (self.read_position, header.unwrap());
                    assert_eq!(header.sequence, self.expected);
                    self.expected += 1;
                    let number = self.ledger.hold(total);
                    self.held
                        .push((number, offset, header.size, header.sequence));
                    self.read.push_back((offset, total, false));
                    self.read_position = (offset + total) % self.capacity;
                    return;
                }
            }
        }
    }

    fn release(&mut self, choice: usize) {
        if self.held.is_empty() {
            return;
        }
        let (number, offset, size, sequence) = self.held.remove(choice % self.held.len());
        let data = (offset + HEADER) as usize;
        let frame = &self.memory[data..data + size as usize];
        assert!(
            frame.iter().all(|byte| *byte == sequence as u8),
            "a held frame was changed"
        );
        let entry = self
            .read
            .iter_mut()
            .find(|entry| entry.0 == offset && !entry.2)
            .unwrap();
        entry.2 = true;
        self.ledger.release(number);
        if !self.is_batching {
            self.give_back();
        }
    }

    fn batch(&mut self, is_batching: bool) {
        self.is_batching = is_batching;
        if !is_batching {
            self.give_back();
        }
    }

    fn give_back(&mut self) {
        let freed = self.ledger.flush();
        let mut left = freed;
        while left > 0 {
            let (offset, bytes, released) = self.read.pop_front().unwrap();
            assert!(released, "memory of a held frame went back");
            self.owners[offset as usize..(offset + bytes) as usize].fill(Owner::Free);
            left -= bytes;
        }
        self.free += freed;
    }
}

#[derive(Debug, Clone)]
enum Act {
    Write(u64),
    /// A frame near the beginning, if the ring is empty.
    WriteInStep(u64),
    /// A frame after which so many bytes are left to the end of the ring.
    WriteToEnd(u64),
    /// A frame that takes all that is free, but for so many bytes.
    WriteAll(u64),
    Read,
    Release(usize),
    /// From now on, what could go back is put together, or goes back at once.
    Batch(bool),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        3 => (1u64..200).prop_map(Act::Write),
        1 => (1u64..2000).prop_map(Act::Write),
        2 => (1u64..200).prop_map(Act::WriteInStep),
        2 => (0..=HEADER + 1).prop_map(Act::WriteToEnd),
        1 => (0..=HEADER + 1).prop_map(Act::WriteAll),
        4 => Just(Act::Read),
        4 => any::<usize>().prop_map(Act::Release),
        1 => any::<bool>().prop_map(Act::Batch),
    ];
    proptest::collection::vec(act, 1..300)
}

proptest! {
    #[test]
    fn no_history_loses_a_frame_or_overwrites_one_in_use(
        capacity in (1u64..20).prop_map(|blocks| blocks * 64),
        acts in acts(),
    ) {
        let mut simulation = Simulation::new(capacity);
        for act in acts {
            match act {
                Act::Write(size) => simulation.write(size, false),
                Act::WriteInStep(size) => simulation.write(size, true),
                Act::WriteToEnd(left) => {
                    let to_end = capacity - simulation.write_position;
                    simulation.write(to_end.saturating_sub(HEADER + left).max(1), false);
                }
                Act::WriteAll(left) => {
                    simulation.write(simulation.free.saturating_sub(HEADER + left).max(1), false);
                }
                Act::Read => simulation.read(),
                Act::Release(choice) => simulation.release(choice),
                Act::Batch(is_batching) => simulation.batch(is_batching),
            }
        }
        simulation.batch(false);
        while simulation.expected < simulation.next {
            simulation.read();
        }
        while !simulation.held.is_empty() {
            simulation.release(0);
        }
        prop_assert_eq!(simulation.free, capacity);
        prop_assert!(simulation.owners.iter().all(|owner| *owner == Owner::Free));
    }
}
