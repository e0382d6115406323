//! The contract of mailboxes on SQS and S3, before ministack; and what the contract cannot say of AWS alone.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking, like the tests"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;
use stuga_aws::{AccessKeys, Aws, AwsConfig, CloudQuotas};
use stuga_core::a2a::delivery::{Filter, MailDesk, MailQueue, Outcome, Settled, State, Taken};
use stuga_core::a2a::{INPUT_MAX_BYTES, MailboxWrite, Message};
use stuga_core::lease::{Failure, Lease, LeaseToken};
use stuga_core::testkit::a2a::{MailBackend, cases};
use stuga_core::testkit::{Fixture, ManualClock, ctx, prove};
use stuga_core::{AgentName, Capability, Clock, ErrorKind, TenantId, Timestamp};
use stuga_test_servers::{Ministack, served, unique};
use uuid::Uuid;

/// A bucket and queue names of its own, and the queues of the tenants that the contract names.
struct Site {
    config: AwsConfig,
    clock: Arc<ManualClock>,
}

fn keys() -> AccessKeys {
    AccessKeys {
        id: "test".to_owned(),
        secret: "test".into(),
        session_token: None,
    }
}

impl Site {
    async fn new() -> Self {
        let server = Ministack::shared().await;
        let name = unique("mail");
        let config = serde_json::json!({
            "region": server.region(),
            "endpoints": {"all": server.endpoint()},
            "files": {"bucket": name, "path_style": true},
            "a2a": {"queue_prefix": format!("{}_{{tenant}}_", &name[name.len() - 8..])},
        });
        let site = Self {
            config: serde_json::from_value(config).unwrap(),
            clock: Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000))),
        };
        let made = site.s3().create_bucket().bucket(&name);
        let place = aws_sdk_s3::types::BucketLocationConstraint::EuNorth1;
        let place = aws_sdk_s3::types::CreateBucketConfiguration::builder()
            .location_constraint(place)
            .build();
        made.create_bucket_configuration(place)
            .send()
            .await
            .unwrap();
        for tenant in ["acme", "globex"] {
            let tenant = TenantId::new(tenant).unwrap();
            site.host().provision(&tenant).await.unwrap();
        }
        site
    }

    /// A host of its own before the same servers.
    fn host(&self) -> Aws {
        let clock = Arc::clone(&self.clock);
        Aws::open_with_keys(self.config.clone(), clock, keys()).unwrap()
    }

    fn sdk(&self) -> aws_config::SdkConfig {
        let credentials =
            aws_credential_types::Credentials::new("test", "test", None, None, "test");
        aws_config::SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::latest())
            .region(aws_config::Region::new(self.config.region.clone()))
            .endpoint_url(self.config.endpoints.all.clone().unwrap())
            .credentials_provider(
                aws_credential_types::provider::SharedCredentialsProvider::new(credentials),
            )
            .build()
    }

    fn s3(&self) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::config::Builder::from(&self.sdk());
        aws_sdk_s3::Client::from_conf(config.force_path_style(true).build())
    }

    fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.sdk())
    }

    /// The queue of acme.
    async fn queue(&self) -> String {
        let prefix = self.config.a2a.as_ref().unwrap().queue_prefix.of(&acme());
        let found = self.sqs().get_queue_url().queue_name(prefix + "mail.fifo");
        found.send().await.unwrap().queue_url.unwrap()
    }

    async fn objects(&self, prefix: &str) -> Vec<String> {
        let bucket = self.config.files.as_ref().unwrap().bucket.of(&acme());
        let list = self.s3().list_objects_v2().bucket(bucket).prefix(prefix);
        let found = list.send().await.unwrap();
        let keys = found.contents().iter();
        keys.map(|object| object.key().unwrap().to_owned())
            .collect()
    }
}

fn acme() -> TenantId {
    TenantId::new("acme").unwrap()
}

fn post(to: &str, input: &str) -> MailboxWrite {
    MailboxWrite::Post {
        to: to.to_owned(),
        message: Message {
            skill: "note".to_owned(),
            input: input.to_owned(),
            session: None,
        },
        depth: 1,
    }
}

fn lease() -> Lease {
    Lease {
        token: LeaseToken::from_uuid(Uuid::new_v4()),
        time: Duration::from_secs(30),
    }
}

async fn send(host: &Aws, input: &str) -> String {
    let ctx = ctx("acme", "scribe");
    let id = ctx.next_write_id().unwrap();
    let ack = host.mail().apply(&ctx, id, &post("acme/svea", input)).await;
    ack.unwrap().id
}

async fn take(host: &Aws) -> Vec<Taken> {
    let (mail, acme) = (host.mail(), acme());
    let (agents, leases) = ([AgentName::new("svea").unwrap()], [lease(), lease()]);
    let found = mail.take(&acme, &agents, &leases, u64::MAX).await;
    found.unwrap().messages
}

async fn delivered(host: &Aws, taken: &Taken) -> Settled {
    let (mail, acme) = (host.mail(), acme());
    let settled = mail.settle(&acme, &taken.token, Outcome::Delivered);
    settled.await.unwrap()
}

#[tokio::test]
async fn mailboxes_keep_their_contract() {
    let server = Ministack::shared().await.describe();
    served("contract of mailboxes", &format!("{server} (SQS and S3)"));
    let mut sites = Vec::new();
    for _ in 0..cases().len() {
        sites.push(Site::new().await);
    }
    let sites = Mutex::new(sites);
    prove(cases(), || {
        let site = sites.lock().unwrap().pop().unwrap();
        let backend: Arc<dyn MailBackend> = site.host().mail();
        Fixture::new(backend, Arc::clone(&site.clock)).keeping(site)
    })
    .await;
}

#[tokio::test]
async fn two_hosts_part_the_pairs_between_them_and_keep_their_order() {
    let site = Site::new().await;
    let (one, other) = (site.host(), site.host());
    send(&one, "1").await;
    send(&other, "2").await;
    let taken = take(&one).await;
    assert_eq!(taken[0].message.input, "1");
    assert!(take(&other).await.is_empty(), "the pair has a holder");
    assert!(
        other
            .mail()
            .pending()
            .await
            .unwrap()
            .iter()
            .any(|p| p.tenant == acme()),
        "another host hears of it"
    );
    assert_eq!(delivered(&one, &taken[0]).await, Settled::Delivered);
    assert_eq!(take(&other).await[0].message.input, "2");
}

#[tokio::test]
async fn a_host_that_is_gone_is_not_heard_any_more_when_another_took_its_message() {
    let site = Site::new().await;
    let (one, other) = (site.host(), site.host());
    send(&one, "1").await;
    let lost = take(&one).await.remove(0);
    site.clock.advance(Duration::from_secs(30));
    // What SQS would do by its own clock.
    let sqs = site.sqs();
    sqs.purge_queue()
        .queue_url(site.queue().await)
        .send()
        .await
        .unwrap();
    site.clock.advance(Duration::from_secs(700));
    // The token is gone for good: a look finds the letter, and gives it another one.
    assert!(take(&other).await.is_empty());
    let again = take(&other).await.remove(0);
    assert!(again.again && again.attempt == lost.attempt && again.began_at == lost.began_at);
    assert_eq!(delivered(&one, &lost).await, Settled::Lost);
    assert_eq!(delivered(&other, &again).await, Settled::Delivered);
}

#[tokio::test]
async fn what_is_in_the_queue_names_no_content_and_the_largest_message_goes_through() {
    let site = Site::new().await;
    let host = site.host();
    let input = serde_json::to_string(&"\"".repeat(INPUT_MAX_BYTES / 2 - 1)).unwrap();
    send(&host, &input).await;
    let taken = take(&host).await.remove(0);
    assert_eq!(taken.message.input, input);
    let size = site
        .sqs()
        .get_queue_attributes()
        .queue_url(site.queue().await)
        .attribute_names(QueueAttributeName::All)
        .send();
    let attributes = size.await.unwrap().attributes.unwrap();
    let redrive = &attributes[&QueueAttributeName::RedrivePolicy];
    assert!(redrive.contains("dead.fifo"), "{redrive}");
    assert_eq!(
        attributes[&QueueAttributeName::MessageRetentionPeriod],
        "1209600"
    );
}

#[tokio::test]
async fn a_message_ends_without_leaving_its_content_behind() {
    let site = Site::new().await;
    let host = site.host();
    let id = send(&host, "\"private\"").await;
    let taken = take(&host).await.remove(0);
    assert_eq!(delivered(&host, &taken).await, Settled::Delivered);
    assert!(take(&host).await.is_empty());
    let left = site.objects("_").await;
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(left[0].contains(&id));
    let bucket = site.config.files.as_ref().unwrap().bucket.of(&acme());
    let kept = site.s3().get_object().bucket(bucket).key(&left[0]).send();
    let kept = kept.await.unwrap().body.collect().await.unwrap().to_vec();
    assert!(!String::from_utf8(kept).unwrap().contains("private"));
}

#[tokio::test]
async fn a_tenant_without_its_queue_is_an_outage_that_names_the_queue_and_the_fix() {
    const FIX: &str = "the mail queue of tenant initech is not there; \
        the operator runs `stuga tenant provision initech --apply`";
    let site = Site::new().await;
    let host = site.host();
    let mail = host.mail();
    let ctx = ctx("acme", "scribe");
    let id = ctx.next_write_id().unwrap();
    let said = post("initech/svea", "1");
    let refused = mail.apply(&ctx, id, &said).await.unwrap_err();
    // Its letter lies there already.
    assert_eq!(refused.kind(), ErrorKind::Timeout);
    let message = refused.message();
    assert!(message.starts_with("the message is kept"), "{refused}");
    assert!(message.ends_with(FIX), "{refused}");
    // What the operator does about it is enough: the same write, repeated, goes on its way.
    let initech = TenantId::new("initech").unwrap();
    host.provision(&initech).await.unwrap();
    mail.apply(&ctx, id, &said).await.unwrap();
    let listed = mail.list(&initech, &Filter::default(), None, 10).await;
    assert_eq!(listed.unwrap().0.len(), 1);
    // Who lost it later is told the same.
    host.deprovision(&initech).await.unwrap();
    let id = ctx.next_write_id().unwrap();
    let refused = mail.apply(&ctx, id, &said).await.unwrap_err();
    assert!(refused.message().ends_with(FIX), "{refused}");
    let found = host.mail().find(&acme(), "no/such").await.unwrap();
    assert_eq!(found, None);
}

#[tokio::test]
async fn a_message_that_nobody_took_is_dead_for_every_host() {
    let site = Site::new().await;
    let id = send(&site.host(), "1").await;
    site.clock.advance(Duration::from_secs(14 * 24 * 3_600));
    let letter = site
        .host()
        .mail()
        .find(&acme(), &id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(letter.state, State::Dead);
    assert!(letter.posted_at < site.clock.now());
    assert!(take(&site.host()).await.is_empty());
}

#[tokio::test]
async fn what_was_provisioned_is_there_and_goes_with_its_messages() {
    let site = Site::new().await;
    let host = site.host();
    send(&host, "1").await;
    let plan = host.plan(&acme()).await.unwrap();
    assert!(
        plan.iter()
            .all(|line| line.state == stuga_aws::State::There),
        "{plan:?}"
    );
    host.deprovision(&acme()).await.unwrap();
    assert_eq!(site.objects("_").await, Vec::<String>::new());
    let plan = host.plan(&acme()).await.unwrap();
    let queues = plan.iter().find(|line| line.what.starts_with("queues"));
    assert_eq!(queues.unwrap().state, stuga_aws::State::Missing, "{plan:?}");
}

#[tokio::test]
async fn a_mailbox_takes_as_many_messages_as_its_tenant_may_have_and_a_stranger_half_of_them() {
    let site = Site::new().await;
    let quotas = CloudQuotas {
        mailbox_messages: 4,
        ..CloudQuotas::default()
    };
    let limited = || {
        let host = site.host();
        host.set_quotas(&acme(), quotas);
        host
    };
    let host = limited();
    let try_post = async |host: &Aws, tenant: &str| {
        let ctx = ctx(tenant, "scribe");
        let id = ctx.next_write_id().unwrap();
        let posted = host.mail().apply(&ctx, id, &post("acme/svea", "1")).await;
        let told =
            |error: stuga_core::Error| (error.kind(), error.context_value("limit").is_some());
        posted.map(drop).map_err(told)
    };
    let known = ctx("acme", "scribe");
    let id = known.next_write_id().unwrap();
    let first = host.mail().apply(&known, id, &post("acme/svea", "1")).await;
    let first = first.unwrap();
    try_post(&host, "globex").await.unwrap();
    let refused = try_post(&host, "globex").await.unwrap_err();
    assert_eq!(refused, (ErrorKind::QuotaExceeded, false));
    send(&host, "3").await;
    send(&host, "4").await;
    let full = Err((ErrorKind::QuotaExceeded, true));
    assert_eq!(try_post(&host, "acme").await, full);
    // One that is there already takes no room, and another host counts what is there: those that wait and the dead.
    let again = host.mail().apply(&known, id, &post("acme/svea", "1")).await;
    assert_eq!(again.unwrap().id, first.id);
    let taken = take(&host).await;
    let outcome = Outcome::Failed {
        failure: Failure {
            is_final: true,
            ..Failure::new(ErrorKind::Invalid, "no")
        },
        roll: 0,
    };
    let settled = host.mail().settle(&acme(), &taken[0].token, outcome).await;
    settled.unwrap();
    assert_eq!(try_post(&limited(), "acme").await, full);
}
