//! `sessions`: reads go to the facade as closures, writes as values.

use std::time::Duration;

use stuga_core::records::check_recall;
use stuga_core::sessions::{
    self, Role, SessionAck, SessionWrite, check_actor, check_limit, check_session_id,
};
use stuga_core::{CapabilityName, Error, Result, Timestamp};

use crate::bindings::stuga::agent::sessions::{
    Appended, Event, EventHit, EventPage, Host, Order, Session, SessionPage,
};
use crate::state::HostState;

impl HostState {
    async fn write_session(&self, write: SessionWrite) -> Result<SessionAck> {
        let (ctx, capabilities) = self.permit(CapabilityName::Sessions, "sessions.write")?;
        write.check()?;
        capabilities.sessions.write(ctx, &write).await
    }
}

impl Host for HostState {
    async fn create(
        &mut self,
        actor: String,
        id: Option<String>,
        ttl_ms: Option<u64>,
        mut metadata: Vec<(String, String)>,
    ) -> Result<Session> {
        metadata.sort();
        let write = SessionWrite::Create {
            actor: actor.clone(),
            id,
            ttl: ttl_ms.map(Duration::from_millis),
            metadata: metadata.clone(),
        };
        match self.write_session(write).await? {
            SessionAck::Created {
                id, at, expires_at, ..
            } => Ok(Session {
                actor,
                id,
                metadata,
                created_at: at.as_millis(),
                expires_at: expires_at.map(Timestamp::as_millis),
                closed_at: None,
            }),
            _ => Err(wrong_answer("sessions.create")),
        }
    }

    async fn get(&mut self, actor: String, id: String) -> Result<Option<Session>> {
        let (ctx, capabilities) = self.permit(CapabilityName::Sessions, "sessions.get")?;
        check_actor("sessions.get", &actor)?;
        check_session_id("sessions.get", &id)?;
        let (actor, id) = (actor.as_str(), id.as_str());
        let session = capabilities
            .sessions
            .read(ctx, "sessions.get", &(actor, id), |sessions| async move {
                sessions.get(ctx, actor, id).await
            })
            .await?;
        Ok(session.map(Session::from))
    }

    async fn list(
        &mut self,
        actor: String,
        cursor: Option<String>,
        limit: u32,
    ) -> Result<SessionPage> {
        let (ctx, capabilities) = self.permit(CapabilityName::Sessions, "sessions.list")?;
        check_actor("sessions.list", &actor)?;
        check_limit("sessions.list", limit)?;
        let (actor, cursor) = (actor.as_str(), cursor.as_deref());
        let page = capabilities
            .sessions
            .read(
                ctx,
                "sessions.list",
                &(actor, cursor, limit),
                |sessions| async move { sessions.list(ctx, actor, cursor, limit).await },
            )
            .await?;
        Ok(SessionPage {
            sessions: page.entries.into_iter().map(Session::from).collect(),
            next_cursor: page.next_cursor,
        })
    }

    async fn append(
        &mut self,
        actor: String,
        session: String,
        role: String,
        content: String,
        mut metadata: Vec<(String, String)>,
    ) -> Result<Appended> {
        self.permit(CapabilityName::Sessions, "sessions.append")?;
        metadata.sort();
        let write = SessionWrite::Append {
            actor,
            session,
            role: Role::from_name("sessions.append", &role)?,
            content,
            metadata,
        };
        match self.write_session(write).await? {
            SessionAck::Appended { id, at, .. } => Ok(Appended {
                id,
                time: at.as_millis(),
            }),
            _ => Err(wrong_answer("sessions.append")),
        }
    }

    async fn events(
        &mut self,
        actor: String,
        session: String,
        order: Order,
        cursor: Option<String>,
        limit: u32,
    ) -> Result<EventPage> {
        let (ctx, capabilities) = self.permit(CapabilityName::Sessions, "sessions.events")?;
        check_actor("sessions.events", &actor)?;
        check_session_id("sessions.events", &session)?;
        check_limit("sessions.events", limit)?;
        let order = match order {
            Order::OldestFirst => sessions::Order::OldestFirst,
            Order::NewestFirst => sessions::Order::NewestFirst,
        };
        let (actor, session, cursor) = (actor.as_str(), session.as_str(), cursor.as_deref());
        let asked = &(actor, session, order, cursor, limit);
        let page = capabilities
            .sessions
            .read(ctx, "sessions.events", asked, |sessions| async move {
                sessions
                    .events(ctx, actor, session, order, cursor, limit)
                    .await
            })
            .await?;
        Ok(EventPage {
            events: page.entries.into_iter().map(Event::from).collect(),
            next_cursor: page.next_cursor,
        })
    }

    async fn recall(&mut self, actor: String, query: String, k: u32) -> Result<Vec<EventHit>> {
        let (ctx, capabilities) = self.permit(CapabilityName::Sessions, "sessions.recall")?;
        check_actor("sessions.recall", &actor)?;
        check_recall("sessions.recall", &query, k)?;
        let (actor, query) = (actor.as_str(), query.as_str());
        let hits = capabilities
            .sessions
            .read(
                ctx,
                "sessions.recall",
                &(actor, query, k),
                |sessions| async move { sessions.recall(ctx, actor, query, k).await },
            )
            .await?;
        Ok(hits.into_iter().map(EventHit::from).collect())
    }

    async fn close(&mut self, actor: String, session: String) -> Result<bool> {
        match self
            .write_session(SessionWrite::Close { actor, session })
            .await?
        {
            SessionAck::Closed { was_open } => Ok(was_open),
            _ => Err(wrong_answer("sessions.close")),
        }
    }

    async fn delete(&mut self, actor: String, session: String) -> Result<bool> {
        match self
            .write_session(SessionWrite::Delete { actor, session })
            .await?
        {
            SessionAck::Deleted { existed } => Ok(existed),
            _ => Err(wrong_answer("sessions.delete")),
        }
    }
}

fn wrong_answer(operation: &'static str) -> Error {
    Error::internal(operation, "the backend answered another operation")
}

impl From<sessions::Session> for Session {
    fn from(session: sessions::Session) -> Self {
        Self {
            actor: session.actor,
            id: session.id,
            metadata: session.metadata,
            created_at: session.created_at.as_millis(),
            expires_at: session.expires_at.map(Timestamp::as_millis),
            closed_at: session.closed_at.map(Timestamp::as_millis),
        }
    }
}

impl From<sessions::Event> for Event {
    fn from(event: sessions::Event) -> Self {
        Self {
            id: event.id,
            role: event.role.as_str().to_owned(),
            content: event.content,
            metadata: event.metadata,
            time: event.at.as_millis(),
        }
    }
}

impl From<sessions::EventHit> for EventHit {
    fn from(hit: sessions::EventHit) -> Self {
        Self {
            session: hit.session,
            event: hit.event.into(),
            score: hit.score,
        }
    }
}
