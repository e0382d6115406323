//! Whose turn it is: weighted round robin over the tenants that have something to do.
//!
//! Pure, so that fairness can be shown: whoever joins waits at most for one turn of each tenant that was there before,
//! and a turn is at most as many jobs as the tenant's weight.

use std::collections::{HashSet, VecDeque};

use stuga_core::TenantId;

/// The tenants that wait for their turn, each once.
#[derive(Default)]
pub(super) struct Rotation {
    order: VecDeque<TenantId>,
    members: HashSet<TenantId>,
    /// What is left of the turn of the tenant in front; none before its turn has begun.
    credit: Option<u32>,
}

impl Rotation {
    /// Adds a tenant at the end, unless it waits already.
    pub(super) fn join(&mut self, tenant: &TenantId) {
        if self.members.insert(tenant.clone()) {
            self.order.push_back(tenant.clone());
        }
    }

    /// The tenant whose turn it is.
    pub(super) fn next(&self) -> Option<TenantId> {
        self.order.front().cloned()
    }

    /// How many jobs that tenant may take in this turn, if its turn is to be `weight` long.
    pub(super) fn credit(&self, weight: u32) -> u32 {
        self.credit.unwrap_or(weight).max(1)
    }

    /// Takes the tenant in front out. Whoever has more to do joins again, or goes on.
    pub(super) fn leave(&mut self) {
        if let Some(tenant) = self.order.pop_front() {
            self.members.remove(&tenant);
        }
        self.credit = None;
    }

    /// Lets a tenant that took less than its turn go on with the rest of it; with nothing left it joins at the end.
    pub(super) fn go_on(&mut self, tenant: &TenantId, left: u32) {
        if left == 0 || self.credit.is_some() {
            self.join(tenant);
        } else if self.members.insert(tenant.clone()) {
            self.order.push_front(tenant.clone());
            self.credit = Some(left);
        }
    }

    /// Whether a tenant waits for its turn.
    pub(super) fn holds(&self, tenant: &TenantId) -> bool {
        self.members.contains(tenant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn tenant(name: &str) -> TenantId {
        TenantId::new(name).unwrap()
    }

    /// Takes `picks` jobs one by one for tenants with these numbers of jobs and weights, as the runner does with one
    /// place, and says whose they were.
    fn picks(work: &[(&str, u32, u32)], picks: usize) -> Vec<String> {
        let mut left: BTreeMap<_, _> = work
            .iter()
            .map(|(name, jobs, weight)| (tenant(name), (*jobs, *weight)))
            .collect();
        let mut rotation = Rotation::default();
        for (name, _, _) in work {
            rotation.join(&tenant(name));
        }
        let mut picked = Vec::new();
        while let Some(next) = rotation.next()
            && picked.len() < picks
        {
            let (jobs, weight) = left.get_mut(&next).unwrap();
            let credit = rotation.credit(*weight);
            rotation.leave();
            *jobs -= 1;
            picked.push(next.to_string());
            if *jobs > 0 {
                rotation.go_on(&next, credit - 1);
            }
        }
        picked
    }

    #[test]
    fn one_tenants_flood_does_not_starve_another() {
        let picked = picks(&[("flood", 10_000, 1), ("one", 1, 1)], 10_000);
        assert_eq!(picked[1], "one", "it waits for one turn of the other");
        let picked = picks(&[("flood", 10_000, 5), ("one", 1, 1)], 10_000);
        assert_eq!(picked.iter().position(|p| p == "one"), Some(5));
    }

    #[test]
    fn turns_are_as_long_as_the_weights_say() {
        let picked = picks(&[("a", 100, 3), ("b", 100, 1)], 8).join("");
        assert_eq!(picked, "aaabaaab");
        let picked = picks(&[("a", 2, 3), ("b", 3, 1)], 9).join("");
        assert_eq!(picked, "aabbb");
    }

    #[test]
    fn whoever_waits_already_does_not_wait_twice() {
        let mut rotation = Rotation::default();
        for _ in 0..3 {
            rotation.join(&tenant("a"));
        }
        assert!(rotation.holds(&tenant("a")));
        rotation.leave();
        assert!(!rotation.holds(&tenant("a")));
        assert_eq!(rotation.next(), None);
    }
}
