//! What is counted of one capability that lies in the cloud, over all tenants.

use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};
use stuga_core::CapabilityName;

use crate::fallback::{Figures, STATES, name};

/// The metrics of one capability. They are set when somebody asks for them: all of it is counted elsewhere.
pub(super) struct FailoverMetrics {
    states: [(Gauge, Counter); STATES.len()],
    trips: Counter,
    counts: Vec<(&'static str, Counter)>,
    failure_rate: Gauge,
    silence: Gauge,
    tenants: Gauge,
    entries: Gauge,
    bytes: Gauge,
    oldest: Gauge,
}

impl FailoverMetrics {
    /// Registers them with the recorder of this thread.
    pub(super) fn register(capability: CapabilityName) -> Self {
        describe();
        let capability = capability.as_str();
        let count = |(name, metric): (&'static str, &'static str)| {
            (name, counter!(metric, "capability" => capability))
        };
        Self {
            states: STATES.map(|state| {
                let state = name(state);
                let is = gauge!("stuga_breaker_state", "capability" => capability, "state" => state);
                let to =
                    counter!("stuga_breaker_transitions_total", "capability" => capability, "to" => state);
                (is, to)
            }),
            trips: counter!("stuga_breaker_trips_total", "capability" => capability),
            counts: COUNTS.map(count).to_vec(),
            failure_rate: gauge!("stuga_breaker_failure_rate", "capability" => capability),
            silence: gauge!("stuga_cloud_silence_seconds", "capability" => capability),
            tenants: gauge!("stuga_journal_tenants", "capability" => capability),
            entries: gauge!("stuga_journal_entries", "capability" => capability),
            bytes: gauge!("stuga_journal_bytes", "capability" => capability),
            oldest: gauge!("stuga_journal_oldest_seconds", "capability" => capability),
        }
    }

    /// Sets them.
    pub(super) fn set(&self, figures: &Figures) {
        let status = &figures.status;
        let states = STATES.into_iter().zip(figures.transitions);
        for ((is, to), (state, count)) in self.states.iter().zip(states) {
            is.set(f64::from(u8::from(status.breaker.state == state)));
            to.absolute(count);
        }
        self.trips.absolute(status.breaker.totals.trips);
        for (name, value) in status.counts.named() {
            if let Some((_, counter)) = self.counts.iter().find(|(counted, _)| *counted == name) {
                counter.absolute(value);
            }
        }
        let calls = f64::from(status.breaker.calls.max(1));
        self.failure_rate
            .set(f64::from(status.breaker.failures) / calls);
        self.silence.set(figures.silence.as_secs_f64());
        self.tenants.set(figures.waiting.tenants as f64);
        self.entries.set(figures.waiting.waiting as f64);
        self.bytes.set(figures.waiting.bytes as f64);
        self.oldest.set(figures.oldest_age.as_secs_f64());
    }
}

/// What is counted on the way, under its name there and as a metric.
const COUNTS: [(&str, &str); 12] = [
    ("cloud_answered", "stuga_cloud_answered_total"),
    ("cloud_failed", "stuga_cloud_failed_total"),
    ("broken_off", "stuga_cloud_answers_broken_total"),
    ("not_permitted", "stuga_breaker_not_permitted_total"),
    ("local_reads", "stuga_failover_reads_total"),
    ("noted", "stuga_journal_noted_total"),
    ("copies_missed", "stuga_copies_missed_total"),
    ("copies_taught", "stuga_copies_taught_total"),
    ("replayed", "stuga_journal_drained_total"),
    ("superseded", "stuga_journal_superseded_total"),
    ("refused", "stuga_journal_refused_total"),
    ("parked", "stuga_journal_parked_total"),
];

fn describe() {
    for (name, what) in [
        (
            "stuga_breaker_state",
            "1 for the state that the breaker before the cloud is in",
        ),
        (
            "stuga_breaker_failure_rate",
            "Failures of the calls in the breaker's window, 0 to 1",
        ),
        (
            "stuga_cloud_silence_seconds",
            "Time since the cloud answered last: how old a copy on this host may be",
        ),
        (
            "stuga_journal_tenants",
            "Tenants of whom writes wait for the cloud, at most 256 counted",
        ),
        (
            "stuga_journal_entries",
            "Writes that wait for the cloud, of at most 256 tenants",
        ),
        ("stuga_journal_bytes", "Bytes of the writes that wait"),
        (
            "stuga_journal_oldest_seconds",
            "Age of the oldest write that waits",
        ),
    ] {
        describe_gauge!(name, what);
    }
    for (name, what) in [
        (
            "stuga_breaker_transitions_total",
            "Times that the breaker came into a state",
        ),
        (
            "stuga_breaker_trips_total",
            "Times that the breaker tripped",
        ),
        (
            "stuga_breaker_not_permitted_total",
            "Calls that the breaker did not let through",
        ),
        (
            "stuga_cloud_answered_total",
            "Calls that the cloud answered, refusals included",
        ),
        (
            "stuga_cloud_failed_total",
            "Calls that the cloud did not answer, or said that it cannot",
        ),
        (
            "stuga_cloud_answers_broken_total",
            "Answers of the cloud's models that broke off after their caller had a part of them",
        ),
        (
            "stuga_failover_reads_total",
            "Reads that this host answered in the cloud's place",
        ),
        (
            "stuga_journal_noted_total",
            "Writes that this host took in the cloud's place",
        ),
        (
            "stuga_copies_missed_total",
            "Writes to the cloud that this host's copy did not get",
        ),
        (
            "stuga_copies_taught_total",
            "Writes for which this host's copy learned from the cloud what they belong to",
        ),
        (
            "stuga_journal_drained_total",
            "Writes that the cloud took over",
        ),
        (
            "stuga_journal_superseded_total",
            "Writes that lost against a later one in the cloud",
        ),
        (
            "stuga_journal_refused_total",
            "Refusals of the cloud to take a write over",
        ),
        (
            "stuga_journal_parked_total",
            "Writes that the cloud refused for good",
        ),
    ] {
        describe_counter!(name, what);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use stuga_core::{BreakerState, Timestamp};
    use stuga_resilience::{Counted, RouteStatus, Snapshot, Totals};

    use super::*;
    use crate::fallback::view::Waiting;
    use crate::metrics::Metrics;

    fn figures(capability: CapabilityName, state: BreakerState) -> Figures {
        Figures {
            status: RouteStatus {
                capability,
                breaker: Snapshot {
                    state,
                    for_: Duration::ZERO,
                    open_for: None,
                    calls: 4,
                    failures: 1,
                    slow: 0,
                    totals: Totals::default(),
                },
                heard_at: Timestamp::default(),
                counts: Counted {
                    noted: 7,
                    ..Counted::default()
                },
            },
            transitions: [1, 2, 3, 4],
            waiting: Waiting {
                waiting: 5,
                ..Waiting::default()
            },
            silence: Duration::from_secs(9),
            oldest_age: Duration::from_secs(8),
        }
    }

    #[test]
    fn every_count_of_a_route_is_a_metric() {
        let counted = Counted::default();
        let named: Vec<&str> = counted.named().into_iter().map(|(name, _)| name).collect();
        assert_eq!(named, COUNTS.map(|(name, _)| name));
    }

    #[test]
    fn a_capability_in_the_cloud_is_shown_and_no_tenant_is_named() {
        let metrics = Metrics::new([CapabilityName::Memory, CapabilityName::Files]);
        let shown = metrics.render(
            &crate::host::Totals::default(),
            &[
                figures(CapabilityName::Memory, BreakerState::Open),
                figures(CapabilityName::Files, BreakerState::Closed),
            ],
        );
        for line in [
            "stuga_breaker_state{capability=\"memory\",state=\"open\"} 1",
            "stuga_breaker_state{capability=\"memory\",state=\"closed\"} 0",
            "stuga_breaker_transitions_total{capability=\"files\",to=\"half-open\"} 3",
            "stuga_breaker_failure_rate{capability=\"files\"} 0.25",
            "stuga_journal_noted_total{capability=\"memory\"} 7",
            "stuga_journal_entries{capability=\"memory\"} 5",
            "stuga_cloud_silence_seconds{capability=\"files\"} 9",
        ] {
            assert!(shown.contains(line), "{line} is not in\n{shown}");
        }
        assert!(!shown.contains("tenant="), "{shown}");
    }
}
