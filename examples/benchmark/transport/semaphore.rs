//! A limit of the machine: two semaphores, one each way, and a process asleep on each.

use std::cell::UnsafeCell;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use super::page::{Page, Shared};
use super::{Client, Place, Server, Transport};
use crate::Result;
use crate::payload::Touch;

pub struct Semaphores;

impl Transport for Semaphores {
    fn touch(&self) -> Touch {
        Touch::Nothing
    }

    fn server(&self, place: &Place) -> Result<Box<dyn Server>> {
        let pair = Page::<Pair>::create(place)?;
        pair.shared().there.0.initialise()?;
        pair.shared().back.0.initialise()?;
        Ok(Box::new(Answering(pair)))
    }

    fn client(&self, place: &Place) -> Result<Box<dyn Client>> {
        Ok(Box::new(Asking(Page::open(place)?)))
    }
}

struct Semaphore(UnsafeCell<libc::sem_t>);

impl Semaphore {
    /// For use between processes, with value 0; before anybody else knows of it.
    fn initialise(&self) -> io::Result<()> {
        // SAFETY: the memory is a semaphore's, and nobody uses it yet.
        check(unsafe { libc::sem_init(self.0.get(), 1, 0) })
    }

    fn post(&self) -> io::Result<()> {
        // SAFETY: it was initialised before the other process was told of it.
        check(unsafe { libc::sem_post(self.0.get()) })
    }

    fn wait(&self) -> io::Result<()> {
        loop {
            // SAFETY: as in `post`.
            match check(unsafe { libc::sem_wait(self.0.get()) }) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

fn check(status: libc::c_int) -> io::Result<()> {
    match status {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[repr(align(64))]
struct Aligned<T>(T);

struct Pair {
    there: Aligned<Semaphore>,
    back: Aligned<Semaphore>,
    left: AtomicBool,
}

// SAFETY: `sem_t` is made to be used from many threads at once, through shared references here.
unsafe impl Sync for Semaphore {}
// SAFETY: zeros are a valid `sem_t` (of value 0) and `AtomicBool`, both made to be changed by
// others.
unsafe impl Shared for Pair {}

struct Answering(Page<Pair>);

impl Server for Answering {
    fn serve(self: Box<Self>) -> Result<()> {
        let pair = self.0.shared();
        loop {
            pair.there.0.wait()?;
            if pair.left.load(Ordering::Relaxed) {
                return Ok(());
            }
            pair.back.0.post()?;
        }
    }
}

struct Asking(Page<Pair>);

impl Client for Asking {
    fn round_trip(
        &mut self,
        _write: &mut dyn FnMut(&mut [u8]),
        _read: &mut dyn FnMut(&[u8]),
    ) -> Result<()> {
        let pair = self.0.shared();
        pair.there.0.post()?;
        Ok(pair.back.0.wait()?)
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let pair = self.0.shared();
        pair.left.store(true, Ordering::Relaxed);
        // It can only fail if the count overflows, and then the server is awake.
        let _ = pair.there.0.post();
    }
}
