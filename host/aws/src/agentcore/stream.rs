//! A stream: the events of one actor and session of AgentCore, which hold all writes of one key.
//!
//! Every write of a key becomes an event of its stream, with an [`Entry`] in its metadata. Nothing is ever changed in
//! place. AWS lists the newest events first and its documentation promises no order; nothing here depends on one.

use aws_sdk_bedrockagentcore::Client;
use aws_sdk_bedrockagentcore::operation::create_event::CreateEventError;
use aws_sdk_bedrockagentcore::types::{
    Content as Text, Conversational, Event, ExtractionMode, PayloadType, Role,
};
use aws_smithy_types::{DateTime, Document};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use stuga_core::{CallCtx, Error, ErrorKind, Result, TenantId};

use super::entry::Entry;
use crate::call::call;

/// Most entries of a page of AgentCore.
pub(crate) const PAGE_MAX: i32 = 100;
/// Longest name of an actor there.
const ACTOR_MAX_BYTES: usize = 255;

/// Where the events of one key lie.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Stream {
    /// The memory, which is the tenant's.
    pub(crate) memory: String,
    /// Tenant, agent and capability, and of sessions whose they are.
    pub(crate) actor: String,
    /// The session's id, or the digest of a key.
    pub(crate) session: String,
}

impl Stream {
    /// The actor of everything that an agent keeps of one kind. Names hold no `/`, so no two agents share one.
    pub(crate) fn actor_of(ctx: &CallCtx, capability: &str) -> String {
        format!("{}{capability}", Self::agent_of(ctx))
    }

    /// The same for one actor of the agent's, whose name may be too long to be taken as it is.
    pub(crate) fn actor_under(ctx: &CallCtx, capability: &str, actor: &str) -> String {
        let whole = format!("{}/{actor}", Self::actor_of(ctx, capability));
        if whole.len() <= ACTOR_MAX_BYTES {
            return whole;
        }
        let digest = hex::encode(Sha256::digest(actor));
        format!(
            "{}/{digest}",
            Self::actor_of(ctx, &format!("{capability}-long"))
        )
    }

    /// What the actors of an agent begin with.
    pub(crate) fn agent_of(ctx: &CallCtx) -> String {
        format!("{}{}/", Self::tenant_of(&ctx.tenant), ctx.agent)
    }

    /// What the actors of all agents of a tenant begin with.
    pub(crate) fn tenant_of(tenant: &TenantId) -> String {
        format!("{tenant}/")
    }

    /// What those begin with whose sessions an agent has.
    pub(crate) fn actors_of(ctx: &CallCtx) -> [String; 2] {
        let name = stuga_core::CapabilityName::Sessions;
        [name.to_string(), format!("{name}-long")]
            .map(|name| format!("{}/", Self::actor_of(ctx, &name)))
    }

    /// The stream of a key that AgentCore would not take as a name.
    pub(crate) fn of_key(memory: String, actor: String, key: &str) -> Self {
        Self {
            memory,
            actor,
            session: hex::encode(Sha256::digest(key)),
        }
    }

    /// Its name within the memory. No part holds `|`.
    pub(crate) fn name(&self) -> String {
        format!("{}|{}", self.actor, self.session)
    }
}

/// What an event holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Content {
    /// Who said it and what was said; none of what nobody said.
    pub(crate) said: Option<(stuga_core::sessions::Role, String)>,
    /// Everything else.
    pub(crate) data: Bytes,
}

/// A page of a stream.
pub(crate) struct Page {
    /// What was written by this host or its like, as AgentCore lists it.
    pub(crate) events: Vec<(Entry, Option<Content>)>,
    /// Where to read on.
    pub(crate) next: Option<String>,
}

/// Appends an event; answers what AgentCore then holds under `token`: this one, or the one that came first under it.
///
/// AgentCore: one `CreateEvent`. The event is not handed to extraction unless somebody said something.
pub(crate) async fn append(
    client: &Client,
    ctx: &CallCtx,
    operation: &'static str,
    stream: &Stream,
    entry: &Entry,
    content: &Content,
    token: String,
) -> Result<Entry> {
    let millis = i64::try_from(entry.shared_millis()).unwrap_or(i64::MAX);
    let mut request = client
        .create_event()
        .memory_id(&stream.memory)
        .actor_id(&stream.actor)
        .session_id(&stream.session)
        .event_timestamp(DateTime::from_millis(millis))
        .client_token(token)
        .set_metadata(Some(entry.to_metadata()));
    match &content.said {
        Some((role, text)) => request = request.payload(said(operation, *role, text)?),
        None => request = request.extraction_mode(ExtractionMode::Skip),
    }
    let data = Document::String(STANDARD.encode(&content.data));
    let request = request.payload(PayloadType::Blob(data));
    let answer = call::<_, CreateEventError, _>(ctx, operation, request.send())
        .await
        .map_err(|error| provisioned(operation, error))?;
    let event = answer.event();
    let damaged = || {
        Error::internal(
            operation,
            "AgentCore answered with an event that was never written",
        )
    };
    Entry::of(event.ok_or_else(damaged)?).ok_or_else(damaged)
}

/// One page of a stream's events; none when there is no such stream.
///
/// AgentCore: one `ListEvents`.
pub(crate) async fn page(
    client: &Client,
    ctx: &CallCtx,
    operation: &'static str,
    stream: &Stream,
    with_contents: bool,
    next: Option<String>,
) -> Result<Page> {
    let request = client
        .list_events()
        .memory_id(&stream.memory)
        .actor_id(&stream.actor)
        .session_id(&stream.session)
        .include_payloads(with_contents)
        .max_results(PAGE_MAX)
        .set_next_token(next);
    let answer = call(ctx, operation, request.send())
        .await
        .map_err(|error| provisioned(operation, error))?;
    let events = answer.events().iter().filter_map(|event| {
        let content = with_contents
            .then(|| content_of(operation, event))
            .transpose();
        let entry = Entry::of(event)?;
        Some(content.map(|content| (entry, content)))
    });
    Ok(Page {
        events: events.collect::<Result<_>>()?,
        next: answer.next_token().map(str::to_owned),
    })
}

/// What an event holds, or none when it is gone.
///
/// AgentCore: one `GetEvent`.
pub(crate) async fn content(
    client: &Client,
    ctx: &CallCtx,
    operation: &'static str,
    stream: &Stream,
    event: &str,
) -> Result<Option<Content>> {
    let request = client
        .get_event()
        .memory_id(&stream.memory)
        .actor_id(&stream.actor)
        .session_id(&stream.session)
        .event_id(event);
    let Some(answer) = crate::error::absent(call(ctx, operation, request.send()).await)? else {
        return Ok(None);
    };
    answer
        .event()
        .map(|event| content_of(operation, event))
        .transpose()
}

/// Removes an event; that it is gone is no error.
///
/// AgentCore: one `DeleteEvent`.
pub(crate) async fn remove(
    client: &Client,
    ctx: &CallCtx,
    operation: &'static str,
    stream: &Stream,
    event: &str,
) -> Result<()> {
    let request = client
        .delete_event()
        .memory_id(&stream.memory)
        .actor_id(&stream.actor)
        .session_id(&stream.session)
        .event_id(event);
    crate::error::absent(call(ctx, operation, request.send()).await)?;
    Ok(())
}

/// The sessions of an actor, one page of them.
///
/// AgentCore: one `ListSessions`.
pub(crate) async fn sessions(
    client: &Client,
    ctx: &CallCtx,
    operation: &'static str,
    memory: &str,
    actor: &str,
    next: Option<String>,
) -> Result<(Vec<String>, Option<String>)> {
    let request = client
        .list_sessions()
        .memory_id(memory)
        .actor_id(actor)
        .max_results(PAGE_MAX)
        .set_next_token(next);
    let answer = call(ctx, operation, request.send())
        .await
        .map_err(|error| provisioned(operation, error))?;
    let ids = answer.session_summaries().iter();
    let ids = ids.map(|session| session.session_id().to_owned()).collect();
    Ok((ids, answer.next_token().map(str::to_owned)))
}

/// The actors of a memory, one page of them: also those of others, when the memory is not the agent's alone.
///
/// AgentCore: one `ListActors`.
pub(crate) async fn actors(
    client: &Client,
    ctx: &CallCtx,
    operation: &'static str,
    memory: &str,
    next: Option<String>,
) -> Result<(Vec<String>, Option<String>)> {
    let request = client
        .list_actors()
        .memory_id(memory)
        .max_results(PAGE_MAX)
        .set_next_token(next);
    let answer = call(ctx, operation, request.send())
        .await
        .map_err(|error| provisioned(operation, error))?;
    let actors = answer.actor_summaries().iter();
    let actors = actors.map(|actor| actor.actor_id().to_owned()).collect();
    Ok((actors, answer.next_token().map(str::to_owned)))
}

/// A stream that nobody wrote to is an empty one, so what is not found here is the memory itself.
fn provisioned(operation: &'static str, error: Error) -> Error {
    if error.kind() != ErrorKind::NotFound {
        return error;
    }
    super::home::absent(operation).with_source(error)
}

fn said(
    operation: &'static str,
    role: stuga_core::sessions::Role,
    text: &str,
) -> Result<PayloadType> {
    use stuga_core::sessions::Role as Ours;
    let role = match role {
        Ours::User => Role::User,
        Ours::Assistant => Role::Assistant,
        Ours::Tool => Role::Tool,
        Ours::Other => Role::Other,
    };
    Conversational::builder()
        .content(Text::Text(text.to_owned()))
        .role(role)
        .build()
        .map(PayloadType::Conversational)
        .map_err(|e| Error::internal(operation, "an event cannot be made").with_source(e))
}

fn content_of(operation: &'static str, event: &Event) -> Result<Content> {
    let mut content = Content::default();
    for part in event.payload() {
        match part {
            PayloadType::Conversational(said) => {
                let Some(Text::Text(text)) = said.content() else {
                    continue;
                };
                let role = stuga_core::sessions::Role::from_name(
                    operation,
                    &said.role().as_str().to_ascii_lowercase(),
                )?;
                content.said = Some((role, text.clone()));
            }
            PayloadType::Blob(Document::String(text)) => {
                let data = STANDARD
                    .decode(text)
                    .map_err(|e| damaged(operation).with_source(e))?;
                content.data = data.into();
            }
            // Nothing that this host writes.
            _ => {}
        }
    }
    Ok(content)
}

/// What was stored cannot be read.
pub(crate) fn damaged(operation: &'static str) -> Error {
    Error::internal(operation, "what AgentCore keeps of it is damaged")
}
