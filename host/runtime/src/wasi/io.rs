//! `wasi:io`: two streams that lead to the log, one that is empty, and timers to wait for.

use tokio::time::{Instant as Moment, sleep_until};
use wasmtime::component::Resource;

use super::state::Stream;
use super::{Cx, Instance};
use crate::state::HostState;

pub(super) use error::StreamError;

/// How much a guest may write at once, in bytes.
const WRITE_MAX_BYTES: u64 = 64 << 10;
/// Most pollables that are waited for together.
const POLL_MAX: usize = 1_024;
/// A pollable that is no timer: it is always ready.
const READY: u32 = 0;

/// There is none: no operation fails in a way that has an error of its own.
pub(super) enum IoError {}
/// Standard input, which is empty.
pub(super) enum InputStream {}
/// Standard output or error, by [`Stream`].
pub(super) enum OutputStream {}
/// A timer, or what is always ready.
pub(super) enum Pollable {}

type Written = Result<(), StreamError>;
type Read = Result<Vec<u8>, StreamError>;

pub(super) fn define(at: &mut Instance<'_>, base: &str, name: &str) -> wasmtime::Result<bool> {
    match base {
        "wasi:io/poll" => define_poll(at, name),
        "wasi:io/streams" => define_streams(at, name),
        _ => Ok(false),
    }
}

fn define_streams(at: &mut Instance<'_>, name: &str) -> wasmtime::Result<bool> {
    match name {
        "[method]output-stream.check-write" => {
            at.func_wrap(name, |_: Cx<'_>, (_,): (Resource<OutputStream>,)| {
                Ok((Ok::<_, StreamError>(WRITE_MAX_BYTES),))
            })
        }
        "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush" => at
            .func_wrap(
                name,
                |mut cx: Cx<'_>, (to, bytes): (Resource<OutputStream>, Vec<u8>)| {
                    let is_error = to.rep() == Stream::Error as u32;
                    let stream = if is_error {
                        Stream::Error
                    } else {
                        Stream::Output
                    };
                    cx.data_mut().print(stream, &bytes)?;
                    Ok((Written::Ok(()),))
                },
            ),
        "[method]output-stream.flush" | "[method]output-stream.blocking-flush" => at
            .func_wrap(name, |_: Cx<'_>, (_,): (Resource<OutputStream>,)| {
                Ok((Written::Ok(()),))
            }),
        "[method]output-stream.subscribe" => at
            .func_wrap(name, |cx: Cx<'_>, (_,): (Resource<OutputStream>,)| {
                ready(cx)
            }),
        "[method]input-stream.read" | "[method]input-stream.blocking-read" => at
            .func_wrap(name, |_: Cx<'_>, (_, _): (Resource<InputStream>, u64)| {
                Ok((Read::Err(StreamError::Closed),))
            }),
        "[method]input-stream.skip" | "[method]input-stream.blocking-skip" => {
            at.func_wrap(name, |_: Cx<'_>, (_, _): (Resource<InputStream>, u64)| {
                Ok((Err::<u64, _>(StreamError::Closed),))
            })
        }
        "[method]input-stream.subscribe" => {
            at.func_wrap(name, |cx: Cx<'_>, (_,): (Resource<InputStream>,)| ready(cx))
        }
        _ => return Ok(false),
    }?;
    Ok(true)
}

fn ready(mut cx: Cx<'_>) -> wasmtime::Result<(Resource<Pollable>,)> {
    cx.data_mut().wasi().hand_out()?;
    Ok((Resource::new_own(READY),))
}

fn define_poll(at: &mut Instance<'_>, name: &str) -> wasmtime::Result<bool> {
    match name {
        "[method]pollable.ready" => {
            at.func_wrap(name, |mut cx: Cx<'_>, (it,): (Resource<Pollable>,)| {
                Ok((cx.data_mut().wasi().due(it.rep()).is_none(),))
            })
        }
        "[method]pollable.block" => {
            at.func_wrap_async(name, |mut cx: Cx<'_>, (it,): (Resource<Pollable>,)| {
                Box::new(async move {
                    wait(cx.data_mut(), &[it]).await?;
                    Ok(())
                })
            })
        }
        "poll" => at.func_wrap_async(name, |mut cx: Cx<'_>, (of,): (Vec<Resource<Pollable>>,)| {
            Box::new(async move { Ok((wait(cx.data_mut(), &of).await?,)) })
        }),
        _ => return Ok(false),
    }?;
    Ok(true)
}

/// Waits until one of them is ready and says which are. The call's deadline ends a wait that is too long.
async fn wait(state: &mut HostState, of: &[Resource<Pollable>]) -> wasmtime::Result<Vec<u32>> {
    if of.is_empty() || of.len() > POLL_MAX {
        return Err(wasmtime::Error::msg(format!(
            "wasi:io/poll was given {} pollables; 1 to {POLL_MAX} can be waited for",
            of.len()
        )));
    }
    let wasi = state.wasi();
    loop {
        let due: Vec<Option<Moment>> = of.iter().map(|it| wasi.due(it.rep())).collect();
        let ready: Vec<u32> = (0..)
            .zip(&due)
            .filter_map(|(at, due)| due.is_none().then_some(at))
            .collect();
        match due.into_iter().flatten().min() {
            Some(first) if ready.is_empty() => sleep_until(first).await,
            _ => return Ok(ready),
        }
    }
}

#[allow(
    unsafe_code,
    reason = "the derived conversions implement unsafe traits of wasmtime"
)]
mod error {
    use wasmtime::component::{ComponentType, Lower, Resource};

    use super::IoError;

    /// Why nothing came from a stream or went into it.
    #[derive(ComponentType, Lower)]
    #[component(variant)]
    pub(in crate::wasi) enum StreamError {
        /// Part of the type; nothing here fails so.
        #[component(name = "last-operation-failed")]
        #[allow(dead_code, reason = "the type must have every case that WASI has")]
        LastOperationFailed(Resource<IoError>),
        #[component(name = "closed")]
        Closed,
    }
}
