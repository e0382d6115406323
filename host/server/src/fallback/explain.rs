//! In plain sentences: who answers a tenant, why, since when, and what waits.

use stuga_core::journal::Backlog;
use stuga_core::{BreakerState, Error, TenantId, Timestamp};
use stuga_local::Cut;
use stuga_resilience::{Isolation, Mode, Snapshot, TenantStatus, Why};

use super::kept::Word;
use crate::units;

/// What is known of a capability of a tenant.
pub(super) struct Known<'k> {
    pub(super) tenant: &'k TenantId,
    pub(super) status: TenantStatus,
    pub(super) breaker: Snapshot,
    /// The operator's word on this tenant.
    pub(super) isolation: Option<&'k Isolation>,
    /// The operator's word on all tenants.
    pub(super) word: Option<Word>,
    pub(super) now: Timestamp,
}

/// Since when this host answers.
pub(super) fn since(known: &Known<'_>) -> Option<Timestamp> {
    match known.status.why? {
        Why::Mode => known.isolation.map(|isolation| isolation.since),
        Why::Waiting if is_away(known) => match known.status.backlog.oldest {
            Some(oldest) => Some(oldest.min(changed(known))),
            None => Some(changed(known)),
        },
        Why::Waiting => known.status.backlog.oldest,
        Why::Breaker => Some(changed(known)),
    }
}

/// When the breaker came into its state.
fn changed(known: &Known<'_>) -> Timestamp {
    known.now.saturating_sub(known.breaker.for_)
}

fn is_away(known: &Known<'_>) -> bool {
    matches!(
        known.breaker.state,
        BreakerState::Open | BreakerState::Isolated
    )
}

/// All of it in words.
pub(super) fn sentence(known: &Known<'_>) -> String {
    let capability = known.status.capability;
    let since = since(known).map_or_else(String::new, |at| format!(" since {}", moment(at)));
    let first = match known.status.why {
        None => format!("{capability} is answered by AWS{}.", remark(&known.breaker)),
        Some(why) => format!(
            "{capability} is answered by this host{since}: {}.",
            reason(known, why)
        ),
    };
    let waits = waiting(known.tenant, &known.status.backlog, known.now);
    match waits.is_empty() {
        true => first,
        false => format!("{first} {waits}"),
    }
}

fn reason(known: &Known<'_>, why: Why) -> String {
    let TenantStatus {
        capability, mode, ..
    } = &known.status;
    let tenant = known.tenant;
    match (why, mode) {
        (Why::Mode, Mode::Local) => {
            "the tenant's file says `failover: {local: [...]}`, so its data lies here alone"
                .to_owned()
        }
        (Why::Mode, _) => match known.isolation {
            Some(Isolation {
                until: Some(until),
                why,
                ..
            }) => format!(
                "a drill keeps it from AWS until {} ({why}); `stuga drill stop --tenant {tenant} --capability {capability}` ends it",
                moment(*until)
            ),
            Some(Isolation { why, .. }) => format!(
                "an operator keeps it from AWS ({why}); `stuga breaker release {capability} --tenant {tenant}` ends it"
            ),
            None => "it was kept from AWS until a moment ago".to_owned(),
        },
        (Why::Waiting, _) if !is_away(known) => format!(
            "AWS does not know yet what the tenant wrote meanwhile; {}",
            match known.breaker.state {
                BreakerState::Closed => "it is being told",
                _ => "it is told when it answers again",
            }
        ),
        (Why::Waiting | Why::Breaker, _) => away(known),
    }
}

/// Why nobody asks AWS.
fn away(known: &Known<'_>) -> String {
    let capability = known.status.capability;
    let release = format!("`stuga breaker release {capability}` ends it");
    match (known.breaker.state, &known.word, known.breaker.open_for) {
        (BreakerState::Isolated, Some(Word { why, .. }), _) => {
            format!("an operator keeps all tenants from AWS ({why}); {release}")
        }
        (BreakerState::Isolated, None, _) => {
            format!("an operator keeps all tenants from AWS; {release}")
        }
        (_, _, Some(left)) if !left.is_zero() => {
            let left = units::about_duration(left);
            format!("AWS does not answer; it is asked again in {left}")
        }
        _ => "AWS does not answer; it is asked again now".to_owned(),
    }
}

/// What is not as it should be while the cloud answers.
fn remark(breaker: &Snapshot) -> String {
    match breaker.state {
        BreakerState::HalfOpen => ", as far as a few calls that are let through show".to_owned(),
        _ if breaker.failures > 0 => format!(
            "; {} of the latest {} calls failed",
            breaker.failures, breaker.calls
        ),
        _ => String::new(),
    }
}

fn waiting(tenant: &TenantId, backlog: &Backlog, now: Timestamp) -> String {
    let mut parts = Vec::new();
    if backlog.waiting > 0 {
        let oldest = backlog.oldest.map_or_else(String::new, |at| {
            format!(", the oldest for {}", units::about_duration(now.since(at)))
        });
        parts.push(format!(
            "{} ({}) for AWS{oldest}.",
            counted(backlog.waiting, "write waits", "writes wait"),
            units::about_bytes(backlog.bytes),
        ));
    }
    if backlog.parked > 0 {
        parts.push(format!(
            "{} because AWS refuses them for good; see `stuga journal list --tenant {tenant} --state parked`.",
            counted(backlog.parked, "write is parked", "writes are parked"),
        ));
    }
    parts.join(" ")
}

/// What was cut off a tenant's store.
pub(super) fn cut_off(cut: Cut) -> String {
    format!(
        "The end of the store's log was not whole when this host opened it at {}: {} are cut off. That is a write which a crash cut \
         short and nobody was told of, a copy of what AWS has, or one that the disk has lost; if no crash went before, check the disk.",
        moment(cut.at),
        units::about_bytes(cut.bytes),
    )
}

/// Why nobody knows who answers a tenant.
pub(super) fn unreadable(error: &Error) -> String {
    format!(
        "The store cannot be read: {}. The host's log names its file (`store-refused`).",
        error.message()
    )
}

fn counted(count: u64, one: &str, many: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {many}"),
    }
}

fn moment(at: Timestamp) -> String {
    let millis = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis).map_or_else(
        |_| "a time that cannot be named".to_owned(),
        |at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use stuga_core::{Backend, CapabilityName};
    use stuga_resilience::Totals;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_420_800_000);
    const SECOND: Duration = Duration::from_secs(1);

    fn said(
        why: Option<Why>,
        mode: Mode,
        state: BreakerState,
        waiting: u64,
        parked: u64,
        isolation: Option<(Option<u64>, &str)>,
    ) -> String {
        let tenant = TenantId::new("acme").unwrap();
        let isolation = isolation.map(|(until, why)| Isolation {
            tenant: tenant.clone(),
            capability: CapabilityName::Memory,
            since: NOW.saturating_sub(60 * SECOND),
            until: until.map(|seconds| NOW.saturating_add(Duration::from_secs(seconds))),
            why: why.to_owned(),
        });
        let oldest = (waiting > 0).then(|| NOW.saturating_sub(9 * SECOND));
        sentence(&Known {
            tenant: &tenant,
            status: TenantStatus {
                capability: CapabilityName::Memory,
                mode,
                reads: why.map_or(Backend::Cloud, |_| Backend::Local),
                why,
                breaker: state,
                backlog: Backlog {
                    waiting,
                    bytes: waiting << 10,
                    oldest,
                    parked,
                },
            },
            breaker: Snapshot {
                state,
                for_: 12 * SECOND,
                open_for: (state == BreakerState::Open).then_some(3 * SECOND),
                calls: 20,
                failures: 0,
                slow: 0,
                totals: Totals::default(),
            },
            isolation: isolation.as_ref(),
            word: None,
            now: NOW,
        })
    }

    #[test]
    fn a_healthy_capability_needs_few_words() {
        let text = said(None, Mode::Cloud, BreakerState::Closed, 0, 0, None);
        assert_eq!(text, "memory is answered by AWS.");
    }

    #[test]
    fn an_outage_says_since_when_when_it_is_asked_again_and_what_waits() {
        let text = said(
            Some(Why::Breaker),
            Mode::Cloud,
            BreakerState::Open,
            0,
            2,
            None,
        );
        assert_eq!(
            text,
            "memory is answered by this host since 2026-11-23 07:59:48Z: AWS does not answer; it is asked again in 3s. \
             2 writes are parked because AWS refuses them for good; see `stuga journal list --tenant acme --state parked`."
        );
        let text = said(
            Some(Why::Waiting),
            Mode::Cloud,
            BreakerState::Open,
            7,
            0,
            None,
        );
        assert_eq!(
            text,
            "memory is answered by this host since 2026-11-23 07:59:48Z: AWS does not answer; it is asked again in 3s. \
             7 writes wait (7KiB) for AWS, the oldest for 9s."
        );
        let text = said(
            Some(Why::Waiting),
            Mode::Cloud,
            BreakerState::Closed,
            1,
            0,
            None,
        );
        assert!(
            text.contains("it is being told. 1 write waits (1KiB) for AWS"),
            "{text}"
        );
    }

    #[test]
    fn a_drill_says_who_until_when_and_how_it_is_ended() {
        let isolated = BreakerState::Closed;
        let drill = Some((Some(540), "mona: yearly"));
        let text = said(Some(Why::Mode), Mode::Isolated, isolated, 0, 0, drill);
        assert_eq!(
            text,
            "memory is answered by this host since 2026-11-23 07:59:00Z: a drill keeps it from AWS until 2026-11-23 \
             08:09:00Z (mona: yearly); `stuga drill stop --tenant acme --capability memory` ends it."
        );
        let repair = Some((None, "mona: repair"));
        let text = said(Some(Why::Mode), Mode::Isolated, isolated, 0, 0, repair);
        assert!(
            text.contains("`stuga breaker release memory --tenant acme` ends it"),
            "{text}"
        );
        let text = said(Some(Why::Mode), Mode::Local, isolated, 0, 0, None);
        assert!(text.contains("the tenant's file says"), "{text}");
    }
}
