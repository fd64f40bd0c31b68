//! Room on the stack for plans as deep as the parser lets through.
//!
//! DataFusion's binder and optimizer go down trees by recursion, with frames of many kilobytes; threads of a server have
//! stacks of two megabytes. Memory of the larger stack is only taken as far as it is used.

const ENOUGH_BYTES: usize = 24 << 20;
const STACK_BYTES: usize = 32 << 20;

/// Runs `work` with enough stack, on the same thread.
pub(crate) fn with_room<T>(work: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(ENOUGH_BYTES, STACK_BYTES, work)
}
