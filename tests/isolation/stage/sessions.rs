//! What everybody does with `sessions`.

use stuga_core::sessions::{Order, Role, SessionWrite, Sessions};
use stuga_core::{CallCtx, Capability, Write};

use super::{Heard, SESSIONS, Stage, mark};

/// Actors that all of them use.
const ACTORS: [&str; 2] = ["k", "k/1"];

impl Stage {
    pub(super) async fn furnish_sessions(&self, ctx: &CallCtx) {
        for (actor, session) in conversations() {
            for write in [
                begin(actor, session, mark(ctx)),
                say(actor, session, mark(ctx)),
            ] {
                let id = ctx.next_write_id().unwrap();
                self.local.sessions().apply(ctx, id, &write).await.unwrap();
            }
        }
    }

    pub(super) async fn sessions_of(&self, owner: &CallCtx) -> Vec<String> {
        let sessions = self.local.sessions();
        let mut all = Vec::new();
        for (actor, id) in conversations() {
            let session = sessions.get(owner, actor, id).await.unwrap();
            let events = sessions.events(owner, actor, id, Order::OldestFirst, None, 1_000);
            all.push(format!(
                "{session:?} {:?}",
                events.await.map_err(|e| e.kind())
            ));
        }
        all
    }

    pub(super) async fn use_sessions(&self, ctx: &CallCtx, heard: &mut Heard) {
        let sessions = self.local.sessions();
        for (actor, id) in conversations() {
            // Times and ids of events differ between any two runs, so only what was said is heard.
            let session = sessions.get(ctx, actor, id).await;
            heard.hear(
                "sessions.get",
                session.map(|session| session.map(|session| session.metadata)),
            );
            let page = sessions.list(ctx, actor, None, 1).await;
            let cursor = page.iter().find_map(|page| page.next_cursor.clone());
            heard.hear(
                "sessions.list",
                page.map(|page| page.entries.into_iter().map(|s| s.id).collect::<Vec<_>>()),
            );
            let rest = sessions.list(ctx, actor, cursor.as_deref(), 10).await;
            heard.hear(
                "sessions.list",
                rest.map(|page| page.entries.into_iter().map(|s| s.id).collect::<Vec<_>>()),
            );
            for order in [Order::OldestFirst, Order::NewestFirst] {
                let page = sessions.events(ctx, actor, id, order, None, 10).await;
                let said = |page: stuga_core::sessions::Page<stuga_core::sessions::Event>| {
                    let said = page.entries.into_iter().map(|event| event.content);
                    said.collect::<Vec<_>>()
                };
                heard.hear("sessions.events", page.map(said));
            }
            let hits = sessions.recall(ctx, actor, "secret of", 100).await;
            let said = hits.map(|hits| hits.into_iter().map(|hit| hit.event.content));
            heard.hear("sessions.recall", said.map(Iterator::collect::<Vec<_>>));
            let (actor_name, session) = (actor.to_owned(), id.to_owned());
            let close = SessionWrite::Close {
                actor: actor_name.clone(),
                session: session.clone(),
            };
            let delete = SessionWrite::Delete {
                actor: actor_name,
                session,
            };
            for write in [
                say(actor, id, mark(ctx)),
                begin(actor, id, mark(ctx)),
                close,
                say(actor, id, mark(ctx)),
                delete,
            ] {
                let write_id = ctx.next_write_id().unwrap();
                let ack = sessions.apply(ctx, write_id, &write).await;
                heard.hear(write.operation(), ack.map(|_| write.operation()));
            }
        }
    }
}

/// Every actor with every session.
fn conversations() -> impl Iterator<Item = (&'static str, &'static str)> {
    ACTORS
        .into_iter()
        .flat_map(|actor| SESSIONS.map(|session| (actor, session)))
}

fn begin(actor: &str, session: &str, mark: String) -> SessionWrite {
    SessionWrite::Create {
        actor: actor.to_owned(),
        id: Some(session.to_owned()),
        ttl: None,
        metadata: vec![("by".to_owned(), mark)],
    }
}

fn say(actor: &str, session: &str, content: String) -> SessionWrite {
    SessionWrite::Append {
        actor: actor.to_owned(),
        session: session.to_owned(),
        role: Role::User,
        content,
        metadata: Vec::new(),
    }
}
