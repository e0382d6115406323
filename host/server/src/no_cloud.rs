//! What [`crate::cloud`] is in a build without AWS: nothing.

use std::sync::Arc;

use serde_json::Value;
use stuga_core::a2a::delivery::{MailDesk, MailQueue};
use stuga_core::embed::Embedder;
use stuga_core::keys::KeyWrap;
use stuga_core::model::ModelLimits;
use stuga_core::secrets::SecretStore;
use stuga_core::{CallCtx, Clock, Result, TenantId, Timestamp};
use stuga_local::Local;
use stuga_resilience::Capabilities;

use crate::fallback::Fallback;
use crate::host::{Elsewhere, Happened};
use crate::tenants::Storage;
use crate::yaml::{Node, Report};

/// There is nothing to say.
pub(crate) type Settings = ();

/// There is nothing to read.
///
/// # Errors
/// Never.
pub(crate) fn settings((): Settings) -> anyhow::Result<Settings> {
    Ok(())
}

/// A configuration that speaks of AWS is not for this build.
pub(crate) fn read(node: &Node, report: &mut Report) -> Settings {
    report.add(
        node.at,
        "aws is not in this build",
        "build with the feature `aws`, which is on by default, or remove the section",
    );
}

/// No AWS.
pub(crate) struct Cloud(Announcer);

/// Tells nobody.
#[derive(Clone)]
pub(crate) struct Announcer;

impl Announcer {
    /// There is nothing to start.
    pub(crate) fn start(&self) {}

    /// Nobody is told.
    pub(crate) fn publish(&self, _: Happened, _: Option<&TenantId>, _: Timestamp, _: Value) {}

    /// None.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (0, 0)
    }
}

impl Cloud {
    /// There is nothing to open.
    ///
    /// # Errors
    /// Never.
    pub(crate) fn open((): &Settings, _: Arc<dyn Clock>) -> Result<Self> {
        Ok(Self(Announcer))
    }

    /// None.
    ///
    /// # Errors
    /// Never.
    pub(crate) fn embedder(&self) -> Result<Option<Arc<dyn Embedder>>> {
        Ok(None)
    }

    /// None.
    pub(crate) fn key_wrap(&self) -> Option<Arc<dyn KeyWrap>> {
        None
    }

    /// Everything is served here.
    pub(crate) fn stand_before(
        &self,
        _: &mut Capabilities,
        _: &Arc<dyn Embedder>,
        _: &Local,
        _: &mut Fallback,
    ) {
    }

    /// Jobs run here.
    pub(crate) fn jobs(&self) -> Option<Elsewhere> {
        None
    }

    /// None.
    pub(crate) fn mail_queue(&self) -> Option<Arc<dyn MailQueue>> {
        None
    }

    /// None.
    pub(crate) fn mail_desk(&self) -> Option<Arc<dyn MailDesk>> {
        None
    }

    /// What tells nobody.
    pub(crate) fn announcer(&self) -> &Announcer {
        &self.0
    }

    /// There is no such memory.
    pub(crate) fn renews(&self) -> bool {
        false
    }

    /// There is nothing to renew.
    ///
    /// # Errors
    /// Never.
    pub(crate) async fn renew(&self, _: &CallCtx) -> Result<()> {
        Ok(())
    }

    /// There is nothing to wait for.
    pub(crate) async fn settled(&self) {}

    /// None.
    pub(crate) fn secrets(&self, _: &Local) -> Option<Arc<dyn SecretStore>> {
        None
    }

    /// Nobody stores anything.
    pub(crate) fn set_storage_limits(&self, _: &TenantId, _: &Storage) {}

    /// Nobody takes anything.
    pub(crate) fn set_model_limits(&self, _: &TenantId, _: ModelLimits) {}
}
