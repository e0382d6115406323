//! Mailboxes on a disk: what a quota refuses and to whom it tells what, and that no acknowledged message is lost or
//! delivered twice when the process is killed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use stuga_core::a2a::delivery::{
    Delivery, Filter, MailDesk, MailQueue, Outcome, invocation_of_delivery,
};
use stuga_core::a2a::{Address, MailboxWrite, Message};
use stuga_core::lease::{Lease, LeaseToken};
use stuga_core::memory::{Expected, Memory, MemoryWrite};
use stuga_core::testkit::ctx;
use stuga_core::{
    AgentName, CallCtx, Capability, ErrorKind, InvocationId, RequestId, Result, SystemClock,
    TenantId, Timestamp, WriteId,
};
use stuga_local::{Local, LocalConfig, Quotas};
use uuid::Uuid;

use crate::common::House;
use crate::mortal;

fn post(to: &str, input: String) -> MailboxWrite {
    MailboxWrite::Post {
        to: to.to_owned(),
        message: Message {
            skill: "note".to_owned(),
            input,
            session: None,
        },
        depth: 1,
    }
}

async fn try_post(house: &House, from: &CallCtx, input: &str) -> Result<String> {
    let id = from.next_write_id()?;
    let said = post("acme/svea", format!("{input:?}"));
    let ack = house.local.mail().apply(from, id, &said).await?;
    Ok(ack.id)
}

#[tokio::test]
async fn a_full_mailbox_refuses_neighbours_with_the_facts_and_strangers_without() {
    let house = House::new();
    house.quotas(Quotas {
        mailbox_messages: 4,
        ..Quotas::default()
    });
    let (neighbour, stranger) = (ctx("acme", "scribe"), ctx("globex", "scribe"));
    for n in 0..2 {
        try_post(&house, &stranger, &n.to_string()).await.unwrap();
    }
    let refused = try_post(&house, &stranger, "3").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::QuotaExceeded);
    assert!(
        refused.context().is_empty(),
        "a stranger is told nothing of what is in it"
    );
    for n in 0..2 {
        try_post(&house, &neighbour, &n.to_string()).await.unwrap();
    }
    let refused = try_post(&house, &neighbour, "3").await.unwrap_err();
    assert_eq!(refused.context_value("quota"), Some("mailbox_messages"));
    assert_eq!(refused.context_value("used"), Some("4"));
    // What is removed makes room.
    let (tenant, desk) = (TenantId::new("acme").unwrap(), house.local.mail());
    let (listed, _) = desk
        .list(&tenant, &Filter::default(), None, 1)
        .await
        .unwrap();
    let write = neighbour.next_write_id().unwrap();
    assert!(desk.discard(&tenant, write, &listed[0].id).await.unwrap());
    try_post(&house, &neighbour, "4").await.unwrap();
}

#[tokio::test]
async fn the_bytes_of_messages_are_counted() {
    let house = House::new();
    house.quotas(Quotas {
        mailbox_bytes: 10_000,
        ..Quotas::default()
    });
    let from = ctx("acme", "scribe");
    try_post(&house, &from, &"x".repeat(9_000)).await.unwrap();
    let refused = try_post(&house, &from, &"x".repeat(1_000))
        .await
        .unwrap_err();
    assert_eq!(refused.context_value("quota"), Some("mailbox_bytes"));
}

#[tokio::test]
async fn counters_and_rows_agree_through_posts_deaths_and_removals() {
    let house = House::new();
    let from = ctx("acme", "scribe");
    for n in 0..20 {
        try_post(&house, &from, &"x".repeat(n)).await.unwrap();
    }
    let mail = house.local.mail();
    for n in 0_u64..30 {
        house.clock.advance(Duration::from_secs(600));
        for taken in look(&mail, n.into()).await.messages {
            let outcome = match n % 3 {
                0 => Outcome::Delivered,
                _ => Outcome::Failed {
                    failure: stuga_core::lease::Failure::new(ErrorKind::Invalid, "no").finally(),
                    roll: 0,
                },
            };
            let tenant = TenantId::new("acme").unwrap();
            mail.settle(&tenant, &taken.token, outcome).await.unwrap();
        }
    }
    check_counters(&house.database());
    house.clock.advance(Duration::from_secs(15 * 24 * 3_600));
    for _ in 0..2 {
        try_post(&house, &from, "last").await.unwrap();
    }
    check_counters(&house.database());
}

async fn look(mail: &stuga_local::LocalMail, n: u128) -> Delivery {
    let lease = Lease {
        token: LeaseToken::from_uuid(Uuid::from_u128(n + 1)),
        time: Duration::from_secs(30),
    };
    let (tenant, agent) = (
        TenantId::new("acme").unwrap(),
        AgentName::new("svea").unwrap(),
    );
    mail.take(&tenant, &[agent], &[lease], 0).await.unwrap()
}

fn check_counters(database: &Path) {
    let conn = rusqlite::Connection::open(database).unwrap();
    let counted: (u64, u64) = conn
        .query_row(
            "SELECT count(*), CAST(total(bytes) AS INTEGER) FROM message",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    let kept: (u64, u64) = conn
        .query_row("SELECT messages, bytes FROM mailbox", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!(counted, kept);
}

/// How often the child is killed.
const ROUNDS: u32 = 16;
/// Agents that post at the same time in the child.
const SENDERS: u32 = 3;

/// The child posts from one tenant into another and delivers at the same time; a delivery is a write of the receiver.
/// After each kill: every acknowledged post is in the mailbox or was delivered, in order, and none was delivered twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_message_survives_kill_9_and_is_delivered_once() {
    if let Some((directory, round)) = mortal::as_child() {
        live_until_killed(&directory, round).await;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
    for round in 0..ROUNDS {
        kill_after(
            directory.path(),
            round,
            3 + (round as usize * 11) % 60,
            &mut acknowledged,
        );
    }
    let local = open(directory.path());
    deliver_all(&local).await;
    let seen = delivered(&local).await;
    for (sender, acknowledged) in acknowledged {
        let noted = &seen[&sender];
        assert!(
            noted.windows(2).all(|pair| pair[0] < pair[1]),
            "some came twice: {noted:?}"
        );
        for number in acknowledged {
            assert!(noted.contains(&number), "{number} of {sender} is lost");
        }
    }
    let (left, _) = local
        .mail()
        .list(&receiver().tenant, &Filter::default(), None, 1)
        .await
        .unwrap();
    assert!(left.is_empty(), "{left:?}");
    local.close().await.unwrap();
    check_counters(&directory.path().join("tenants/globex/state.db"));
}

fn open(directory: &Path) -> Local {
    Local::open(directory, Arc::new(SystemClock), LocalConfig::default()).unwrap()
}

fn receiver() -> Address {
    "globex/svea".parse().unwrap()
}

fn context(tenant: &TenantId, agent: &AgentName, invocation: InvocationId) -> CallCtx {
    CallCtx::new(
        tenant.clone(),
        agent.clone(),
        invocation,
        RequestId::from_uuid(*invocation.as_uuid()),
        Timestamp::default(),
        tokio::time::Instant::now() + Duration::from_secs(60),
    )
}

/// What sender `sender` posts as its `n`th message of a round; its write id follows from it.
async fn post_number(local: &Local, sender: u32, number: u64) {
    let tenant = TenantId::new("acme").unwrap();
    let agent = AgentName::new(&format!("s-{sender}")).unwrap();
    let bits = (u128::from(sender) << 64) | u128::from(number);
    let ctx = context(
        &tenant,
        &agent,
        InvocationId::from_uuid(Uuid::from_u128(bits)),
    );
    let id = WriteId {
        invocation: ctx.invocation,
        call: 0,
    };
    let said = post("globex/svea", number.to_string());
    // Twice, as a sender whose call is repeated does.
    for _ in 0..2 {
        local.mail().apply(&ctx, id, &said).await.unwrap();
    }
}

/// Takes and delivers once; says how many there were. The holder of an earlier life is gone, so leases are short.
async fn deliver_some(local: &Local) -> usize {
    let to = receiver();
    let leases: Vec<Lease> = (0..4)
        .map(|_| Lease {
            token: LeaseToken::from_uuid(Uuid::new_v4()),
            time: Duration::from_millis(50),
        })
        .collect();
    let agents = [to.agent.clone()];
    let mail = local.mail();
    let found = mail.take(&to.tenant, &agents, &leases, 0).await.unwrap();
    for taken in &found.messages {
        let (id, sender) = (&taken.id, &taken.sender);
        let invocation = invocation_of_delivery(&to, sender, id, taken.attempt);
        let ctx = context(&to.tenant, &to.agent, invocation);
        // What an agent does that counts: it would show a message that came twice.
        let key = format!(
            "{sender}/{:020}/{invocation}",
            taken.message.input.parse::<u64>().unwrap()
        );
        let write = MemoryWrite::Put {
            key,
            value: Vec::new(),
            ttl: None,
            expected: Expected::Absent,
        };
        let write_id = ctx.next_write_id().unwrap();
        local.memory().apply(&ctx, write_id, &write).await.unwrap();
        mail.settle(&to.tenant, &taken.token, Outcome::Delivered)
            .await
            .unwrap();
    }
    found.messages.len()
}

async fn deliver_all(local: &Local) {
    let to = receiver();
    loop {
        deliver_some(local).await;
        let (mail, all) = (local.mail(), Filter::default());
        let page = mail.list(&to.tenant, &all, None, 1).await;
        if page.unwrap().0.is_empty() {
            return;
        }
    }
}

/// The numbers that each sender's messages left behind, in the order of the keys, each as often as it was delivered.
async fn delivered(local: &Local) -> BTreeMap<u32, Vec<u64>> {
    let to = receiver();
    let ctx = context(
        &to.tenant,
        &to.agent,
        InvocationId::from_uuid(Uuid::from_u128(1)),
    );
    let mut seen: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
    let mut cursor = None;
    loop {
        let page = local
            .memory()
            .list(&ctx, "", cursor.as_deref(), 1_000)
            .await
            .unwrap();
        for item in &page.items {
            let mut parts = item.key.split('/').skip(1);
            let sender = parts
                .next()
                .unwrap()
                .strip_prefix("s-")
                .unwrap()
                .parse()
                .unwrap();
            seen.entry(sender)
                .or_default()
                .push(parts.next().unwrap().parse().unwrap());
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return seen;
        }
    }
}

async fn live_until_killed(directory: &Path, round: u32) {
    let local = open(directory);
    let mut tasks = Vec::new();
    for sender in 0..SENDERS {
        let local = local.clone();
        tasks.push(tokio::spawn(async move {
            for n in 0_u64.. {
                let number = (u64::from(round) << 32) | n;
                post_number(&local, sender, number).await;
                mortal::tell(&format!("ack {sender} {number}"));
            }
        }));
    }
    tasks.push(tokio::spawn(async move {
        loop {
            if deliver_some(&local).await == 0 {
                tokio::task::yield_now().await;
            }
        }
    }));
    for task in tasks {
        task.await.unwrap();
    }
}

/// Kills a child after so many acknowledgements and takes down all that it told.
fn kill_after(
    directory: &Path,
    round: u32,
    acks: usize,
    acknowledged: &mut BTreeMap<u32, Vec<u64>>,
) {
    let test = "mailbox::every_acknowledged_message_survives_kill_9_and_is_delivered_once";
    mortal::kill_after(test, (directory, round), acks, |words| {
        let ["ack", sender, number] = words else {
            return false;
        };
        let numbers = acknowledged.entry(sender.parse().unwrap()).or_default();
        numbers.push(number.parse().unwrap());
        true
    });
}
