//! What hosts that share a cloud tell each other of it.
//!
//! Hearsay never decides. That another host gave the cloud up makes this host look closer: its calls wait little, its
//! monitor asks at once, and fewer failures of its own are enough. That another host came back to the cloud lets this host
//! probe sooner, once. So an outage costs many hosts little more than one, a host with a broken network of its own cannot
//! take the cloud from the others, and without gossip each host decides alone.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::future::{join, join_all};
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use stuga_core::{BreakerState, CapabilityName, Result, Timestamp};
use tokio::time::{sleep, timeout};

use crate::route::Route;

/// What is older, or further in the future by clocks that disagree, is not listened to.
pub const FRESH: Duration = Duration::from_secs(10);
/// Longest time to tell the others. They hear of the next change.
const TELL_LONGEST: Duration = Duration::from_secs(1);
/// How soon the others are listened to again after that ended.
const LISTEN_AGAIN: Duration = Duration::from_secs(5);

/// What a host saw of a cloud.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Observation {
    /// Of which capability.
    pub capability: CapabilityName,
    /// What its breaker became: open when it gave the cloud up, closed when it came back to it.
    pub state: BreakerState,
    /// When, by its own clock.
    pub at: Timestamp,
}

/// Carries observations between hosts that reach the same cloud in the same region.
///
/// Best effort: an observation may be lost, come late, twice or to the host that made it.
#[async_trait]
pub trait Gossip: Send + Sync + 'static {
    /// Tells the other hosts.
    ///
    /// # Errors
    /// Any. Nothing depends on it, and it is not repeated.
    async fn publish(&self, observation: Observation) -> Result<()>;

    /// What hosts tell from now on. It ends when they cannot be heard any longer; then it is asked for again.
    ///
    /// # Errors
    /// Any: it is asked for again later.
    async fn observations(&self) -> Result<BoxStream<'static, Observation>>;
}

/// The hosts that share the clouds of this host.
pub struct Neighbours {
    routes: Vec<Arc<Route>>,
    gossip: Arc<dyn Gossip>,
}

impl Neighbours {
    /// The hosts behind `gossip`, which share the clouds behind `routes`.
    pub fn new(routes: Vec<Arc<Route>>, gossip: Arc<dyn Gossip>) -> Self {
        Self { routes, gossip }
    }

    /// Tells and listens as long as it is polled.
    pub async fn run(&self) {
        let tell = join_all(self.routes.iter().map(|route| self.tell(route)));
        join(tell, self.listen()).await;
    }

    /// Tells what becomes of one breaker. What an operator isolates here is nothing to the others.
    async fn tell(&self, route: &Route) {
        let mut states = route.breaker().watch();
        while states.changed().await.is_ok() {
            let state = *states.borrow_and_update();
            if !matches!(state, BreakerState::Open | BreakerState::Closed) {
                continue;
            }
            let observation = Observation {
                capability: route.capability(),
                state,
                at: route.clock().now(),
            };
            match timeout(TELL_LONGEST, self.gossip.publish(observation)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "the other hosts cannot be told"),
                Err(_) => tracing::debug!("the other hosts cannot be told in time"),
            }
        }
    }

    async fn listen(&self) {
        loop {
            match self.gossip.observations().await {
                Ok(mut observations) => {
                    while let Some(observation) = observations.next().await {
                        self.hear(observation);
                    }
                }
                Err(error) => tracing::debug!(%error, "the other hosts cannot be heard"),
            }
            sleep(LISTEN_AGAIN).await;
        }
    }

    fn hear(&self, observation: Observation) {
        let of = |route: &&Arc<Route>| route.capability() == observation.capability;
        let Some(route) = self.routes.iter().find(of) else {
            return;
        };
        let now = route.clock().now();
        if now.since(observation.at).max(observation.at.since(now)) <= FRESH {
            route.breaker().hear(observation.state);
        }
    }
}

#[cfg(test)]
mod tests;
