//! What makes vectors, whoever it is: the built-in hashed words, a model in a folder, a model behind an endpoint.
//!
//! The host has one embedder, from its configuration; recall, search and the capability `model` share it. What keeps
//! vectors keeps the embedder's name and dimension beside them and never compares vectors of two embedders.

use async_trait::async_trait;

use super::{DIMENSION, MODEL, hashed};
use crate::{Error, Result};

/// Most texts that are embedded in one call.
pub const EMBED_MAX_TEXTS: usize = 64;
/// Longest text that is embedded, in bytes. A model may read less of it: see [`Embedder::embed`].
pub const EMBED_TEXT_MAX_BYTES: usize = 64 << 10;
/// Longest name of an embedder, in bytes.
pub const EMBEDDER_NAME_MAX_BYTES: usize = 128;
/// Most numbers in a vector.
pub const DIMENSION_MAX: usize = 4_096;

/// Makes vectors of texts. Object safe; one serves all tenants, so it keeps nothing of what it reads.
#[async_trait]
pub trait Embedder: Send + Sync + 'static {
    /// What is kept beside each vector: 1 to [`EMBEDDER_NAME_MAX_BYTES`] bytes, another one whenever the same text would get
    /// another vector. It stays the same for as long as the embedder lives.
    fn model(&self) -> &str;

    /// Numbers in each vector: 1 to [`DIMENSION_MAX`]. It stays the same for as long as the embedder lives.
    fn dimension(&self) -> usize;

    /// The vectors of 1 to [`EMBED_MAX_TEXTS`] texts of at most [`EMBED_TEXT_MAX_BYTES`] each, in the order of the texts.
    ///
    /// Each vector has [`Embedder::dimension`] finite numbers and length 1, or is all zeros when the text says nothing to the
    /// model; zeros are near to nothing. A model that reads only the beginning of a long text embeds that. Nothing of
    /// the work blocks the calling thread. Dropping the future gives the work up; the caller holds it to a deadline.
    ///
    /// # Errors
    /// `Invalid` for a batch out of bounds, before anything else; `RateLimited`, `Timeout` or `Unavailable` when the model
    /// cannot answer now.
    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>>;
}

/// The built-in embedder: hashed words and parts of words, the same everywhere, without weights.
#[derive(Clone, Copy, Debug, Default)]
pub struct HashedEmbedder;

/// What is hashed on the calling thread, in bytes: it takes less than a hop to another one.
const INLINE_MAX_BYTES: usize = 2 << 10;

#[async_trait]
impl Embedder for HashedEmbedder {
    fn model(&self) -> &str {
        MODEL
    }

    fn dimension(&self) -> usize {
        DIMENSION
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        const OPERATION: &str = "embed";
        check_texts(OPERATION, texts)?;
        if texts.iter().map(|text| text.len()).sum::<usize>() <= INLINE_MAX_BYTES {
            return Ok(texts.iter().map(|text| hashed(text)).collect());
        }
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        let work = move || texts.iter().map(|text| hashed(text)).collect();
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|e| Error::internal(OPERATION, "embedding a text died").with_source(e))
    }
}

/// Checks a batch: 1 to [`EMBED_MAX_TEXTS`] texts of at most [`EMBED_TEXT_MAX_BYTES`].
pub fn check_texts<T: AsRef<str>>(operation: &'static str, texts: &[T]) -> Result<()> {
    if !(1..=EMBED_MAX_TEXTS).contains(&texts.len()) {
        return Err(Error::invalid(
            operation,
            format!(
                "{} texts; 1 to {EMBED_MAX_TEXTS} are embedded in one call",
                texts.len()
            ),
        )
        .with_context("limit", EMBED_MAX_TEXTS));
    }
    let long = |text: &&T| text.as_ref().len() > EMBED_TEXT_MAX_BYTES;
    if let Some(text) = texts.iter().find(long) {
        return Err(Error::invalid(
            operation,
            format!(
                "a text has {} bytes; at most {EMBED_TEXT_MAX_BYTES} are embedded",
                text.as_ref().len()
            ),
        )
        .with_context("limit", EMBED_TEXT_MAX_BYTES));
    }
    Ok(())
}

/// Brings a vector to length 1; one that is all zeros stays so.
///
/// # Errors
/// `Unavailable` when a number is not finite: its model is broken.
pub fn normalise(operation: &'static str, vector: &mut [f32]) -> Result<()> {
    let squares: f64 = vector.iter().map(|n| f64::from(*n).powi(2)).sum();
    if !squares.is_finite() {
        return Err(Error::unavailable(
            operation,
            "the embedding model answered a number that is not finite",
        ));
    }
    let length = squares.sqrt();
    if length > 0.0 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "at most 1, and meant to be an f32"
        )]
        vector
            .iter_mut()
            .for_each(|n| *n = (f64::from(*n) / length) as f32);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{dot, embed};
    use super::*;

    #[tokio::test]
    async fn the_built_in_embedder_answers_in_order_and_holds_its_bounds() {
        let texts = ["stugan vid sjön", "", "quarterly budget"];
        let vectors = HashedEmbedder.embed(&texts).await.unwrap();
        let alone: Vec<_> = texts.iter().map(|text| embed(text)).collect();
        assert_eq!(vectors, alone);
        assert!(
            vectors
                .iter()
                .all(|v| v.len() == HashedEmbedder.dimension())
        );
        let long = "x".repeat(EMBED_TEXT_MAX_BYTES + 1);
        for bad in [
            Vec::new(),
            vec!["x"; EMBED_MAX_TEXTS + 1],
            vec![long.as_str()],
        ] {
            let refused = HashedEmbedder.embed(&bad).await.unwrap_err();
            assert_eq!(refused.kind(), crate::ErrorKind::Invalid);
        }
    }

    #[test]
    fn a_vector_gets_length_1_and_what_is_not_finite_is_refused() {
        let mut vector = vec![3.0e30, -4.0e30];
        normalise("embed", &mut vector).unwrap();
        assert!((dot(&vector, &vector) - 1.0).abs() < 1e-5);
        let mut zeros = vec![0.0; 3];
        normalise("embed", &mut zeros).unwrap();
        assert_eq!(zeros, [0.0; 3]);
        for bad in [f32::NAN, f32::INFINITY] {
            assert!(normalise("embed", &mut [1.0, bad]).is_err());
        }
    }
}
