//! The host as a process: it puts the parts together and shows them to people.
//!
//! In reading order: [`config`] and [`tenants`] say what shall run, [`store`] where plugins lie, [`wire`] opens the
//! backends, [`fallback`] stands in for the cloud, [`host`] runs the agents of all tenants, [`api`] and [`cli`] are the two surfaces over the same host.
//! Nothing here knows wasmtime or SQLite by name.

pub mod admin;
pub mod api;
pub mod cli;
pub mod config;
pub mod fallback;
pub mod host;
pub mod metrics;
pub mod store;
pub mod telemetry;
pub mod tenants;
pub mod wire;

mod atomic;
#[cfg_attr(not(feature = "aws"), path = "no_cloud.rs")]
mod cloud;
#[cfg(feature = "aws")]
mod lambda;
mod mailboxes;
mod models;

pub use stuga_yaml as yaml;
pub use stuga_yaml::units;
