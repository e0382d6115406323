//! `wasi:random`: a stream that belongs to the invocation, so that a repetition draws the same numbers.

use rand_core::RngCore;
use sha2::{Digest, Sha256};

use super::{Cx, Instance};
use crate::state::HostState;

/// Most bytes of one call.
const BYTES_MAX: u64 = 64 << 10;

pub(super) fn define(at: &mut Instance<'_>, base: &str, name: &str) -> wasmtime::Result<bool> {
    match (base, name) {
        ("wasi:random/random", "get-random-bytes")
        | ("wasi:random/insecure", "get-insecure-random-bytes") => at
            .func_wrap(name, |mut cx: Cx<'_>, (len,): (u64,)| {
                Ok((bytes(cx.data_mut(), len)?,))
            }),
        ("wasi:random/random", "get-random-u64")
        | ("wasi:random/insecure", "get-insecure-random-u64") => at
            .func_wrap(name, |mut cx: Cx<'_>, (): ()| {
                Ok((cx.data_mut().wasi_random().next_u64(),))
            }),
        ("wasi:random/insecure-seed", "insecure-seed") => {
            at.func_wrap(name, |cx: Cx<'_>, (): ()| Ok((seed(cx.data()),)))
        }
        _ => return Ok(false),
    }?;
    Ok(true)
}

fn bytes(state: &mut HostState, len: u64) -> wasmtime::Result<Vec<u8>> {
    let allowed = usize::try_from(len).ok().filter(|_| len <= BYTES_MAX);
    let Some(len) = allowed else {
        return Err(wasmtime::Error::msg(format!(
            "wasi:random was asked for {len} bytes; the limit is {BYTES_MAX}"
        )));
    };
    let mut bytes = vec![0; len];
    state.wasi_random().fill_bytes(&mut bytes);
    Ok(bytes)
}

/// The seed of a language's hash tables: it is drawn once for an instance, not for a call, so it is the same for all.
fn seed(state: &HostState) -> (u64, u64) {
    let mut hash = Sha256::new();
    hash.update(b"wasi:random/insecure-seed");
    hash.update(state.authority.random_key);
    let digest: [u8; 32] = hash.finalize().into();
    let number = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    };
    let (low, rest) = digest.split_at(8);
    (number(low), number(rest.get(..8).unwrap_or(rest)))
}
