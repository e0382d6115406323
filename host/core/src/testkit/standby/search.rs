//! Documents and indices that are taken over.

use std::sync::Arc;
use std::time::Duration;

use super::{Dice, Sides, ctx};
use crate::search::{
    Analyzer, Change, Document, Field, FieldKind, Operator, Query, Search, SearchAck, SearchWrite,
    TextPart, Value, VectorSource,
};
use crate::standby::Adopted;
use crate::testkit::suite::{Case, Fixture, cases};

/// All cases.
pub fn cases() -> Vec<Case<Sides<dyn Search, SearchWrite>>> {
    cases![
        an_index_and_its_documents_read_the_same_on_both_sides,
        an_update_is_taken_over,
        what_was_taken_over_is_found,
        a_repeated_adoption_changes_nothing,
        the_larger_version_of_each_document_stays,
        a_removal_removes_what_it_removed_and_leaves_what_came_later,
        what_was_removed_since_does_not_come_back,
        what_landed_without_anybody_hearing_of_it_is_not_made_twice,
        a_write_made_here_later_gets_a_larger_version,
        a_dropped_index_is_dropped_and_takes_no_more,
        an_index_that_was_made_later_is_not_dropped,
        many_writes_in_any_order_and_any_number_of_times_end_alike,
    ]
}

type Both = Fixture<Sides<dyn Search, SearchWrite>>;

const INDEX: &str = "notes";
const IDS: [&str; 3] = ["a", "b", "c"];

fn create() -> SearchWrite {
    let field = |name: &str, kind| Field {
        name: name.to_owned(),
        kind,
    };
    SearchWrite::CreateIndex {
        index: INDEX.to_owned(),
        fields: vec![
            field("tag", FieldKind::Keyword),
            field("text", FieldKind::Text(Analyzer::En)),
            field(
                "vec",
                FieldKind::Vector(VectorSource::MadeFrom("text".to_owned())),
            ),
        ],
    }
}

fn drop_index() -> SearchWrite {
    SearchWrite::DropIndex {
        index: INDEX.to_owned(),
    }
}

fn change(changes: Vec<Change>) -> SearchWrite {
    SearchWrite::Change {
        index: INDEX.to_owned(),
        changes,
    }
}

fn text(text: &str) -> (String, Value) {
    ("text".to_owned(), Value::Text(text.to_owned()))
}

fn tag(tag: &str) -> (String, Value) {
    ("tag".to_owned(), Value::Keywords(vec![tag.to_owned()]))
}

fn put(id: &str, content: &str) -> Change {
    Change::Put {
        id: id.to_owned(),
        fields: vec![tag("sea"), text(content)],
    }
}

fn delete(id: &str) -> Change {
    Change::Delete { id: id.to_owned() }
}

async fn documents(search: &Arc<dyn Search>) -> Vec<Document> {
    let mut documents = Vec::new();
    for id in IDS {
        documents.extend(search.get(&ctx(), INDEX, id).await.unwrap());
    }
    documents
}

impl Both {
    async fn with_index(self) -> Self {
        let made = self.follow(create()).await;
        assert_eq!(made.made.ack, SearchAck::Created(true));
        self
    }

    async fn there(&self, id: &str) -> Option<Document> {
        self.backend.to.get(&ctx(), INDEX, id).await.unwrap()
    }

    async fn text_there(&self, id: &str) -> Option<String> {
        let fields = self.there(id).await?.fields;
        fields.into_iter().find_map(|(name, value)| match value {
            Value::Text(text) if name == "text" => Some(text),
            _ => None,
        })
    }

    async fn found(&self, words: &str) -> Vec<String> {
        let query = Query {
            text: Some(TextPart {
                words: words.to_owned(),
                fields: Vec::new(),
                operator: Operator::Any,
            }),
            ..Query::default()
        };
        let answer = self.backend.to.query(&ctx(), INDEX, &query).await.unwrap();
        let hits = answer.hits.into_iter();
        hits.map(|hit| hit.document.id).collect()
    }

    /// Both sides have the same documents, but for when they were created: who sees the later of two writes first cannot
    /// know that.
    async fn end_alike(&self) {
        let seen = |document: Document| {
            let Document {
                id,
                fields,
                version,
                updated_at,
                ..
            } = document;
            (id, fields, version, updated_at)
        };
        let (from, to) = (&self.backend.from, &self.backend.to);
        let from: Vec<_> = documents(from).await.into_iter().map(seen).collect();
        let to: Vec<_> = documents(to).await.into_iter().map(seen).collect();
        assert_eq!(to, from);
    }

    /// Both sides have the same documents, and as many.
    async fn agree(&self) {
        let (from, to) = (&self.backend.from, &self.backend.to);
        assert_eq!(documents(to).await, documents(from).await);
        let of = |side: &Arc<dyn Search>| {
            let side = Arc::clone(side);
            async move { side.describe(&ctx(), INDEX).await.unwrap().unwrap() }
        };
        let (from, to) = (of(from).await, of(to).await);
        assert_eq!(
            (to.fields, to.documents, to.created_at),
            (from.fields, from.documents, from.created_at)
        );
    }
}

async fn an_index_and_its_documents_read_the_same_on_both_sides(both: Both) {
    let both = both.with_index().await;
    both.follow(change(vec![put("a", "the boat"), put("b", "the cottage")]))
        .await;
    both.clock.advance(Duration::from_secs(5));
    both.follow(change(vec![put("a", "the blue boat")])).await;
    let document = both.there("a").await.unwrap();
    assert!(document.updated_at > document.created_at, "{document:?}");
    both.agree().await;
}

async fn an_update_is_taken_over(both: Both) {
    let both = both.with_index().await;
    both.follow(change(vec![put("a", "the boat")])).await;
    both.follow(change(vec![Change::Update {
        id: "a".to_owned(),
        set: vec![text("the red boat")],
        remove: vec!["tag".to_owned()],
    }]))
    .await;
    let document = both.there("a").await.unwrap();
    assert_eq!(document.fields, [text("the red boat")]);
    both.agree().await;
}

async fn what_was_taken_over_is_found(both: Both) {
    let both = both.with_index().await;
    both.follow(change(vec![put("a", "the boat"), put("b", "the cottage")]))
        .await;
    assert_eq!(both.found("boat").await, ["a"]);
    both.follow(change(vec![put("a", "the ship"), delete("b")]))
        .await;
    assert!(both.found("boat cottage").await.is_empty());
    assert_eq!(both.found("ship").await, ["a"]);
}

async fn a_repeated_adoption_changes_nothing(both: Both) {
    let both = both.with_index().await;
    let write = change(vec![put("a", "one"), put("b", "one")]);
    let first = both.follow(write).await;
    both.stands(&first).await;
    both.agree().await;
    both.follow(change(vec![put("a", "two")])).await;
    both.adopt(&first).await;
    both.agree().await;
    assert!(both.found("one").await.iter().all(|id| id == "b"));
}

async fn the_larger_version_of_each_document_stays(both: Both) {
    let both = both.with_index().await;
    let write = change(vec![put("a", "one"), put("b", "one")]);
    let earlier = both.make(write).await;
    let later = both.make(change(vec![put("a", "two")])).await;
    both.stands(&later).await;
    assert_eq!(both.adopt(&earlier).await, Adopted::Stands, "b does");
    let lost = both.make(change(vec![put("c", "one")])).await;
    let later = both.make(change(vec![put("c", "two")])).await;
    both.stands(&later).await;
    assert_eq!(both.adopt(&lost).await, Adopted::Superseded);
    both.end_alike().await;
}

async fn a_removal_removes_what_it_removed_and_leaves_what_came_later(both: Both) {
    let both = both.with_index().await;
    both.follow(change(vec![put("a", "one"), put("b", "one")]))
        .await;
    both.follow(change(vec![delete("a"), delete("never")]))
        .await;
    both.agree().await;
    let removal = both.make(change(vec![delete("b")])).await;
    both.tick();
    both.make_there(change(vec![put("b", "two")])).await;
    assert_eq!(both.adopt(&removal).await, Adopted::Superseded);
    assert_eq!(both.text_there("b").await.unwrap(), "two");
}

async fn what_was_removed_since_does_not_come_back(both: Both) {
    let both = both.with_index().await;
    let first = both.follow(change(vec![put("a", "one")])).await;
    both.follow(change(vec![delete("a")])).await;
    both.adopt(&first).await;
    assert_eq!(both.there("a").await, None);
}

async fn what_landed_without_anybody_hearing_of_it_is_not_made_twice(both: Both) {
    let both = both.with_index().await;
    let ctx = ctx();
    let id = ctx.next_write_id().unwrap();
    let write = change(vec![put("a", "once")]);
    both.backend.to.apply(&ctx, id, &write).await.unwrap();
    let made = both.make_under(ctx, id, write).await;
    both.stands(&made).await;
    both.agree().await;
}

async fn a_write_made_here_later_gets_a_larger_version(both: Both) {
    let both = both.with_index().await;
    let made = both.follow(change(vec![put("a", "one")])).await;
    let SearchAck::Changed(there) = made.made.ack else {
        panic!("a change was answered with something else");
    };
    let here = both.make_there(change(vec![put("a", "two")])).await;
    let SearchAck::Changed(here) = here else {
        panic!("a change was answered with something else");
    };
    assert!(here[0].version > there[0].version && here[0].existed);
}

async fn a_dropped_index_is_dropped_and_takes_no_more(both: Both) {
    let both = both.with_index().await;
    let late = both.make(change(vec![put("a", "one")])).await;
    let dropped = both.follow(drop_index()).await;
    let described = both.backend.to.describe(&ctx(), INDEX).await.unwrap();
    assert_eq!(described, None);
    assert_eq!(both.adopt(&late).await, Adopted::Superseded);
    both.stands(&dropped).await;
}

async fn an_index_that_was_made_later_is_not_dropped(both: Both) {
    let both = both.with_index().await;
    let dropped = both.follow(drop_index()).await;
    both.follow(create()).await;
    both.follow(change(vec![put("a", "one")])).await;
    both.adopt(&dropped).await;
    assert_eq!(both.text_there("a").await.unwrap(), "one");
    both.agree().await;
}

async fn many_writes_in_any_order_and_any_number_of_times_end_alike(both: Both) {
    let both = both.with_index().await;
    let mut dice = Dice(17);
    let mut made = Vec::new();
    for n in 0..30 {
        let first = put(IDS[dice.roll(3)], &format!("text {n}"));
        made.push(both.make(change(vec![first])).await);
    }
    for _ in 0..2 {
        dice.shuffle(&mut made);
        for done in &made {
            both.adopt(done).await;
        }
    }
    both.end_alike().await;
}
