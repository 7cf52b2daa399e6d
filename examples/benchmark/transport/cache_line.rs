//! A limit of the machine: a number that goes from one core to another and back.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicU64, Ordering};

use super::page::{Page, Shared};
use super::{Client, Place, Server, Transport};
use crate::payload::Touch;
use crate::{Result, parent};

/// What a client leaves behind when it goes.
const LEFT: u64 = u64::MAX;

pub struct CacheLine;

impl Transport for CacheLine {
    fn touch(&self) -> Touch {
        Touch::Nothing
    }

    fn server(&self, place: &Place) -> Result<Box<dyn Server>> {
        Ok(Box::new(Line(Page::create(place)?)))
    }

    fn client(&self, place: &Place) -> Result<Box<dyn Client>> {
        Ok(Box::new(Asking {
            line: Line(Page::open(place)?),
            asked: 0,
        }))
    }
}

/// Odd numbers are questions, even ones answers.
#[repr(align(64))]
struct Number(AtomicU64);

// SAFETY: zeros are a valid `AtomicU64`, which is there to be changed by others.
unsafe impl Shared for Number {}

struct Line(Page<Number>);

impl Line {
    fn number(&self) -> &AtomicU64 {
        &self.0.shared().0
    }

    /// Waits until the number is `wanted`; false if it never will be.
    fn wait_for(&self, wanted: u64) -> Result<bool> {
        loop {
            // Acquire: pairs with the release stores of the other end.
            let number = self.number().load(Ordering::Acquire);
            if number == wanted || number == LEFT {
                return Ok(number == wanted);
            }
            if parent::has_gone() {
                return Err("nobody waits for it any more".into());
            }
            spin_loop();
        }
    }
}

impl Server for Line {
    fn serve(self: Box<Self>) -> Result<()> {
        let mut question = 1;
        while self.wait_for(question)? {
            self.number().store(question + 1, Ordering::Release);
            question += 2;
        }
        Ok(())
    }
}

struct Asking {
    line: Line,
    asked: u64,
}

impl Client for Asking {
    fn round_trip(
        &mut self,
        _write: &mut dyn FnMut(&mut [u8]),
        _read: &mut dyn FnMut(&[u8]),
    ) -> Result<()> {
        self.line.number().store(self.asked + 1, Ordering::Release);
        self.asked += 2;
        self.line.wait_for(self.asked)?;
        Ok(())
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.line.number().store(LEFT, Ordering::Release);
    }
}
