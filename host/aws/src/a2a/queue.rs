//! The queue of a tenant: tokens that say "there is something for this pair", one a post.
//!
//! SQS hands the tokens of a group out one at a time and hides them while they are held: that is what parts the hosts
//! that share a mailbox, and what brings a message back whose host is gone. What a token is about is read from the letter;
//! a token without a letter is thrown away, a letter without a token gets another one. So neither the five minutes of
//! SQS's own deduplication nor a token that comes twice changes what is delivered.

use std::time::Duration;

use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use stuga_core::a2a::Address;
use stuga_core::{AgentName, Error, ErrorKind, Result, TenantId};

use super::names::Pair;
use crate::Shared;
use crate::call::call_until;
use crate::error::{CLOUD, MISSING};
use crate::objects::At;

/// Longest time that SQS hides a message.
const HIDDEN_MAX: Duration = Duration::from_secs(43_200);
/// How long SQS keeps a token: the longest that it does, 14 days, as long as a message waits for its agent.
const KEPT_SECONDS: &str = "1209600";
/// How often a token is handed out before it goes to the dead-letter queue: the most that SQS allows. Attempts are counted
/// in the letter; what comes that often is a token that no host can read.
const RECEIVES_MAX: u32 = 1_000;
/// Largest token that is read.
const TOKEN_MAX_BYTES: usize = 1_024;

/// What a token says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Token {
    pub(super) agent: AgentName,
    pub(super) sender: Address,
    /// The letter that it was sent for.
    pub(super) id: String,
}

/// A token that was received: it is this process's for a while.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) token: Token,
    handle: String,
}

impl Token {
    pub(super) fn pair(&self) -> Pair {
        Pair {
            agent: self.agent.clone(),
            sender: self.sender.clone(),
        }
    }
}

/// The queue of one tenant.
pub(super) struct Queue {
    client: aws_sdk_sqs::Client,
    url: String,
    tenant: TenantId,
}

impl Queue {
    pub(super) async fn of(shared: &Shared, at: At, tenant: &TenantId) -> Result<Self> {
        let client = shared.clients.of(tenant).sqs().clone();
        let name = shared.scope(tenant).mail_queue()?;
        let find = client.get_queue_url().queue_name(&name);
        let found = call_until(at.deadline, at.operation, find.send()).await;
        let found = found.map_err(|error| {
            let error = named(tenant, error);
            if is_missing(&error) {
                tracing::warn!(%tenant, queue = name, fix = error.message(), "a mailbox has no queue");
            }
            error
        })?;
        let url = found.queue_url.ok_or_else(|| {
            Error::unavailable(at.operation, "the queue service did not name the queue")
        })?;
        Ok(Self {
            client,
            url,
            tenant: tenant.clone(),
        })
    }

    /// Sends a token. Tokens for one letter with the same `nonce` are one, for five minutes.
    pub(super) async fn send(&self, at: At, token: &Token, nonce: &str) -> Result<()> {
        let body = serde_json::to_string(token).map_err(|e| {
            Error::internal(at.operation, "a token cannot be written").with_source(e)
        })?;
        let once = Sha256::digest(format!("{body}\n{nonce}"));
        let send = self
            .client
            .send_message()
            .queue_url(&self.url)
            .message_body(body)
            .message_group_id(token.pair().group())
            .message_deduplication_id(hex::encode(once));
        let sent = call_until(at.deadline, at.operation, send.send()).await;
        sent.map(drop).map_err(|error| named(&self.tenant, error))
    }

    /// The next token of a pair of which none is held, hidden for so long.
    pub(super) async fn receive(&self, at: At, hidden: Duration) -> Result<Option<Received>> {
        let receive = self
            .client
            .receive_message()
            .queue_url(&self.url)
            // Those of one group come together otherwise, and only the first could be used.
            .max_number_of_messages(1)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .visibility_timeout(seconds(hidden))
            .wait_time_seconds(0);
        let answer = call_until(at.deadline, at.operation, receive.send()).await;
        let answer = answer.map_err(|error| named(&self.tenant, error))?;
        let Some(message) = answer.messages.and_then(|mut all| all.pop()) else {
            return Ok(None);
        };
        let token = message
            .body
            .filter(|body| body.len() <= TOKEN_MAX_BYTES)
            .and_then(|body| serde_json::from_str(&body).ok());
        let (Some(token), Some(handle)) = (token, message.receipt_handle) else {
            // It stays hidden, comes back, and ends in the dead-letter queue.
            tracing::warn!(queue = self.url, "a token in the queue cannot be read");
            return Ok(None);
        };
        Ok(Some(Received { token, handle }))
    }

    /// Hides a token for so long from now on; not at all for zero. False when it is not this process's any more.
    pub(super) async fn hide(&self, at: At, held: &Received, time: Duration) -> Result<bool> {
        let change = self
            .client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(&held.handle)
            .visibility_timeout(seconds(time));
        lost(call_until(at.deadline, at.operation, change.send()).await)
    }

    /// Removes a token. False when it is not this process's any more.
    pub(super) async fn remove(&self, at: At, held: &Received) -> Result<bool> {
        let delete = self
            .client
            .delete_message()
            .queue_url(&self.url)
            .receipt_handle(&held.handle);
        lost(call_until(at.deadline, at.operation, delete.send()).await)
    }
}

/// Whether an error says that the queue is not there.
pub(super) fn is_missing(error: &Error) -> bool {
    error.context_value(CLOUD) == Some(MISSING)
}

/// The same error; that the queue of `tenant` is not there in words that say whose it is and what makes it. A queue's own name is no
/// sender's business: the log has it.
fn named(tenant: &TenantId, error: Error) -> Error {
    if !is_missing(&error) {
        return error;
    }
    let message = format!(
        "the mail queue of tenant {tenant} is not there; the operator runs `stuga tenant provision {tenant} --apply`"
    );
    Error::unavailable(error.operation(), message)
        .with_context(CLOUD, MISSING)
        .with_source(error)
}

fn lost<T>(ended: Result<T>) -> Result<bool> {
    match ended {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whole seconds, no less than the time.
fn seconds(time: Duration) -> i32 {
    let time = time.min(HIDDEN_MAX);
    let whole = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    i32::try_from(whole).unwrap_or(i32::MAX)
}

/// Makes the queues of a tenant as they must be; that they are there already is no error.
///
/// # Errors
/// `Conflict` when a queue of that name is there and is another kind.
pub(super) async fn provision(shared: &Shared, at: At, tenant: &TenantId) -> Result<()> {
    let scope = shared.scope(tenant);
    let client = shared.clients.host().sqs();
    let make = |name: String| {
        client
            .create_queue()
            .queue_name(name)
            .attributes(QueueAttributeName::FifoQueue, "true")
            .attributes(QueueAttributeName::MessageRetentionPeriod, KEPT_SECONDS)
            .attributes(QueueAttributeName::SqsManagedSseEnabled, "true")
    };
    let dead = make(scope.dead_mail_queue()?).send();
    let dead = call_until(at.deadline, at.operation, dead).await?;
    let arn = client
        .get_queue_attributes()
        .queue_url(dead.queue_url.unwrap_or_default())
        .attribute_names(QueueAttributeName::QueueArn);
    let arn = call_until(at.deadline, at.operation, arn.send()).await?;
    let arn = arn
        .attributes
        .and_then(|mut all| all.remove(&QueueAttributeName::QueueArn));
    let redrive = json!({"deadLetterTargetArn": arn, "maxReceiveCount": RECEIVES_MAX});
    let queue = make(scope.mail_queue()?)
        .attributes(QueueAttributeName::RedrivePolicy, redrive.to_string());
    call_until(at.deadline, at.operation, queue.send())
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_hidden_no_shorter_than_asked_and_no_longer_than_can_be() {
        let hidden = |millis| seconds(Duration::from_millis(millis));
        assert_eq!(
            (hidden(0), hidden(1), hidden(1_000), hidden(1_001)),
            (0, 1, 1, 2)
        );
        assert_eq!(seconds(Duration::MAX), 43_200);
    }
}
