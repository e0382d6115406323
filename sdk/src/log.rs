//! Structured lines into the host's log, marked with tenant, agent and invocation by the host.
//!
//! ```
//! # stuga_sdk::mock::Host::new().run(|| {
//! use stuga_sdk::log;
//! log::info!("started");
//! log::warn!(turns = 3, language = "sv", "the transcript is short: {} turns", 3);
//! # });
//! ```
//!
//! A message over 8 KiB is cut, at most 32 fields are kept, and lines beyond 1,000 an invocation are dropped.

use crate::backend::log as backend;

/// How much a line matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Level {
    /// Step by step.
    Trace,
    /// For whoever looks for a fault.
    Debug,
    /// What happened.
    Info,
    /// Something is not as it should be, and the agent goes on.
    Warn,
    /// Something failed.
    Error,
}

/// Writes one line. It never fails. The macros of this module read better.
pub fn write(level: Level, message: &str, fields: &[(String, String)]) {
    backend::write(level, message, fields);
}

/// A line of a level: fields as `name = value`, then a message as for `format!`.
#[doc(hidden)]
#[macro_export]
macro_rules! __log {
    ($level:ident, $($name:ident = $value:expr,)* $format:literal $($rest:tt)*) => {
        $crate::log::write(
            $crate::log::Level::$level,
            &::std::format!($format $($rest)*),
            &[$((::std::stringify!($name).to_owned(), ::std::string::ToString::to_string(&$value))),*],
        )
    };
}

macro_rules! levels {
    ($d:tt $($name:ident $hidden:ident $level:ident),* $(,)?) => {$(
        #[doc = concat!("Writes a line of level [`Level::", stringify!($level), "`]: fields as `name = value`, then a message as for `format!`.")]
        #[doc(hidden)]
        #[macro_export]
        macro_rules! $hidden {
            ($d($d line:tt)+) => { $crate::__log!($level, $d($d line)+) };
        }
        #[doc(inline)]
        pub use $hidden as $name;
    )*};
}

levels! { $
    trace __log_trace Trace,
    debug __log_debug Debug,
    info __log_info Info,
    warn __log_warn Warn,
    error __log_error Error,
}
