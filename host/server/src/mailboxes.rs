//! Two places with mailboxes, the cloud's and this host's, as one desk for the operator.

use std::sync::Arc;

use async_trait::async_trait;
use stuga_core::a2a::delivery::{Filter, Letter, MailDesk};
use stuga_core::{Result, TenantId, WriteId};

/// Set in a place of the listing that lies in the cloud.
const CLOUD: u64 = 1 << 63;

/// Both places. Messages that this host took in the cloud's place are listed first.
pub(crate) struct TwoDesks {
    pub(crate) local: Arc<dyn MailDesk>,
    pub(crate) cloud: Arc<dyn MailDesk>,
}

#[async_trait]
impl MailDesk for TwoDesks {
    async fn list(
        &self,
        tenant: &TenantId,
        filter: &Filter,
        after: Option<u64>,
        limit: u32,
    ) -> Result<(Vec<Letter>, Option<u64>)> {
        let in_cloud = after.is_some_and(|after| after & CLOUD != 0);
        let mut letters = Vec::new();
        let mut after = after.map(|after| after & !CLOUD);
        if !in_cloud {
            let next;
            (letters, next) = self.local.list(tenant, filter, after, limit).await?;
            if next.is_some() {
                return Ok((letters, next));
            }
            after = None;
        }
        let left = limit.saturating_sub(u32::try_from(letters.len()).unwrap_or(u32::MAX));
        if left == 0 {
            // Place 0 lies before all that there are.
            return Ok((letters, Some(CLOUD)));
        }
        let after = after.filter(|after| *after > 0);
        let (more, next) = self.cloud.list(tenant, filter, after, left).await?;
        letters.extend(more);
        Ok((letters, next.map(|next| next | CLOUD)))
    }

    async fn find(&self, tenant: &TenantId, id: &str) -> Result<Option<Letter>> {
        match self.local.find(tenant, id).await? {
            Some(letter) => Ok(Some(letter)),
            None => self.cloud.find(tenant, id).await,
        }
    }

    async fn requeue(&self, tenant: &TenantId, write: WriteId, id: &str) -> Result<bool> {
        match self.local.find(tenant, id).await? {
            Some(_) => self.local.requeue(tenant, write, id).await,
            None => self.cloud.requeue(tenant, write, id).await,
        }
    }

    async fn discard(&self, tenant: &TenantId, write: WriteId, id: &str) -> Result<bool> {
        let here = self.local.discard(tenant, write, id).await?;
        // One that may have landed in both places is removed from both.
        match self.cloud.discard(tenant, write, id).await {
            Ok(there) => Ok(here || there),
            Err(_) if here => Ok(true),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use stuga_core::a2a::Message;
    use stuga_core::a2a::delivery::State;
    use stuga_core::{AgentName, InvocationId, Timestamp};
    use uuid::Uuid;

    use super::*;

    /// A desk with messages named by letter and place.
    struct Pile(char, u64);

    #[async_trait]
    impl MailDesk for Pile {
        async fn list(
            &self,
            _: &TenantId,
            _: &Filter,
            after: Option<u64>,
            limit: u32,
        ) -> Result<(Vec<Letter>, Option<u64>)> {
            let from = after.unwrap_or(0) + 1;
            let to = self.1.min(from + u64::from(limit) - 1);
            let letters = (from..=to).map(|place| letter(self.0, place)).collect();
            Ok((letters, (to < self.1).then_some(to)))
        }

        async fn find(&self, _: &TenantId, id: &str) -> Result<Option<Letter>> {
            Ok(id.starts_with(self.0).then(|| letter(self.0, 1)))
        }

        async fn requeue(&self, _: &TenantId, _: WriteId, id: &str) -> Result<bool> {
            Ok(id.starts_with(self.0))
        }

        async fn discard(&self, _: &TenantId, _: WriteId, id: &str) -> Result<bool> {
            Ok(id.starts_with(self.0))
        }
    }

    fn letter(name: char, place: u64) -> Letter {
        Letter {
            id: format!("{name}{place}"),
            sender: "acme/a".parse().unwrap(),
            agent: AgentName::new("b").unwrap(),
            message: Message {
                skill: "s".to_owned(),
                input: "{}".to_owned(),
                session: None,
            },
            depth: 1,
            state: State::Waiting,
            posted_at: Timestamp::from_millis(1),
            due_at: Timestamp::from_millis(1),
            attempt: 1,
            failure: None,
        }
    }

    fn desks(local: u64, cloud: u64) -> TwoDesks {
        TwoDesks {
            local: Arc::new(Pile('l', local)),
            cloud: Arc::new(Pile('c', cloud)),
        }
    }

    #[tokio::test]
    async fn pages_of_any_length_show_every_message_of_both_places_once() {
        let tenant = TenantId::new("acme").unwrap();
        let (desks, filter) = (desks(3, 2), Filter::default());
        let all = ["l1", "l2", "l3", "c1", "c2"];
        for limit in 1..=6 {
            let (mut seen, mut after) = (Vec::new(), None);
            for _ in 0..10 {
                let page = desks.list(&tenant, &filter, after, limit);
                let (letters, next) = page.await.unwrap();
                assert!(letters.len() <= limit as usize);
                seen.extend(letters.into_iter().map(|letter| letter.id));
                after = next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(seen, all, "pages of {limit}");
        }
    }

    #[tokio::test]
    async fn a_message_is_found_and_changed_where_it_lies() {
        let (tenant, desks) = (TenantId::new("acme").unwrap(), desks(1, 1));
        let write = WriteId {
            invocation: InvocationId::from_uuid(Uuid::nil()),
            call: 0,
        };
        for id in ["l1", "c1"] {
            assert!(desks.find(&tenant, id).await.unwrap().is_some());
            assert!(desks.requeue(&tenant, write, id).await.unwrap());
            assert!(desks.discard(&tenant, write, id).await.unwrap());
        }
        assert!(!desks.discard(&tenant, write, "x1").await.unwrap());
    }
}
