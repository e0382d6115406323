//! What a tenant lets an agent use.

use serde::{Deserialize, Serialize};

use crate::{CapabilityName, Error, Result};

/// The set of capabilities that a tenant grants to one agent. Empty by default: everything not granted is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Vec<CapabilityName>", into = "Vec<CapabilityName>")]
pub struct Grants(u32);

impl Grants {
    /// Nothing is granted.
    pub const NONE: Self = Self(0);

    /// Whether `capability` is granted.
    pub const fn allows(self, capability: CapabilityName) -> bool {
        self.0 & capability.bit() != 0
    }

    /// Whether everything granted here is granted there, too.
    pub const fn is_within(self, others: Self) -> bool {
        self.0 & !others.0 == 0
    }

    /// These grants and one more.
    #[must_use]
    pub const fn with(self, capability: CapabilityName) -> Self {
        Self(self.0 | capability.bit())
    }

    /// Fails with `Denied`, naming the capability, when it is not granted.
    pub fn check(self, capability: CapabilityName, operation: &'static str) -> Result<()> {
        if self.allows(capability) {
            return Ok(());
        }
        Err(Error::denied(
            operation,
            format!("the tenant does not grant `{capability}` to this agent"),
        )
        .with_context("capability", capability.as_str()))
    }

    /// The granted capabilities in declaration order.
    pub fn iter(self) -> impl Iterator<Item = CapabilityName> {
        CapabilityName::ALL
            .into_iter()
            .filter(move |c| self.allows(*c))
    }
}

impl FromIterator<CapabilityName> for Grants {
    fn from_iter<I: IntoIterator<Item = CapabilityName>>(capabilities: I) -> Self {
        capabilities.into_iter().fold(Self::NONE, Self::with)
    }
}

impl From<Vec<CapabilityName>> for Grants {
    fn from(capabilities: Vec<CapabilityName>) -> Self {
        capabilities.into_iter().collect()
    }
}

impl From<Grants> for Vec<CapabilityName> {
    fn from(grants: Grants) -> Self {
        grants.iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_grants_are_within_more_and_not_the_reverse() {
        let memory = Grants::NONE.with(CapabilityName::Memory);
        let both = memory.with(CapabilityName::Files);
        assert!(
            memory.is_within(both) && memory.is_within(memory) && Grants::NONE.is_within(memory)
        );
        assert!(!both.is_within(memory));
    }

    #[test]
    fn what_is_not_granted_is_denied_by_name() {
        let grants: Grants = [CapabilityName::Memory].into_iter().collect();
        assert!(grants.check(CapabilityName::Memory, "memory.get").is_ok());
        let error = grants
            .check(CapabilityName::Files, "files.get")
            .unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Denied);
        assert_eq!(error.context_value("capability"), Some("files"));
    }
}
