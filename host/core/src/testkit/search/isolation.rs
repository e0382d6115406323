//! Nobody meets another's indices.

use super::super::ctx as ctx_of;
use super::super::suite::{Case, cases};
use super::{INDEX, Shelf, change, create, delete, fields, put, text, words};
use crate::ErrorKind;
use crate::search::{Search, SearchAck, SearchWrite};

pub(super) fn cases() -> Vec<Case<dyn Search>> {
    cases![
        nobody_meets_anothers_indices,
        equal_names_are_different_indices
    ]
}

const SCOPES: [(&str, &str); 4] = [("a", "b-c"), ("a-b", "c"), ("a", "b"), ("a-b", "b-c")];

async fn nobody_meets_anothers_indices(shelf: Shelf) {
    let all = SCOPES.map(|(tenant, agent)| ctx_of(tenant, agent));
    shelf
        .try_apply(&all[0], &create(INDEX, fields()))
        .await
        .unwrap();
    let secret = change(INDEX, vec![put("k", vec![text("hemligheten")])]);
    shelf.try_apply(&all[0], &secret).await.unwrap();
    for other in &all[1..] {
        assert_eq!(shelf.backend.describe(other, INDEX).await.unwrap(), None);
        assert!(shelf.backend.indices(other).await.unwrap().is_empty());
        let refused = [
            shelf.backend.get(other, INDEX, "k").await.unwrap_err(),
            shelf
                .backend
                .query(other, INDEX, &words("hemligheten"))
                .await
                .unwrap_err(),
            shelf.try_apply(other, &secret).await.unwrap_err(),
        ];
        assert!(
            refused
                .iter()
                .all(|error| error.kind() == ErrorKind::NotFound)
        );
        let drop_index = SearchWrite::DropIndex {
            index: INDEX.to_owned(),
        };
        let ack = shelf.try_apply(other, &drop_index).await.unwrap();
        assert_eq!(ack, SearchAck::Dropped(false));
    }
    let found = shelf
        .backend
        .query(&all[0], INDEX, &words("hemligheten"))
        .await
        .unwrap();
    assert_eq!(found.total, 1);
}

async fn equal_names_are_different_indices(shelf: Shelf) {
    let all = SCOPES.map(|(tenant, agent)| ctx_of(tenant, agent));
    for (ctx, (tenant, agent)) in all.iter().zip(SCOPES) {
        shelf
            .try_apply(ctx, &create(INDEX, fields()))
            .await
            .unwrap();
        let own = vec![put(
            "k",
            vec![text(&format!("hemligheten hos {tenant}/{agent}"))],
        )];
        shelf.try_apply(ctx, &change(INDEX, own)).await.unwrap();
    }
    shelf
        .try_apply(&all[1], &change(INDEX, vec![delete("k")]))
        .await
        .unwrap();
    for (at, (ctx, (tenant, agent))) in all.iter().zip(SCOPES).enumerate() {
        let answer = shelf
            .backend
            .query(ctx, INDEX, &words("hemligheten"))
            .await
            .unwrap();
        let texts = answer
            .hits
            .iter()
            .map(|hit| format!("{:?}", hit.document.fields));
        let own = format!("hemligheten hos {tenant}/{agent}\"");
        let expected = usize::from(at != 1);
        assert_eq!(answer.hits.len(), expected);
        assert!(texts.into_iter().all(|text| text.contains(&own)));
    }
}
