//! A session that another host began, as the cloud knows it.
//!
//! The copy knows of a session only what went through this host. When something is said through this host in a session that
//! it never heard of, it learns the whole of it, so that what comes next finds its place. What is learned stands where it
//! stands in the cloud, so that a listing of it may change sides.

use async_trait::async_trait;
use stuga_core::sessions::{Conversation, Event, Placed, Session, check_actor, check_session_id};
use stuga_core::standby::Learns;
use stuga_core::{CallCtx, Result};

use super::LocalSessions;
use super::effects::{Found, NewEvent, NewSession, append, begin, close, find, give_up_name};
use crate::durability::Syncs;
use crate::effects::check_stamp;
use crate::number;
use crate::scope::Scope;
use crate::tx::WriteTx;

const OPERATION: &str = "sessions.learn";

#[async_trait]
impl Learns<Conversation> for LocalSessions {
    async fn learn(&self, ctx: &CallCtx, known: &Conversation) -> Result<()> {
        let Conversation {
            session, events, ..
        } = known;
        check_actor(OPERATION, &session.what.actor)?;
        check_session_id(OPERATION, &session.what.id)?;
        check_stamp(OPERATION, session.place, session.what.created_at)?;
        if let Some(at) = session.what.closed_at {
            check_stamp(OPERATION, session.place, at)?;
        }
        for event in events {
            check_stamp(OPERATION, event.place, event.what.at)?;
        }
        let weight = events.iter().map(|event| event.what.content.len()).sum();
        let (scope, known) = (Scope::of(ctx), known.clone());
        self.local
            .write_synced(ctx, OPERATION, weight, Syncs::Soon, move |tx| {
                learn(tx, &scope, &known)
            })
            .await
    }
}

fn learn(tx: &mut WriteTx<'_>, scope: &Scope, known: &Conversation) -> Result<()> {
    let Conversation {
        session, events, ..
    } = known;
    let created_at = session.what.created_at.as_millis();
    let (actor, name) = (&session.what.actor, &session.what.id);
    match find(tx, OPERATION, scope, actor, name)? {
        // The same session, or a later one of its name.
        Some(found) if found.live && found.created_at >= created_at => return Ok(()),
        Some(earlier) => give_up_name(tx, OPERATION, earlier.row)?,
        None => {}
    }
    let found = begin_at_its_place(tx, scope, session)?;
    for event in events {
        append_at(tx, &found, event)?;
    }
    match session.what.closed_at {
        Some(at) => close(tx, OPERATION, &found, at.as_millis()),
        None => Ok(()),
    }
}

fn begin_at_its_place(
    tx: &mut WriteTx<'_>,
    scope: &Scope,
    session: &Placed<Session>,
) -> Result<Found> {
    let Placed {
        place,
        what: session,
    } = session;
    let place = *place;
    let new = NewSession {
        row: number::free(tx, OPERATION, number::SESSIONS, place)?,
        place,
        actor: &session.actor,
        name: &session.id,
        metadata: &session.metadata,
        created_at: session.created_at.as_millis(),
        expires_at: session.expires_at.map(|at| at.as_millis()),
    };
    begin(tx, OPERATION, scope, &new)?;
    Ok(Found {
        row: new.row,
        live: true,
        closed: false,
        created_at: new.created_at,
        last_event_at: 0,
        place,
    })
}

fn append_at(tx: &mut WriteTx<'_>, session: &Found, event: &Placed<Event>) -> Result<()> {
    let Placed { place, what: event } = event;
    let new = NewEvent {
        seq: number::free(tx, OPERATION, number::RECORDS_AND_EVENTS, *place)?,
        place: *place,
        id: &event.id,
        at: event.at.as_millis(),
        role: event.role,
        content: &event.content,
        metadata: &event.metadata,
        // There may be many; the recalls that miss their vectors make them.
        vector: None,
    };
    append(tx, OPERATION, session, &new)
}
