//! Secrets of a mock host: what a test sets, and the lines and errors without it.

use std::collections::BTreeMap;

use stuga_core::Timestamp;
use stuga_core::secrets::{SECRETS_MAX, SecretInfo, SecretValue, VERSIONS_MAX, check_name};

use super::Host;
use super::state::State;
use crate::{Capability, Error, Result};

/// Most versions that one invocation reveals.
const REVEALED_MAX: usize = 64;
/// Shortest value that is left out of lines and errors.
const VALUE_MIN_BYTES: usize = 8;

/// Values by name and version.
#[derive(Default)]
pub(crate) struct Store {
    values: BTreeMap<(String, u64), (u64, SecretValue)>,
    /// What the running invocation has revealed: the label and, when it is to be left out, the text.
    revealed: BTreeMap<(String, u64), Option<String>>,
}

impl Store {
    /// Forgets what was revealed, as a new invocation does.
    pub(super) fn begin(&mut self) {
        self.revealed.clear();
    }

    /// The text with labels in the place of revealed values.
    pub(super) fn clean(&self, text: &str) -> String {
        let mut text = text.to_owned();
        let mut values: Vec<_> = self.revealed.iter().collect();
        values.sort_by_key(|(_, value)| std::cmp::Reverse(value.as_ref().map(String::len)));
        for ((name, _), value) in values {
            if let Some(value) = value {
                text = text.replace(value.as_str(), &format!("[secret {name}]"));
            }
        }
        text
    }
}

fn info((name, version): (&String, &u64), created_at: u64) -> SecretInfo {
    SecretInfo {
        name: name.clone(),
        version: *version,
        created_at: Timestamp::from_millis(created_at),
    }
}

impl Host {
    /// Sets a secret that the agent may use.
    ///
    /// # Panics
    /// When the host would not take it; see [`Host::set_secret`].
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "a mistake of the test, so the test fails"
    )]
    pub fn secret(self, name: &str, value: &str) -> Self {
        self.set_secret(name, value.as_bytes())
            .expect("a secret has a name and a value that the host takes");
        self
    }

    /// Gives a secret its next value, as the operator does while the agent runs, and returns the version.
    ///
    /// # Errors
    /// `Invalid` when name or value are none; `QuotaExceeded` after 1,000 secrets.
    pub fn set_secret(&self, name: &str, value: &[u8]) -> Result<u64> {
        check_name("secrets.set", name)?;
        let value = SecretValue::new(value.to_vec())?;
        let mut state = self.state();
        let (now, values) = (state.now, &mut state.secrets.values);
        let mut versions = values.range((name.to_owned(), 0)..=(name.to_owned(), u64::MAX));
        let last = versions.next_back().map(|((_, version), _)| *version);
        if last.is_none() {
            let mut names: Vec<_> = values.keys().map(|(name, _)| name).collect();
            names.dedup();
            if names.len() >= SECRETS_MAX {
                return Err(Error::quota_exceeded(
                    "the tenant has as many secrets as it may; remove one",
                )
                .with_context("limit", SECRETS_MAX));
            }
        }
        let version = last.unwrap_or_default() + 1;
        values.insert((name.to_owned(), version), (now, value));
        let oldest = version.saturating_sub(VERSIONS_MAX as u64);
        values.remove(&(name.to_owned(), oldest));
        Ok(version)
    }

    /// Removes a version, as the operator does while the agent runs, and says whether it was there.
    pub fn remove_secret(&self, name: &str, version: u64) -> bool {
        let place = (name.to_owned(), version);
        self.state().secrets.values.remove(&place).is_some()
    }

    /// Names, versions and times of setting, by name, the newest version first.
    pub fn secrets(&self) -> Vec<(String, u64, u64)> {
        let state = self.state();
        let values = state.secrets.values.iter();
        let mut all: Vec<_> = values
            .map(|((name, version), (at, _))| (name.clone(), *version, *at))
            .collect();
        all.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
        all
    }
}

pub(crate) fn get(state: &State, name: &str, version: Option<u64>) -> Result<SecretInfo> {
    state.admit(Capability::Secrets, "secrets.get")?;
    check_name("secrets.get", name)?;
    let values = &state.secrets.values;
    let mut all = values.range((name.to_owned(), 0)..=(name.to_owned(), u64::MAX));
    let found = all.rfind(|((_, known), _)| version.is_none_or(|version| version == *known));
    let found = found.map(|((name, version), (at, _))| info((name, version), *at));
    found.ok_or_else(|| {
        Error::not_found(match version {
            None => format!(
                "the secret `{name}` has no value; the operator sets it with `stuga secret set`, a test with Host::secret"
            ),
            Some(version) => format!("the secret `{name}` has no version {version}"),
        })
        .with_context("secret", name)
    })
}

pub(crate) fn reveal(state: &mut State, secret: &SecretInfo) -> Result<Vec<u8>> {
    state.admit(Capability::Secrets, "secrets.reveal")?;
    let place = (secret.name.clone(), secret.version);
    let store = &mut state.secrets;
    if store.revealed.len() >= REVEALED_MAX && !store.revealed.contains_key(&place) {
        return Err(Error::quota_exceeded(
            "the invocation has revealed too many secrets; keep what it needs in a variable",
        )
        .with_context("limit", REVEALED_MAX));
    }
    let Some((_, value)) = store.values.get(&place) else {
        let (name, version) = (&secret.name, secret.version);
        return Err(
            Error::not_found(format!("the secret `{name}` has no version {version}"))
                .with_context("secret", name),
        );
    };
    let bytes = value.reveal().to_vec();
    let text = std::str::from_utf8(&bytes).ok();
    let hidden = text.filter(|text| text.len() >= VALUE_MIN_BYTES);
    store.revealed.insert(place, hidden.map(str::to_owned));
    Ok(bytes)
}
