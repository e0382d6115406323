//! What OpenSearch's data plane says, as kinds of [`Error`]: it is reached by another client than the SDK's, with codes of
//! its own. As with the SDK's errors, its words stay in the log.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use stuga_core::{Error, ErrorKind};

use crate::error::{CLOUD, CREDENTIALS, FORBIDDEN, MISSING, UNREACHABLE, is_asking};

/// When to try again after a domain had too much to do.
const BUSY_RETRY_AFTER: Duration = Duration::from_secs(1);
/// How much of what a domain said is kept for the log, in bytes.
const SAID_MAX_BYTES: usize = 500;
/// The IAM actions that requests to the data plane need.
const ACTIONS: &str = "es:ESHttpGet, es:ESHttpPost, es:ESHttpPut, es:ESHttpDelete";

/// A refusal of a request, or of one item of a bulk.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Refusal {
    /// The status code.
    pub(super) status: u16,
    /// The type of the exception; empty when none was named.
    pub(super) kind: String,
    said: String,
}

impl Refusal {
    /// Whether there is no such index.
    pub(super) fn is_no_index(&self) -> bool {
        self.kind == "index_not_found_exception"
    }

    /// Whether what was written is not in the expected state: it was changed, or it is there already.
    pub(super) fn is_conflict(&self) -> bool {
        self.status == 409
    }

    /// Whether an index of that name is there already.
    pub(super) fn is_index_there(&self) -> bool {
        self.kind == "resource_already_exists_exception"
    }

    /// Whether nothing of the request was done, for certain.
    pub(super) fn is_certain(&self) -> bool {
        (400..500).contains(&self.status) && self.status != 408
    }

    /// The refusal in an answer.
    pub(super) fn of(status: u16, body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Answer {
            error: Option<Said>,
            // What stands before the domain says it so.
            #[serde(alias = "Message")]
            message: Option<String>,
        }
        let answer: Option<Answer> = serde_json::from_slice(body).ok();
        match answer {
            Some(Answer {
                error: Some(said), ..
            }) => Self::said(status, said),
            Some(Answer { message, .. }) => {
                Self::said(status, Said::Words(message.unwrap_or_default()))
            }
            None => Self::said(status, Said::Words(String::new())),
        }
    }

    /// The refusal of an item.
    pub(super) fn said(status: u16, said: Said) -> Self {
        let (kind, mut words) = match said {
            Said::Exception { kind, reason } => {
                (kind.unwrap_or_default(), reason.unwrap_or_default())
            }
            Said::Words(words) => (String::new(), words),
        };
        words.truncate(words.floor_char_boundary(SAID_MAX_BYTES));
        if status == 400 && kind != "validation_exception" {
            // It may quote what a guest has stored.
            words.clear();
        }
        Self {
            status,
            kind,
            said: words,
        }
    }

    /// The error of `operation`. What only the operator can mend is logged with the fix.
    pub(super) fn into_error(self, operation: &'static str) -> Error {
        let (kind, message, fix) = meaning(self.status, &self.kind);
        // Who asks what is there and what is missing is told anyway.
        let is_news = !is_asking(operation);
        if is_news && !fix.is_empty() {
            tracing::warn!(operation, failure = %self, fix, actions = ACTIONS, "OpenSearch needs the operator");
        } else if is_news && kind == ErrorKind::Internal {
            tracing::error!(operation, failure = %self, "OpenSearch refuses a request of this host");
        }
        let error = Error::new(kind, operation, message);
        let error = match self.status {
            401 => error.with_context(CLOUD, CREDENTIALS),
            403 => error.with_context(CLOUD, FORBIDDEN),
            404 => error.with_context(CLOUD, MISSING),
            _ => error,
        };
        let is_busy = self.status == 429;
        let error = error.with_source(self);
        match is_busy {
            true => error.with_retry_after(BUSY_RETRY_AFTER),
            false => error,
        }
    }
}

/// How an exception is told.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Said {
    /// By type and reason.
    Exception {
        /// The type.
        #[serde(rename = "type")]
        kind: Option<String>,
        /// The reason.
        reason: Option<String>,
    },
    /// In words.
    Words(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status, self.kind, self.said)
    }
}

impl StdError for Refusal {}

/// Kind, one line for the caller, and what the operator does about it.
fn meaning(status: u16, kind: &str) -> (ErrorKind, &'static str, &'static str) {
    use ErrorKind::{Internal, Timeout, Unavailable};
    match (status, kind) {
        (_, "cluster_block_exception" | "index_create_block_exception") => (
            Unavailable,
            "the search domain takes no writes; the operator makes room",
            "give the domain more storage, or remove what is not needed",
        ),
        // The one validation that a host's own request can fail by the state of the domain.
        (400, "validation_exception") => (
            Unavailable,
            "the search domain takes no more indices; the operator makes room",
            "raise cluster.max_shards_per_node or add data nodes",
        ),
        (429, _) => (
            Unavailable,
            "the search domain has too much to do; try again later",
            "",
        ),
        (401, _) => (
            Unavailable,
            "the search domain does not accept the host's credentials; the operator runs `stuga check aws`",
            "give the host credentials that are valid, and check `aws.role_arn`",
        ),
        (403, _) => (
            Unavailable,
            "the search domain does not allow this to the host; the operator runs `stuga check aws`",
            "allow the actions on the tenant's indices in the domain's access policy",
        ),
        (404, _) => (
            Unavailable,
            "an index of this tenant's is missing in the search domain; the operator runs `stuga check aws`",
            "restore the index from a snapshot",
        ),
        (413, _) => (
            Unavailable,
            "the search domain does not take requests of this size",
            "take instances whose limit of a request is 100 MiB",
        ),
        (408 | 504, _) => (Timeout, "the search domain did not answer in time", ""),
        (500.., _) => (Unavailable, "the search domain failed; try again later", ""),
        _ => (
            Internal,
            "the search domain refuses the host's request; the log says why",
            "",
        ),
    }
}

/// The error of a request that got no answer.
pub(super) fn unanswered(operation: &'static str, error: opensearch::Error) -> Error {
    // Signing comes before sending and is told in words alone.
    let is_signing = error.source().is_none() && error.to_string().contains("Signing");
    if is_signing {
        if !is_asking(operation) {
            tracing::warn!(operation, %error, "no credentials for OpenSearch");
        }
        return Error::unavailable(
            operation,
            "the host has no credentials for the search domain; the operator runs `stuga check aws`",
        )
        .with_context(CLOUD, CREDENTIALS)
        .with_source(error);
    }
    match error.is_timeout() {
        true => Error::timeout(operation, "the search domain did not answer in time"),
        false => Error::unavailable(
            operation,
            "the search domain cannot be reached; try again later",
        )
        .with_context(CLOUD, UNREACHABLE),
    }
    .with_source(error)
}

/// Whether the request was never sent, for certain.
pub(super) fn is_unsent(error: &Error) -> bool {
    let mut next = StdError::source(error);
    while let Some(cause) = next {
        if let Some(http) = cause.downcast_ref::<reqwest::Error>() {
            return http.is_connect() || http.is_builder();
        }
        if let Some(refusal) = cause.downcast_ref::<Refusal>() {
            return refusal.is_certain();
        }
        if let Some(client) = cause.downcast_ref::<opensearch::Error>()
            && StdError::source(client).is_none()
        {
            // It could not be signed.
            return true;
        }
        next = cause.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_become_the_kinds_that_they_mean() {
        use ErrorKind::{Internal, Timeout, Unavailable};
        let exception = |kind: &str| {
            format!(r#"{{"error":{{"type":"{kind}","reason":"secret words"}},"status":0}}"#)
        };
        let cases = [
            (429, exception("rejected_execution_exception"), Unavailable),
            (429, exception("circuit_breaking_exception"), Unavailable),
            (429, exception("cluster_block_exception"), Unavailable),
            (403, exception("cluster_block_exception"), Unavailable),
            (403, exception("security_exception"), Unavailable),
            (
                403,
                r#"{"Message":"User: x is not authorized"}"#.to_owned(),
                Unavailable,
            ),
            (401, String::new(), Unavailable),
            (404, exception("index_not_found_exception"), Unavailable),
            (413, "<html>".to_owned(), Unavailable),
            (400, exception("validation_exception"), Unavailable),
            (400, exception("parsing_exception"), Internal),
            (400, r#"{"error":"in words"}"#.to_owned(), Internal),
            (408, String::new(), Timeout),
            (500, String::new(), Unavailable),
            (502, "<html>".to_owned(), Unavailable),
            (
                503,
                exception("search_phase_execution_exception"),
                Unavailable,
            ),
            (504, String::new(), Timeout),
        ];
        for (status, body, expected) in cases {
            let refusal = Refusal::of(status, body.as_bytes());
            let error = refusal.into_error("search.query");
            assert_eq!(error.kind(), expected, "{status} {body}");
            assert!(!error.to_string().contains("secret"), "{error}");
            assert_eq!(
                error.retry_after().is_some(),
                status == 429,
                "{status} {body}"
            );
        }
    }

    #[test]
    fn what_may_quote_a_document_is_not_kept_for_the_log() {
        let answer = |kind: &str| {
            format!(r#"{{"error":{{"type":"{kind}","reason":"Preview: 'secret'"}},"status":400}}"#)
        };
        let parsing = Refusal::of(400, answer("mapper_parsing_exception").as_bytes());
        assert_eq!(parsing.to_string(), "400 mapper_parsing_exception: ");
        let full = Refusal::of(400, answer("validation_exception").as_bytes());
        assert!(full.to_string().contains("Preview"));
    }

    #[test]
    fn only_what_was_refused_for_certain_counts_as_unsent() {
        for (status, unsent) in [(429, true), (403, true), (408, false), (503, false)] {
            let error = Refusal::of(status, b"").into_error("search.put");
            assert_eq!(is_unsent(&error), unsent, "{status}");
        }
    }
}
