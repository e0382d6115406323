//! The memory of applied changes: a small secret for each, beside the tenant's own, made when the change is done.
//!
//! It holds a digest of the change and its answer, and is encrypted under the same key as the values themselves. Those older than
//! [`REMEMBERED`] are removed by listings.

use std::time::Duration;

use aws_smithy_types::DateTime;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use stuga_core::{Error, ErrorKind, Result, WriteId};

use super::Desk;
use crate::call::call_until;
use crate::error::{absent, damaged};

/// Behind the tenant's prefix; no secret has such a name.
pub(super) const FOLDER: &str = "_applied/";
/// How long a change is remembered: an hour more than promised.
const REMEMBERED: Duration = Duration::from_secs(25 * 3_600);

/// What one change was.
pub(super) struct Change {
    digest: String,
}

#[derive(Serialize, Deserialize)]
struct Marker<T> {
    change: String,
    answer: T,
}

impl Change {
    /// A change with all that makes it different from others.
    pub(super) fn of(operation: &str, parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in [operation.as_bytes()].iter().chain(parts) {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(part);
        }
        Self {
            digest: hex::encode(hash.finalize()),
        }
    }
}

impl Desk<'_> {
    /// What the change answered, if it was applied before.
    ///
    /// # Errors
    /// `Conflict` when another change was applied under this id.
    pub(super) async fn applied<T: DeserializeOwned>(
        &self,
        id: WriteId,
        change: &Change,
    ) -> Result<Option<T>> {
        let name = self.id(&format!("{FOLDER}{}", id.to_name()))?;
        let get = self
            .clients
            .secrets()
            .get_secret_value()
            .secret_id(name)
            .send();
        let got = call_until(self.deadline(), self.operation, get).await;
        let Some(got) = absent(got)? else {
            return Ok(None);
        };
        let text = got.secret_string().unwrap_or_default();
        let marker: Marker<serde_json::Value> =
            serde_json::from_str(text).map_err(|_| damaged(self.operation))?;
        // Before the answer is read: that of another change may be of another form.
        if marker.change != change.digest {
            return Err(another(self.operation));
        }
        let answer = serde_json::from_value(marker.answer);
        answer.map(Some).map_err(|_| damaged(self.operation))
    }

    /// Remembers what the change answered.
    pub(super) async fn remember<T: Serialize>(
        &self,
        id: WriteId,
        change: &Change,
        answer: &T,
    ) -> Result<()> {
        let marker = Marker {
            change: change.digest.clone(),
            answer,
        };
        let text = serde_json::to_string(&marker)
            .map_err(|e| Error::internal(self.operation, "an answer is no JSON").with_source(e))?;
        let create = self
            .clients
            .secrets()
            .create_secret()
            .name(self.id(&format!("{FOLDER}{}", id.to_name()))?)
            .client_request_token(id.to_name())
            .kms_key_id(self.shared.scope(self.tenant).secrets_key()?)
            .secret_string(text)
            .send();
        match call_until(self.deadline(), self.operation, create).await {
            Ok(_) => Ok(()),
            // The same change in two places at once, or another one under its id, which the next attempt would be told.
            Err(error) if error.kind() == ErrorKind::Conflict => {
                self.applied::<IgnoredAny>(id, change).await.map(drop)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether a marker of that age has done its duty.
    pub(super) fn is_forgettable(&self, created: Option<&DateTime>) -> bool {
        let Some(Ok(millis)) = created.map(|at| at.to_millis()) else {
            return false;
        };
        let created = stuga_core::Timestamp::from_millis(u64::try_from(millis).unwrap_or(u64::MAX));
        self.shared.now().since(created) > REMEMBERED
    }
}

fn another(operation: &'static str) -> Error {
    Error::conflict(operation, "this write id was used for another change")
}
