//! What OpenSearch keeps of an index: its settings and fields, and a document as it goes in and comes back.
//!
//! Texts become words here, by the analysis that all backends share, and go in as words between spaces: a domain's own Swedish
//! analysis does not bring `mötet` and `möten` together, and a failover must find what the cloud finds. What is indexed is left
//! out of what is stored; what is stored suffices to index it again.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::ser::{Error as _, SerializeMap};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value as Json, json};
use stuga_core::embed::{normalise, to_bytes};
use stuga_core::search::analysis::words;
use stuga_core::search::check::find;
use stuga_core::search::{Document, Embedding, Field, FieldKind, Fields, Value};
use stuga_core::{Error, Result, Timestamp};

/// How long OpenSearch remembers the version of what was deleted, so that a request that was held up on its way does not bring
/// it back. Longer than any invocation lives.
const DELETED_VERSIONS_KEPT: &str = "1h";
/// Links of a vector to its neighbours in the graph.
const GRAPH_LINKS: u32 = 16;
/// Candidates that are looked at to link a new vector.
const GRAPH_CANDIDATES: u32 = 128;
/// Parts of a stored document that say how it stands, without what it holds.
pub(super) const STATE: &[&str] = &["id", "version", "created", "updated", "bytes"];
/// Parts that make a hit: all but the vectors.
pub(super) const HIT: &[&str] = &["id", "doc", "version", "created", "updated", "bytes"];

/// A document as it is stored.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Stored {
    pub(super) id: String,
    /// What it holds without vectors.
    pub(super) doc: Fields,
    /// By name of the field: numbers of four bytes, little endian, in Base64. Those that were given and those that were made.
    pub(super) vectors: BTreeMap<String, String>,
    pub(super) version: u64,
    pub(super) created: u64,
    pub(super) updated: u64,
    /// Its size as the quota counts it.
    pub(super) bytes: u64,
}

impl Stored {
    /// The document without its vectors.
    pub(super) fn into_document(self) -> Document {
        Document {
            id: self.id,
            fields: self.doc,
            version: self.version,
            created_at: Timestamp::from_millis(self.created),
            updated_at: Timestamp::from_millis(self.updated),
        }
    }

    /// The document with the vectors of `given`.
    ///
    /// # Errors
    /// `Internal` when a vector is damaged.
    pub(super) fn into_document_with<'f>(
        self,
        operation: &'static str,
        given: impl Iterator<Item = &'f str>,
    ) -> Result<Document> {
        let mut vectors = Vec::new();
        for name in given {
            if let Some(vector) = self.vectors.get(name) {
                let vector = unpack(vector)
                    .ok_or_else(|| Error::internal(operation, "a stored vector cannot be read"))?;
                vectors.push((name.to_owned(), Value::Vector(vector)));
            }
        }
        let mut document = self.into_document();
        document.fields.extend(vectors);
        document.fields.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(document)
    }
}

/// A vector as it is stored.
pub(super) fn pack(vector: &[f32]) -> String {
    BASE64_STANDARD.encode(to_bytes(vector))
}

/// How many numbers a stored vector has.
pub(super) fn numbers(packed: &str) -> u64 {
    unpack(packed).map_or(0, |vector| vector.len() as u64)
}

fn unpack(packed: &str) -> Option<Vec<f32>> {
    let bytes = BASE64_STANDARD.decode(packed).ok()?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    let vector = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes));
    rest.is_empty().then(|| vector.collect())
}

/// What a field is called in OpenSearch: names of agents begin with a letter, so that none of them meets one of ours.
pub(super) fn indexed(kind: &FieldKind, name: &str) -> String {
    let prefix = match kind {
        FieldKind::Text(_) => "t",
        FieldKind::Keyword => "k",
        FieldKind::Number => "n",
        FieldKind::Date => "d",
        FieldKind::Vector(_) => "v",
    };
    format!("{prefix}_{name}")
}

/// The first keyword of a field, by which it is sorted.
pub(super) fn first(name: &str) -> String {
    format!("f_{name}")
}

/// The request that makes an index of documents.
pub(super) fn create(
    alias: &str,
    fields: &[Field],
    embeddings: &[(String, Embedding)],
    replicas: u8,
) -> Json {
    let mut properties = Map::new();
    let mut keep = |name: &str, kind: Json| {
        properties.insert(name.to_owned(), kind);
    };
    keep("id", json!({"type": "keyword"}));
    keep("bytes", json!({"type": "long", "index": false}));
    for name in ["doc", "vectors"] {
        keep(name, json!({"type": "object", "enabled": false}));
    }
    for name in ["version", "created", "updated"] {
        keep(
            name,
            json!({"type": "long", "index": false, "doc_values": false}),
        );
    }
    for Field { name, kind } in fields {
        let indexed = indexed(kind, name);
        match kind {
            FieldKind::Text(_) => keep(
                &indexed,
                json!({"type": "text", "analyzer": "whitespace", "index_options": "freqs"}),
            ),
            FieldKind::Keyword => {
                keep(&indexed, json!({"type": "keyword"}));
                keep(&first(name), json!({"type": "keyword", "index": false}));
            }
            FieldKind::Number => keep(&indexed, json!({"type": "double"})),
            FieldKind::Date => keep(&indexed, json!({"type": "long"})),
            FieldKind::Vector(_) => {
                let mut embeddings = embeddings.iter();
                if let Some((_, embedding)) = embeddings.find(|(field, _)| field == name) {
                    keep(&indexed, vector_field(embedding.dimension));
                }
            }
        }
    }
    json!({
        "aliases": {alias: {}},
        "settings": {"index": {
            // One: an agent's index is small, and scores and counts are exact.
            "number_of_shards": 1,
            "number_of_replicas": replicas,
            "knn": !embeddings.is_empty(),
            "gc_deletes": DELETED_VERSIONS_KEPT,
        }},
        "mappings": {
            "dynamic": "strict",
            "_source": {"excludes": ["t_*", "k_*", "f_*", "n_*", "d_*", "v_*"]},
            "properties": properties,
        },
    })
}

fn vector_field(dimension: u32) -> Json {
    json!({
        "type": "knn_vector",
        "dimension": dimension,
        "method": {
            "name": "hnsw",
            "engine": "lucene",
            "space_type": "cosinesimil",
            "parameters": {"m": GRAPH_LINKS, "ef_construction": GRAPH_CANDIDATES},
        },
    })
}

/// A document as it goes in: what is stored, and what finds it.
pub(super) struct Entry<'e> {
    pub(super) stored: &'e Stored,
    pub(super) fields: &'e [Field],
}

impl Serialize for Entry<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Stored {
            id,
            doc,
            vectors,
            version,
            created,
            updated,
            bytes,
        } = self.stored;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", id)?;
        map.serialize_entry("doc", doc)?;
        map.serialize_entry("vectors", vectors)?;
        map.serialize_entry("version", version)?;
        map.serialize_entry("created", created)?;
        map.serialize_entry("updated", updated)?;
        map.serialize_entry("bytes", bytes)?;
        for (name, value) in doc {
            let Some(Field { kind, .. }) = find(self.fields, name) else {
                continue;
            };
            let indexed = indexed(kind, name);
            match (value, kind) {
                (Value::Text(text), FieldKind::Text(analyzer)) => {
                    let terms: Vec<String> = words(*analyzer, text)
                        .into_iter()
                        .map(|word| word.term)
                        .collect();
                    map.serialize_entry(&indexed, &terms.join(" "))?;
                }
                (Value::Keywords(keywords), _) => {
                    map.serialize_entry(&indexed, keywords)?;
                    map.serialize_entry(&first(name), &keywords.first())?;
                }
                (Value::Number(number), _) => map.serialize_entry(&indexed, number)?,
                (Value::Date(date), _) => map.serialize_entry(&indexed, date)?,
                (Value::Text(_) | Value::Vector(_), _) => {}
            }
        }
        for (name, packed) in vectors {
            let Some(Field { kind, .. }) = find(self.fields, name) else {
                continue;
            };
            let mut vector = unpack(packed).ok_or_else(|| S::Error::custom("a damaged vector"))?;
            normalise("search.index", &mut vector).map_err(S::Error::custom)?;
            map.serialize_entry(&indexed(kind, name), &vector)?;
        }
        map.end()
    }
}
