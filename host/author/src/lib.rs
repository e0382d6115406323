//! Makes agents: a new project from a template, and a component from a project's sources.
//!
//! [`create`] writes a project, [`Project::find`] reads what one says of itself, [`Project::build`] makes its component.
//! The build chores of this repository use [`toolchain`] and [`component`] as well. This crate runs compilers and knows
//! no runtime: what a component is when it is loaded is the host's to say.

pub mod component;
pub mod shell;
pub mod toolchain;

mod create;
mod embedded;
mod manifest;
mod project;
mod world;

pub use create::{Created, Language, Sdk, create};
pub use embedded::refresh;
pub use manifest::{MANIFEST, Manifest, Step};
pub use project::{Built, Project};
