//! Tenants' keys under a key service: what lies on the disk without it, what an outage shuts and what it does not, and how a
//! host that has secrets already comes to it.

use std::path::Path;
use std::sync::Arc;

use stuga_core::keys::KeyWrap;
use stuga_core::memory::{Expected, MemoryWrite};
use stuga_core::secrets::SecretStore;
use stuga_core::standby::Standby;
use stuga_core::testkit::keys::{Answers, Keyring};
use stuga_core::testkit::secrets::SecretsBackend;
use stuga_core::testkit::{Fixture, ManualClock, ctx, prove};
use stuga_core::{CapabilityName, Clock, ErrorKind, Timestamp};
use stuga_local::{KeyAtRest, Local, LocalConfig, LocalSecrets, Models};
use tempfile::TempDir;

use super::{PLAIN, reveal, sealed, set, tenant, write_id};

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000)))
}

/// Secrets in this directory, as a process has them that has this key service.
fn with(directory: &Path, keyring: Option<&Keyring>) -> Arc<LocalSecrets> {
    local(directory, keyring).secrets()
}

fn local(directory: &Path, keyring: Option<&Keyring>) -> Local {
    let models = Models::default();
    let wrap = keyring.map(|keyring| Arc::new(keyring.clone()) as Arc<dyn KeyWrap>);
    let config = LocalConfig::default();
    Local::open_wrapped(directory, clock(), config, &models, wrap).unwrap()
}

fn master_key(directory: &TempDir) -> std::path::PathBuf {
    directory.path().join("keys/master.key")
}

fn database(directory: &TempDir) -> rusqlite::Connection {
    rusqlite::Connection::open(directory.path().join("tenants/acme/state.db")).unwrap()
}

#[tokio::test]
async fn secrets_under_a_key_service_keep_their_contract() {
    prove(stuga_core::testkit::secrets::cases(), || {
        let (directory, clock) = (TempDir::new().unwrap(), clock());
        let wrap: Arc<dyn KeyWrap> = Arc::new(Keyring::default());
        let time: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let (config, models) = (LocalConfig::default(), Models::default());
        let local = Local::open_wrapped(directory.path(), time, config, &models, Some(wrap));
        let backend: Arc<dyn SecretsBackend> = local.unwrap().secrets();
        Fixture::new(backend, clock).keeping(directory)
    })
    .await;
}

#[tokio::test]
async fn no_key_that_opens_anything_lies_on_the_disk() {
    let (directory, keyring) = (TempDir::new().unwrap(), Keyring::default());
    let store = with(directory.path(), Some(&keyring));
    assert_eq!(set(&store, "acme", "k", PLAIN).await, 1);
    assert_eq!(reveal(&store, "acme", "k", 1).await.unwrap(), PLAIN);
    assert!(!master_key(&directory).exists(), "a master key was made");
    let by = sealed(&database(&directory), "SELECT sealed_by FROM secret_key");
    assert_eq!(by, b"wrap:keyring");

    // The whole directory without the service, and with another one.
    for other in [None, Some(Keyring::default())] {
        let thief = with(directory.path(), other.as_ref());
        let refused = reveal(&thief, "acme", "k", 1).await.unwrap_err();
        assert!(!refused.to_string().contains(PLAIN), "{refused}");
        if other.is_none() {
            assert_eq!(refused.kind(), ErrorKind::Unavailable);
            assert!(refused.message().contains("configure it again"));
        }
    }
}

#[tokio::test]
async fn an_outage_shuts_nothing_that_this_process_has_opened() {
    let (directory, keyring) = (TempDir::new().unwrap(), Keyring::default());
    let store = with(directory.path(), Some(&keyring));
    set(&store, "acme", "k", PLAIN).await;
    keyring.answer(Answers::Away);
    let asked = keyring.asked();
    assert_eq!(reveal(&store, "acme", "k", 1).await.unwrap(), PLAIN);
    assert_eq!(set(&store, "acme", "k", "two").await, 2);
    assert_eq!(keyring.asked(), asked, "an outage costs no wait");
    store.renew_key(&tenant("acme")).await.unwrap_err();
    assert_eq!(reveal(&store, "acme", "k", 2).await.unwrap(), "two");

    // A process that begins meanwhile lists, and opens nothing until the service is back.
    let begun = with(directory.path(), Some(&keyring.beside()));
    let refused = reveal(&begun, "acme", "k", 1).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert_eq!(begun.list(&tenant("acme")).await.unwrap().len(), 2);
    keyring.answer(Answers::Well);
    assert_eq!(reveal(&begun, "acme", "k", 1).await.unwrap(), PLAIN);
}

#[tokio::test]
async fn a_renewal_opens_a_key_beforehand_and_forgets_one_that_is_withdrawn() {
    let (directory, keyring) = (TempDir::new().unwrap(), Keyring::default());
    let acme = tenant("acme");
    let first = with(directory.path(), Some(&keyring));
    assert_eq!(first.renew_key(&acme).await.unwrap(), KeyAtRest::None);
    set(&first, "acme", "k", PLAIN).await;

    let begun = with(directory.path(), Some(&keyring.beside()));
    assert_eq!(begun.renew_key(&acme).await.unwrap(), KeyAtRest::Wrapped);
    keyring.answer(Answers::Away);
    assert_eq!(reveal(&begun, "acme", "k", 1).await.unwrap(), PLAIN);
    keyring.answer(Answers::Refuses);
    begun.renew_key(&acme).await.unwrap_err();
    reveal(&begun, "acme", "k", 1).await.unwrap_err();
}

#[tokio::test]
async fn a_host_with_secrets_comes_to_a_key_service_by_a_rotation() {
    let (directory, keyring) = (TempDir::new().unwrap(), Keyring::default());
    let acme = tenant("acme");
    let before = with(directory.path(), None);
    assert_eq!(before.renew_key(&acme).await.unwrap(), KeyAtRest::None);
    set(&before, "acme", "k", PLAIN).await;

    let store = with(directory.path(), Some(&keyring));
    assert_eq!(reveal(&store, "acme", "k", 1).await.unwrap(), PLAIN);
    assert_eq!(store.renew_key(&acme).await.unwrap(), KeyAtRest::Sealed);
    assert_eq!(keyring.asked(), 0);
    assert_eq!(store.rotate(&acme, write_id()).await.unwrap(), 1);
    assert_eq!(store.renew_key(&acme).await.unwrap(), KeyAtRest::Wrapped);
    std::fs::remove_file(master_key(&directory)).unwrap();
    assert_eq!(reveal(&store, "acme", "k", 1).await.unwrap(), PLAIN);
}

#[tokio::test]
async fn what_is_written_in_an_outage_needs_no_key_service_to_be_noted_or_read() {
    let (directory, keyring) = (TempDir::new().unwrap(), Keyring::default());
    set(&with(directory.path(), Some(&keyring)), "acme", "k", PLAIN).await;
    keyring.answer(Answers::Away);
    // A process that begins in the outage.
    let local = local(directory.path(), Some(&keyring.beside()));
    let ctx = ctx("acme", "scribe");
    let write = MemoryWrite::Put {
        key: "k".to_owned(),
        value: b"v".to_vec(),
        ttl: None,
        expected: Expected::Any,
    };
    let noted = local.memory().apply_noted(&ctx, write_id(), &write).await;
    noted.unwrap();
    let acme = tenant("acme");
    let waiting = || async {
        let journal = local.journal();
        let entries = journal.next(&acme, CapabilityName::Memory, 0, 10).await;
        entries.unwrap().len()
    };
    assert_eq!(waiting().await, 1);
    keyring.answer(Answers::Well);
    local.secrets().rotate(&acme, write_id()).await.unwrap();
    assert_eq!(waiting().await, 1, "a rotation loses no entry");
}

#[tokio::test]
async fn two_processes_that_make_the_first_key_at_once_agree_on_one() {
    let (directory, keyring) = (TempDir::new().unwrap(), Keyring::default());
    let stores: Vec<_> = (0..4)
        .map(|_| with(directory.path(), Some(&keyring.beside())))
        .collect();
    let names = ["a", "b", "c", "d"];
    let sets = stores.iter().zip(names);
    futures::future::join_all(sets.map(|(store, name)| set(store, "acme", name, name))).await;
    for store in &stores {
        for name in names {
            assert_eq!(reveal(store, "acme", name, 1).await.unwrap(), name);
        }
    }
}
