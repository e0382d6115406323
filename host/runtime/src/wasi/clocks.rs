//! `wasi:clocks`: the time of day is the invocation's and stands still; the monotonic clock is for measuring and waiting.

use std::time::Duration;

use stuga_core::tape::taped_now;
use wasmtime::component::Resource;

use super::io::Pollable;
use super::{Cx, Instance};
use crate::state::HostState;

/// What the clocks say of their resolution: the time of day comes in milliseconds.
const WALL_RESOLUTION: Duration = Duration::from_millis(1);
const MONOTONIC_RESOLUTION_NS: u64 = 1;

pub(super) fn define(at: &mut Instance<'_>, base: &str, name: &str) -> wasmtime::Result<bool> {
    match (base, name) {
        ("wasi:clocks/wall-clock", "now") => at.func_wrap(name, |cx: Cx<'_>, (): ()| {
            let call = cx.data().call.as_ref();
            let millis = call.map_or(0, |call| call.ctx.accepted_at.as_millis());
            Ok((datetime(Duration::from_millis(millis)),))
        }),
        ("wasi:clocks/wall-clock", "resolution") => {
            at.func_wrap(name, |_: Cx<'_>, (): ()| Ok((datetime(WALL_RESOLUTION),)))
        }
        ("wasi:clocks/monotonic-clock", "now") => at.func_wrap(name, |mut cx: Cx<'_>, (): ()| {
            Ok((monotonic(cx.data_mut())?,))
        }),
        ("wasi:clocks/monotonic-clock", "resolution") => {
            at.func_wrap(name, |_: Cx<'_>, (): ()| Ok((MONOTONIC_RESOLUTION_NS,)))
        }
        ("wasi:clocks/monotonic-clock", "subscribe-instant") => {
            at.func_wrap(name, |mut cx: Cx<'_>, (when,): (u64,)| {
                let wasi = cx.data_mut().wasi();
                let after = Duration::from_nanos(when).saturating_sub(wasi.told());
                Ok((Resource::<Pollable>::new_own(wasi.timer(after)?),))
            })
        }
        ("wasi:clocks/monotonic-clock", "subscribe-duration") => {
            at.func_wrap(name, |mut cx: Cx<'_>, (after,): (u64,)| {
                let timer = cx.data_mut().wasi().timer(Duration::from_nanos(after))?;
                Ok((Resource::<Pollable>::new_own(timer),))
            })
        }
        _ => return Ok(false),
    }?;
    Ok(true)
}

/// What the monotonic clock shows, or showed when the call was recorded.
fn monotonic(state: &mut HostState) -> wasmtime::Result<u64> {
    let now = nanos(state.wasi().clock());
    let Some(call) = &state.call else {
        return Ok(now);
    };
    let told = taped_now(&call.ctx, "wasi:clocks/monotonic-clock.now", &(), || {
        Ok(now)
    });
    let told = told.map_err(wasmtime::Error::msg)?;
    state.wasi().tell(Duration::from_nanos(told));
    Ok(told)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

use datetime::datetime;

#[allow(
    unsafe_code,
    reason = "the derived conversions implement unsafe traits of wasmtime"
)]
mod datetime {
    use std::time::Duration;

    use wasmtime::component::{ComponentType, Lower};

    /// Seconds since 1970-01-01 UTC and what is left of one.
    #[derive(ComponentType, Lower)]
    #[component(record)]
    pub(in crate::wasi) struct Datetime {
        seconds: u64,
        nanoseconds: u32,
    }

    pub(in crate::wasi) fn datetime(since_1970: Duration) -> Datetime {
        Datetime {
            seconds: since_1970.as_secs(),
            nanoseconds: since_1970.subsec_nanos(),
        }
    }
}
