//! `Idempotency-Key`: the same key and request get the same answer, and no effect happens twice.
//!
//! A call with a key runs in a task of the host, so that it comes to its end when the client goes away: that client will
//! ask again. An attempt that a crash cut off is run again under its own id and time, which makes its writes the same
//! writes. Only final answers are kept; after a temporary failure the next request tries again.

use aws_lc_rs::digest::{Context, SHA256};
use axum::http::{HeaderMap, HeaderName};
use stuga_core::invocation::{Answer, Claim, check_idempotency_key};
use stuga_core::{InvocationId, Timestamp};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::{Instrument, Span};

use super::answer::Answered;
use super::error::Problem;
use super::invoke::Attempt;
use crate::host::{Failure, Keyed};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// How a request with a key goes on.
pub(crate) enum Begun {
    /// The invocation has ended before with this answer.
    Kept(InvocationId, Answered),
    /// It is to be run.
    Run(Run),
}

/// A keyed invocation that is to be run.
pub(crate) struct Run {
    pub(crate) invocation: InvocationId,
    accepted_at: Timestamp,
    key: String,
    keyed: Keyed,
}

/// The request's key, if it has one.
///
/// # Errors
/// 400 when it is no valid key or there are several.
pub(crate) fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(&IDEMPOTENCY_KEY).iter();
    let (Some(value), another) = (values.next(), values.next()) else {
        return Ok(None);
    };
    let key = value.to_str().unwrap_or_default();
    match check_idempotency_key(key) {
        Ok(()) if another.is_none() => Ok(Some(key.to_owned())),
        Ok(()) => Err(Problem::bad_request(
            "there is more than one Idempotency-Key",
        )),
        Err(error) => Err(Problem::bad_request(error.message())),
    }
}

/// Claims the key for this attempt, or finds what it stands for.
///
/// # Errors
/// 409 when the key is running or stands for another request, 503 when it cannot be kept.
pub(crate) async fn begin(attempt: &Attempt, key: &str) -> Result<Begun, Problem> {
    let keyed = attempt.tenant.admission().begin_keyed(key)?;
    let (fresh, now) = attempt.fresh();
    let invocations = attempt.app.host.backends().invocations();
    let claim = invocations
        .claim(attempt.tenant.id(), key, &digest(attempt), fresh, now)
        .await
        .map_err(|error| {
            let (request, tenant) = (&attempt.request, attempt.tenant.id());
            tracing::error!(%request, %tenant, %error, causes = error.causes(), "an Idempotency-Key cannot be kept");
            Failure::Keeping(error)
        })?;
    let (invocation, accepted_at) = match claim {
        Claim::New => (fresh, now),
        Claim::Unfinished {
            invocation,
            accepted_at,
        } => (invocation, accepted_at),
        Claim::Mismatch => return Err(Failure::KeyMismatch.into()),
        Claim::Finished(answer) => {
            attempt.app.host.metrics().replay();
            return Ok(Begun::Kept(answer.invocation, Answered::kept(answer)));
        }
    };
    Ok(Begun::Run(Run {
        invocation,
        accepted_at,
        key: key.to_owned(),
        keyed,
    }))
}

impl Run {
    /// Runs the attempt to its end and keeps its answer when it is final.
    pub(crate) fn spawn(
        self,
        attempt: Attempt,
        parts: Option<mpsc::Sender<String>>,
    ) -> JoinHandle<Answered> {
        let (host, tenant) = (attempt.app.host.clone(), attempt.tenant.id().clone());
        let tasks = host.tasks().clone();
        let run = async move {
            let answered = attempt
                .run(self.invocation, self.accepted_at, true, parts)
                .await;
            if answered.is_final {
                let answer = Answer {
                    invocation: self.invocation,
                    status: answered.status.as_u16(),
                    body: answered.body.to_vec(),
                };
                if let Err(error) = host
                    .backends()
                    .invocations()
                    .finish(&tenant, &self.key, &answer)
                    .await
                {
                    // The client has its answer; a repetition runs again, with the same writes.
                    tracing::error!(%tenant, invocation = %self.invocation, %error, causes = error.causes(), "an answer cannot be kept for its Idempotency-Key");
                }
            }
            drop(self.keyed);
            answered
        };
        tasks.spawn(run.instrument(Span::current()))
    }
}

/// What tells requests apart that use the same key. Every part is led by its length, so that none runs into the next.
fn digest(attempt: &Attempt) -> [u8; 32] {
    let session = attempt.order.session.as_deref().unwrap_or_default();
    let has_session = if attempt.order.session.is_some() {
        "1"
    } else {
        "0"
    };
    let mut context = Context::new(&SHA256);
    for part in [
        attempt.agent.name().as_str(),
        &attempt.order.skill,
        has_session,
        session,
        &attempt.order.input,
    ] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_visible_ascii_and_given_once() {
        let mut headers = HeaderMap::new();
        assert_eq!(key(&headers).unwrap(), None);
        headers.append(IDEMPOTENCY_KEY, "abc-1".parse().unwrap());
        assert_eq!(key(&headers).unwrap().as_deref(), Some("abc-1"));
        headers.append(IDEMPOTENCY_KEY, "abc-2".parse().unwrap());
        assert!(key(&headers).is_err());
        headers.insert(IDEMPOTENCY_KEY, "a b".parse().unwrap());
        assert!(key(&headers).is_err());
    }
}
