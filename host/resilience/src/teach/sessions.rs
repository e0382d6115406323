//! Sessions that another host began: the session and what was said in it last.

use std::sync::Arc;

use async_trait::async_trait;
use stuga_core::sessions::{Conversation, Order, SessionWrite, Sessions};
use stuga_core::standby::Learns;
use stuga_core::{CallCtx, ErrorKind, Result, Write};

use super::{Taught, Teacher, of_copy};

/// Most events of a session that the copy learns, the latest of them; a page of the cloud bounds their bytes.
const TAUGHT_EVENTS_MAX: u32 = 200;

/// Has the copy learn of sessions.
pub struct SessionTeacher {
    cloud: Arc<dyn Sessions>,
    copy: Arc<dyn Learns<Conversation>>,
}

impl SessionTeacher {
    /// From `cloud`, for `copy`.
    pub fn new(cloud: Arc<dyn Sessions>, copy: Arc<dyn Learns<Conversation>>) -> Self {
        Self { cloud, copy }
    }
}

#[async_trait]
impl Teacher<SessionWrite> for SessionTeacher {
    async fn teach(&self, ctx: &CallCtx, write: &SessionWrite) -> Result<Taught> {
        let (SessionWrite::Append { actor, session, .. } | SessionWrite::Close { actor, session }) =
            write
        else {
            return Ok(Taught::Superseded);
        };
        let Some(found) = self.cloud.get(ctx, actor, session).await? else {
            return Ok(Taught::Superseded);
        };
        let events = self.cloud.events(
            ctx,
            actor,
            session,
            Order::NewestFirst,
            None,
            TAUGHT_EVENTS_MAX,
        );
        let page = match events.await {
            // Removed since the look at it.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Taught::Superseded),
            page => page?,
        };
        let mut known = Conversation {
            session: found,
            events: page.entries,
        };
        known.events.reverse();
        let learned = self.copy.learn(ctx, &known).await;
        learned.map_err(of_copy(write.operation()))?;
        Ok(match page.next_cursor {
            None => Taught::Whole,
            Some(_) => Taught::Partly,
        })
    }
}
