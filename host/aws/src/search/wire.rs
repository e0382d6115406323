//! Requests to the data plane of a domain: by one tenant's credentials, under one tenant's names, within one deadline.
//!
//! Nothing is repeated here: the protocol of [`super::write`] makes each step safe to repeat, and the breaker decides
//! whether to.

use std::time::Duration;

use bytes::Bytes;
use opensearch::http::Method;
use opensearch::http::headers::{CONTENT_TYPE, HeaderMap, HeaderValue};
use opensearch::http::transport::Transport;
use serde::de::DeserializeOwned;
use stuga_core::{Error, Result};

use super::failed::{Refusal, unanswered};
use super::names::Index;
use crate::scope::guard;

/// Most bytes of an answer: a page of the largest documents, with every character escaped.
const ANSWER_MAX_BYTES: u64 = 256 << 20;

/// The connection of a tenant to its domain.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    transport: Transport,
    prefix: String,
    attempt_timeout: Duration,
}

/// What is sent.
pub(super) struct Request<'r> {
    /// As it stands in errors.
    pub(super) operation: &'static str,
    pub(super) method: Method,
    /// Whose path it goes to; bodies may name other indices, which are checked likewise.
    pub(super) index: &'r Index,
    /// What is asked of the index, such as `_search`; empty for the index itself.
    pub(super) what: &'static str,
    pub(super) query: &'static [(&'static str, &'static str)],
    pub(super) body: Body,
}

/// The body of a request.
pub(super) enum Body {
    None,
    Json(Vec<u8>),
    /// One JSON value a line.
    Lines(Vec<u8>),
}

impl Wire {
    /// A connection that lets through what begins with `prefix`, the tenant's own.
    pub(super) fn new(transport: Transport, prefix: &str, attempt_timeout: Duration) -> Self {
        Self {
            transport,
            prefix: prefix.to_owned(),
            attempt_timeout,
        }
    }

    /// Refuses an index of another tenant before anything is sent.
    ///
    /// # Errors
    /// `Denied`.
    pub(super) fn guard(&self, operation: &'static str, index: &Index) -> Result<()> {
        guard(operation, &self.prefix, index.itself())
    }

    /// Sends a request. A refusal is an answer: callers know which of them they expect.
    ///
    /// # Errors
    /// `Denied` for an index of another tenant; `Unavailable` or `Timeout` without an answer.
    pub(super) async fn send(&self, request: Request<'_>) -> Result<Result<Bytes, Refusal>> {
        let Request {
            operation,
            method,
            index,
            what,
            query,
            body,
        } = request;
        self.guard(operation, index)?;
        let path = match what {
            "" => index.itself().to_owned(),
            what => format!("{}/{what}", index.alias()),
        };
        self.deliver(operation, method, &path, query, body).await
    }

    /// Asks for the names of all indices of the tenant, closed ones among them, each with nothing but its aliases.
    ///
    /// # Errors
    /// As [`Wire::send`].
    pub(super) async fn list(&self, operation: &'static str) -> Result<Result<Bytes, Refusal>> {
        let path = format!("{}*/_alias", self.prefix);
        let query = &[("expand_wildcards", "all")];
        self.deliver(operation, Method::Get, &path, query, Body::None)
            .await
    }

    /// Sends to a path that was checked.
    async fn deliver(
        &self,
        operation: &'static str,
        method: Method,
        path: &str,
        query: &'static [(&'static str, &'static str)],
        body: Body,
    ) -> Result<Result<Bytes, Refusal>> {
        let mut headers = HeaderMap::new();
        let body = match body {
            Body::None => None,
            Body::Json(body) => Some(Bytes::from(body)),
            Body::Lines(body) => {
                let lines = HeaderValue::from_static("application/x-ndjson");
                headers.insert(CONTENT_TYPE, lines);
                Some(Bytes::from(body))
            }
        };
        let timeout = Some(self.attempt_timeout);
        let sending = self
            .transport
            .send(method, path, headers, Some(query), body, timeout);
        let answer = sending.await.map_err(|e| unanswered(operation, e))?;
        let status = answer.status_code().as_u16();
        if answer
            .content_length()
            .is_some_and(|n| n > ANSWER_MAX_BYTES)
        {
            return Err(Error::unavailable(
                operation,
                "the search domain answers more than a request can ask for",
            ));
        }
        let body = answer.bytes().await.map_err(|e| unanswered(operation, e))?;
        Ok(match status {
            200..300 => Ok(body),
            _ => Err(Refusal::of(status, &body)),
        })
    }

    /// The same for a request whose refusal nobody expects.
    ///
    /// # Errors
    /// As [`Wire::send`], and whatever the domain refuses.
    pub(super) async fn ask<T: DeserializeOwned>(&self, request: Request<'_>) -> Result<T> {
        let operation = request.operation;
        let body = self.send(request).await?;
        let body = body.map_err(|refusal| refusal.into_error(operation))?;
        read(operation, &body)
    }
}

/// What stands in an answer.
///
/// # Errors
/// `Unavailable` when it is no such answer: whatever stands there is not the domain.
pub(super) fn read<T: DeserializeOwned>(operation: &'static str, body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|e| {
        Error::unavailable(operation, "the search domain's answer cannot be read")
            // Without the text of the answer, which holds what guests have stored.
            .with_source(format!("{:?} at line {}", e.classify(), e.line()))
    })
}

/// A value as JSON.
///
/// # Errors
/// `Internal`; nothing of this crate's is without a JSON form.
pub(super) fn json<T: serde::Serialize>(operation: &'static str, value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value)
        .map_err(|e| Error::internal(operation, "a value cannot be written").with_source(e))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use opensearch::http::Url;
    use opensearch::http::transport::{SingleNodeConnectionPool, TransportBuilder};
    use stuga_core::ErrorKind;

    use super::super::many::{self, Bulk, Get, Put, What};
    use super::super::names::names;
    use super::*;

    #[tokio::test]
    async fn another_tenants_index_is_refused_before_anything_is_sent() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let pool = SingleNodeConnectionPool::new(Url::parse(&url).unwrap());
        let transport = TransportBuilder::new(pool).disable_proxy().build().unwrap();
        let (own, other) = (names("acme", "scribe"), names("acme-2", "scribe"));
        let wire = Wire::new(transport, own.prefix(), Duration::from_secs(5));
        for index in [other.catalog(), other.documents("notes", 1)] {
            let request = Request {
                operation: "search.query",
                method: Method::Post,
                index: &index,
                what: "_search",
                query: &[],
                body: Body::None,
            };
            let mut refused = vec![wire.send(request).await.map(drop)];
            let via = own.catalog();
            let get = Get {
                index: &index,
                id: "a".to_owned(),
                only: &[],
                without: &[],
            };
            refused.push(many::get(&wire, "search.get", &via, &[get]).await.map(drop));
            let mut bulk = Bulk::new(&wire, "search.put", &via);
            let put = Put {
                index: &index,
                id: "a".to_owned(),
                what: What::Create(b"{}".to_vec()),
            };
            refused.push(bulk.push(put).await);
            for refused in refused {
                assert_eq!(refused.unwrap_err().kind(), ErrorKind::Denied);
            }
        }
        let came = listener.accept().map(drop).unwrap_err().kind();
        assert_eq!(came, std::io::ErrorKind::WouldBlock, "nobody has connected");
    }
}
