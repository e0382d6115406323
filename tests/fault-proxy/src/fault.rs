//! What can be wrong with a network, or with the server behind it.

use std::time::Duration;

/// A fault. It holds for every connection until another one is set.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Fault {
    /// Everything passes.
    #[default]
    None,
    /// The port is closed; connections that were open are reset.
    Refuse,
    /// Connections stand, and nothing passes in either direction: what a lost route looks like.
    BlackHole,
    /// Everything passes, each piece of at most 64 KiB this much later.
    Delay(Duration),
    /// Each connection is reset after so many bytes from one side, counted from when the fault was set or the connection
    /// was opened.
    Cut {
        /// Whose bytes are counted.
        from: Side,
        /// How many still pass.
        after: u64,
    },
    /// Each connection stands and says nothing more after so many bytes from one side, counted as for a cut. What was held back
    /// passes when another fault is set.
    Stall {
        /// Whose bytes are counted.
        from: Side,
        /// How many still pass.
        after: u64,
    },
    /// Each direction of a connection passes at most so many bytes a second; 0 is as 1.
    Rate(u32),
    /// New connections are answered by the proxy: every HTTP request gets this status. Open ones are reset.
    Status {
        /// Such as 503 or 429; what is no status is as 503.
        code: u16,
        /// Seconds in `Retry-After`.
        retry_after: Option<u32>,
        /// The body, such as an error in the words of the service.
        body: String,
    },
}

/// One end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Who connected.
    Client,
    /// Who was connected to.
    Server,
}
