//! The health monitor: asks the cloud when nobody else does, so that an idle host knows as well.
//!
//! A probe goes through the breaker like any call. While calls succeed there is nothing to ask; when nothing was heard
//! for a while, or the breaker is open and its time is over, the monitor asks.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use stuga_core::{BreakerState, CapabilityName, Result};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::route::{Route, Tried, Way};

/// Asks the services that a capability stands on.
#[async_trait]
pub trait Probe: Send + Sync + 'static {
    /// Whether the capability's cloud can serve, asked with least harm, until `deadline`.
    async fn probe(&self, capability: CapabilityName, deadline: Instant) -> Result<()>;
}

/// How the cloud is watched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HealthSettings {
    /// How long nothing may be heard before the cloud is asked.
    pub every: Duration,
    /// How soon it is asked again after a failure.
    pub suspect_every: Duration,
    /// Longest wait for an answer.
    pub timeout: Duration,
}

impl Default for HealthSettings {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(5),
            suspect_every: Duration::from_millis(500),
            timeout: Duration::from_secs(2),
        }
    }
}

/// Watches the clouds of all capabilities of this host.
pub struct Monitor {
    routes: Vec<Arc<Route>>,
    probe: Arc<dyn Probe>,
    settings: watch::Receiver<HealthSettings>,
}

impl Monitor {
    /// A monitor of the clouds behind `routes`, which goes by the latest of `settings`.
    pub fn new(
        routes: Vec<Arc<Route>>,
        probe: Arc<dyn Probe>,
        settings: watch::Receiver<HealthSettings>,
    ) -> Self {
        Self {
            routes,
            probe,
            settings,
        }
    }

    /// Watches as long as it is polled.
    pub async fn run(&self) {
        join_all(self.routes.iter().map(|route| self.watch(route))).await;
    }

    async fn watch(&self, route: &Route) {
        let mut settings = self.settings.clone();
        loop {
            let now = *settings.borrow_and_update();
            tokio::select! {
                () = sleep(pause(route, &now)) => {}
                changed = settings.changed() => match changed {
                    Ok(()) => continue,
                    // Nobody is left who could change them.
                    Err(_) => sleep(pause(route, &now)).await,
                }
            }
            let quiet = route.silence() >= now.every;
            if route.breaker().state() != BreakerState::Closed
                || route.breaker().is_suspect()
                || quiet
            {
                self.ask(route).await;
            }
        }
    }

    async fn ask(&self, route: &Route) {
        let deadline = Instant::now() + self.settings.borrow().timeout;
        if let Way::Cloud(attempt) = route.ask(deadline) {
            let capability = route.capability();
            let asked = self.probe.probe(capability, deadline);
            let attempt = attempt.unhurried(deadline);
            // Whatever it answers but that it cannot serve is health.
            if let Tried::Away(error) = attempt.make("health.probe", asked).await {
                tracing::debug!(%capability, %error, "the cloud does not answer");
            }
        }
    }
}

/// How long there is nothing to ask.
fn pause(route: &Route, settings: &HealthSettings) -> Duration {
    let snapshot = route.breaker().snapshot();
    match snapshot.state {
        BreakerState::Closed if !route.breaker().is_suspect() => settings
            .every
            .saturating_sub(route.silence())
            .max(settings.suspect_every),
        BreakerState::Isolated => settings.every,
        BreakerState::Closed | BreakerState::HalfOpen => settings.suspect_every,
        BreakerState::Open => snapshot
            .open_for
            .unwrap_or_default()
            .max(Duration::from_millis(1)),
    }
}
