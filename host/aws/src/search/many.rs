//! Several entries in one request: read by id, or written.

use std::collections::HashMap;

use opensearch::http::Method;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stuga_core::{Error, Result};

use super::failed::{Refusal, Said};
use super::names::Index;
use super::wire::{Body, Request, Wire, json};

/// Most entries that are read in one request.
const GET_MAX: usize = 64;
/// Most bytes of one request that writes, but for a single entry that is larger: small domains take 10 MiB.
const PUT_MAX_BYTES: usize = 6 << 20;

/// Where an entry stands: what a write can make a condition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(test, derive(Default))]
pub(super) struct Place {
    seq_no: u64,
    primary_term: u64,
}

/// Which entry to read, and what of it.
pub(super) struct Get<'g> {
    pub(super) index: &'g Index,
    pub(super) id: String,
    /// Nothing but these parts; all when empty.
    pub(super) only: &'static [&'static str],
    /// Not these.
    pub(super) without: &'static [&'static str],
}

/// What was read.
#[derive(Debug)]
pub(super) enum Got {
    Found(Place, Box<RawValue>),
    Absent,
    NoIndex,
}

#[derive(Serialize)]
struct GetLine<'g> {
    _index: String,
    _id: &'g str,
    _source: Parts,
}

#[derive(Serialize)]
struct Parts {
    include: &'static [&'static str],
    exclude: &'static [&'static str],
}

#[derive(Deserialize)]
struct Read {
    docs: Vec<ReadOne>,
}

#[derive(Deserialize)]
struct ReadOne {
    #[serde(default)]
    found: bool,
    _seq_no: Option<u64>,
    _primary_term: Option<u64>,
    _source: Option<Box<RawValue>>,
    error: Option<Said>,
}

/// Reads entries as they stand now, in the order in which they are asked for; `via` is whose path the requests go to.
///
/// # Errors
/// As [`Wire::ask`].
pub(super) async fn get(
    wire: &Wire,
    operation: &'static str,
    via: &Index,
    gets: &[Get<'_>],
) -> Result<Vec<Got>> {
    let mut all = Vec::with_capacity(gets.len());
    for some in gets.chunks(GET_MAX) {
        let mut lines = Vec::with_capacity(some.len());
        for get in some {
            wire.guard(operation, get.index)?;
            lines.push(GetLine {
                _index: get.index.alias(),
                _id: &get.id,
                _source: Parts {
                    include: get.only,
                    exclude: get.without,
                },
            });
        }
        let request = Request {
            operation,
            method: Method::Post,
            index: via,
            what: "_mget",
            query: &[],
            body: Body::Json(json(operation, &HashMap::from([("docs", lines)]))?),
        };
        let read = match wire.send(request).await? {
            Ok(body) => super::wire::read::<Read>(operation, &body)?,
            // The path itself is missing; so is what lies there.
            Err(refusal) if refusal.is_no_index() => {
                all.extend(some.iter().map(|_| Got::NoIndex));
                continue;
            }
            Err(refusal) => return Err(refusal.into_error(operation)),
        };
        for one in read.docs {
            all.push(got(operation, one)?);
        }
    }
    all.truncate(gets.len());
    // An answer that is too short must not read as absence.
    match all.len() == gets.len() {
        true => Ok(all),
        false => Err(short(operation)),
    }
}

fn short(operation: &'static str) -> Error {
    Error::unavailable(
        operation,
        "the search domain answered for fewer entries than were sent",
    )
}

fn got(operation: &'static str, one: ReadOne) -> Result<Got> {
    if let Some(said) = one.error {
        let refusal = Refusal::said(503, said);
        return match refusal.is_no_index() {
            true => Ok(Got::NoIndex),
            false => Err(refusal.into_error(operation)),
        };
    }
    Ok(
        match (one.found, one._seq_no, one._primary_term, one._source) {
            (true, Some(seq_no), Some(primary_term), Some(source)) => {
                let place = Place {
                    seq_no,
                    primary_term,
                };
                Got::Found(place, source)
            }
            _ => Got::Absent,
        },
    )
}

/// A write of one entry.
pub(super) struct Put<'p> {
    pub(super) index: &'p Index,
    pub(super) id: String,
    pub(super) what: What,
}

/// What is written, and on which condition.
pub(super) enum What {
    /// Stores an entry where there is none.
    Create(Vec<u8>),
    /// Stores an entry whatever there is.
    Store(Vec<u8>),
    /// Stores a document unless one of this version or a later one stands or stood there.
    Version(u64, Vec<u8>),
    /// Stores an entry in the place of the one that was read.
    Replace(Place, Vec<u8>),
    /// Removes an entry as it was read.
    Delete(Place),
}

#[derive(Serialize)]
struct Action<'p> {
    _index: String,
    _id: &'p str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    if_seq_no: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    if_primary_term: Option<u64>,
}

#[derive(Deserialize)]
struct Written {
    items: Vec<HashMap<String, WrittenOne>>,
}

#[derive(Deserialize)]
struct WrittenOne {
    status: u16,
    error: Option<Said>,
}

/// Entries that are written together, in their order, but each by itself. What does not fit into one request goes out as soon
/// as that is full.
pub(super) struct Bulk<'b> {
    wire: &'b Wire,
    operation: &'static str,
    via: &'b Index,
    lines: Vec<u8>,
    pushed: usize,
    results: Vec<Result<(), Refusal>>,
}

impl<'b> Bulk<'b> {
    /// Nothing yet; `via` is whose path the requests go to.
    pub(super) fn new(wire: &'b Wire, operation: &'static str, via: &'b Index) -> Self {
        Self {
            wire,
            operation,
            via,
            lines: Vec::new(),
            pushed: 0,
            results: Vec::new(),
        }
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// As [`Wire::ask`], when those before it have filled a request.
    pub(super) async fn push(&mut self, put: Put<'_>) -> Result<()> {
        self.wire.guard(self.operation, put.index)?;
        let line = line(self.operation, put)?;
        let bytes = self.lines.len().saturating_add(line.len());
        if !self.lines.is_empty() && bytes > PUT_MAX_BYTES {
            self.flush().await?;
        }
        self.lines.extend(line);
        self.pushed += 1;
        Ok(())
    }

    /// Says of each entry whether it was refused; the others are durable.
    ///
    /// # Errors
    /// As [`Wire::ask`]; a part of the entries may be written then.
    pub(super) async fn finish(mut self) -> Result<Vec<Result<(), Refusal>>> {
        if !self.lines.is_empty() {
            self.flush().await?;
        }
        match self.results.len() == self.pushed {
            true => Ok(self.results),
            false => Err(short(self.operation)),
        }
    }

    async fn flush(&mut self) -> Result<()> {
        let lines = std::mem::take(&mut self.lines);
        let written = write(self.wire, self.operation, self.via, lines).await?;
        self.results.extend(written);
        Ok(())
    }
}

/// Writes one entry.
///
/// # Errors
/// As [`Wire::ask`].
pub(super) async fn put(
    wire: &Wire,
    operation: &'static str,
    via: &Index,
    put: Put<'_>,
) -> Result<Result<(), Refusal>> {
    let mut bulk = Bulk::new(wire, operation, via);
    bulk.push(put).await?;
    let mut results = bulk.finish().await?;
    results.pop().ok_or_else(|| short(operation))
}

fn line(operation: &'static str, put: Put<'_>) -> Result<Vec<u8>> {
    let mut action = Action {
        _index: put.index.alias(),
        _id: &put.id,
        version: None,
        version_type: None,
        if_seq_no: None,
        if_primary_term: None,
    };
    let (verb, body) = match put.what {
        What::Create(body) => ("create", Some(body)),
        What::Store(body) => ("index", Some(body)),
        What::Version(version, body) => {
            action.version = Some(version);
            action.version_type = Some("external");
            ("index", Some(body))
        }
        What::Replace(place, body) => {
            action.if_seq_no = Some(place.seq_no);
            action.if_primary_term = Some(place.primary_term);
            ("index", Some(body))
        }
        What::Delete(place) => {
            action.if_seq_no = Some(place.seq_no);
            action.if_primary_term = Some(place.primary_term);
            ("delete", None)
        }
    };
    let mut line = json(operation, &HashMap::from([(verb, action)]))?;
    line.push(b'\n');
    if let Some(body) = body {
        line.extend(body);
        line.push(b'\n');
    }
    Ok(line)
}

async fn write(
    wire: &Wire,
    operation: &'static str,
    via: &Index,
    lines: Vec<u8>,
) -> Result<Vec<Result<(), Refusal>>> {
    let written: Written = wire
        .ask(Request {
            operation,
            method: Method::Post,
            index: via,
            what: "_bulk",
            query: &[
                ("require_alias", "true"),
                ("filter_path", "items.*.status,items.*.error"),
            ],
            body: Body::Lines(lines),
        })
        .await?;
    let of = |item: HashMap<String, WrittenOne>| {
        let Some(one) = item.into_values().next() else {
            return Err(Refusal::of(502, b""));
        };
        match (one.status, one.error) {
            (200..300 | 404, None) => Ok(()),
            (status, error) => Err(Refusal::said(
                status,
                error.unwrap_or_else(|| Said::Words(String::new())),
            )),
        }
    };
    Ok(written.items.into_iter().map(of).collect())
}
