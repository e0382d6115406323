//! Recordings of a tenant's latest invocations. In memory only, bounded twice; they go with the tenant and with the process.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use stuga_core::{CapabilityName, InvocationId};
use stuga_recording::{Ended, Failure, Heading, LimitsTaken, Recorder};
use stuga_runtime::{InvokeError, Reply};

use super::Call;
use crate::tenants::Record;

/// What is kept of an invocation: the recording as JSON, or why there is none.
pub type Kept = Result<Bytes, String>;

/// The recordings of one tenant.
#[derive(Default)]
pub struct Recordings(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    order: VecDeque<InvocationId>,
    kept: HashMap<InvocationId, Kept>,
    bytes: usize,
}

impl Recordings {
    /// What is kept of an invocation; none when it was not recorded or is no longer kept.
    pub fn find(&self, id: InvocationId) -> Option<Kept> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.kept.get(&id).cloned()
    }

    /// Keeps a recording. The oldest go when there are too many or they are too large.
    fn keep(&self, id: InvocationId, kept: Kept, bounds: &Record) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.remove(id);
        inner.bytes = inner.bytes.saturating_add(size(&kept));
        inner.order.push_back(id);
        inner.kept.insert(id, kept);
        while inner.order.len() > bounds.keep || inner.bytes > bounds.bytes {
            let Some(oldest) = inner.order.front().copied() else {
                return;
            };
            inner.remove(oldest);
        }
    }
}

impl Inner {
    fn remove(&mut self, id: InvocationId) {
        if let Some(kept) = self.kept.remove(&id) {
            self.bytes = self.bytes.saturating_sub(size(&kept));
            self.order.retain(|known| *known != id);
        }
    }
}

fn size(kept: &Kept) -> usize {
    kept.as_ref().map_or_else(String::len, Bytes::len)
}

/// An invocation that is being recorded.
pub(super) struct Recorded {
    /// Takes it down.
    pub(super) recorder: Arc<Recorder>,
    heading: Heading,
    bounds: Record,
    recordings: Arc<Recordings>,
}

impl Recorded {
    /// Begins to record a call, when its tenant wants that.
    pub(super) fn begin(call: &Call) -> Option<Self> {
        let bounds = call.tenant.tenant.record.clone()?;
        let made_of = &call.agent.made_of;
        let manifest = call.agent.agent.plugin().manifest();
        let granted = |capability: &CapabilityName| made_of.entry.grants.allows(*capability);
        let heading = Heading {
            agent: call.agent.name().clone(),
            version: manifest.version.clone(),
            component: made_of.digest.clone(),
            invocation: call.invocation,
            accepted_at: call.accepted_at,
            limits: LimitsTaken {
                memory_bytes: made_of.limits.memory,
                output_bytes: made_of.limits.answer_bytes,
            },
            grants: CapabilityName::ALL.into_iter().filter(granted).collect(),
            config: made_of.entry.config.clone(),
            secrets: made_of.entry.secrets.clone(),
            skill: call.skill.clone(),
            input: call.input.clone(),
            session: call.session.clone(),
            message: call.message.clone(),
        };
        Some(Self {
            recorder: Arc::default(),
            heading,
            bounds,
            recordings: Arc::clone(&call.tenant.recordings),
        })
    }

    /// Keeps the recording of a call that has ended. One that never reached the agent, or failed by the host's own fault,
    /// has none.
    pub(super) fn end(self, result: &Result<Reply, InvokeError>) {
        let ended = match result {
            Ok(reply) => Ended::Output(reply.output.clone()),
            Err(error) => match failure(error) {
                Some(failure) => Ended::Failed(failure),
                None => return,
            },
        };
        let id = self.heading.invocation;
        let redact = &self.bounds.redact;
        let recording = self.recorder.finish(self.heading, ended, redact);
        if let Err(reason) = &recording {
            tracing::warn!(invocation = %id, reason, "the invocation has no recording");
        }
        let kept = recording.map(|recording| Bytes::from(recording.write()));
        self.recordings.keep(id, kept, &self.bounds);
    }
}

fn failure(error: &InvokeError) -> Option<Failure> {
    let kind = match error {
        InvokeError::Agent(error) => {
            return Some(Failure {
                kind: error.kind().as_str().to_owned(),
                message: error.message().to_owned(),
                context: error
                    .context()
                    .iter()
                    .map(|(name, value)| (name.to_string(), value.clone()))
                    .collect(),
            });
        }
        InvokeError::Trapped { .. } => "agent-trapped",
        InvokeError::Deadline => "deadline",
        InvokeError::TooLarge { .. } => "answer-too-large",
        InvokeError::NotJson { .. } => "answer-not-json",
        InvokeError::Busy { .. } | InvokeError::Internal(_) => return None,
    };
    Some(Failure {
        kind: kind.to_owned(),
        message: String::new(),
        context: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn id(n: u128) -> InvocationId {
        InvocationId::from_uuid(Uuid::from_u128(n))
    }

    fn bounds(keep: usize, bytes: usize) -> Record {
        Record {
            keep,
            bytes,
            redact: stuga_recording::Redact::default(),
        }
    }

    #[test]
    fn neither_number_nor_bytes_grow_beyond_their_bounds() {
        let recordings = Recordings::default();
        for n in 0..10 {
            recordings.keep(id(n), Ok(Bytes::from(vec![0; 10])), &bounds(5, 40));
        }
        let known = (0..10).filter(|n| recordings.find(id(*n)).is_some());
        assert_eq!(known.collect::<Vec<_>>(), [6, 7, 8, 9]);
        // The same invocation again takes the place of its earlier run.
        recordings.keep(id(8), Err("too large".to_owned()), &bounds(5, 40));
        assert_eq!(recordings.find(id(8)), Some(Err("too large".to_owned())));
        recordings.keep(id(11), Ok(Bytes::from(vec![0; 41])), &bounds(5, 40));
        let inner = recordings.0.lock().unwrap();
        assert_eq!(
            (inner.order.len(), inner.kept.len(), inner.bytes),
            (0, 0, 0)
        );
    }
}
