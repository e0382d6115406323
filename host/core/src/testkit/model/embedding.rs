//! Texts as vectors.

use super::{Cages, ctx, ctx_of};
use crate::embed::dot;
use crate::model::{Embeddings, Model};
use crate::testkit::suite::{Case, cases};

pub(super) fn cases() -> Vec<Case<dyn Model>> {
    cases![
        vectors_come_in_the_order_of_the_texts_and_have_length_1,
        the_same_text_has_the_same_vector_for_everybody,
        what_is_alike_is_nearer_than_what_is_not,
    ]
}

impl Cages {
    async fn embed(&self, texts: &[&str]) -> Embeddings {
        self.backend.embed(&ctx(), texts).await.unwrap()
    }
}

async fn vectors_come_in_the_order_of_the_texts_and_have_length_1(cages: Cages) {
    let texts = ["the red house", "stugan vid sjön", "the red house", "x"];
    let made = cages.embed(&texts).await;
    assert!(!made.model.is_empty());
    assert_eq!(made.vectors.len(), texts.len());
    for vector in &made.vectors {
        assert_eq!(vector.len(), made.dimension);
        assert!((dot(vector, vector) - 1.0).abs() < 1e-4);
    }
    assert!(dot(&made.vectors[0], &made.vectors[2]) > 0.999);
    assert!(dot(&made.vectors[0], &made.vectors[1]) < 0.9);
}

async fn the_same_text_has_the_same_vector_for_everybody(cages: Cages) {
    let mine = cages.embed(&["the red house"]).await;
    let other = ctx_of("other", "reader");
    let theirs = cages.backend.embed(&other, &["the red house"]).await;
    let theirs = theirs.unwrap();
    assert_eq!(
        (mine.model, mine.dimension),
        (theirs.model, theirs.dimension)
    );
    assert!(dot(&mine.vectors[0], &theirs.vectors[0]) > 0.999);
}

async fn what_is_alike_is_nearer_than_what_is_not(cages: Cages) {
    let made = cages
        .embed(&[
            "Her favourite colour is blue.",
            "Which colour is her favourite?",
            "The quarterly budget was cut.",
        ])
        .await;
    let [fact, question, other] = &made.vectors[..] else {
        panic!("{} vectors", made.vectors.len());
    };
    assert!(dot(fact, question) > dot(fact, other));
}
