//! A limit of the machine: frames copied by one core into memory that another one copies them out
//! of, with two numbers that say how far each of them is and nothing else.

use std::fs::{File, OpenOptions};
use std::hint::spin_loop;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use memmap2::{MmapOptions, MmapRaw};

use super::{Client, Place, Receiver, Sender, Server, Transport};
use crate::Result;
use crate::payload::Touch;

/// The memory holds about as much as a ring does.
const LEAST_SLOTS: usize = 4;

/// What a sender writes when it has done.
const ENDED: u64 = u64::MAX;

/// Longer than the other end is ever away.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the slots begin: behind the numbers.
const SLOTS: usize = 4096;

pub struct Slots;

impl Transport for Slots {
    fn touch(&self) -> Touch {
        Touch::Stamp
    }

    fn server(&self, place: &Place) -> Result<Box<dyn Server>> {
        Err(format!("{} goes one way only", place.name).into())
    }

    fn client(&self, place: &Place) -> Result<Box<dyn Client>> {
        Err(format!("{} goes one way only", place.name).into())
    }

    fn receiver(&self, place: &Place) -> Result<Box<dyn Receiver>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(place.path("slots"))?;
        file.set_len(length(place) as u64)?;
        Ok(Box::new(End::map(place, &file)?))
    }

    fn sender(&self, place: &Place) -> Result<Box<dyn Sender>> {
        let path = place.path("slots");
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Box::new(End::map(place, &file)?))
    }
}

/// Bytes of a slot: whole cache lines.
fn slot(place: &Place) -> usize {
    place.size.next_multiple_of(64)
}

fn slots(place: &Place) -> usize {
    (place.ring / slot(place)).max(LEAST_SLOTS)
}

fn length(place: &Place) -> usize {
    SLOTS + slots(place) * slot(place)
}

/// How far the two ends are, in frames, each on cache lines of its own.
#[repr(C, align(128))]
struct Far(AtomicU64);

#[repr(C)]
struct Numbers {
    sent: Far,
    received: Far,
}

struct End {
    memory: MmapRaw,
    slot: usize,
    slots: u64,
    size: usize,
    /// Frames that this end has done with.
    done: u64,
    /// How far the other end was when it was last looked at.
    other: u64,
    /// The frame, outside of the shared memory.
    frame: Vec<u8>,
}

impl End {
    fn map(place: &Place, file: &File) -> Result<End> {
        Ok(End {
            memory: MmapOptions::new().len(length(place)).map_raw(file)?,
            slot: slot(place),
            slots: slots(place) as u64,
            size: place.size,
            done: 0,
            other: 0,
            frame: vec![0; place.size],
        })
    }

    fn numbers(&self) -> &Numbers {
        // SAFETY: the mapping is page-aligned, longer than `Numbers` and lives as long as `self`;
        // both numbers are atomic, valid for any bytes and made to be changed by others.
        unsafe { &*self.memory.as_mut_ptr().cast::<Numbers>() }
    }

    /// The address of the slot for the next frame.
    fn next_slot(&self) -> *mut u8 {
        let offset = SLOTS + (self.done % self.slots) as usize * self.slot;
        self.memory.as_mut_ptr().wrapping_add(offset)
    }

    /// Waits until the other end's number, as `look` reads it, is beyond `least`.
    fn wait_beyond(&mut self, least: u64, look: impl Fn(&Numbers) -> u64) -> Result<()> {
        let mut begun = None;
        while self.other <= least {
            self.other = look(self.numbers());
            if begun.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                return Err("the other end does not go on".into());
            }
            spin_loop();
        }
        Ok(())
    }
}

impl Receiver for End {
    fn receive(&mut self, read: &mut dyn FnMut(&[u8])) -> Result<bool> {
        // Acquire: pairs with the sender's release store, behind the frame.
        self.wait_beyond(self.done, |numbers| numbers.sent.0.load(Ordering::Acquire))?;
        if self.other == ENDED {
            return Ok(false);
        }
        // SAFETY: a slot is within the mapping, and this frame's sender is done with it.
        unsafe { ptr::copy_nonoverlapping(self.next_slot(), self.frame.as_mut_ptr(), self.size) };
        self.done += 1;
        // Release: pairs with the sender's acquire load, before it writes there again.
        self.numbers()
            .received
            .0
            .store(self.done, Ordering::Release);
        read(&self.frame);
        Ok(true)
    }
}

impl Sender for End {
    fn send(&mut self, write: &mut dyn FnMut(&mut [u8])) -> Result<()> {
        write(&mut self.frame);
        if self.done >= self.slots {
            let least = self.done - self.slots;
            self.wait_beyond(least, |numbers| numbers.received.0.load(Ordering::Acquire))?;
        }
        // SAFETY: a slot is within the mapping, and the receiver is done with what was in it.
        unsafe { ptr::copy_nonoverlapping(self.frame.as_ptr(), self.next_slot(), self.size) };
        self.done += 1;
        self.numbers().sent.0.store(self.done, Ordering::Release);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        // What was sent is read before the end is told of.
        if self.done > 0 {
            self.wait_beyond(self.done - 1, |numbers| {
                numbers.received.0.load(Ordering::Acquire)
            })?;
        }
        self.numbers().sent.0.store(ENDED, Ordering::Release);
        Ok(())
    }
}
