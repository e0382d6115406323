//! A session that another host began, as the cloud knows it.
//!
//! The copy knows of a session only what went through this host. When something is said through this host in a session that
//! it never heard of, it learns the whole of it, so that what comes next finds its place. What is read says no places, so what is
//! learned stands where its time says, which is near: a listing of it that changes sides may repeat or skip what is of one moment.

use async_trait::async_trait;
use stuga_core::sessions::{Conversation, Event, Session, check_actor, check_session_id};
use stuga_core::standby::Learns;
use stuga_core::{CallCtx, Result, first_version, next_version};

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
        let Conversation { session, events } = known;
        check_actor(OPERATION, &session.actor)?;
        check_session_id(OPERATION, &session.id)?;
        let times = events.iter().map(|event| event.at);
        let times = times.chain([session.created_at]).chain(session.closed_at);
        for at in times {
            check_stamp(OPERATION, first_version(at), at)?;
        }
        let weight = events.iter().map(|event| event.content.len()).sum();
        let (scope, known) = (Scope::of(ctx), known.clone());
        self.local
            .write_synced(ctx, OPERATION, weight, Syncs::Soon, move |tx| {
                learn(tx, &scope, &known)
            })
            .await
    }
}

fn learn(tx: &mut WriteTx<'_>, scope: &Scope, known: &Conversation) -> Result<()> {
    let Conversation { session, events } = known;
    let created_at = session.created_at.as_millis();
    match find(tx, OPERATION, scope, &session.actor, &session.id)? {
        // The same session, or a later one of its name.
        Some(found) if found.live && found.created_at >= created_at => return Ok(()),
        Some(earlier) => give_up_name(tx, OPERATION, earlier.row)?,
        None => {}
    }
    let found = begin_at_its_place(tx, scope, session)?;
    let mut stamp = 0;
    for event in events {
        stamp = next_version(stamp, event.at);
        append_at(tx, &found, event, stamp)?;
    }
    match session.closed_at {
        Some(at) => close(tx, OPERATION, &found, at.as_millis()),
        None => Ok(()),
    }
}

fn begin_at_its_place(tx: &mut WriteTx<'_>, scope: &Scope, session: &Session) -> Result<Found> {
    let place = first_version(session.created_at);
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

fn append_at(tx: &mut WriteTx<'_>, session: &Found, event: &Event, stamp: u64) -> Result<()> {
    let new = NewEvent {
        seq: number::free(tx, OPERATION, number::RECORDS_AND_EVENTS, stamp)?,
        place: stamp,
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
