//! What plays the parts that no backend on this host can play: one file for each capability.

pub(crate) mod agents;
pub(crate) mod model;
