//! How often a thread asks the allocator for memory.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

thread_local! {
    // Neither made on first use nor dropped: counting asks for no memory itself.
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, with a count for each thread. A program that has its allocations counted
/// makes it its own:
///
/// ```
/// use zerobuffer::serve::allocations::{self, CountingAllocator};
///
/// #[global_allocator]
/// static ALLOCATOR: CountingAllocator = CountingAllocator;
///
/// let before = allocations::of_this_thread();
/// drop(std::hint::black_box(Box::new(7)));
/// assert_eq!(allocations::of_this_thread(), before + 1);
/// ```
#[derive(Debug)]
pub struct CountingAllocator;

impl CountingAllocator {
    fn count(&self) {
        ASKED.set(ASKED.get().wrapping_add(1));
    }
}

// SAFETY: everything is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.count();
        // SAFETY: the caller keeps to the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.count();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.count();
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }
}

/// How often this thread has asked for memory; 0 for ever in a program with another allocator.
pub fn of_this_thread() -> u64 {
    ASKED.get()
}

/// How often this thread asks for memory while it does something, and what comes of that.
pub fn counted<T>(something: impl FnOnce() -> T) -> (u64, T) {
    let before = of_this_thread();
    let outcome = something();
    (of_this_thread().wrapping_sub(before), outcome)
}

/// Whether this program counts at all: it is seen to count an allocation that is made for that.
pub fn are_counted() -> bool {
    let (count, ()) = counted(|| drop(black_box(Box::new(0_u8))));
    count > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_get_memory_is_counted() {
        let layout = Layout::new::<u64>();
        let (count, ()) = counted(|| {
            // SAFETY: the layout is that of a number, and what is had is given back once.
            unsafe {
                let plain = CountingAllocator.alloc(layout);
                let larger = CountingAllocator.realloc(plain, layout, 64);
                let zeroed = CountingAllocator.alloc_zeroed(layout);
                assert_eq!(zeroed.cast::<u64>().read(), 0);
                CountingAllocator.dealloc(zeroed, layout);
                CountingAllocator.dealloc(larger, Layout::from_size_align(64, 8).unwrap());
            }
        });
        assert_eq!(count, 3);
    }

    #[test]
    fn a_program_with_another_allocator_is_known() {
        assert!(!are_counted(), "the unit tests have the system's allocator");
        assert_eq!(counted(|| vec![1, 2, 3]), (0, vec![1, 2, 3]));
    }
}
