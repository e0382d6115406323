//! The host's interfaces: generated traits on one side, the facade on the other. One file for each interface.

mod a2a;
mod clock;
mod config;
mod error;
mod files;
mod jobs;
mod log;
mod memory;
mod model;
mod output;
mod random;
mod records;
mod search;
mod secrets;
mod sessions;
mod uploads;

pub(crate) use error::from_guest;
pub(crate) use log::report_dropped_lines;
pub(crate) use model::OpenCompletion;
pub(crate) use uploads::OpenUpload;
