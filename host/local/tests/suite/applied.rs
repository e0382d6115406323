//! How long applied writes are remembered: until their invocation has ended, else for a day, and never beyond a bound.

use std::time::Duration;

use stuga_core::invocation::{Answer, RUN_LONGEST};
use stuga_core::{CallCtx, Capability, InvocationId, TenantId, Timestamp};

use crate::common::{House, put, scribe};

const HOUR: Duration = Duration::from_secs(3_600);
/// What a store needs at most to notice that something is old: a search begins every ten minutes.
const NOTICED_WITHIN: Duration = Duration::from_secs(600);

fn acme() -> TenantId {
    TenantId::new("acme").unwrap()
}

/// Writes in the invocation of `ctx` and says which one it is.
async fn write_in(house: &House, ctx: &CallCtx, writes: u32) -> InvocationId {
    for n in 0..writes {
        let id = ctx.next_write_id().unwrap();
        let write = put(&format!("k{n}"), "x");
        house.local.memory().apply(ctx, id, &write).await.unwrap();
    }
    ctx.invocation
}

/// Lets the store take `steps` of its chores, a second apart.
async fn steps(house: &House, steps: u32) {
    for _ in 0..steps {
        house.clock.advance(Duration::from_secs(1));
        house.write(crate::common::delete("none")).await.unwrap();
    }
}

/// How many writes of an invocation are remembered.
fn remembered(house: &House, invocation: InvocationId) -> u64 {
    let conn = rusqlite::Connection::open(house.database()).unwrap();
    let sql = "SELECT count(*) FROM applied_write WHERE invocation = ?1";
    conn.query_row(sql, [invocation.as_uuid().as_bytes()], |row| row.get(0))
        .unwrap()
}

/// The counter that bounds them agrees with the rows.
fn assert_counted(house: &House) {
    let conn = rusqlite::Connection::open(house.database()).unwrap();
    let sql = "SELECT (SELECT count(*) FROM applied_write) = (SELECT applied FROM tally)";
    let agree: bool = conn.query_row(sql, [], |row| row.get(0)).unwrap();
    assert!(agree, "counter and rows disagree");
}

#[tokio::test]
async fn the_writes_of_an_invocation_that_has_ended_are_forgotten_with_the_next_write() {
    let house = House::new();
    let (ended, runs) = (scribe(), scribe());
    write_in(&house, &ended, 3).await;
    write_in(&house, &runs, 2).await;
    house.local.invocations().forget(&acme(), ended.invocation);
    assert_eq!(remembered(&house, ended.invocation), 3, "only noted yet");
    steps(&house, 1).await;
    assert_eq!(remembered(&house, ended.invocation), 0);
    assert_eq!(remembered(&house, runs.invocation), 2);
    assert_counted(&house);
}

#[tokio::test]
async fn a_long_invocation_is_forgotten_in_bounded_steps() {
    let house = House::new();
    let ctx = scribe();
    let ended = write_in(&house, &ctx, 1).await;
    // Written by hand: 10,000 writes take a while.
    let conn = rusqlite::Connection::open(house.database()).unwrap();
    conn.execute(
        "INSERT INTO applied_write WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 9999)
         SELECT ?1, n, 0, x'00', '' FROM n",
        [ended.as_uuid().as_bytes()],
    )
    .unwrap();
    conn.execute("UPDATE tally SET applied = 10000", [])
        .unwrap();
    house.local.invocations().forget(&acme(), ended);
    steps(&house, 1).await;
    assert_eq!(remembered(&house, ended), 10_000 - 4_096, "one step");
    steps(&house, 2).await;
    assert_eq!(remembered(&house, ended), 0);
    assert_counted(&house);
}

#[tokio::test]
async fn an_invocation_that_never_ended_is_remembered_for_a_day_and_then_forgotten() {
    let house = House::new();
    let ctx = scribe();
    // More than one step of the search looks at.
    let cut_off = write_in(&house, &ctx, 1_500).await;
    house.clock.advance(24 * HOUR);
    steps(&house, 5).await;
    assert_eq!(remembered(&house, cut_off), 1_500);
    house.clock.advance(HOUR + NOTICED_WITHIN);
    steps(&house, 3).await;
    assert_eq!(remembered(&house, cut_off), 0);
    assert_counted(&house);
}

#[tokio::test]
async fn what_is_young_is_found_by_a_later_search() {
    let house = House::new();
    let (first, second) = (scribe(), scribe());
    write_in(&house, &first, 1_500).await;
    house.clock.advance(20 * HOUR);
    write_in(&house, &second, 1_500).await;
    house.clock.advance(6 * HOUR);
    steps(&house, 6).await;
    assert_eq!(remembered(&house, first.invocation), 0);
    assert_eq!(remembered(&house, second.invocation), 1_500);
    house.clock.advance(20 * HOUR);
    steps(&house, 6).await;
    assert_eq!(remembered(&house, second.invocation), 0);
    assert_counted(&house);
}

#[tokio::test]
async fn a_keyed_invocation_is_forgotten_once_no_other_run_of_it_can_be_under_way() {
    let house = House::new();
    let (ctx, store) = (scribe(), house.local.invocations());
    let keyed = ctx.invocation;
    let now = Timestamp::from_millis(1_700_000_000_000);
    store
        .claim(&acme(), "key", &[7; 32], keyed, now)
        .await
        .unwrap();
    write_in(&house, &ctx, 3).await;
    let answer = Answer {
        invocation: keyed,
        status: 200,
        body: b"{}".to_vec(),
    };
    store.finish(&acme(), "key", &answer).await.unwrap();
    house
        .clock
        .advance(RUN_LONGEST - Duration::from_millis(2_001));
    steps(&house, 2).await;
    assert_eq!(remembered(&house, keyed), 3);
    steps(&house, 1).await;
    assert_eq!(remembered(&house, keyed), 0);
    assert_counted(&house);
}

#[tokio::test]
async fn a_hint_that_a_restart_loses_costs_a_day_and_nothing_else() {
    let mut house = House::new();
    let ctx = scribe();
    let ended = write_in(&house, &ctx, 2).await;
    house.local.invocations().forget(&acme(), ended);
    house.reopen().await;
    steps(&house, 2).await;
    assert_eq!(remembered(&house, ended), 2);
    house.clock.advance(25 * HOUR + NOTICED_WITHIN);
    steps(&house, 1).await;
    assert_eq!(remembered(&house, ended), 0);
}

#[tokio::test]
async fn a_hint_for_a_store_that_is_not_open_is_no_harm() {
    let house = House::new();
    house
        .local
        .invocations()
        .forget(&acme(), scribe().invocation);
    steps(&house, 1).await;
}
