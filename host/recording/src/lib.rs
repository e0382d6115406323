//! Recordings: what an invocation was given, what it asked of its host and was answered, and what came of it.
//!
//! In reading order: [`Recording`] is the document, [`Recorder`] takes it down while an invocation runs, [`Redact`] says
//! what is left out of it, [`Player`] answers in the backends' place when it is played. A recording holds no value of a
//! secret: it is made with placeholders in their place or not at all. Where recordings are kept, and who may have them,
//! is the host's matter.

mod fault;
mod mask;
mod pack;
mod player;
mod recorder;
mod recording;
mod redact;
mod scan;
mod secret;

pub use fault::Fault;
pub use player::{Asked, Difference, Player};
pub use recorder::{Ended, Heading, Recorder};
pub use recording::{
    FORMAT, Failure, Json, LimitsTaken, Line, RECORDING_MAX_BYTES, Recording, TapedCall,
};
pub use redact::Redact;
