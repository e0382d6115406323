//! Keeps memory in the cloud short and young: what nobody needs is removed, and what would grow too old is written anew.
//! Where memory lies on this host there is nothing to do.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use stuga_core::{AgentName, CallCtx, CapabilityName, RequestId, TenantId};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{Host, new_invocation};

/// From the start of the host to the first round: a host that starts has better things to do.
const FIRST_AFTER: Duration = Duration::from_secs(15 * 60);
/// Between two rounds. What is written anew is half as old as it may become, which is weeks at least.
const EVERY: Duration = Duration::from_secs(24 * 3_600);
/// The same after a round that did not reach everything.
const AGAIN_AFTER: Duration = Duration::from_secs(3_600);
/// Longest time for one agent. What is left is done by the next round.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// Starts the rounds; they end when the host stops.
pub(super) fn start(host: &Arc<Host>) {
    if !host.backends.renews() {
        return;
    }
    let (host, stop, tasks) = (Arc::downgrade(host), host.stop.clone(), host.tasks.clone());
    let round = move || {
        let host = Weak::clone(&host);
        async move {
            let host = Weak::upgrade(&host)?;
            Some(host.renew_all().await)
        }
        .boxed()
    };
    tasks.spawn(rounds(stop, round));
}

/// Makes rounds until `stop`, or until one answers that there is nobody left to make them for. A round says whether it reached
/// everything.
async fn rounds(
    stop: CancellationToken,
    round: impl Fn() -> BoxFuture<'static, Option<bool>> + Send,
) {
    let mut pause = FIRST_AFTER;
    while let Some(()) = stop.run_until_cancelled(sleep(pause)).await {
        pause = match stop.run_until_cancelled(round()).await {
            Some(Some(true)) => EVERY,
            Some(Some(false)) => AGAIN_AFTER,
            Some(None) | None => return,
        };
    }
}

impl Host {
    /// One round over all agents that may have memory in the cloud.
    async fn renew_all(&self) -> bool {
        let mut reached_all = true;
        for (tenant, agent) in self.remembering_agents() {
            let invocation = new_invocation();
            let ctx = CallCtx::new(
                tenant,
                agent,
                invocation,
                RequestId::from_uuid(*invocation.as_uuid()),
                self.clock.now(),
                Instant::now() + PATIENCE,
            );
            if let Err(error) = self.backends.renew(&ctx).await {
                reached_all = false;
                let (tenant, agent) = (&ctx.tenant, &ctx.agent);
                tracing::warn!(%tenant, %agent, %error, causes = error.causes(), "an agent's memory could not be renewed; the next round tries again");
            }
        }
        reached_all
    }

    fn remembering_agents(&self) -> Vec<(TenantId, AgentName)> {
        const KINDS: [CapabilityName; 3] = [
            CapabilityName::Memory,
            CapabilityName::Sessions,
            CapabilityName::Records,
        ];
        let snapshot = self.snapshot();
        let mut found = Vec::new();
        for tenant in snapshot.tenants() {
            let remembers = tenant
                .agents()
                .values()
                .filter(|agent| KINDS.iter().any(|kind| agent.grants().allows(*kind)));
            found.extend(remembers.map(|agent| (tenant.id().clone(), agent.name().clone())));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// When rounds begin that end like this.
    async fn begun(ends: &[Option<bool>], stop: &CancellationToken) -> Vec<Duration> {
        let (start, ends) = (Instant::now(), ends.to_vec());
        let begun = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&begun);
        rounds(stop.clone(), move || {
            let mut begun = begun.lock().unwrap();
            begun.push(start.elapsed());
            std::future::ready(ends.get(begun.len() - 1).copied().flatten()).boxed()
        })
        .await;
        seen.lock().unwrap().clone()
    }

    #[tokio::test(start_paused = true)]
    async fn a_round_that_did_not_reach_everything_is_followed_sooner() {
        let stop = CancellationToken::new();
        let seen = begun(&[Some(true), Some(false), Some(true)], &stop).await;
        let after = [FIRST_AFTER, EVERY, AGAIN_AFTER, EVERY];
        let expected = after.iter().scan(Duration::ZERO, |at, pause| {
            *at += *pause;
            Some(*at)
        });
        assert_eq!(seen, expected.collect::<Vec<_>>());
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_stops_ends_the_rounds_wherever_they_are() {
        let stop = CancellationToken::new();
        stop.cancel();
        assert!(begun(&[], &stop).await.is_empty());
        let start = Instant::now();
        let stop = CancellationToken::new();
        let within = stop.clone();
        rounds(stop, move || {
            within.cancel();
            std::future::pending().boxed()
        })
        .await;
        assert_eq!(start.elapsed(), FIRST_AFTER, "one round was begun and cut");
    }
}
