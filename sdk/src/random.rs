//! Randomness that is unpredictable from outside and the same when the invocation is repeated after a failure.

use crate::backend::random as backend;

/// Most bytes that the host hands out at once.
pub const BYTES_MAX: u32 = 65_536;

/// `len` random bytes.
///
/// # Panics
/// The host stops the call when `len` is over [`BYTES_MAX`]; [`fill`] takes any length.
pub fn bytes(len: u32) -> Vec<u8> {
    backend::bytes(len)
}

/// A random number, all 64 bits.
pub fn next_u64() -> u64 {
    backend::next_u64()
}

/// Fills `buffer` with random bytes.
pub fn fill(buffer: &mut [u8]) {
    for chunk in buffer.chunks_mut(BYTES_MAX as usize) {
        // A chunk is never longer than BYTES_MAX, so its length fits.
        let fresh = backend::bytes(chunk.len() as u32);
        for (to, from) in chunk.iter_mut().zip(fresh) {
            *to = from;
        }
    }
}
