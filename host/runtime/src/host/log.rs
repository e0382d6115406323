//! `log`: the guest's lines in the host's log, bounded and marked with their origin.

use std::fmt;

use tracing::{debug, error, info, trace, warn};

use crate::bindings::stuga::agent::log::{Host, Level};
use crate::state::{Call, HostState};

/// Longest message in bytes; the rest is cut.
const MESSAGE_MAX_BYTES: usize = 8 << 10;
/// Most fields of a line; the rest is dropped.
const FIELDS_MAX: usize = 32;
/// Longest value of a field in bytes.
const FIELD_MAX_BYTES: usize = 1 << 10;
/// Most lines of an invocation; the rest is counted.
const LINES_MAX: u32 = 1_000;

impl Host for HostState {
    fn write(
        &mut self,
        level: Level,
        mut message: String,
        mut fields: Vec<(String, String)>,
    ) -> wasmtime::Result<()> {
        let Some(call) = self.call.as_mut() else {
            return Ok(());
        };
        if call.lines >= LINES_MAX {
            call.lines_dropped = call.lines_dropped.saturating_add(1);
            return Ok(());
        }
        call.lines += 1;
        // Before anything is written or cut: a part of a value tells as well.
        call.revealed.clean(&mut message, MESSAGE_MAX_BYTES);
        for (name, value) in fields.iter_mut().take(FIELDS_MAX) {
            call.revealed.clean(name, FIELD_MAX_BYTES);
            call.revealed.clean(value, FIELD_MAX_BYTES);
        }
        let (ctx, fields) = (&call.ctx, Fields(&fields));
        if let Some(tape) = &ctx.tape {
            tape.line(name(level), &message, &fields.to_string());
        }
        macro_rules! line {
            ($macro:ident) => {
                $macro!(
                    target: "stuga::guest",
                    tenant = ctx.tenant.as_str(),
                    agent = ctx.agent.as_str(),
                    invocation_id = %ctx.invocation,
                    request_id = ctx.request.as_str(),
                    %fields,
                    "{message}"
                )
            };
        }
        match level {
            Level::Trace => line!(trace),
            Level::Debug => line!(debug),
            Level::Info => line!(info),
            Level::Warn => line!(warn),
            Level::Error => line!(error),
        }
        Ok(())
    }
}

fn name(level: Level) -> &'static str {
    match level {
        Level::Trace => "trace",
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}

/// Says once, at the end of a call, how many lines were dropped.
pub(crate) fn report_dropped_lines(call: &Call) {
    if call.lines_dropped > 0 {
        warn!(
            tenant = call.ctx.tenant.as_str(),
            agent = call.ctx.agent.as_str(),
            invocation_id = %call.ctx.invocation,
            request_id = call.ctx.request.as_str(),
            dropped = call.lines_dropped,
            limit = LINES_MAX,
            "the agent wrote more log lines than an invocation may"
        );
    }
}

struct Fields<'a>(&'a [(String, String)]);

impl fmt::Display for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, value)) in self.0.iter().take(FIELDS_MAX).enumerate() {
            let separator = if at == 0 { "" } else { " " };
            write!(f, "{separator}{}={value:?}", name.escape_debug())?;
        }
        Ok(())
    }
}
