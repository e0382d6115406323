//! How a call reaches AWS: deadline, cancellation and classification in one place, for every capability.
//!
//! A single attempt has the client's own timeout, and the SDK repeats what failed for a moment; nothing here repeats on top.
//! A future that is dropped takes its request with it.

pub(crate) mod attempts;

use std::future::Future;

use aws_smithy_runtime_api::client::result::SdkError;
use stuga_core::{CallCtx, Result};
use tokio::time::{Instant, timeout_at};

use crate::action::Action;
use crate::error::{Reply, classify, deadline_passed, may_have_landed};

/// Sends a request on behalf of a call and waits for its answer, at most until the call's deadline.
///
/// # Errors
/// As [`classify`]; `Timeout` at the deadline, and instead of `Unavailable` when the request changes something and one of
/// its attempts was not answered: it may have landed. After the deadline nothing is sent.
pub(crate) async fn call<T, E: Action, R: Reply>(
    ctx: &CallCtx,
    operation: &'static str,
    send: impl Future<Output = Result<T, SdkError<E, R>>>,
) -> Result<T> {
    let answer = call_until(ctx.deadline, operation, send).await;
    // A refusal is a sign of life as well.
    if !matches!(&answer, Err(error) if error.kind().is_outage()) {
        ctx.pulse.beat();
    }
    answer
}

/// The same for what no invocation asked for: the operator's commands, probes, events.
///
/// # Errors
/// As [`call`].
pub(crate) async fn call_until<T, E: Action, R: Reply>(
    deadline: Instant,
    operation: &'static str,
    send: impl Future<Output = Result<T, SdkError<E, R>>>,
) -> Result<T> {
    if Instant::now() >= deadline {
        return Err(deadline_passed(operation));
    }
    // Boxed: futures of the SDK are of many kilobytes, and each caller would carry several.
    let (answer, is_in_doubt) = timeout_at(deadline, attempts::watch(Box::pin(send)))
        .await
        .map_err(|_| deadline_passed(operation))?;
    answer.map_err(|error| {
        let error = classify(operation, error);
        match E::CHANGES && is_in_doubt {
            true => may_have_landed(operation, error),
            false => error,
        }
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_sdk_sqs::operation::send_message::SendMessageError;
    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
    use stuga_core::ErrorKind;
    use tokio::sync::oneshot;

    use super::*;

    type Sent<T> = Result<T, SdkError<SendMessageError, HttpResponse>>;

    #[tokio::test(start_paused = true)]
    async fn the_deadline_ends_a_call_and_drops_its_request() {
        let (alive, dropped) = oneshot::channel::<()>();
        let never = async move {
            let _alive = alive;
            std::future::pending::<Sent<()>>().await
        };
        let deadline = Instant::now() + Duration::from_secs(5);
        let refused = call_until(deadline, "a2a.post", never).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Timeout);
        assert_eq!(Instant::now(), deadline);
        assert!(dropped.await.is_err(), "the request is still alive");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_sent_after_the_deadline() {
        let sent = std::cell::Cell::new(false);
        let send = async {
            sent.set(true);
            Sent::Ok(())
        };
        let refused = call_until(Instant::now(), "a2a.post", send).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Timeout);
        assert!(!sent.get());
    }
}
