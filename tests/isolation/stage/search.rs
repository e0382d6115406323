//! What everybody does with `search`.

use stuga_core::search::{
    Analyzer, Answer, Change, Document, Field, FieldKind, Filter, Near, Query, Search, SearchAck,
    SearchWrite, TextPart, Value, VectorPart, VectorSource,
};
use stuga_core::{CallCtx, Capability, Result, Write};

use super::{Heard, KEYS, SESSIONS, Stage, mark};

impl Stage {
    pub(super) async fn furnish_search(&self, ctx: &CallCtx) {
        for index in SESSIONS {
            self.search(ctx, &create(index)).await.unwrap();
            let changes = KEYS.map(|id| put(id, mark(ctx))).to_vec();
            self.search(ctx, &change(index, changes)).await.unwrap();
        }
    }

    pub(super) async fn search_of(&self, owner: &CallCtx) -> Vec<String> {
        let search = self.local.search();
        let mut all = vec![format!("{:?}", search.indices(owner).await.unwrap())];
        for index in SESSIONS {
            for query in queries() {
                let answer = search.query(owner, index, &query).await;
                all.push(format!("{:?}", answer.unwrap()));
            }
        }
        all
    }

    pub(super) async fn use_search(&self, ctx: &CallCtx, heard: &mut Heard) {
        let search = self.local.search();
        let names = search.indices(ctx).await;
        let names = names.map(|all| all.into_iter().map(|info| info.name).collect::<Vec<_>>());
        heard.hear("search.list-indices", names);
        for index in SESSIONS {
            let info = search.describe(ctx, index).await;
            let counts = info.map(|info| info.map(|info| (info.documents, info.bytes)));
            heard.hear("search.describe-index", counts);
            for query in queries() {
                let answer = search.query(ctx, index, &query).await;
                heard.hear("search.query", answer.map(found));
            }
            for id in KEYS {
                let document = search.get(ctx, index, id).await;
                heard.hear("search.get", document.map(|d| d.map(said)));
            }
            let update = Change::Update {
                id: KEYS[0].to_owned(),
                set: Vec::new(),
                remove: vec!["tag".to_owned()],
            };
            let delete = |id: &str| Change::Delete { id: id.to_owned() };
            for write in [
                create(index),
                change(index, vec![put(KEYS[0], mark(ctx))]),
                change(index, vec![update]),
                change(index, vec![delete(KEYS[1])]),
                change(index, KEYS.map(delete).to_vec()),
                SearchWrite::DropIndex {
                    index: index.to_owned(),
                },
            ] {
                let ack = self.search(ctx, &write).await;
                heard.hear(write.operation(), ack.map(without_versions));
            }
        }
    }

    async fn search(&self, ctx: &CallCtx, write: &SearchWrite) -> Result<SearchAck> {
        let id = ctx.next_write_id()?;
        self.local.search().apply(ctx, id, write).await
    }
}

fn create(index: &str) -> SearchWrite {
    let field = |name: &str, kind| Field {
        name: name.to_owned(),
        kind,
    };
    SearchWrite::CreateIndex {
        index: index.to_owned(),
        fields: vec![
            field("tag", FieldKind::Keyword),
            field("text", FieldKind::Text(Analyzer::Simple)),
            field(
                "vec",
                FieldKind::Vector(VectorSource::MadeFrom("text".to_owned())),
            ),
        ],
    }
}

fn put(id: &str, text: String) -> Change {
    Change::Put {
        id: id.to_owned(),
        fields: vec![
            ("tag".to_owned(), Value::Keywords(vec![text.clone()])),
            ("text".to_owned(), Value::Text(text)),
        ],
    }
}

fn change(index: &str, changes: Vec<Change>) -> SearchWrite {
    SearchWrite::Change {
        index: index.to_owned(),
        changes,
    }
}

/// By words, by nearness, by both, and everything, with all that an answer can say.
fn queries() -> [Query; 4] {
    let words = || {
        Some(TextPart {
            words: "secret of".to_owned(),
            fields: Vec::new(),
            operator: stuga_core::search::Operator::Any,
        })
    };
    let near = || {
        Some(VectorPart {
            field: "vec".to_owned(),
            near: Near::Words("the secret of somebody".to_owned()),
        })
    };
    let whole = |text, vector| Query {
        text,
        vector,
        highlight: vec!["text".to_owned()],
        facets: vec!["tag".to_owned()],
        limit: 100,
        ..Query::default()
    };
    let filtered = Query {
        filter: Some(Filter::None(Vec::new())),
        ..whole(None, None)
    };
    [
        whole(words(), None),
        whole(None, near()),
        whole(words(), near()),
        filtered,
    ]
}

/// What an answer tells, without versions, which count a tenant's writes.
fn found(answer: Answer) -> String {
    let texts = answer
        .hits
        .into_iter()
        .map(|hit| (said(hit.document), hit.highlights));
    let texts = texts.collect::<Vec<_>>();
    format!(
        "{texts:?} {} {:?} {:?}",
        answer.total, answer.facets, answer.next_cursor
    )
}

fn said(document: Document) -> (String, String) {
    (document.id, format!("{:?}", document.fields))
}

fn without_versions(ack: SearchAck) -> String {
    match ack {
        SearchAck::Changed(outcomes) => {
            let existed = outcomes.into_iter().map(|outcome| outcome.existed);
            format!("{:?}", existed.collect::<Vec<_>>())
        }
        other => format!("{other:?}"),
    }
}
