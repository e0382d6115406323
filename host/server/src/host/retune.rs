//! Takes over what of the configuration file may change while the host runs: how it stands in for AWS. Everything else takes
//! effect at the next start.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Weak};

use stuga_core::Result;

use super::Host;
use super::watch::Changes;
use crate::config::Config;

/// Watches the configuration file until the host is closed. Nothing without a file.
pub(super) fn start(host: &Arc<Host>) -> Result<()> {
    let Some(file) = host.config_file.clone() else {
        return Ok(());
    };
    // Whatever happens in the directory may have replaced the file, such as a link to another directory that was swapped.
    let mut changes = Changes::watch(&[directory(&file)], &host.stop)?;

    let (host, tasks) = (Arc::downgrade(host), host.tasks.clone());
    let mut seen = Seen::of(&file);
    tasks.spawn(async move {
        while let Some(()) = changes.next().await {
            let Some(host) = Weak::upgrade(&host) else {
                return;
            };
            if let Some(config) = seen.anew(&file) {
                host.retune(config, &mut seen);
            }
        }
    });
    Ok(())
}

/// What was last seen of the file.
struct Seen {
    /// Its text, be it wrong; none when it could not be read.
    text: Option<String>,
    /// What it said when it was right.
    config: Option<Config>,
}

impl Seen {
    fn of(file: &Path) -> Self {
        let text = fs::read_to_string(file).ok();
        let config = text
            .as_deref()
            .and_then(|text| Config::parse(file, text).ok());
        Self { text, config }
    }

    /// What the file says, when it says something else than before. Mistakes are logged once and change nothing.
    fn anew(&mut self, file: &Path) -> Option<Config> {
        let text = fs::read_to_string(file);
        let said = text.as_ref().ok();
        if said == self.text.as_ref() {
            return None;
        }
        self.text = said.cloned();
        let read = text.map_err(Into::into);
        match read.and_then(|text| Config::parse(file, &text)) {
            Ok(config) => Some(config),
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(%error, file = %file.display(), "the configuration cannot be read or has mistakes; what it said before stays");
                None
            }
        }
    }
}

/// Where a file lies.
fn directory(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

impl Host {
    /// Goes by what the file says now, and says what of it has to wait for a start.
    fn retune(&self, config: Config, seen: &mut Seen) {
        if self.backends.fallback().set(config.failover.clone()) {
            let failover = serde_json::to_string(&config.failover).unwrap_or_default();
            tracing::info!(
                failover,
                "the configuration changed: so this host stands in for AWS from now on"
            );
        }
        let elsewhere = |known: &Config| {
            let failover = config.failover.clone();
            let but_failover = Config {
                failover,
                ..known.clone()
            };
            but_failover != config
        };
        if seen.config.as_ref().is_some_and(elsewhere) {
            tracing::warn!(
                "the configuration changed beyond `failover`; that takes effect at the next start"
            );
        }
        seen.config = Some(config);
    }
}
