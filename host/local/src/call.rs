//! How a call reaches its tenant's store: scope, deadline and connection in one place, for every capability.

use rusqlite::Connection;
use stuga_core::{CallCtx, Error, Result, Timestamp};

use crate::Local;
use crate::durability::Syncs;
use crate::error;
use crate::scope::Scope;
use crate::tenant::{Tenant, within};
use crate::tx::WriteTx;

/// What a read sees: everything that was committed before it began.
pub(crate) struct Reading<'c> {
    pub(crate) scope: Scope,
    pub(crate) tenant: &'c Tenant,
    pub(crate) conn: &'c Connection,
}

impl Reading<'_> {
    /// The moment of the read.
    pub(crate) fn now(&self) -> Timestamp {
        self.tenant.now()
    }
}

/// Why a read failed, before it knows the name of its operation.
pub(crate) enum Failure {
    Sqlite(rusqlite::Error),
    Said(Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Said(error)
    }
}

impl Failure {
    pub(crate) fn of(self, operation: &'static str) -> Error {
        match self {
            Self::Sqlite(e) => error::sqlite(operation, e),
            Self::Said(error) => error,
        }
    }
}

impl Local {
    /// Runs `work` on a connection to the store of the call's tenant.
    ///
    /// # Errors
    /// What `work` answers; `Timeout` at the call's deadline; `RateLimited` when too many wait; `Unavailable` or
    /// `Internal` when the store fails.
    pub(crate) async fn read<T, E, F>(
        &self,
        ctx: &CallCtx,
        operation: &'static str,
        work: F,
    ) -> Result<T>
    where
        T: Send + 'static,
        E: Into<Failure>,
        F: FnOnce(&Reading<'_>) -> Result<T, E> + Send + 'static,
    {
        let scope = Scope::of(ctx);
        within(ctx, operation, async {
            let tenant = self.tenant(&scope.tenant).await?;
            tenant
                .read(operation, move |tenant, conn| {
                    let reading = Reading {
                        scope,
                        tenant,
                        conn,
                    };
                    work(&reading).map_err(|e| e.into().of(operation))
                })
                .await
        })
        .await
    }

    /// Runs `work` in a transaction of the call's tenant and returns once it is durable. `weight` is about how many
    /// bytes the write carries.
    ///
    /// # Errors
    /// As [`Local::read`]. After `Timeout` the write may have landed.
    pub(crate) async fn write<T, F>(
        &self,
        ctx: &CallCtx,
        operation: &'static str,
        weight: usize,
        work: F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut WriteTx<'_>) -> Result<T> + Send + 'static,
    {
        self.write_synced(ctx, operation, weight, Syncs::First, work)
            .await
    }

    /// The same for a write that may be answered before it is durable; see [`Syncs`].
    ///
    /// # Errors
    /// As [`Local::write`].
    pub(crate) async fn write_synced<T, F>(
        &self,
        ctx: &CallCtx,
        operation: &'static str,
        weight: usize,
        syncs: Syncs,
        work: F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut WriteTx<'_>) -> Result<T> + Send + 'static,
    {
        within(ctx, operation, async {
            let tenant = self.tenant(&ctx.tenant).await?;
            tenant.write_synced(operation, weight, syncs, work).await
        })
        .await
    }
}
