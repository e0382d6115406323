//! Names with the tenant in them.

use serde::{Deserialize, Serialize};
use stuga_core::TenantId;

/// What stands for the tenant's name.
const TENANT: &str = "{tenant}";
/// Longest pattern in bytes.
const PATTERN_MAX_BYTES: usize = 512;
/// What can stand behind the tenant's name and in no tenant's name, so that `a` and `a-b` never share what they begin.
const SEPARATORS: [char; 4] = ['/', '_', ':', '.'];

/// A name in which `{tenant}` stands for the tenant's own, such as `stuga/{tenant}/`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(String);

impl Pattern {
    /// Takes a pattern.
    ///
    /// # Errors
    /// What is wrong with it, in words that follow "it".
    pub fn new(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() || text.len() > PATTERN_MAX_BYTES {
            return Err("it is not 1 to 512 bytes long");
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err("it holds a space or a control character");
        }
        let rest = text.replace(TENANT, "");
        if rest.contains(['{', '}']) {
            return Err("it holds braces that are not `{tenant}`");
        }
        Ok(Self(text.to_owned()))
    }

    /// A pattern of this crate's own, which its tests check.
    pub(super) fn known(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The name for `tenant`.
    pub fn of(&self, tenant: &TenantId) -> String {
        self.0.replace(TENANT, tenant.as_str())
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What all tenants' names begin with.
    pub fn before_tenant(&self) -> &str {
        let before = self.0.split_once(TENANT);
        before.map_or(self.as_str(), |(before, _)| before)
    }

    /// Whether each tenant has a name of its own.
    pub fn names_tenant(&self) -> bool {
        self.0.contains(TENANT)
    }

    /// Whether no tenant's name begins what another's begins: the tenant stands in it, and a separator right behind it.
    pub fn separates(&self) -> bool {
        let behind = self.0.split_once(TENANT).map(|(_, behind)| behind);
        behind.is_some_and(|behind| behind.starts_with(SEPARATORS))
    }
}

impl TryFrom<String> for Pattern {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(&text)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tenant_takes_its_place_and_other_braces_are_refused() {
        let acme = TenantId::new("acme").unwrap();
        let pattern = Pattern::new("stuga/{tenant}/").unwrap();
        assert_eq!(pattern.of(&acme), "stuga/acme/");
        for bad in ["", "a b", "{agent}/", "{tenant", "{{tenant}}", "a\n"] {
            assert!(Pattern::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn only_a_separator_keeps_a_tenant_from_beginning_anothers_name() {
        for (pattern, separates) in [
            ("{tenant}/", true),
            ("stuga_{tenant}_", true),
            ("stuga", false),
            ("{tenant}", false),
            ("{tenant}-", false),
        ] {
            assert_eq!(
                Pattern::new(pattern).unwrap().separates(),
                separates,
                "{pattern}"
            );
        }
    }
}
