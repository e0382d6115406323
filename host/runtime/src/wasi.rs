//! WASI 0.2 for components that other toolchains made: what their language runtimes need to start, and nothing outside.
//!
//! It is not a WASI host. Clocks and randomness are the invocation's, standard output and error become lines of the log,
//! the environment is empty, and there are no files and no sockets: no code that could open one is linked. Rust agents
//! built with the SDK import none of it and never come here.
//!
//! A component gets a linker of its own with exactly the functions that it imports, under the version that it names. So
//! components that were built against different versions of 0.2 run side by side.

mod cli;
mod clocks;
mod io;
mod random;
mod refused;
mod state;

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, LinkerInstance, ResourceType};
use wasmtime::{Engine, StoreContextMut};

use crate::state::HostState;

pub(crate) use state::Wasi;

type Cx<'a> = StoreContextMut<'a, HostState>;
type Instance<'a> = LinkerInstance<'a, HostState>;

/// The interfaces that a component may import, each in any version 0.2.x.
const INTERFACES: [&str; 27] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

/// For messages: what of WASI a component may import.
pub(crate) const OFFERED: &str =
    "wasi:{cli,clocks,filesystem,io,random,sockets}@0.2 (with no files and no sockets)";

/// Whether a component may import `interface`, such as `wasi:io/poll@0.2.9`.
pub(crate) fn offers(interface: &str) -> bool {
    base(interface).is_some_and(|base| INTERFACES.contains(&base))
}

/// `wasi:io/poll` of `wasi:io/poll@0.2.9`; none for what is no version 0.2 of WASI.
fn base(interface: &str) -> Option<&str> {
    let (base, version) = interface.split_once('@')?;
    let patch = version.strip_prefix("0.2.")?;
    let is_number = !patch.is_empty() && patch.bytes().all(|b| b.is_ascii_digit());
    (is_number && base.starts_with("wasi:")).then_some(base)
}

/// A linker with what `component` imports of WASI, made from `linker`; none when it imports nothing of it.
pub(crate) fn linker(
    linker: &Linker<HostState>,
    engine: &Engine,
    component: &Component,
) -> wasmtime::Result<Option<Linker<HostState>>> {
    let mut extended = None;
    for (import, item) in component.component_type().imports(engine) {
        let (Some(base), ComponentItem::ComponentInstance(interface)) = (base(import), item.ty)
        else {
            continue;
        };
        let linker = extended.get_or_insert_with(|| linker.clone());
        let mut instance = linker.instance(import)?;
        for (name, item) in interface.exports(engine) {
            match item.ty {
                ComponentItem::Resource(_) => resource(&mut instance, name)?,
                ComponentItem::ComponentFunc(_) => function(&mut instance, base, name)?,
                // Plain types are the component's own; the linker compares those of the functions.
                _ => {}
            }
        }
    }
    Ok(extended)
}

fn resource(at: &mut Instance<'_>, name: &str) -> wasmtime::Result<()> {
    let dropped = |mut cx: Cx<'_>, _| {
        cx.data_mut().wasi().take_back();
        Ok(())
    };
    match name {
        "error" => at.resource(name, ResourceType::host::<io::IoError>(), dropped),
        "input-stream" => at.resource(name, ResourceType::host::<io::InputStream>(), dropped),
        "output-stream" => at.resource(name, ResourceType::host::<io::OutputStream>(), dropped),
        "network" => at.resource(name, ResourceType::host::<refused::Network>(), dropped),
        "pollable" => {
            let ty = ResourceType::host::<io::Pollable>();
            at.resource(name, ty, |mut cx: Cx<'_>, rep| {
                cx.data_mut().wasi().drop_pollable(rep);
                Ok(())
            })
        }
        // Descriptors, sockets, terminals: no function here ever makes one.
        _ => at.resource(name, ResourceType::host::<NeverMade>(), |_, _| Ok(())),
    }
}

/// A resource of which there is none.
enum NeverMade {}

fn function(at: &mut Instance<'_>, base: &str, name: &str) -> wasmtime::Result<()> {
    let known = cli::define(at, base, name)?
        || clocks::define(at, base, name)?
        || io::define(at, base, name)?
        || random::define(at, base, name)?
        || refused::define(at, base, name)?;
    if known {
        return Ok(());
    }
    // Nearly all of these are methods of a resource that is never made. The others are named when they are called.
    let named = format!("{base}#{name}");
    at.func_new(name, move |_, _, _, _| {
        Err(wasmtime::Error::msg(format!(
            "{named} is not offered by this host"
        )))
    })
}

#[cfg(test)]
mod tests {
    use super::offers;

    #[test]
    fn any_patch_of_0_2_is_offered_and_nothing_else() {
        for good in ["wasi:io/poll@0.2.0", "wasi:sockets/tcp@0.2.12"] {
            assert!(offers(good), "{good}");
        }
        for bad in [
            "wasi:io/poll",
            "wasi:io/poll@0.3.0",
            "wasi:io/poll@0.2",
            "wasi:io/poll@0.2.0-rc.1",
            "wasi:http/types@0.2.9",
            "wasi:cli/run@0.2.9",
            "other:io/poll@0.2.9",
        ] {
            assert!(!offers(bad), "{bad}");
        }
    }
}
