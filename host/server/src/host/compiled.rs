//! Plugins from the store, compiled once however many tenants run them.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use semver::Version;
use stuga_core::AgentName;
use stuga_runtime::Plugin;

use super::Host;

/// Compiled plugins that are in use somewhere. A version never changes, so name and version find it.
#[derive(Default)]
pub(super) struct Compiled(HashMap<(AgentName, Version), Weak<Plugin>>);

impl Compiled {
    /// Forgets plugins that nobody runs any more.
    pub(super) fn sweep(&mut self) {
        self.0.retain(|_, plugin| plugin.strong_count() > 0);
    }
}

impl Host {
    /// The plugin of that version, whose digest must be `expected` if that is known.
    pub(super) async fn plugin(
        &self,
        name: &AgentName,
        version: &Version,
        expected: Option<&str>,
        compiled: &mut Compiled,
    ) -> Result<Arc<Plugin>, String> {
        let key = (name.clone(), version.clone());
        if let Some(plugin) = compiled.0.get(&key).and_then(Weak::upgrade)
            && expected.is_none_or(|digest| digest == plugin.digest())
        {
            return Ok(plugin);
        }
        let (store, wanted) = (self.store.clone(), key.clone());
        let read = tokio::task::spawn_blocking(move || store.get(&wanted.0, &wanted.1)).await;
        let component = read
            .map_err(|error| error.to_string())?
            .map_err(|error| error.message().to_owned())?;
        let plugin = self
            .runtime
            .load(component)
            .await
            .map_err(|error| error.to_string())?;
        if expected.is_some_and(|digest| digest != plugin.digest()) {
            return Err(format!(
                "{name} {version} in the store is not what was loaded: its digest is {}; load it again",
                plugin.digest()
            ));
        }
        let manifest = plugin.manifest();
        if manifest.name != *name || manifest.version != version.to_string() {
            return Err(format!(
                "{name} {version} in the store says of itself that it is {} {}; load it again",
                manifest.name, manifest.version
            ));
        }
        compiled.0.insert(key, Arc::downgrade(&plugin));
        Ok(plugin)
    }
}
