//! The SDK's functions over mock hosts, one for each agent of each tenant, as a backend of core.

mod files;
mod jobs;
mod mailbox;
mod memory;
mod model;
mod records;
mod search;
mod secrets;
mod sessions;

pub(crate) use files::FilesOf;
pub(crate) use jobs::JobsOf;
pub(crate) use mailbox::MailboxOf;
pub(crate) use memory::MemoryOf;
pub(crate) use model::ModelOf;
pub(crate) use records::RecordsOf;
pub(crate) use search::SearchOf;
pub(crate) use secrets::SecretsOf;
pub(crate) use sessions::SessionsOf;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use stuga_core::testkit::ManualClock;
use stuga_core::{AgentName, CallCtx, Clock, Error, ErrorKind, Result, TenantId, WriteId};
use stuga_sdk::mock::Host;

/// Contents by tenant and digest.
type Spool = Arc<Mutex<HashMap<(TenantId, String), Vec<u8>>>>;

/// Mock hosts and what they must remember between calls.
pub(crate) struct Mock {
    clock: Arc<ManualClock>,
    hosts: Mutex<HashMap<(TenantId, AgentName), Host>>,
    /// Writes with their answers, as JSON.
    applied: Mutex<HashMap<(TenantId, WriteId), (String, String)>>,
    /// Contents by tenant and digest.
    spool: Spool,
}

impl Mock {
    pub(crate) fn new(clock: Arc<ManualClock>) -> Self {
        Self {
            clock,
            hosts: Mutex::default(),
            applied: Mutex::default(),
            spool: Spool::default(),
        }
    }

    /// Runs SDK calls on the host of the agent that `ctx` names.
    fn run<T>(
        &self,
        ctx: &CallCtx,
        operation: &'static str,
        f: impl FnOnce() -> stuga_sdk::Result<T>,
    ) -> Result<T> {
        let host = self.host(ctx);
        host.run(f).map_err(|e| core_error(operation, &e))
    }

    /// The host of the agent that `ctx` names, at the suite's time.
    fn host(&self, ctx: &CallCtx) -> Host {
        let whose = (ctx.tenant.clone(), ctx.agent.clone());
        let host = self.hosts.lock().unwrap().entry(whose).or_default().clone();
        host.clock(self.clock.now().as_millis())
    }

    /// Applies a write once, whatever it is, and answers repetitions from memory.
    fn once<W: stuga_core::Write>(
        &self,
        ctx: &CallCtx,
        id: WriteId,
        write: &W,
        apply: impl FnOnce() -> Result<W::Ack>,
    ) -> Result<W::Ack> {
        let text = serde_json::to_string(write).unwrap();
        self.once_as(&ctx.tenant, id, write.operation(), text, apply)
    }

    /// Makes a change once, which `text` tells from others.
    fn once_as<T: serde::Serialize + serde::de::DeserializeOwned>(
        &self,
        tenant: &TenantId,
        id: WriteId,
        operation: &'static str,
        text: String,
        apply: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let whose = (tenant.clone(), id);
        if let Some((before, ack)) = self.applied.lock().unwrap().get(&whose) {
            if *before != text {
                return Err(Error::conflict(
                    operation,
                    "the write id was used for another write",
                ));
            }
            return Ok(serde_json::from_str(ack).unwrap());
        }
        let ack = apply()?;
        let answer = serde_json::to_string(&ack).unwrap();
        self.applied.lock().unwrap().insert(whose, (text, answer));
        Ok(ack)
    }
}

fn core_error(operation: &'static str, error: &stuga_sdk::Error) -> Error {
    let kind = serde_json::from_value::<ErrorKind>(error.kind().as_str().into()).unwrap();
    let converted = Error::new(kind, operation, error.message().to_owned());
    let facts = error.context().iter().cloned();
    facts.fold(converted, |converted, (name, value)| {
        converted.with_context(name, value)
    })
}
