//! Asking for memory before it is needed.

/// Asks the processor to have the cache line at `address` ready for writing: it takes it from the
/// other side's cache while this side still does something else. Any address will do.
#[inline]
pub(crate) fn for_writing(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        // SAFETY: a prefetch is a hint; it does not access memory and cannot fault.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(address.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
