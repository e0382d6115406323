//! What a tenant needs is planned, made once, and taken away without touching a neighbour.

use std::sync::Arc;

use stuga_aws::{Aws, AwsConfig, Planned, State};
use stuga_core::TenantId;
use stuga_core::memory::{Expected, Memory, MemoryWrite};
use stuga_core::secrets::SecretStore;
use stuga_core::testkit::ctx;
use stuga_test_servers::{Ministack, Redis, served, unique};

use crate::common::{clock, open};
use crate::{probed, settings, tenant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_is_planned_provisioned_once_and_deprovisioned_alone() {
    let server = Ministack::shared().await;
    served("provisioning", &server.describe());
    let stem = unique("tenants");
    let bucket = format!("{stem}-{{tenant}}");
    let files = serde_json::json!({ "bucket": bucket, "path_style": true });
    let secrets = serde_json::json!({
        "kms_key": format!("alias/{stem}-{{tenant}}"),
        "prefix": format!("{stem}/{{tenant}}/"),
    });
    let settings = AwsConfig {
        files: Some(serde_json::from_value(files).unwrap()),
        secrets: Some(serde_json::from_value(secrets).unwrap()),
        // Mailboxes have a test of their own.
        a2a: None,
        ..settings(&server.endpoint())
    };
    let aws = open(settings.clone(), &clock());
    let missing = |plan: &[stuga_aws::Planned]| {
        let missing = plan.iter().filter(|line| line.state == State::Missing);
        missing.map(|line| line.what.clone()).collect::<Vec<_>>()
    };
    let plan = aws.plan(&tenant()).await.unwrap();
    assert_eq!(missing(&plan).len(), 4, "{plan:#?}");
    assert_eq!(
        aws.plan(&tenant()).await.unwrap(),
        plan,
        "a plan changes nothing"
    );

    let made = aws.provision(&tenant()).await.unwrap();
    assert_eq!(
        made.iter().filter(|line| line.state == State::Made).count(),
        4
    );
    let again = aws.provision(&tenant()).await.unwrap();
    assert!(
        again.iter().all(|line| line.state == State::There),
        "{again:#?}"
    );
    let found = probed(settings).await;
    assert!(found.iter().all(|p| p.problem.is_none()), "{found:#?}");

    // A neighbour whose name begins alike keeps what it has.
    let neighbour = TenantId::new("acme-2").unwrap();
    aws.provision(&neighbour).await.unwrap();
    let store = aws.secrets().unwrap();
    let id = stuga_core::testkit::ctx("acme", "scribe")
        .next_write_id()
        .unwrap();
    let value = || stuga_core::secrets::SecretValue::new(b"x".to_vec()).unwrap();
    for whose in [&tenant(), &neighbour] {
        store.set(whose, id, "token", &value()).await.unwrap();
    }
    aws.deprovision(&tenant()).await.unwrap();
    assert!(store.list(&tenant()).await.unwrap().is_empty());
    assert_eq!(store.list(&neighbour).await.unwrap().len(), 1);
    assert_eq!(missing(&aws.plan(&tenant()).await.unwrap()).len(), 4);
    assert!(missing(&aws.plan(&neighbour).await.unwrap()).is_empty());
    aws.deprovision(&tenant()).await.unwrap();
}

fn neighbour() -> TenantId {
    TenantId::new("acme-2").unwrap()
}

/// AWS with memory alone, in an AgentCore memory of that name.
async fn with_memory(name: &str) -> Aws {
    let memory = serde_json::json!({ "name": name, "redis": Redis::shared().await.url() });
    let settings = AwsConfig {
        files: None,
        a2a: None,
        secrets: None,
        events: None,
        memory: Some(serde_json::from_value(memory).unwrap()),
        ..settings(&Ministack::shared().await.endpoint())
    };
    open(settings, &clock())
}

fn states(lines: &[Planned]) -> Vec<State> {
    lines.iter().map(|line| line.state).collect()
}

async fn keep(memory: &Arc<dyn Memory>, tenant: &TenantId, value: &str) {
    let ctx = ctx(tenant.as_str(), "scribe");
    let write = MemoryWrite::Put {
        key: "k".to_owned(),
        value: value.as_bytes().to_vec(),
        ttl: None,
        expected: Expected::Any,
    };
    let id = ctx.next_write_id().unwrap();
    memory.apply(&ctx, id, &write).await.unwrap();
}

async fn kept(memory: &Arc<dyn Memory>, tenant: &TenantId) -> Option<String> {
    let found = memory.get(&ctx(tenant.as_str(), "scribe"), "k").await;
    let found = found.unwrap()?;
    Some(String::from_utf8(found.value).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_memory_of_the_tenants_own_is_made_by_its_name_and_goes_with_the_tenant() {
    let stem = unique("m").replace('-', "_");
    let stem = &stem[stem.len().saturating_sub(12)..];
    let aws = with_memory(&format!("m{stem}_{{tenant}}")).await;
    let memory: Arc<dyn Memory> = aws.memory().unwrap();
    let refused = memory.get(&ctx("acme", "scribe"), "k").await.unwrap_err();
    assert!(
        refused.message().contains("provision the tenant"),
        "{refused}"
    );
    let there = [State::There; 3];
    for tenant in [tenant(), neighbour()] {
        let plan = aws.plan(&tenant).await.unwrap();
        assert_eq!(states(&plan)[0], State::Missing, "{plan:#?}");
        let made = aws.provision(&tenant).await.unwrap();
        assert_eq!(states(&made)[0], State::Made, "{made:#?}");
        assert_eq!(states(&aws.provision(&tenant).await.unwrap()), there);
        keep(&memory, &tenant, tenant.as_str()).await;
    }
    let removed = aws.deprovision(&tenant()).await.unwrap();
    assert!(removed.iter().all(|line| line.state == State::Removed));
    let plan = aws.plan(&tenant()).await.unwrap();
    assert_eq!(states(&plan)[0], State::Missing, "{plan:#?}");
    assert_eq!(kept(&memory, &neighbour()).await.as_deref(), Some("acme-2"));
    aws.deprovision(&tenant()).await.unwrap();
    // A tenant of that name who comes later finds nothing of the one before.
    aws.provision(&tenant()).await.unwrap();
    assert_eq!(kept(&memory, &tenant()).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_takes_its_own_out_of_a_memory_that_all_share() {
    let stem = unique("m").replace('-', "_");
    let stem = &stem[stem.len().saturating_sub(12)..];
    let aws = with_memory(&format!("m{stem}")).await;
    let memory: Arc<dyn Memory> = aws.memory().unwrap();
    for tenant in [tenant(), neighbour()] {
        aws.provision(&tenant).await.unwrap();
        keep(&memory, &tenant, tenant.as_str()).await;
    }
    let removed = aws.deprovision(&tenant()).await.unwrap();
    let of_memory = removed
        .iter()
        .find(|line| line.what.contains("keeps events"));
    assert_eq!(of_memory.unwrap().state, State::Shared, "{removed:#?}");
    assert_eq!(kept(&memory, &tenant()).await, None);
    assert_eq!(kept(&memory, &neighbour()).await.as_deref(), Some("acme-2"));
    // Neither is it in the events, whatever the cache says.
    Redis::shared().await.flush().unwrap();
    assert_eq!(kept(&memory, &tenant()).await, None);
    assert_eq!(kept(&memory, &neighbour()).await.as_deref(), Some("acme-2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn buckets_of_mail_and_jobs_let_go_what_has_served_its_time() {
    let server = Ministack::shared().await;
    let (mail, jobs) = (unique("mail"), unique("jobs"));
    let work = serde_json::json!({ "function": "none", "bucket": jobs });
    let mut settings = AwsConfig {
        files: None,
        secrets: None,
        events: None,
        jobs: Some(serde_json::from_value(work).unwrap()),
        ..settings(&server.endpoint())
    };
    settings.a2a.as_mut().unwrap().bucket = Some(mail.clone());
    let aws = open(settings, &clock());
    aws.provision(&tenant()).await.unwrap();
    let again = aws.provision(&tenant()).await.unwrap();
    assert!(
        states(&again).iter().all(|s| *s == State::There),
        "{again:#?}"
    );

    let url = |bucket: &str| format!("{}/{bucket}?lifecycle", server.endpoint());
    let rules = async |bucket: &str| {
        let answer = reqwest::get(url(bucket)).await.unwrap();
        answer.text().await.unwrap()
    };
    let found = rules(&mail).await;
    for part in [
        "<Prefix>_mail/</Prefix>",
        "<Days>30</Days>",
        "DaysAfterInitiation",
    ] {
        assert!(found.contains(part), "{found}");
    }
    let found = rules(&jobs).await;
    for part in ["<Prefix>_jobs/</Prefix>", "<Days>8</Days>"] {
        assert!(found.contains(part), "{found}");
    }
    // A rule that somebody changed is put right, and one that somebody added stays.
    let changed = r#"<LifecycleConfiguration>
        <Rule><ID>theirs</ID><Status>Enabled</Status><Filter><Prefix>x/</Prefix></Filter><Expiration><Days>3</Days></Expiration></Rule>
        <Rule><ID>stuga-mail</ID><Status>Enabled</Status><Filter><Prefix>_mail/</Prefix></Filter><Expiration><Days>1</Days></Expiration></Rule>
        </LifecycleConfiguration>"#;
    let put = reqwest::Client::new().put(url(&mail)).body(changed).send();
    assert!(put.await.unwrap().status().is_success());
    let missing = |lines: &[Planned]| lines.iter().filter(|l| l.state == State::Missing).count();
    assert_eq!(missing(&aws.plan(&tenant()).await.unwrap()), 1);
    aws.provision(&tenant()).await.unwrap();
    assert_eq!(missing(&aws.plan(&tenant()).await.unwrap()), 0);
    let found = rules(&mail).await;
    assert!(
        found.contains("theirs") && !found.contains("<Days>1</Days>"),
        "{found}"
    );
}
