//! What is kept of a refusal for the host's log: never the answer itself, which may hold what a guest stored.

use std::error::Error as StdError;
use std::fmt;

use aws_smithy_types::error::metadata::ErrorMetadata;

/// Longest part of AWS's own words that is kept, in characters.
const WORDS_MAX_CHARS: usize = 500;
/// Longest part of a model's own words that a guest sees, in characters.
const SHOWN_MAX_CHARS: usize = 200;
/// Under what name the SDK keeps the id of the request.
const REQUEST_ID: &str = "aws_request_id";

/// Why a call to AWS failed.
#[derive(Debug)]
pub(super) struct Failure {
    /// The IAM action of the call.
    action: &'static str,
    code: Option<String>,
    status: Option<u16>,
    request: Option<String>,
    words: String,
}

impl Failure {
    /// A failure in these words.
    pub(super) fn of(action: &'static str, words: impl AsRef<str>) -> Self {
        Self {
            action,
            code: None,
            status: None,
            request: None,
            words: cut(words.as_ref(), WORDS_MAX_CHARS),
        }
    }

    /// A refusal by the service.
    pub(super) fn answered(action: &'static str, code: Option<&str>, meta: &ErrorMetadata) -> Self {
        let short = |text: &str| cut(text, SHOWN_MAX_CHARS);
        Self {
            code: code.map(short),
            request: meta.extra(REQUEST_ID).map(short),
            ..Self::of(action, meta.message().unwrap_or("it does not say why"))
        }
    }

    /// The same with the status of the answer.
    pub(super) fn with_status(self, status: Option<u16>) -> Self {
        Self { status, ..self }
    }

    /// AWS's own words.
    pub(super) fn words(&self) -> &str {
        &self.words
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.action)?;
        if let Some(code) = &self.code {
            write!(f, " {code}")?;
        }
        if let Some(status) = self.status {
            write!(f, " ({status})")?;
        }
        write!(f, ": {}", self.words)?;
        match &self.request {
            Some(request) => write!(f, " [request {request}]"),
            None => Ok(()),
        }
    }
}

impl StdError for Failure {}

/// The chain of causes on one line.
pub(super) fn causes(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// What a guest may see of a model's words.
pub(super) fn shown(words: &str) -> String {
    cut(words, SHOWN_MAX_CHARS)
}

fn cut(text: &str, chars: usize) -> String {
    let line = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(line).take(chars).collect()
}
