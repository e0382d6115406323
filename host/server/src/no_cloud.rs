//! What [`crate::cloud`] is in a build without AWS: nothing.

use std::sync::Arc;

use stuga_core::a2a::delivery::{MailDesk, MailQueue};
use stuga_core::embed::Embedder;
use stuga_core::keys::KeyWrap;
use stuga_core::model::ModelLimits;
use stuga_core::secrets::SecretStore;
use stuga_core::{Clock, Result, TenantId};
use stuga_resilience::Capabilities;

use crate::host::Elsewhere;
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
pub(crate) struct Cloud;

impl Cloud {
    /// There is nothing to open.
    ///
    /// # Errors
    /// Never.
    pub(crate) fn open((): &Settings, _: Arc<dyn Clock>) -> Result<Self> {
        Ok(Self)
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
    pub(crate) fn serve(&self, _: &mut Capabilities, _: &Arc<dyn Embedder>) {}

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

    /// There is nothing to wait for.
    pub(crate) async fn settled(&self) {}

    /// None.
    pub(crate) fn secrets(&self) -> Option<Arc<dyn SecretStore>> {
        None
    }

    /// Nobody takes anything.
    pub(crate) fn set_model_limits(&self, _: &TenantId, _: ModelLimits) {}
}
