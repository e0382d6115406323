//! all-MiniLM-L6-v2 from a package, against numbers that were computed without this code.
//!
//! The expected values come from a plain numpy implementation of BERT in double precision, written for this test, with a
//! tokenizer of its own, over the same `model.safetensors` and `vocab.txt`. `cargo xtask test` installs the folder; without it the
//! tests say so and are counted as skipped.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::path::PathBuf;

use stuga_core::embed::{Embedder, dot};
use stuga_embedding::SentenceTransformer;

const SENTENCES: [&str; 5] = [
    "A cabin stays warm when the grid goes down.",
    "The small house is heated without electricity.",
    "The quarterly budget was cut by ten percent.",
    "Where does she live?",
    "She lives in a small town by the lake.",
];

/// The first four numbers of each vector.
const FIRST: [[f32; 4]; 5] = [
    [-0.002_375, 0.023_442, -0.038_074, 0.123_702],
    [0.093_039, 0.100_111, -0.001_75, 0.100_101],
    [0.033_305, 0.058_423, 0.018_417, 0.014_109],
    [0.056_726, 0.006_073, 0.045_875, 0.054_645],
    [0.031_169, 0.011_222, 0.029_276, 0.001_125],
];

/// The cosine of each pair.
const COSINES: [(usize, usize, f32); 10] = [
    (0, 1, 0.432_59),
    (0, 2, 0.026_23),
    (0, 3, 0.030_76),
    (0, 4, 0.105_91),
    (1, 2, 0.053_83),
    (1, 3, 0.172_84),
    (1, 4, 0.231_75),
    (2, 3, -0.081_18),
    (2, 4, -0.049_59),
    (3, 4, 0.651_19),
];

/// The folder in `STUGA_MINILM`; none where there is none.
fn minilm(test: &str) -> Option<SentenceTransformer> {
    use std::io::Write;
    if let Some(folder) = std::env::var_os("STUGA_MINILM").map(PathBuf::from) {
        return Some(SentenceTransformer::load(&folder).unwrap());
    }
    let reason = "no all-MiniLM-L6-v2 here; `cargo xtask test` installs it";
    println!("{test}: skipped: {reason}");
    if let Some(path) = std::env::var_os("STUGA_SKIPPED") {
        let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
        writeln!(file, "{test}\t{reason}").unwrap();
    }
    None
}

#[tokio::test]
async fn vectors_are_what_another_implementation_computes() {
    let Some(minilm) = minilm("vectors_are_what_another_implementation_computes") else {
        return;
    };
    assert_eq!(minilm.dimension(), 384);
    // Together and alone: neither the batch nor its padding may make a difference.
    let mut vectors = minilm.embed(&SENTENCES).await.unwrap();
    for sentence in SENTENCES {
        vectors.extend(minilm.embed(&[sentence]).await.unwrap());
    }
    for (vector, first) in vectors.iter().zip(FIRST.iter().chain(&FIRST)) {
        for (number, expected) in vector.iter().zip(first) {
            assert!(
                (number - expected).abs() < 2e-5,
                "{number} is not {expected}"
            );
        }
    }
    for (a, b, expected) in COSINES {
        let cosine = dot(&vectors[a], &vectors[b]);
        assert!(
            (cosine - expected).abs() < 1e-4,
            "{a}, {b}: {cosine} is not {expected}"
        );
    }
}

#[tokio::test]
async fn paraphrases_are_nearer_than_what_is_unrelated() {
    let Some(minilm) = minilm("paraphrases_are_nearer_than_what_is_unrelated") else {
        return;
    };
    let pairs = [
        (
            "How do I reset my password?",
            "I forgot my login, what can I do?",
        ),
        (
            "The meeting was moved to Friday.",
            "We will meet at the end of the week instead.",
        ),
        (
            "The dog is sleeping on the sofa.",
            "A puppy naps on the couch.",
        ),
    ];
    let texts: Vec<&str> = pairs.iter().flat_map(|(a, b)| [*a, *b]).collect();
    let vectors = minilm.embed(&texts).await.unwrap();
    for (at, pair) in pairs.iter().enumerate() {
        let same = dot(&vectors[2 * at], &vectors[2 * at + 1]);
        for (other, vector) in vectors.iter().enumerate() {
            let unrelated = dot(&vectors[2 * at], vector);
            assert!(
                other / 2 == at || unrelated < same,
                "{pair:?}: {same}, {other}: {unrelated}"
            );
        }
    }
}

#[tokio::test]
async fn texts_of_any_length_and_none_are_embedded() {
    let Some(minilm) = minilm("texts_of_any_length_and_none_are_embedded") else {
        return;
    };
    let long = "the red house by the lake ".repeat(2_500);
    let texts = ["", " \n", &long, "å", "🚣", "the red house"];
    let vectors = minilm.embed(&texts).await.unwrap();
    for (text, vector) in texts.iter().zip(&vectors) {
        let length = dot(vector, vector);
        let empty = text.trim().is_empty();
        assert!(empty == (length == 0.0) && (empty || (length - 1.0).abs() < 1e-4));
    }
    let [_, _, cut, letter, _, house] = vectors.as_slice() else {
        panic!("a vector for each text");
    };
    assert!(
        dot(cut, house) > dot(cut, letter),
        "what is cut keeps its meaning"
    );
    let twice =
        SentenceTransformer::load(&PathBuf::from(std::env::var_os("STUGA_MINILM").unwrap()));
    assert_eq!(twice.unwrap().model(), minilm.model(), "a name that lasts");
}

#[tokio::test]
async fn more_batches_than_can_wait_are_refused() {
    let Some(minilm) = minilm("more_batches_than_can_wait_are_refused") else {
        return;
    };
    let many = (0..100).map(|_| minilm.embed(&["hej"]));
    let all = futures::future::join_all(many).await;
    let refused = all.iter().filter_map(|made| made.as_ref().err());
    let kinds: Vec<_> = refused.map(stuga_core::Error::kind).collect();
    assert_eq!(kinds, vec![stuga_core::ErrorKind::RateLimited; 36]);
    minilm.embed(&["hej"]).await.unwrap();
}
