//! Search against a model: random changes and queries, with the store reopened and what is derived thrown away, must
//! answer what looking at every document answers.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use stuga_core::embed::{dot, embed};
use stuga_core::search::analysis::terms;
use stuga_core::search::{
    Analyzer, Answer, Change, Field, FieldKind, Fields, Filter, Near, Operator, Query, Search,
    SearchWrite, Sort, TextPart, Value, VectorPart, VectorSource, value,
};
use stuga_core::{Capability, ErrorKind};

use crate::common::{House, scribe};

const IDS: [&str; 6] = ["a", "aa", "b", "å", "a/b", "z"];
const WORDS: [&str; 8] = [
    "stuga", "stugan", "båt", "båtar", "och", "kvarn", "sjön", "möte",
];
const TAGS: [&str; 4] = ["red", "blue", "re", "å"];

#[derive(Clone, Debug)]
struct Content {
    words: Vec<usize>,
    tags: Vec<usize>,
    number: Option<i8>,
}

#[derive(Clone, Debug)]
enum Step {
    Put(usize, Content),
    Update(usize, Content),
    Delete(usize),
    Words(Vec<usize>, bool, Option<usize>),
    Near(Vec<usize>),
    Sorted(bool, Option<(i8, i8)>),
    Reopen,
    ThrowAway,
}

fn content() -> impl Strategy<Value = Content> {
    (
        vec(0..WORDS.len(), 0..4),
        vec(0..TAGS.len(), 0..3),
        option::of(-3_i8..4),
    )
        .prop_map(|(words, tags, number)| Content {
            words,
            tags,
            number,
        })
}

fn step() -> impl Strategy<Value = Step> {
    let id = 0..IDS.len();
    let words = vec(0..WORDS.len(), 1..4);
    prop_oneof![
        6 => (id.clone(), content()).prop_map(|(id, content)| Step::Put(id, content)),
        3 => (id.clone(), content()).prop_map(|(id, content)| Step::Update(id, content)),
        2 => id.prop_map(Step::Delete),
        4 => (words.clone(), any::<bool>(), option::of(0..TAGS.len()))
            .prop_map(|(words, all, tag)| Step::Words(words, all, tag)),
        2 => words.prop_map(Step::Near),
        3 => (any::<bool>(), option::of((-3_i8..4, -3_i8..4)))
            .prop_map(|(descending, range)| Step::Sorted(descending, range)),
        1 => Just(Step::Reopen),
        1 => Just(Step::ThrowAway),
    ]
}

fn joined(words: &[usize]) -> String {
    words
        .iter()
        .map(|at| WORDS[*at])
        .collect::<Vec<_>>()
        .join(" ")
}

fn fields(content: &Content) -> Fields {
    let mut fields = Fields::new();
    if let Some(number) = content.number {
        fields.push(("number".to_owned(), Value::Number(f64::from(number))));
    }
    if !content.tags.is_empty() {
        let tags = content.tags.iter().map(|at| TAGS[*at].to_owned()).collect();
        fields.push(("tag".to_owned(), Value::Keywords(tags)));
    }
    if !content.words.is_empty() {
        fields.push(("text".to_owned(), Value::Text(joined(&content.words))));
    }
    fields
}

#[derive(Default)]
struct Model(BTreeMap<String, Fields>);

impl Model {
    fn text(&self, id: &str) -> &str {
        match value(&self.0[id], "text") {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    fn passing(&self, filter: Option<&Filter>) -> Vec<&String> {
        let all = self.0.iter();
        all.filter(|(_, fields)| filter.is_none_or(|filter| filter.holds(fields)))
            .map(|(id, _)| id)
            .collect()
    }

    fn matching(&self, words: &str, all: bool, filter: Option<&Filter>) -> BTreeSet<String> {
        let wanted = terms(Analyzer::Sv, words);
        let matches = |id: &&&String| {
            let has = terms(Analyzer::Sv, self.text(id));
            let mut wanted = wanted.iter();
            match all {
                true => wanted.len() > 0 && wanted.all(|term| has.contains(term)),
                false => wanted.any(|term| has.contains(term)),
            }
        };
        let passing = self.passing(filter);
        passing
            .iter()
            .filter(matches)
            .map(|id| (*id).clone())
            .collect()
    }

    fn counts(&self, ids: impl Iterator<Item = String>) -> Vec<(String, u64)> {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for id in ids {
            if let Some(Value::Keywords(tags)) = value(&self.0[&id], "tag") {
                for tag in tags.iter().collect::<BTreeSet<_>>() {
                    *counts.entry(tag.clone()).or_default() += 1;
                }
            }
        }
        let mut counts: Vec<(String, u64)> = counts.into_iter().collect();
        counts.sort_by(|(a, x), (b, y)| y.cmp(x).then_with(|| a.cmp(b)));
        counts
    }
}

struct Run {
    house: House,
    model: Model,
}

impl Run {
    async fn change(&mut self, change: Change) {
        let ctx = scribe();
        let id = ctx.next_write_id().unwrap();
        let write = SearchWrite::Change {
            index: "notes".to_owned(),
            changes: vec![change.clone()],
        };
        let result = self.house.local.search().apply(&ctx, id, &write).await;
        let stands = self.model.0.contains_key(change.id());
        match change {
            Change::Put { id, fields } => {
                self.model.0.insert(id, fields);
            }
            Change::Delete { id } => {
                self.model.0.remove(&id);
            }
            Change::Update { .. } if !stands => {
                assert_eq!(result.unwrap_err().kind(), ErrorKind::NotFound);
                return;
            }
            Change::Update { id, set, remove } => {
                let fields = self.model.0.get_mut(&id).unwrap();
                fields.retain(|(name, _)| !remove.contains(name) && value(&set, name).is_none());
                fields.extend(set);
                fields.sort_by(|(a, _), (b, _)| a.cmp(b));
            }
        }
        result.unwrap();
    }

    async fn query(&self, query: Query) -> Answer {
        let query = Query {
            facets: vec!["tag".to_owned()],
            limit: 100,
            ..query
        };
        let answer = self
            .house
            .local
            .search()
            .query(&scribe(), "notes", &query)
            .await;
        let answer = answer.unwrap();
        assert_eq!(answer.total, answer.hits.len() as u64);
        for hit in &answer.hits {
            assert_eq!(hit.document.fields, self.model.0[&hit.document.id]);
        }
        let ids = answer.hits.iter().map(|hit| hit.document.id.clone());
        assert_eq!(answer.facets[0].values, self.model.counts(ids));
        answer
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Put(id, content) => {
                let (id, fields) = (IDS[id].to_owned(), fields(&content));
                self.change(Change::Put { id, fields }).await;
            }
            Step::Update(id, content) => {
                let set = fields(&content);
                let all = ["number", "tag", "text"].map(str::to_owned);
                let mut remove = all.to_vec();
                remove.retain(|name| value(&set, name).is_none() && name != "text");
                let id = IDS[id].to_owned();
                self.change(Change::Update { id, set, remove }).await;
            }
            Step::Delete(id) => {
                let id = IDS[id].to_owned();
                self.change(Change::Delete { id }).await;
            }
            Step::Words(words, all, tag) => self.words(&joined(&words), all, tag).await,
            Step::Near(words) => self.near(&joined(&words)).await,
            Step::Sorted(descending, range) => self.sorted(descending, range).await,
            Step::Reopen => self.house.reopen().await,
            Step::ThrowAway => {
                self.house.local.close().await.unwrap();
                let _ = std::fs::remove_dir_all(self.house.tenant_dir().join("search"));
                self.house.local = self.house.beside();
            }
        }
    }

    async fn words(&self, words: &str, all: bool, tag: Option<usize>) {
        let filter = tag.map(|tag| Filter::Keyword {
            field: "tag".to_owned(),
            one_of: vec![TAGS[tag].to_owned()],
        });
        let expected = self.model.matching(words, all, filter.as_ref());
        let query = Query {
            text: Some(TextPart {
                words: words.to_owned(),
                fields: Vec::new(),
                operator: if all { Operator::All } else { Operator::Any },
            }),
            filter,
            ..Query::default()
        };
        let answer = self.query(query).await;
        let hits: BTreeSet<String> = answer.hits.into_iter().map(|hit| hit.document.id).collect();
        assert_eq!(hits, expected, "{words:?} {all}");
    }

    async fn near(&self, words: &str) {
        let wanted = embed(words);
        let mut expected: Vec<(f32, String)> = self
            .model
            .0
            .keys()
            .map(|id| (id, embed(self.model.text(id))))
            .filter(|(_, vector)| vector.iter().any(|number| *number != 0.0))
            .map(|(id, vector)| (dot(&wanted, &vector), id.clone()))
            .collect();
        expected.sort_by(|(x, a), (y, b)| y.total_cmp(x).then_with(|| a.cmp(b)));
        let vector = VectorPart {
            field: "vec".to_owned(),
            near: Near::Words(words.to_owned()),
        };
        let answer = self
            .query(Query {
                vector: Some(vector),
                ..Query::default()
            })
            .await;
        assert_eq!(answer.hits.len(), expected.len());
        for (hit, (cosine, _)) in answer.hits.iter().zip(&expected) {
            assert!((hit.score - cosine).abs() < 1e-3, "{} {cosine}", hit.score);
        }
    }

    async fn sorted(&self, descending: bool, range: Option<(i8, i8)>) {
        let filter = range.map(|(from, to)| Filter::Number {
            field: "number".to_owned(),
            from: Bound::Included(f64::from(from)),
            to: Bound::Excluded(f64::from(to)),
        });
        let number = |id: &String| match value(&self.model.0[id], "number") {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        };
        let mut expected = self.model.passing(filter.as_ref());
        expected.sort_by(|a, b| match (number(a), number(b)) {
            (Some(x), Some(y)) if descending => y.total_cmp(&x),
            (Some(x), Some(y)) => x.total_cmp(&y),
            (x, y) => y.is_some().cmp(&x.is_some()),
        });
        let sort = Sort {
            field: "number".to_owned(),
            descending,
        };
        let query = Query {
            sort: Some(sort),
            filter: filter.clone(),
            ..Query::default()
        };
        let answer = self.query(query).await;
        let hits: Vec<&String> = answer.hits.iter().map(|hit| &hit.document.id).collect();
        assert_eq!(hits, expected);
    }
}

async fn run(steps: Vec<Step>) {
    let field = |name: &str, kind| Field {
        name: name.to_owned(),
        kind,
    };
    let create = SearchWrite::CreateIndex {
        index: "notes".to_owned(),
        fields: vec![
            field("number", FieldKind::Number),
            field("tag", FieldKind::Keyword),
            field("text", FieldKind::Text(Analyzer::Sv)),
            field(
                "vec",
                FieldKind::Vector(VectorSource::MadeFrom("text".to_owned())),
            ),
        ],
    };
    let mut run = Run {
        house: House::new(),
        model: Model::default(),
    };
    let ctx = scribe();
    let id = ctx.next_write_id().unwrap();
    run.house
        .local
        .search()
        .apply(&ctx, id, &create)
        .await
        .unwrap();
    for step in steps {
        run.step(step).await;
    }
    run.words(&WORDS.join(" "), false, None).await;
    run.sorted(false, None).await;
    run.house.local.close().await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(11),
        ..ProptestConfig::default()
    })]

    #[test]
    fn search_answers_what_looking_at_every_document_answers(steps in vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(steps));
    }
}
