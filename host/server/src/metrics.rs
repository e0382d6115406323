//! Metrics of one host, for Prometheus. No label names a tenant or an agent: a label value stays forever, tenants do not.
//!
//! All handles are made here once; counting on the way of a request is an atomic addition.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, with_local_recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use stuga_core::CapabilityName;

use crate::fallback::Figures;
use crate::host::Totals;

mod failover;

use failover::FailoverMetrics;

/// Upper bounds of the duration buckets in seconds: from a warm call to the longest deadline.
const BUCKETS: [f64; 14] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0, 30.0,
    120.0,
];

/// How an invocation ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// With an answer.
    Ok,
    /// The agent answered an error.
    AgentError,
    /// The guest trapped.
    Trapped,
    /// Stopped at its deadline.
    Deadline,
    /// No instance was free.
    Busy,
    /// The answer was too long or not JSON.
    BadAnswer,
    /// The host failed.
    Internal,
    /// The client went away before the end.
    Cancelled,
}

impl Outcome {
    const ALL: [Self; 8] = [
        Self::Ok,
        Self::AgentError,
        Self::Trapped,
        Self::Deadline,
        Self::Busy,
        Self::BadAnswer,
        Self::Internal,
        Self::Cancelled,
    ];

    /// The value of the `outcome` label, also in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::AgentError => "agent-error",
            Self::Trapped => "trapped",
            Self::Deadline => "deadline",
            Self::Busy => "busy",
            Self::BadAnswer => "bad-answer",
            Self::Internal => "internal",
            Self::Cancelled => "cancelled",
        }
    }
}

/// How an attempt of a job ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JobEnd {
    /// With an output.
    Succeeded,
    /// With a failure, and another attempt follows.
    Failed,
    /// With a failure, and none follows.
    Dead,
    /// It was cancelled, or its lease was lost.
    Lost,
    /// It was given back because the host stops or has no instance free.
    Released,
}

impl JobEnd {
    const ALL: [Self; 5] = [
        Self::Succeeded,
        Self::Failed,
        Self::Dead,
        Self::Lost,
        Self::Released,
    ];

    /// The value of the `outcome` label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Dead => "dead",
            Self::Lost => "lost",
            Self::Released => "released",
        }
    }
}

/// A job that runs: counted until it is dropped.
#[derive(Debug)]
pub struct RunningJob(Gauge);

impl Drop for RunningJob {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// The metrics of one host.
pub struct Metrics {
    handle: PrometheusHandle,
    invocations: [Counter; Outcome::ALL.len()],
    invocation_seconds: Histogram,
    requests: [Counter; 5],
    request_seconds: Histogram,
    replays: Counter,
    reloads: Counter,
    reload_failures: Counter,
    tenants: Gauge,
    agents: Gauge,
    agents_failed: Gauge,
    instances_warm: Gauge,
    instances_busy: Gauge,
    calls_waiting: Gauge,
    jobs: [Counter; JobEnd::ALL.len()],
    jobs_running: Gauge,
    jobs_waiting: Gauge,
    failover: Vec<FailoverMetrics>,
    events_published: Counter,
    events_dropped: Counter,
}

impl Metrics {
    /// Registers everything with a recorder of its own; `in_cloud` are the capabilities that have a way to the cloud.
    pub fn new(in_cloud: impl IntoIterator<Item = CapabilityName>) -> Self {
        let builder = PrometheusBuilder::new();
        // The only error is an empty list of buckets.
        let builder = builder
            .set_buckets(&BUCKETS)
            .unwrap_or_else(|_| PrometheusBuilder::new());
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        with_local_recorder(&recorder, || {
            let failover = in_cloud.into_iter().map(FailoverMetrics::register);
            Self::register(handle, failover.collect())
        })
    }

    fn register(handle: PrometheusHandle, failover: Vec<FailoverMetrics>) -> Self {
        use metrics::{
            counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
        };
        describe_counter!(
            "stuga_invocations_total",
            "Invocations that ended, by outcome"
        );
        describe_histogram!(
            "stuga_invocation_seconds",
            "Time of an invocation, waiting for an instance included"
        );
        describe_counter!(
            "stuga_http_requests_total",
            "HTTP answers, by class of status"
        );
        describe_histogram!(
            "stuga_http_request_seconds",
            "Time from request head to response head"
        );
        describe_counter!(
            "stuga_idempotent_replays_total",
            "Answers given again for an Idempotency-Key"
        );
        describe_counter!(
            "stuga_reloads_total",
            "Times that tenants and plugins were read again"
        );
        describe_counter!(
            "stuga_reload_failures_total",
            "Tenant files or agents that could not be taken in a reload"
        );
        describe_gauge!("stuga_tenants", "Tenants");
        describe_gauge!("stuga_agents", "Agents that are ready");
        describe_gauge!("stuga_agents_failed", "Agents that could not be readied");
        describe_gauge!("stuga_instances_warm", "Instances at rest");
        describe_gauge!("stuga_instances_busy", "Instances that run a call");
        describe_gauge!("stuga_calls_waiting", "Calls that wait for an instance");
        describe_counter!(
            "stuga_job_attempts_total",
            "Attempts of jobs that ended, by outcome"
        );
        describe_gauge!("stuga_jobs_running", "Jobs that run");
        describe_gauge!(
            "stuga_jobs_waiting",
            "Jobs that wait, at most a thousand of each tenant counted"
        );
        describe_counter!(
            "stuga_events_published_total",
            "Events of this host that EventBridge took"
        );
        describe_counter!(
            "stuga_events_dropped_total",
            "Events of this host that were lost: too many waited, or EventBridge did not take them"
        );
        Self {
            events_published: counter!("stuga_events_published_total"),
            events_dropped: counter!("stuga_events_dropped_total"),
            jobs: JobEnd::ALL
                .map(|end| counter!("stuga_job_attempts_total", "outcome" => end.as_str())),
            jobs_running: gauge!("stuga_jobs_running"),
            jobs_waiting: gauge!("stuga_jobs_waiting"),
            invocations: Outcome::ALL
                .map(|outcome| counter!("stuga_invocations_total", "outcome" => outcome.as_str())),
            invocation_seconds: histogram!("stuga_invocation_seconds"),
            requests: ["1xx", "2xx", "3xx", "4xx", "5xx"]
                .map(|class| counter!("stuga_http_requests_total", "status" => class)),
            request_seconds: histogram!("stuga_http_request_seconds"),
            replays: counter!("stuga_idempotent_replays_total"),
            reloads: counter!("stuga_reloads_total"),
            reload_failures: counter!("stuga_reload_failures_total"),
            tenants: gauge!("stuga_tenants"),
            agents: gauge!("stuga_agents"),
            agents_failed: gauge!("stuga_agents_failed"),
            instances_warm: gauge!("stuga_instances_warm"),
            instances_busy: gauge!("stuga_instances_busy"),
            calls_waiting: gauge!("stuga_calls_waiting"),
            failover,
            handle,
        }
    }

    /// Counts an invocation that ended.
    pub fn invocation(&self, outcome: Outcome, took: Duration) {
        if let Some(counter) = self.invocations.get(outcome as usize) {
            counter.increment(1);
        }
        self.invocation_seconds.record(took);
    }

    /// Counts a job as running until what this returns is dropped.
    pub fn job_begins(&self) -> RunningJob {
        self.jobs_running.increment(1.0);
        RunningJob(self.jobs_running.clone())
    }

    /// Counts an attempt of a job that ended.
    pub fn job(&self, end: JobEnd) {
        if let Some(counter) = self.jobs.get(end as usize) {
            counter.increment(1);
        }
    }

    /// Notes how many jobs wait, of all tenants.
    pub fn jobs_waiting(&self, count: u64) {
        self.jobs_waiting.set(count as f64);
    }

    /// Counts an HTTP answer.
    pub fn request(&self, status: u16, took: Duration) {
        if let Some(counter) = self
            .requests
            .get(usize::from(status / 100).saturating_sub(1))
        {
            counter.increment(1);
        }
        self.request_seconds.record(took);
    }

    /// Counts an answer that was given again.
    pub fn replay(&self) {
        self.replays.increment(1);
    }

    /// Counts a reload and what it could not take.
    pub fn reload(&self, failures: usize) {
        self.reloads.increment(1);
        self.reload_failures.increment(failures as u64);
    }

    /// Notes how many events were told so far, and how many were lost.
    pub fn events(&self, (published, dropped): (u64, u64)) {
        self.events_published.absolute(published);
        self.events_dropped.absolute(dropped);
    }

    /// Everything in Prometheus' text format.
    pub fn render(&self, totals: &Totals, failover: &[Figures]) -> String {
        for (metrics, figures) in self.failover.iter().zip(failover) {
            metrics.set(figures);
        }
        self.tenants.set(totals.tenants as f64);
        self.agents.set(totals.agents as f64);
        self.agents_failed.set(totals.agents_failed as f64);
        self.instances_warm.set(totals.warm as f64);
        self.instances_busy.set(totals.busy as f64);
        self.calls_waiting.set(totals.waiting as f64);
        self.handle.render()
    }

    /// Folds recorded durations into their buckets. Without it they pile up until somebody asks for the metrics.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_is_counted_under_its_own_name() {
        let metrics = Metrics::new([]);
        for outcome in Outcome::ALL {
            metrics.invocation(outcome, Duration::from_millis(1));
        }
        metrics.request(404, Duration::from_millis(2));
        let text = metrics.render(&Totals::default(), &[]);
        for outcome in Outcome::ALL {
            let line = format!(
                "stuga_invocations_total{{outcome=\"{}\"}} 1",
                outcome.as_str()
            );
            assert!(text.contains(&line), "{line} is not in\n{text}");
        }
        assert!(
            text.contains("stuga_http_requests_total{status=\"4xx\"} 1"),
            "{text}"
        );
    }
}
