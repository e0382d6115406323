//! Vectors that the host makes of a write's texts, before anything is stored: the same for every backend.

use super::{Change, Embedding, Field, FieldKind, Value, VectorSource, value};
use crate::embed::{EMBED_MAX_TEXTS, EMBED_TEXT_MAX_BYTES, Embedder};
use crate::{Error, Result};

/// A vector that the host made.
#[derive(Clone, PartialEq, Debug)]
pub struct Made {
    /// The vector field.
    pub field: String,
    /// None when there is nothing to embed, or another model than the recorded one to do it: a vector that stands goes.
    pub vector: Option<Vec<f32>>,
}

/// What the host's embedder is, as it is recorded.
pub fn embedding_of(embedder: &dyn Embedder) -> Embedding {
    Embedding {
        model: embedder.model().to_owned(),
        dimension: u32::try_from(embedder.dimension()).unwrap_or(u32::MAX),
    }
}

/// The models of the vector fields of an index that is created while the host embeds with `host`: as declared, or the
/// host's.
pub fn embeddings_of(fields: &[Field], host: &Embedding) -> Vec<(String, Embedding)> {
    let vectors = fields.iter().filter_map(|field| match &field.kind {
        FieldKind::Vector(VectorSource::Given(given)) => Some((field.name.clone(), given.clone())),
        FieldKind::Vector(VectorSource::MadeFrom(_)) => Some((field.name.clone(), host.clone())),
        _ => None,
    });
    vectors.collect()
}

/// Embeds the texts of `changes` that vector fields are made from: for each change the vectors that it replaces. `recorded`
/// are the models of the vector fields, `host` is what the embedder is.
///
/// # Errors
/// What the embedder answers.
pub async fn embed_changes(
    fields: &[Field],
    recorded: &[(String, Embedding)],
    changes: &[Change],
    embedder: &dyn Embedder,
    host: &Embedding,
) -> Result<Vec<Vec<Made>>> {
    let mut made: Vec<Vec<Made>> = changes.iter().map(|_| Vec::new()).collect();
    let mut wanted: Vec<(usize, usize, &str)> = Vec::new();
    for (at, (change, vectors)) in changes.iter().zip(&mut made).enumerate() {
        for (field, source) in sources(fields) {
            let text = match value(change.values(), source) {
                Some(Value::Text(text)) => Some(text.as_str()),
                _ => None,
            };
            let touched = match change {
                Change::Put { .. } => true,
                Change::Update { remove, .. } => {
                    text.is_some() || remove.iter().any(|name| name == source)
                }
                Change::Delete { .. } => false,
            };
            if !touched {
                continue;
            }
            let is_of_host = || {
                let mut recorded = recorded.iter();
                recorded.any(|(name, embedding)| name == field && embedding == host)
            };
            if let Some(text) = text
                && is_of_host()
            {
                wanted.push((at, vectors.len(), beginning(text)));
            }
            vectors.push(Made {
                field: field.to_owned(),
                vector: None,
            });
        }
    }
    for batch in wanted.chunks(EMBED_MAX_TEXTS) {
        let texts: Vec<&str> = batch.iter().map(|(_, _, text)| *text).collect();
        let vectors = embedder.embed(&texts).await?;
        if vectors.len() != batch.len() {
            return Err(Error::unavailable(
                "search.embed",
                "the embedding model answered another number of vectors than texts",
            ));
        }
        for ((at, place, _), vector) in batch.iter().zip(vectors) {
            let made = made
                .get_mut(*at)
                .and_then(|vectors| vectors.get_mut(*place));
            if let Some(made) = made
                && vector.iter().any(|number| *number != 0.0)
            {
                made.vector = Some(vector);
            }
        }
    }
    Ok(made)
}

/// The vector fields that the host makes, each with the text field that it is made from.
fn sources(fields: &[Field]) -> impl Iterator<Item = (&str, &str)> {
    fields.iter().filter_map(|field| match &field.kind {
        FieldKind::Vector(VectorSource::MadeFrom(text)) => {
            Some((field.name.as_str(), text.as_str()))
        }
        _ => None,
    })
}

/// As much of a text as is embedded.
pub fn beginning(text: &str) -> &str {
    let end = text.floor_char_boundary(EMBED_TEXT_MAX_BYTES);
    text.get(..end).unwrap_or_default()
}
