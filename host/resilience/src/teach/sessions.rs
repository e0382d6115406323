//! Sessions that another host began: the session and what was said in it last.

use std::sync::Arc;

use async_trait::async_trait;
use stuga_core::sessions::{Conversation, Conversations, SessionWrite};
use stuga_core::standby::Learns;
use stuga_core::{CallCtx, Result, Write};

use super::{Taught, Teacher, of_copy};

/// Most events of a session that the copy learns, the latest of them; a page of the cloud bounds their bytes.
const TAUGHT_EVENTS_MAX: u32 = 200;

/// Has the copy learn of sessions.
pub struct SessionTeacher {
    cloud: Arc<dyn Conversations>,
    copy: Arc<dyn Learns<Conversation>>,
}

impl SessionTeacher {
    /// From `cloud`, for `copy`.
    pub fn new(cloud: Arc<dyn Conversations>, copy: Arc<dyn Learns<Conversation>>) -> Self {
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
        let known = self
            .cloud
            .conversation(ctx, actor, session, TAUGHT_EVENTS_MAX);
        let Some(known) = known.await? else {
            return Ok(Taught::Superseded);
        };
        let learned = self.copy.learn(ctx, &known).await;
        learned.map_err(of_copy(write.operation()))?;
        Ok(match known.is_whole {
            true => Taught::Whole,
            false => Taught::Partly,
        })
    }
}
