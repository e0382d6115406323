//! What everybody does with `records`.

use stuga_core::records::{RecordWrite, Records};
use stuga_core::{CallCtx, Capability, Write};

use super::{Heard, SESSIONS, Stage, mark};

/// Where all of them keep records.
const NAMESPACE: &str = "/users/k/facts";

impl Stage {
    pub(super) async fn furnish_records(&self, ctx: &CallCtx) {
        for id in SESSIONS {
            let write_id = ctx.next_write_id().unwrap();
            let write = note(id, mark(ctx));
            let records = self.local.records();
            records.apply(ctx, write_id, &write).await.unwrap();
        }
    }

    pub(super) async fn records_of(&self, owner: &CallCtx) -> Vec<String> {
        let records = self.local.records().list(owner, "", None, 1_000).await;
        vec![format!("{:?}", records.unwrap())]
    }

    pub(super) async fn use_records(&self, ctx: &CallCtx, heard: &mut Heard) {
        let records = self.local.records();
        let page = records.list(ctx, "", None, 1).await;
        let cursor = page.iter().find_map(|page| page.next_cursor.clone());
        let rest = records.list(ctx, "", cursor.as_deref(), 10).await;
        for page in [page, rest] {
            let texts = |page: stuga_core::records::Page| {
                let texts = page.records.into_iter().map(|record| record.text);
                texts.collect::<Vec<_>>()
            };
            heard.hear("records.list", page.map(texts));
        }
        let hits = records.recall(ctx, "", "secret of", 100).await;
        let texts = hits.map(|hits| hits.into_iter().map(|hit| hit.record.text));
        heard.hear("records.recall", texts.map(Iterator::collect::<Vec<_>>));
        for id in SESSIONS {
            let found = records.get(ctx, NAMESPACE, id).await;
            heard.hear(
                "records.get",
                found.map(|record| record.map(|record| record.text)),
            );
            let delete = RecordWrite::Delete {
                namespace: NAMESPACE.to_owned(),
                id: id.to_owned(),
            };
            for write in [note(id, mark(ctx)), delete] {
                let write_id = ctx.next_write_id().unwrap();
                let ack = records.apply(ctx, write_id, &write).await;
                heard.hear(write.operation(), ack.map(|ack| ack.existed));
            }
        }
    }
}

fn note(id: &str, text: String) -> RecordWrite {
    RecordWrite::Put {
        namespace: NAMESPACE.to_owned(),
        id: Some(id.to_owned()),
        text,
        metadata: Vec::new(),
    }
}
