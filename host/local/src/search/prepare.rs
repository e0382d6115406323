//! What a write needs before its transaction: vectors of its texts. Embedding takes longer than storing, and the writer
//! of a tenant is shared.

use stuga_core::embed::{EMBED_MAX_TEXTS, EMBED_TEXT_MAX_BYTES, Embedder, to_bytes};
use stuga_core::search::{Change, Embedding, Value, value};
use stuga_core::{Error, Result};

use super::declared::Declared;

/// What was made for a write.
pub(super) struct Prepared {
    /// The index that it was made for.
    pub(super) index: Option<u64>,
    /// What the host embeds with.
    pub(super) embedding: Embedding,
    /// For each change the vectors that it replaces.
    pub(super) made: Vec<Vec<Made>>,
}

/// A vector that the host made.
pub(super) struct Made {
    pub(super) field: String,
    /// None when there is nothing to embed, or another model than the recorded one to do it.
    pub(super) vector: Option<Vec<u8>>,
}

/// Embeds the texts that vector fields of `declared` are made from.
///
/// # Errors
/// What the embedder answers.
pub(super) async fn embed_changes(
    declared: &Declared,
    changes: &[Change],
    embedder: &dyn Embedder,
    embedding: &Embedding,
) -> Result<Vec<Vec<Made>>> {
    let mut made: Vec<Vec<Made>> = changes.iter().map(|_| Vec::new()).collect();
    let mut wanted: Vec<(usize, usize, &str)> = Vec::new();
    for (at, (change, vectors)) in changes.iter().zip(&mut made).enumerate() {
        for (field, source) in declared.made() {
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
            if let Some(text) = text
                && declared.embedding(field) == Some(embedding)
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
                made.vector = Some(to_bytes(&vector));
            }
        }
    }
    Ok(made)
}

/// As much of a text as is embedded.
pub(super) fn beginning(text: &str) -> &str {
    let end = text.floor_char_boundary(EMBED_TEXT_MAX_BYTES);
    text.get(..end).unwrap_or_default()
}
