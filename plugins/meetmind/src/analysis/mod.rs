//! What can be read out of a transcript, one question a file. Pure functions: no host, no clock, no randomness.

pub(crate) mod actions;
pub(crate) mod clean;
pub(crate) mod cues;
pub(crate) mod dates;
pub(crate) mod decisions;
pub(crate) mod document;
pub(crate) mod pattern;
pub(crate) mod people;
pub(crate) mod questions;
pub(crate) mod rank;
pub(crate) mod sentences;
pub(crate) mod speaking;
pub(crate) mod topics;
pub(crate) mod vocabulary;
