//! Sessions and their events.

use serde_json::json;
use stuga_core::sessions::{Order, Role, SessionWrite, Sessions};
use stuga_core::{CallCtx, Result};

use super::{PAGE, metadata};
use crate::compare::{Differences, Findings};
use crate::scenario::{ExpectSession, StateSession};

pub(super) async fn lay(
    sessions: &dyn Sessions,
    ctx: &CallCtx,
    state: &[StateSession],
) -> Result<()> {
    for session in state {
        let (actor, id) = (session.actor.clone(), session.id.clone());
        let mut writes = vec![SessionWrite::Create {
            actor: actor.clone(),
            id: Some(id.clone()),
            ttl: session.ttl.map(|ttl| ttl.0),
            metadata: metadata(&session.metadata),
        }];
        for event in &session.events {
            writes.push(SessionWrite::Append {
                actor: actor.clone(),
                session: id.clone(),
                role: Role::from_name("mock.state", &event.role)?,
                content: event.content.clone(),
                metadata: Vec::new(),
            });
        }
        if session.closed {
            writes.push(SessionWrite::Close { actor, session: id });
        }
        for write in &writes {
            sessions.apply(ctx, ctx.next_write_id()?, write).await?;
        }
    }
    Ok(())
}

pub(super) async fn look(
    sessions: &dyn Sessions,
    ctx: &CallCtx,
    expected: &[ExpectSession],
    found: &mut Findings,
) -> Result<()> {
    for expect in expected {
        let there = sessions.get(ctx, &expect.actor, &expect.id).await?;
        let at = format!("session {:?} of {:?}", expect.id, expect.actor);
        let mut differences = Differences::new(at, found);
        let session = match (there, expect.absent) {
            (None, true) => continue,
            (None, false) => {
                differences.add("", "a session", "nothing");
                continue;
            }
            (Some(_), true) => {
                differences.add("", "nothing", "a session");
                continue;
            }
            (Some(session), false) => session,
        };
        if let Some(closed) = expect.closed
            && closed != session.closed_at.is_some()
        {
            let word = |closed| if closed { "closed" } else { "open" };
            differences.add("", word(closed), word(!closed));
        }
        if let Some(wanted) = &expect.events {
            let (actor, id) = (&expect.actor, &expect.id);
            let said = said(sessions, ctx, actor, id).await?;
            differences.equal("", &json!(wanted), &json!(said));
        }
    }
    Ok(())
}

async fn said(
    sessions: &dyn Sessions,
    ctx: &CallCtx,
    actor: &str,
    id: &str,
) -> Result<Vec<String>> {
    let (mut said, mut cursor) = (Vec::new(), None);
    loop {
        let page = sessions
            .events(ctx, actor, id, Order::OldestFirst, cursor.as_deref(), PAGE)
            .await?;
        said.extend(page.entries.into_iter().map(|event| event.content));
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(said);
        }
    }
}
