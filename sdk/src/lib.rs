//! Write a Stuga agent: one struct, one trait, one line.
//!
//! An agent is a sandboxed WASM component with skills. It reaches the world only through the functions of this crate:
//! [`memory`], [`files`], [`sessions`], [`records`], [`search`], [`jobs`], [`model`], [`a2a`], [`secrets`], [`log`],
//! [`clock`], [`random`], [`output`] and [`config`].
//!
//! ```
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//! use stuga_sdk::{Agent, Capability, Context, Result, Skills, log, memory};
//!
//! #[derive(Default)]
//! struct Greeter;
//!
//! #[derive(Deserialize, JsonSchema)]
//! struct Guest {
//!     /// Who comes in.
//!     name: String,
//! }
//!
//! #[derive(Serialize, JsonSchema)]
//! struct Greeting {
//!     text: String,
//!     /// How often this guest came in.
//!     visits: u32,
//! }
//!
//! impl Agent for Greeter {
//!     const NAME: &str = "greeter";
//!     const VERSION: &str = env!("CARGO_PKG_VERSION");
//!     const SUMMARY: &str = "Greets guests and remembers them.";
//!     const CAPABILITIES: &[Capability] = &[Capability::Memory];
//!
//!     fn skills() -> Skills<Self> {
//!         Skills::new().skill("greet", "Greets a guest by name.", Self::greet)
//!     }
//! }
//!
//! impl Greeter {
//!     fn greet(&self, _: &Context, guest: Guest) -> Result<Greeting> {
//!         let key = format!("visits/{}", guest.name);
//!         let visits = memory::update_json(&key, |n: Option<u32>| Ok(n.unwrap_or(0) + 1))?;
//!         log::info!(visits = visits, "greeted");
//!         Ok(Greeting { text: format!("Hej {}!", guest.name), visits })
//!     }
//! }
//!
//! stuga_sdk::export!(Greeter);
//!
//! // `cargo test` runs natively, against a host in memory with the same rules.
//! use serde_json::json;
//! use stuga_sdk::mock;
//!
//! let host = mock::Host::new();
//! host.run(|| {
//!     mock::invoke::<Greeter>("greet", json!({"name": "Astrid"})).unwrap();
//!     let second = mock::invoke::<Greeter>("greet", json!({"name": "Astrid"})).unwrap();
//!     assert_eq!(second, json!({"text": "Hej Astrid!", "visits": 2}));
//! });
//! ```
//!
//! What an agent does not call it does not import, so an agent without `files` needs no grant for it. A panic is
//! logged with message and place and ends the call; the host makes a new instance for the next one.

pub mod a2a;
mod agent;
pub mod clock;
pub mod config;
mod context;
mod error;
pub mod files;
mod instance;
pub mod jobs;
pub mod log;
pub mod memory;
pub mod model;
pub mod output;
mod pages;
pub mod random;
pub mod records;
pub mod search;
pub mod secrets;
pub mod sessions;

#[cfg(target_family = "wasm")]
mod guest;
#[cfg(target_family = "wasm")]
use guest as backend;
#[cfg(target_family = "wasm")]
mod wit;

#[cfg(not(target_family = "wasm"))]
pub mod mock;
#[cfg(not(target_family = "wasm"))]
use mock::backend;

pub use agent::{Agent, Capability, Exclusive, Handler, Jobs, Shared, Skills};
pub use context::{Context, Origin};
pub use error::{Error, ErrorKind, Result};
pub use instance::Instance;
pub use pages::Pages;

/// Makes an agent the component's export: `stuga_sdk::export!(MyAgent);`, once, at the top of the crate.
///
/// Natively it expands to nothing but a check that the type is an [`Agent`].
#[macro_export]
macro_rules! export {
    ($agent:ty) => {
        const _: () = {
            #[cfg(target_family = "wasm")]
            use $crate::__component as component;

            #[cfg(target_family = "wasm")]
            ::std::thread_local! {
                static INSTANCE: ::std::cell::RefCell<::std::option::Option<$crate::Instance<$agent>>> =
                    const { ::std::cell::RefCell::new(::std::option::Option::None) };
            }

            #[cfg(target_family = "wasm")]
            struct Component;

            #[cfg(target_family = "wasm")]
            impl component::Guest for Component {
                fn describe() -> component::Description {
                    component::describe::<$agent>()
                }

                fn invoke(
                    invocation: component::Invocation,
                ) -> ::std::result::Result<::std::string::String, component::Error> {
                    INSTANCE.with_borrow_mut(|slot| component::invoke::<$agent>(slot, invocation))
                }

                fn run_job(
                    job: component::Job,
                ) -> ::std::result::Result<::std::string::String, component::Error> {
                    INSTANCE.with_borrow_mut(|slot| component::run_job::<$agent>(slot, job))
                }
            }

            #[cfg(target_family = "wasm")]
            $crate::__component::export_component!(Component with_types_in $crate::__component);

            #[cfg(not(target_family = "wasm"))]
            const fn is_agent<A: $crate::Agent>() {}
            #[cfg(not(target_family = "wasm"))]
            is_agent::<$agent>();
        };
    };
}

/// What `export!` expands to. No part of the API.
#[doc(hidden)]
#[cfg(target_family = "wasm")]
pub mod __component {
    pub use crate::guest::{describe, invoke, run_job};
    pub use crate::wit::exports::stuga::agent::agent::{Description, Guest, Invocation, Job};
    pub use crate::wit::stuga::agent::types::Error;
    pub use crate::wit::{export_component, exports};
}
