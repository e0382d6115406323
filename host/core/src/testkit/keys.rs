//! The contract of key services, and one in memory that a test takes away.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use uuid::Uuid;

use super::suite::{Case, Fixture, cases};
use crate::keys::{KEY_BYTES, KeyUse, KeyWrap, MadeKey, PlainKey, WRAPPED_MAX_BYTES};
use crate::{Error, ErrorKind, Result, TenantId};

/// All cases. They need the tenants `acme` and `acme-2`, each with a key of its own or both with one.
pub fn cases() -> Vec<Case<dyn KeyWrap>> {
    cases![
        what_was_made_opens_for_its_tenant,
        each_key_is_another_one_and_is_not_what_is_stored,
        a_key_does_not_open_for_another_tenant,
        what_was_changed_never_opens_as_the_key,
        what_is_no_wrapped_key_does_not_open,
        a_renewed_key_opens_as_before,
        nothing_is_asked_after_the_deadline,
    ]
}

type Service = Fixture<dyn KeyWrap>;

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

fn used(tenant: &TenantId) -> KeyUse<'_> {
    KeyUse {
        operation: "secrets.reveal",
        tenant,
        deadline: Instant::now() + Duration::from_secs(60),
    }
}

async fn what_was_made_opens_for_its_tenant(service: Service) {
    let acme = tenant("acme");
    let made = service.backend.make(used(&acme)).await.unwrap();
    for _ in 0..2 {
        let opened = service.backend.open(used(&acme), &made.wrapped).await;
        assert_eq!(opened.unwrap().reveal(), made.plain.reveal());
    }
    assert!((1..=WRAPPED_MAX_BYTES).contains(&made.wrapped.len()));
    assert!((1..=15).contains(&service.backend.name().len()));
}

async fn each_key_is_another_one_and_is_not_what_is_stored(service: Service) {
    let acme = tenant("acme");
    let first = service.backend.make(used(&acme)).await.unwrap();
    let second = service.backend.make(used(&acme)).await.unwrap();
    assert_ne!(first.plain.reveal(), second.plain.reveal());
    assert_ne!(first.wrapped, second.wrapped);
    let bare = |made: &MadeKey| {
        let mut parts = made.wrapped.windows(KEY_BYTES);
        parts.any(|part| part == made.plain.reveal())
    };
    assert!(!bare(&first) && !bare(&second));
}

async fn a_key_does_not_open_for_another_tenant(service: Service) {
    let (acme, neighbour) = (tenant("acme"), tenant("acme-2"));
    let made = service.backend.make(used(&acme)).await.unwrap();
    let refused = service.backend.open(used(&neighbour), &made.wrapped).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Internal);
    let refused = service.backend.renew(used(&neighbour), &made.wrapped).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Internal);
}

async fn what_was_changed_never_opens_as_the_key(service: Service) {
    let acme = tenant("acme");
    let made = service.backend.make(used(&acme)).await.unwrap();
    let length = made.wrapped.len();
    for at in [length / 3, length / 2, length - 1] {
        let mut changed = made.wrapped.clone();
        changed[at] ^= 1;
        let opened = service.backend.open(used(&acme), &changed).await;
        let is_open = opened.is_ok_and(|key| key.reveal() == made.plain.reveal());
        assert!(!is_open, "byte {at} does not matter");
    }
}

async fn what_is_no_wrapped_key_does_not_open(service: Service) {
    let acme = tenant("acme");
    let too_long = vec![7; WRAPPED_MAX_BYTES + 1];
    for nothing in [&[][..], b"x", &too_long] {
        let refused = service.backend.open(used(&acme), nothing).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Internal);
    }
}

async fn a_renewed_key_opens_as_before(service: Service) {
    let acme = tenant("acme");
    let made = service.backend.make(used(&acme)).await.unwrap();
    let renewed = service.backend.renew(used(&acme), &made.wrapped).await;
    renewed.unwrap();
    let opened = service.backend.open(used(&acme), &made.wrapped).await;
    assert_eq!(opened.unwrap().reveal(), made.plain.reveal());
}

async fn nothing_is_asked_after_the_deadline(service: Service) {
    let acme = tenant("acme");
    let late = KeyUse {
        deadline: Instant::now(),
        ..used(&acme)
    };
    let refused = service.backend.make(late).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Timeout);
}

/// How a [`Keyring`] answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Answers {
    /// As it should.
    #[default]
    Well,
    /// Not at all.
    Away,
    /// That it may not.
    Refuses,
}

/// A key service in memory.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    service: Arc<Mutex<Keys>>,
    /// Wrapped keys that were opened in this process.
    held: Arc<Mutex<Vec<Vec<u8>>>>,
}

#[derive(Debug, Default)]
struct Keys {
    answers: Answers,
    asked: u64,
    made: HashMap<Vec<u8>, (TenantId, PlainKey)>,
}

impl Keyring {
    /// The same service, as another process has it that has just begun.
    #[must_use]
    pub fn beside(&self) -> Self {
        Self {
            service: Arc::clone(&self.service),
            held: Arc::default(),
        }
    }

    /// Sets how it answers from now on.
    pub fn answer(&self, answers: Answers) {
        lock(&self.service).answers = answers;
    }

    /// How often the service was asked.
    pub fn asked(&self) -> u64 {
        lock(&self.service).asked
    }

    fn ask(&self, used: KeyUse<'_>) -> Result<MutexGuard<'_, Keys>> {
        if Instant::now() >= used.deadline {
            return Err(Error::timeout(used.operation, "the deadline has passed"));
        }
        let mut keys = lock(&self.service);
        keys.asked += 1;
        let refused = match keys.answers {
            Answers::Well => return Ok(keys),
            Answers::Away => "the key service is away",
            Answers::Refuses => "the key service refuses",
        };
        Err(Error::unavailable(used.operation, refused))
    }

    fn find(&self, used: KeyUse<'_>, keys: &Keys, wrapped: &[u8]) -> Result<PlainKey> {
        let found = keys.made.get(wrapped);
        let found = found.filter(|(whose, _)| whose == used.tenant);
        let found = found.map(|(_, plain)| plain.clone());
        found.ok_or_else(|| Error::internal(used.operation, "that is no key of this tenant's"))
    }

    fn hold(&self, wrapped: &[u8]) {
        let mut held = lock(&self.held);
        held.retain(|known| known != wrapped);
        held.push(wrapped.to_vec());
    }
}

#[async_trait]
impl KeyWrap for Keyring {
    fn name(&self) -> &'static str {
        "keyring"
    }

    async fn make(&self, used: KeyUse<'_>) -> Result<MadeKey> {
        let wrapped = [Uuid::now_v7(), Uuid::now_v7()].map(Uuid::into_bytes);
        let plain = [Uuid::now_v7(), Uuid::now_v7()].map(Uuid::into_bytes);
        let plain = PlainKey::from_bytes(&plain.concat()).unwrap();
        let made = MadeKey {
            plain,
            wrapped: wrapped.concat(),
        };
        let known = (used.tenant.clone(), made.plain.clone());
        let mut keys = self.ask(used)?;
        keys.made.insert(made.wrapped.clone(), known);
        self.hold(&made.wrapped);
        Ok(made)
    }

    async fn open(&self, used: KeyUse<'_>, wrapped: &[u8]) -> Result<PlainKey> {
        let is_held = lock(&self.held).iter().any(|known| known == wrapped);
        if is_held {
            return self.find(used, &lock(&self.service), wrapped);
        }
        let keys = self.ask(used)?;
        let found = self.find(used, &keys, wrapped)?;
        self.hold(wrapped);
        Ok(found)
    }

    async fn renew(&self, used: KeyUse<'_>, wrapped: &[u8]) -> Result<()> {
        let refuses = lock(&self.service).answers == Answers::Refuses;
        if refuses {
            lock(&self.held).retain(|known| known != wrapped);
        }
        let keys = self.ask(used)?;
        self.find(used, &keys, wrapped)?;
        self.hold(wrapped);
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;
    use crate::testkit::{ManualClock, prove};

    #[tokio::test]
    async fn the_keyring_keeps_the_contract() {
        prove(cases(), || {
            let clock = Arc::new(ManualClock::at(Timestamp::from_millis(0)));
            Fixture::new(Arc::new(Keyring::default()) as Arc<dyn KeyWrap>, clock)
        })
        .await;
    }
}
