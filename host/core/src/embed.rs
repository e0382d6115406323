//! Text as a vector, without a model's weights: hashed words and parts of words.
//!
//! Every word and every three characters in a row of it (with its edges) chooses one of [`DIMENSION`] places and a sign
//! by its hash; what falls there adds up, and the whole is brought to length 1. So texts that share words or parts of
//! words (`stuga`, `stugan`) are near each other. It knows no synonyms: an embedding model does, and is another
//! [`Embedder`]. The same text has the same vector everywhere and for ever; a change needs a new [`MODEL`].

mod embedder;

pub use embedder::{
    DIMENSION_MAX, EMBED_MAX_TEXTS, EMBED_TEXT_MAX_BYTES, EMBEDDER_NAME_MAX_BYTES, Embedder,
    HashedEmbedder, check_texts, normalise,
};

use self::embed as hashed;

/// The name that is kept with each vector. Vectors of different names are never compared.
pub const MODEL: &str = "hashed-ngram-1";
/// Numbers in a vector.
pub const DIMENSION: usize = 512;

/// Characters of a part of a word.
const PART_CHARS: usize = 3;
/// Weight of a whole word beside that of its parts.
const WORD_WEIGHT: f32 = 2.0;
/// What little words (`the`, `och`) weigh less: they are everywhere and say little.
const LITTLE_WORD_FACTOR: f32 = 0.2;
/// Longest little word in characters.
const LITTLE_WORD_CHARS: usize = 3;

/// The vector of a text: length 1, or all zeros when the text has no letter and no digit.
///
/// Upper and lower case are the same; `å`, `ä`, `ö` and other marked letters are letters of their own.
pub fn embed(text: &str) -> Vec<f32> {
    let mut vector = vec![0.0; DIMENSION];
    let lower = text.to_lowercase();
    for word in lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
    {
        add_word(&mut vector, word);
    }
    let length = dot(&vector, &vector).sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|number| *number /= length);
    }
    vector
}

/// The cosine of two vectors of [`embed`]; of vectors of different lengths the common part counts.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// A vector as bytes, little endian.
pub fn to_bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|n| n.to_le_bytes()).collect()
}

/// The cosine of a vector with one that was kept as bytes; none when that one has another dimension.
pub fn dot_bytes(vector: &[f32], bytes: &[u8]) -> Option<f32> {
    let (numbers, rest) = bytes.as_chunks::<4>();
    if numbers.len() != vector.len() || !rest.is_empty() {
        return None;
    }
    let pairs = vector.iter().zip(numbers);
    Some(pairs.map(|(a, b)| a * f32::from_le_bytes(*b)).sum())
}

fn add_word(vector: &mut [f32], word: &str) {
    let edged: Vec<char> = ['^'].into_iter().chain(word.chars()).chain(['$']).collect();
    let factor = if edged.len() <= LITTLE_WORD_CHARS + 2 {
        LITTLE_WORD_FACTOR
    } else {
        1.0
    };
    add(vector, edged.iter().copied(), WORD_WEIGHT * factor);
    for part in edged.windows(PART_CHARS) {
        add(vector, part.iter().copied(), factor);
    }
}

/// Adds a feature at the place and with the sign that its hash (FNV-1a, 64 bits, mixed) says.
fn add(vector: &mut [f32], feature: impl Iterator<Item = char>, weight: f32) {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for c in feature {
        for byte in u32::from(c).to_le_bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    let sign = if hash >> 63 == 0 { weight } else { -weight };
    let place = usize::try_from(hash % DIMENSION as u64).unwrap_or_default();
    if let Some(number) = vector.get_mut(place) {
        *number += sign;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nearness(a: &str, b: &str) -> f32 {
        dot(&embed(a), &embed(b))
    }

    #[test]
    fn a_text_is_nearest_to_itself_whatever_its_case() {
        assert!((nearness("Ålands SKÄRGÅRD", "ålands skärgård") - 1.0).abs() < 1e-5);
    }

    #[test]
    fn forms_of_a_word_are_near_and_other_words_are_not() {
        assert!(nearness("stuga", "stugan") > 0.4);
        assert!(nearness("stuga", "quarterly budget") < 0.2);
        assert!(
            nearness("her favourite colour is blue", "which colour does she like")
                > nearness("she lives in the north", "which colour does she like")
        );
    }

    #[test]
    fn text_without_words_is_near_to_nothing() {
        assert!(embed("?! ...").iter().all(|number| *number == 0.0));
        assert!(embed("").iter().all(|number| *number == 0.0));
    }

    #[test]
    fn vectors_stay_the_same_for_ever() {
        // Kept vectors are compared with new ones: when this changes, the model's name must change with it.
        let sum = |text| {
            to_bytes(&embed(text)).iter().fold(0_u64, |sum, byte| {
                sum.wrapping_mul(31).wrapping_add(u64::from(*byte))
            })
        };
        assert_eq!(sum("stugan vid sjön"), 17_354_355_819_948_263_444);
    }

    #[test]
    fn case_and_punctuation_make_no_difference_and_words_do() {
        assert_eq!(embed("stugan vid sjön"), embed("Stugan vid sjön!"));
        assert_ne!(embed("stugan vid sjön"), embed("stugan vid havet"));
    }

    #[test]
    fn kept_vectors_of_another_dimension_are_not_compared() {
        let vector = embed("stuga");
        let bytes = to_bytes(&vector);
        assert!(dot_bytes(&vector, &bytes).is_some_and(|score| (score - 1.0).abs() < 1e-5));
        assert_eq!(dot_bytes(&vector, &bytes[4..]), None);
        assert_eq!(dot_bytes(&vector, &bytes[1..]), None);
    }
}
