//! The facade dressed as a backend, so that the contract suites run through it.
//!
//! A suite chooses write ids and the facade makes them itself, from a call's context. So each write gets a context that
//! stands just before that id.

mod files;
mod jobs;
mod mailbox;
mod memory;
mod model;
mod records;
mod search;
mod secrets;
mod sessions;

use stuga_core::{CallCtx, Capability, Result, Write, WriteId};
use stuga_resilience::Failover;

pub(crate) use files::FacadeFiles;
pub(crate) use jobs::FacadeJobs;
pub(crate) use mailbox::FacadeMail;
pub(crate) use memory::FacadeMemory;
pub(crate) use model::FacadeModel;
pub(crate) use records::FacadeRecords;
pub(crate) use search::FacadeSearch;
pub(crate) use secrets::FacadeSecrets;
pub(crate) use sessions::FacadeSessions;

/// Writes through a facade under a chosen id.
async fn write_as<C: Capability + ?Sized>(
    facade: &Failover<C>,
    ctx: &CallCtx,
    id: WriteId,
    write: &C::Write,
) -> Result<<C::Write as Write>::Ack> {
    let ctx = CallCtx::new(
        ctx.tenant.clone(),
        ctx.agent.clone(),
        id.invocation,
        ctx.request.clone(),
        ctx.accepted_at,
        ctx.deadline,
    );
    for _ in 0..id.call {
        ctx.next_write_id()?;
    }
    facade.write(&ctx, write).await
}
