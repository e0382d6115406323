//! What can be wrong with an input, in words for the caller.
//!
//! The agent layer turns it into the SDK's `invalid` error; nothing here knows the SDK.

use std::fmt;

/// An input that cannot be used: which field, and what to do about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InputError {
    field: &'static str,
    message: String,
}

impl InputError {
    pub(crate) fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self {
            field,
            message: message.into(),
        }
    }

    /// The input field, such as `transcript`.
    pub fn field(&self) -> &'static str {
        self.field
    }
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for InputError {}
