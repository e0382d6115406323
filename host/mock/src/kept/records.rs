//! Records.

use stuga_core::records::{RecordWrite, Records};
use stuga_core::{CallCtx, Result};

use super::metadata;
use crate::compare::{Differences, Findings};
use crate::scenario::{ExpectRecord, StateRecord};

pub(super) async fn lay(records: &dyn Records, ctx: &CallCtx, state: &[StateRecord]) -> Result<()> {
    for record in state {
        let put = RecordWrite::Put {
            namespace: record.namespace.clone(),
            id: Some(record.id.clone()),
            text: record.text.clone(),
            metadata: metadata(&record.metadata),
        };
        records.apply(ctx, ctx.next_write_id()?, &put).await?;
    }
    Ok(())
}

pub(super) async fn look(
    records: &dyn Records,
    ctx: &CallCtx,
    expected: &[ExpectRecord],
    found: &mut Findings,
) -> Result<()> {
    for expect in expected {
        let there = records.get(ctx, &expect.namespace, &expect.id).await?;
        let at = format!("record {:?} in {:?}", expect.id, expect.namespace);
        let mut differences = Differences::new(at, found);
        match (there, expect.absent) {
            (None, true) => {}
            (None, false) => differences.add("", "a record", "nothing"),
            (Some(_), true) => differences.add("", "nothing", "a record"),
            (Some(record), false) => {
                if let Some(wanted) = &expect.text
                    && *wanted != record.text
                {
                    differences.add("", wanted, &record.text);
                }
            }
        }
    }
    Ok(())
}
