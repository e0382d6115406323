//! Indices and documents that another host made: the copy is not taught them, and says so.
//!
//! An index may hold more documents than can be brought here in the path of a request, and one with a part of them would
//! answer queries wrongly without anybody seeing it.

use std::sync::Arc;

use async_trait::async_trait;
use stuga_core::search::{Change, Search, SearchWrite};
use stuga_core::{CallCtx, Error, Result, Write};

use super::{Taught, Teacher, of_copy};

/// Most documents that the cloud is asked for; when the copy lacks more, nobody asks whether the cloud has them.
const ASKED_MAX: usize = 8;

/// Finds out whether the copy lacks what a write changes.
pub struct SearchTeacher {
    cloud: Arc<dyn Search>,
    copy: Arc<dyn Search>,
}

impl SearchTeacher {
    /// Of `copy`, beside `cloud`.
    pub fn new(cloud: Arc<dyn Search>, copy: Arc<dyn Search>) -> Self {
        Self { cloud, copy }
    }
}

#[async_trait]
impl Teacher<SearchWrite> for SearchTeacher {
    async fn teach(&self, ctx: &CallCtx, write: &SearchWrite) -> Result<Taught> {
        let SearchWrite::Change { index, changes } = write else {
            return Ok(Taught::Superseded);
        };
        let operation = write.operation();
        if self.cloud.describe(ctx, index).await?.is_none() {
            return Ok(Taught::Superseded);
        }
        let here = self.copy.describe(ctx, index).await;
        if here.map_err(of_copy(operation))?.is_none() {
            return Err(lacks(operation, "an index").with_context("index", index));
        }
        let mut asked = 0;
        for change in changes {
            let Change::Update { id, .. } = change else {
                continue;
            };
            let here = self.copy.get(ctx, index, id).await;
            if here.map_err(of_copy(operation))?.is_some() {
                continue;
            }
            asked += 1;
            if asked > ASKED_MAX || self.cloud.get(ctx, index, id).await?.is_some() {
                return Err(lacks(operation, "a document").with_context("id", id));
            }
        }
        Ok(Taught::Superseded)
    }
}

fn lacks(operation: &'static str, what: &str) -> Error {
    let message = format!("another host made {what} that this host's copy does not have");
    Error::not_found(operation, message)
}
