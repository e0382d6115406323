//! What a tenant was asked lately, so that an invocation's state can be looked up. In memory only, bounded twice.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use stuga_core::{AgentName, InvocationId, Timestamp};

/// Most invocations that are remembered for a tenant.
const RECENT_MAX: usize = 1_000;
/// Most bytes of answers that are remembered for a tenant.
const RECENT_MAX_BYTES: usize = 16 << 20;

/// How far an invocation is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    /// It is running.
    Running,
    /// It has ended with this status and body.
    Ended {
        /// HTTP status code.
        status: u16,
        /// JSON body; none when it was too large to remember.
        body: Option<Bytes>,
    },
    /// Its client went away.
    Cancelled,
}

/// An invocation that is remembered.
#[derive(Clone, Debug)]
pub struct Record {
    /// Which agent.
    pub agent: AgentName,
    /// Which skill.
    pub skill: String,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// How far it is.
    pub state: State,
}

/// The latest invocations of one tenant.
#[derive(Default)]
pub struct Recents(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    order: VecDeque<InvocationId>,
    records: HashMap<InvocationId, Record>,
    bytes: usize,
}

/// An invocation on its way. Dropped without [`Recent::end`], it counts as cancelled.
pub struct Recent {
    recents: std::sync::Arc<Recents>,
    id: InvocationId,
    ended: bool,
}

impl Recents {
    /// Notes an invocation that begins, forgetting the oldest when there are too many.
    pub fn begin(
        self: &std::sync::Arc<Self>,
        id: InvocationId,
        agent: AgentName,
        skill: &str,
        accepted_at: Timestamp,
    ) -> Recent {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let record = Record {
            agent,
            skill: skill.to_owned(),
            accepted_at,
            state: State::Running,
        };
        match inner.records.insert(id, record) {
            None => inner.order.push_back(id),
            // The same invocation runs again after an attempt that was not final.
            Some(before) => inner.bytes = inner.bytes.saturating_sub(before.body_bytes()),
        }
        while inner.order.len() > RECENT_MAX {
            inner.forget_oldest();
        }
        Recent {
            recents: std::sync::Arc::clone(self),
            id,
            ended: false,
        }
    }

    /// What is known of an invocation.
    pub fn find(&self, id: InvocationId) -> Option<Record> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .records
            .get(&id)
            .cloned()
    }

    fn set(&self, id: InvocationId, mut state: State) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Ended { body, .. } = &mut state {
            body.take_if(|body| body.len() > RECENT_MAX_BYTES / 4);
            let more = body.as_ref().map_or(0, Bytes::len);
            while inner.bytes + more > RECENT_MAX_BYTES && inner.order.len() > 1 {
                inner.forget_oldest();
            }
            if inner.records.contains_key(&id) {
                inner.bytes += more;
            }
        }
        if let Some(record) = inner.records.get_mut(&id) {
            record.state = state;
        }
    }
}

impl Record {
    fn body_bytes(&self) -> usize {
        match &self.state {
            State::Ended {
                body: Some(body), ..
            } => body.len(),
            _ => 0,
        }
    }
}

impl Inner {
    fn forget_oldest(&mut self) {
        if let Some(oldest) = self
            .order
            .pop_front()
            .and_then(|id| self.records.remove(&id))
        {
            self.bytes = self.bytes.saturating_sub(oldest.body_bytes());
        }
    }
}

impl Recent {
    /// Notes how it ended.
    pub fn end(mut self, status: u16, body: Bytes) {
        self.ended = true;
        self.recents.set(
            self.id,
            State::Ended {
                status,
                body: Some(body),
            },
        );
    }
}

impl Drop for Recent {
    fn drop(&mut self) {
        if !self.ended {
            self.recents.set(self.id, State::Cancelled);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use uuid::Uuid;

    fn begin(recents: &Arc<Recents>, n: u128) -> Recent {
        let agent = AgentName::new("a").unwrap();
        recents.begin(
            InvocationId::from_uuid(Uuid::from_u128(n)),
            agent,
            "s",
            Timestamp::default(),
        )
    }

    fn find(recents: &Recents, n: u128) -> Option<State> {
        recents
            .find(InvocationId::from_uuid(Uuid::from_u128(n)))
            .map(|record| record.state)
    }

    #[test]
    fn an_invocation_runs_then_ends_or_is_cancelled() {
        let recents = Arc::new(Recents::default());
        let (one, two) = (begin(&recents, 1), begin(&recents, 2));
        assert_eq!(find(&recents, 1), Some(State::Running));
        one.end(200, Bytes::from_static(b"{}"));
        drop(two);
        assert_eq!(
            find(&recents, 1),
            Some(State::Ended {
                status: 200,
                body: Some(Bytes::from_static(b"{}"))
            })
        );
        assert_eq!(find(&recents, 2), Some(State::Cancelled));
        assert_eq!(find(&recents, 3), None);
    }

    #[test]
    fn neither_number_nor_bytes_grow_beyond_their_bounds() {
        let recents = Arc::new(Recents::default());
        let body = Bytes::from(vec![b' '; 1 << 20]);
        for n in 0..2_000 {
            begin(&recents, n).end(200, body.clone());
        }
        let inner = recents.0.lock().unwrap();
        assert_eq!(inner.records.len(), inner.order.len());
        assert_eq!(inner.bytes, inner.records.len() << 20);
        assert!(inner.bytes <= RECENT_MAX_BYTES);
        drop(inner);
        begin(&recents, 9_999).end(200, Bytes::from(vec![b' '; RECENT_MAX_BYTES]));
        assert_eq!(
            find(&recents, 9_999),
            Some(State::Ended {
                status: 200,
                body: None
            })
        );
    }
}
