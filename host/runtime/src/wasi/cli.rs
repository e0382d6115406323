//! `wasi:cli`: no arguments, an empty environment, no terminal; leaving is a trap.

use wasmtime::component::Resource;
use wasmtime::component::Val;

use super::io::{InputStream, OutputStream};
use super::state::Stream;
use super::{Cx, Instance};

pub(super) fn define(at: &mut Instance<'_>, base: &str, name: &str) -> wasmtime::Result<bool> {
    match (base, name) {
        ("wasi:cli/environment", "get-environment") => at.func_wrap(name, |_: Cx<'_>, (): ()| {
            Ok((Vec::<(String, String)>::new(),))
        }),
        ("wasi:cli/environment", "get-arguments") => {
            at.func_wrap(name, |_: Cx<'_>, (): ()| Ok((Vec::<String>::new(),)))
        }
        ("wasi:cli/environment", "initial-cwd") => {
            at.func_wrap(name, |_: Cx<'_>, (): ()| Ok((None::<String>,)))
        }
        ("wasi:cli/exit", "exit") => {
            at.func_wrap(name, |_: Cx<'_>, (status,): (Result<(), ()>,)| {
                let status = if status.is_ok() { "success" } else { "failure" };
                Err::<(), _>(wasmtime::Error::msg(format!(
                    "the agent left with {status}"
                )))
            })
        }
        ("wasi:cli/stdin", "get-stdin") => at.func_wrap(name, |mut cx: Cx<'_>, (): ()| {
            cx.data_mut().wasi().hand_out()?;
            Ok((Resource::<InputStream>::new_own(0),))
        }),
        ("wasi:cli/stdout", "get-stdout") => {
            at.func_wrap(name, |cx: Cx<'_>, (): ()| stream(cx, Stream::Output))
        }
        ("wasi:cli/stderr", "get-stderr") => {
            at.func_wrap(name, |cx: Cx<'_>, (): ()| stream(cx, Stream::Error))
        }
        (_, "get-terminal-stdin" | "get-terminal-stdout" | "get-terminal-stderr") => {
            at.func_new(name, |_, _, _, results| {
                results.fill(Val::Option(None));
                Ok(())
            })
        }
        _ => return Ok(false),
    }?;
    Ok(true)
}

fn stream(mut cx: Cx<'_>, stream: Stream) -> wasmtime::Result<(Resource<OutputStream>,)> {
    cx.data_mut().wasi().hand_out()?;
    Ok((Resource::new_own(stream as u32),))
}
