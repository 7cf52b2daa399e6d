//! Records of a thread belong to what the thread was started for.

use tracing::Span;

/// Has `work` done in the span that is current here, on whatever thread that will be.
pub(crate) fn in_current_span<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let span = Span::current();
    move || span.in_scope(work)
}
