//! What texts are near to: made by the host's embedder, kept in a byte a number with the event that says the text, so that it is
//! made once and found again when Redis was lost.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use stuga_core::Result;
use stuga_core::embed::Embedder;

/// What the largest number of a vector becomes in 8 bits.
const LARGEST: f32 = 127.0;
/// The scale before the numbers.
const SCALE_BYTES: usize = 4;

/// A vector as it is kept. Vectors of different models are never compared.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Who made it.
    #[serde(rename = "model", default)]
    pub(crate) model: String,
    /// Its scale and numbers; nothing when the vector is all zeros and so near to nothing.
    #[serde(rename = "vector", with = "in_base64", default)]
    pub(crate) bytes: Vec<u8>,
}

/// The vector of a text, as it is kept.
pub(crate) async fn of(embedder: &dyn Embedder, text: &str) -> Result<Kept> {
    let vectors = embedder.embed(&[text]).await?;
    Ok(vectors.first().map_or_else(Kept::default, |vector| Kept {
        model: embedder.model().to_owned(),
        bytes: to_bytes(vector),
    }))
}

/// The vector of what is looked for. None of its numbers where the embedder makes nothing of it.
pub(crate) async fn of_query(embedder: &dyn Embedder, query: &str) -> Result<Vec<f32>> {
    let vectors = embedder.embed(&[query]).await?;
    Ok(vectors.into_iter().next().unwrap_or_default())
}

impl Kept {
    /// The cosine with a query of the same model and dimension; none otherwise.
    pub(crate) fn score(&self, model: &str, query: &[f32]) -> Option<f32> {
        score(&self.bytes, &self.model, model, query)
    }
}

/// The cosine of a kept vector with a query of the same model and dimension; none otherwise. What is near to nothing has 0.
pub(crate) fn score(kept: &[u8], of: &str, model: &str, query: &[f32]) -> Option<f32> {
    if of != model {
        return None;
    }
    if kept.is_empty() {
        return Some(0.0);
    }
    let (scale, numbers) = kept.split_first_chunk::<SCALE_BYTES>()?;
    if numbers.len() != query.len() {
        return None;
    }
    let sum: f32 = query
        .iter()
        .zip(numbers)
        .map(|(number, kept)| number * f32::from(i8::from_le_bytes([*kept])))
        .sum();
    Some((sum * f32::from_le_bytes(*scale)).min(1.0))
}

fn to_bytes(vector: &[f32]) -> Vec<u8> {
    let largest = vector.iter().fold(0.0, |most: f32, n| most.max(n.abs()));
    if largest <= 0.0 || !largest.is_finite() {
        return Vec::new();
    }
    let scale = largest / LARGEST;
    let mut bytes = Vec::with_capacity(SCALE_BYTES + vector.len());
    bytes.extend(scale.to_le_bytes());
    #[expect(clippy::cast_possible_truncation, reason = "at most LARGEST in size")]
    bytes.extend(
        vector
            .iter()
            .flat_map(|n| ((n / scale).round() as i8).to_le_bytes()),
    );
    bytes
}

mod in_base64 {
    use serde::{Deserializer, Serializer, de::Error as _};

    use super::{Deserialize, Engine, STANDARD};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        STANDARD.decode(text).map_err(D::Error::custom)
    }
}

/// Of what was compared the `k` best, the best first; of equal scores the first in the order of `T`. What is near to nothing is
/// left out.
pub(crate) fn best<T: Ord>(mut compared: Vec<(f32, T)>, k: u32) -> Vec<(f32, T)> {
    compared.retain(|(score, _)| *score > 0.0);
    compared.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    compared.truncate(k as usize);
    compared
}

#[cfg(test)]
mod tests {
    use stuga_core::embed::{HashedEmbedder, dot, embed};

    use super::*;

    #[tokio::test]
    async fn a_kept_vector_has_nearly_the_cosine_of_what_it_was_made_of() {
        let texts = ["stugan vid sjön", "stuga", "quarterly budget"];
        for text in texts {
            let kept = of(&HashedEmbedder, text).await.unwrap();
            let json = serde_json::to_string(&kept).unwrap();
            assert_eq!(serde_json::from_str::<Kept>(&json).unwrap(), kept);
            for other in texts {
                let score = kept.score(HashedEmbedder.model(), &embed(other)).unwrap();
                let exact = dot(&embed(text), &embed(other));
                assert!(
                    (score - exact).abs() < 0.01,
                    "{text}, {other}: {score} {exact}"
                );
            }
        }
    }

    #[tokio::test]
    async fn vectors_of_other_models_and_dimensions_are_not_compared() {
        let kept = of(&HashedEmbedder, "stuga").await.unwrap();
        assert_eq!(kept.score("another", &embed("stuga")), None);
        assert_eq!(kept.score(HashedEmbedder.model(), &[1.0]), None);
        let nothing = of(&HashedEmbedder, "?!").await.unwrap();
        assert_eq!(
            nothing.score(HashedEmbedder.model(), &embed("stuga")),
            Some(0.0)
        );
    }

    #[test]
    fn the_best_come_first_and_what_is_near_to_nothing_not_at_all() {
        let compared = vec![(0.5, 'b'), (0.0, 'x'), (0.9, 'c'), (0.5, 'a'), (-0.1, 'y')];
        assert_eq!(best(compared.clone(), 2), [(0.9, 'c'), (0.5, 'a')]);
        assert_eq!(best(compared, 9).len(), 3);
    }
}
