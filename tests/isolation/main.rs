//! Can one tenant or agent notice another? Two tenants with two agents each do everything there is to do, at the same
//! keys and paths, and nobody's data, answers, versions or errors tell of anybody else.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod stage;

use std::collections::{BTreeMap, BTreeSet};

use stage::{Stage, everybody, mark, mark_of};
use stuga_core::ErrorKind;
use stuga_core::invocation::{Answer, Claim};
use stuga_core::memory::Memory;
use stuga_core::testkit::ctx;
use stuga_core::{Capability, CapabilityName, TenantId, Timestamp};
use stuga_local::Quotas;
use wit_parser::Resolve;

#[tokio::test]
async fn whatever_one_does_changes_nothing_of_another() {
    let stage = Stage::new();
    for owner in everybody() {
        stage.furnish(&owner).await;
    }
    for owner in everybody() {
        let before = stage.everything_of(&owner).await;
        assert!(!before.is_empty());
        for other in everybody()
            .iter()
            .filter(|other| mark(other) != mark(&owner))
        {
            stage.do_everything(other).await;
            let after = stage.everything_of(&owner).await;
            assert_eq!(after, before, "{} changed {}", mark(other), mark(&owner));
        }
        // The others have destroyed their own things only.
        for other in everybody()
            .iter()
            .filter(|other| mark(other) != mark(&owner))
        {
            stage.furnish(other).await;
        }
    }
}

#[tokio::test]
async fn no_answer_and_no_error_tells_of_another() {
    let stage = Stage::new();
    for owner in everybody() {
        stage.furnish(&owner).await;
    }
    for ctx in everybody() {
        let heard = stage.do_everything(&ctx).await.answers.join("\n");
        for other in everybody().iter().filter(|other| mark(other) != mark(&ctx)) {
            assert!(
                !heard.contains(&mark(other)),
                "{} heard {}",
                mark(&ctx),
                mark(other)
            );
        }
    }
}

/// A function that is new in `wit/` fails this test until the stage calls it.
#[tokio::test]
async fn the_stage_calls_every_function_that_needs_a_grant() {
    let stage = Stage::new();
    let mut calls = BTreeMap::new();
    for ctx in everybody() {
        stage.furnish(&ctx).await;
        for (function, count) in stage.do_everything(&ctx).await.calls {
            *calls.entry(function.to_owned()).or_insert(0) += count;
        }
    }
    for (function, count) in &calls {
        println!("{count:>6} {function}");
    }
    let called: BTreeSet<String> = calls.into_keys().collect();
    assert_eq!(called, functions_of_the_world());
}

/// `interface.function` of everything in `wit/` that needs a grant; those of a resource without its name.
fn functions_of_the_world() -> BTreeSet<String> {
    let mut resolve = Resolve::default();
    let wit = concat!(env!("CARGO_MANIFEST_DIR"), "/../wit");
    resolve.push_dir(wit).unwrap();
    let granted = CapabilityName::ALL.map(CapabilityName::as_str);
    let mut functions = BTreeSet::new();
    for (_, interface) in &resolve.interfaces {
        let name = interface.name.as_deref().unwrap_or_default();
        for function in interface
            .functions
            .values()
            .filter(|_| granted.contains(&name))
        {
            functions.insert(format!("{name}.{}", function.item_name()));
        }
    }
    functions
}

#[tokio::test]
async fn an_empty_agent_gets_the_same_answers_whoever_else_is_there() {
    let alone = Stage::new();
    let crowded = Stage::new();
    for other in everybody().iter().skip(1) {
        crowded.furnish(other).await;
        crowded.do_everything(other).await;
        crowded.furnish(other).await;
    }
    // Versions may differ between agents of one tenant, so the newcomer is of a tenant that nobody else is of.
    let newcomer = || ctx("newcomer", "scribe");
    // Versions grow with the clock, and the crowd took its time.
    alone.catch_up(&crowded);
    assert_eq!(
        alone.do_everything(&newcomer()).await.answers,
        crowded.do_everything(&newcomer()).await.answers
    );
}

#[tokio::test]
async fn bytes_of_a_tenant_lie_only_in_its_own_directory() {
    let stage = Stage::new();
    for owner in everybody() {
        stage.furnish(&owner).await;
    }
    stage.local.close().await.unwrap();
    let tenants = stage.directory.path().join("tenants");
    for ctx in everybody() {
        let secret = mark(&ctx).into_bytes();
        for holder in stage::directories(&tenants) {
            let own = holder
                .file_name()
                .is_some_and(|name| name == ctx.tenant.as_str());
            let holds = stage::bytes_below(&holder)
                .iter()
                .any(|bytes| bytes.windows(secret.len()).any(|part| part == secret));
            assert_eq!(holds, own, "{} in {}", mark(&ctx), holder.display());
        }
    }
}

#[tokio::test]
async fn a_tenant_at_its_quota_takes_nothing_from_another() {
    let stage = Stage::new();
    let (full, free) = (ctx("full", "scribe"), ctx("free", "scribe"));
    let none = Quotas {
        memory_bytes: 0,
        memory_items: 0,
        files_bytes: 0,
        files_count: 0,
        jobs: 0,
        jobs_bytes: 0,
        search_bytes: 0,
        search_documents: 0,
        mailbox_messages: 0,
        mailbox_bytes: 0,
        journal_entries: 0,
        journal_bytes: 0,
    };
    stage.local.set_quotas(&full.tenant, none);
    let refused = stage.try_put(&full, "k", "x").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::QuotaExceeded);
    let submitted = stage.try_submit(&full).await.unwrap_err();
    assert_eq!(submitted.kind(), ErrorKind::QuotaExceeded);
    stage.furnish(&free).await;
    let usage = stage.local.usage(&full.tenant).await.unwrap();
    assert_eq!(usage, stuga_local::Usage::default());
}

#[tokio::test]
async fn what_an_operator_does_with_secrets_stays_in_the_tenant() {
    let stage = Stage::new();
    for owner in everybody() {
        stage.furnish(&owner).await;
    }
    let (mine, theirs) = (ctx("a", "b"), ctx("a-b", "b"));
    let before = stage.everything_of(&theirs).await;
    stage.manage_secrets(&mine).await;
    assert_eq!(stage.everything_of(&theirs).await, before);
}

#[tokio::test]
async fn idempotency_keys_and_answers_are_a_tenants_own() {
    let stage = Stage::new();
    let store = stage.local.invocations();
    let tenants = ["a", "a-b"].map(|name| TenantId::new(name).unwrap());
    for (tenant, other) in [(&tenants[0], &tenants[1]), (&tenants[1], &tenants[0])] {
        let id = ctx(tenant.as_str(), "scribe").invocation;
        let digest = [u8::try_from(tenant.as_str().len()).unwrap(); 32];
        let claim = store.claim(tenant, "key", &digest, id, Timestamp::default());
        assert_eq!(claim.await.unwrap(), Claim::New, "{tenant}");
        let answer = Answer {
            invocation: id,
            status: 200,
            body: mark_of(tenant.as_str(), "scribe").into_bytes(),
        };
        store.finish(tenant, "key", &answer).await.unwrap();
        assert_eq!(store.find(tenant, id).await.unwrap(), Some(answer));
        assert_eq!(store.find(other, id).await.unwrap(), None, "{other}");
    }
}

#[tokio::test]
async fn a_write_id_tells_nothing_across_tenants_and_agents() {
    let stage = Stage::new();
    let owner = ctx("a", "b");
    let id = owner.next_write_id().unwrap();
    let memory = stage.local.memory();
    let secret = stage::put("k", "secret");
    let ack = memory.apply(&owner, id, &secret).await.unwrap();
    // Another tenant has never heard of the id; another agent of the tenant gets a refusal, not the answer.
    let tenant = ctx("a-b", "b");
    let other = memory.apply(&tenant, id, &secret).await.unwrap();
    assert!(!other.existed);
    let agent = ctx("a", "b-c");
    let refused = memory.apply(&agent, id, &secret).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert!(
        refused.context().is_empty(),
        "it says nothing of the other's write"
    );
    let item = memory.get(&owner, "k").await.unwrap().unwrap();
    assert_eq!(item.version, ack.version);
}
