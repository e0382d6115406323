//! Readying a component for a tenant as the server would, and throwing it away: what `stuga plugin load` checks first.

use std::sync::Arc;

use stuga_core::{Clock, Error, Result, SystemClock};
use stuga_runtime::{JobCheck, Kinds, LoadError, Plugin, Runtime, RuntimeConfig, Skills};

use super::deploy::settings;
use super::plan::entry_snippet;
use crate::config::{Config, ModelSettings};
use crate::tenants::Tenant;
use crate::wire::Backends;

/// Compiles a component and asks it what it is. The compiled code stays in the cache for the server.
///
/// # Errors
/// Why this host does not take it.
pub async fn load(
    config: &Config,
    component: Vec<u8>,
) -> Result<(Runtime, Arc<Plugin>), LoadError> {
    let runtime = Runtime::new(RuntimeConfig {
        max_instances: 8,
        code_cache: Some(config.data_dir.join("cache")),
        ..RuntimeConfig::default()
    })?;
    let plugin = runtime.load(component).await?;
    Skills::compile(plugin.manifest()).map_err(LoadError::Schema)?;
    Kinds::compile(plugin.manifest()).map_err(LoadError::Schema)?;
    Ok((runtime, plugin))
}

/// Loads a component and starts it once with what the tenant grants it.
///
/// # Errors
/// `Denied` when the tenant's file has no entry for it, `Invalid` with what is wrong with the component.
pub async fn for_tenant(
    config: &Config,
    tenant: &Tenant,
    component: Vec<u8>,
) -> Result<Arc<Plugin>> {
    let invalid = |error: LoadError| Error::invalid("plugin.load", error.to_string());
    let (runtime, plugin) = load(config, component).await.map_err(invalid)?;
    let name = &plugin.manifest().name;
    let Some(entry) = tenant.plugin(name.as_str()) else {
        return Err(Error::denied(
            "plugin.load",
            format!(
                "tenant {} has no entry for plugin {name}; {}",
                tenant.id,
                entry_snippet(name)
            ),
        ));
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    // A trial asks no model anything, so none is loaded.
    let config = Config {
        model: ModelSettings::default(),
        ..config.clone()
    };
    let backends = Backends::open(&config, clock)?;
    let trial = runtime
        .deploy(
            Arc::clone(&plugin),
            settings(tenant, entry, JobCheck::default()),
            backends.capabilities(),
        )
        .await;
    backends.close().await;
    trial.map_err(invalid)?;
    Ok(plugin)
}
