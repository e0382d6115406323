//! A network that takes everything and answers nothing, and one that is only slow.
//!
//! No time is measured here. A call may take minutes, and nobody waits so long for an answer: what is answered was not waited
//! for.

use serde_json::{Value, json};
use stuga_fault_proxy::Fault;

use crate::support::expect;
use crate::world::{Host, World};

/// A call may take an hour, and the cloud be silent for a second. A breaker opens at the third failure and stays open.
const FAILOVER: &str = "failover:
  breaker: {consecutive_failures: 3, slow_call: 1h, open_for: 1h, open_for_max: 1h}
  health: {every: 1h, suspect_every: 1h}
  capabilities: {files: {budget: {call: 1h, silence: 1s, suspect: 1h}}}
";

fn host(world: &World) -> Host {
    world.host_with(FAILOVER, |tenant| {
        let tenant = tenant.replace("deadline: 20s", "deadline: 10m");
        tenant.replace("answer_bytes: 128KiB", "answer_bytes: 2MiB")
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cloud_that_falls_silent_costs_a_call_of_files_a_silence_and_not_what_a_content_may_take()
{
    let world = World::new().await;
    let host = host(&world);
    assert_eq!(
        host.put_file("acme", "f", "before").await["backend"],
        "cloud"
    );
    world.becomes(&Fault::BlackHole);
    // To spool and to put are a request each; the third opens the breaker.
    for text in ["one", "two"] {
        let used = host.put_file("acme", "f", text).await;
        assert_eq!(
            (&used["backend"], &used["pending"]),
            (&json!("local"), &json!(1)),
            "{used}"
        );
    }
    let said = host.explained("acme", "files").await;
    assert_eq!(said["breaker"], "open", "{said}");
    let (text, used) = host.get_file("acme", "f").await;
    assert_eq!((text, &used["attempts"]), (json!("two"), &json!(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_content_that_takes_long_is_not_cut_as_long_as_it_moves() {
    const PIECE: usize = 100 << 10;
    const TIMES: usize = 100;
    let world = World::new().await;
    let host = host(&world);
    let upload = json!({"path": "f", "text": "x".repeat(PIECE), "times": TIMES});
    let (_, used) = host.call("acme", "upload-file", upload, "files").await;
    assert_eq!(used["backend"], "cloud");
    // Two seconds for what is read, and a third of one for each piece of it.
    world.becomes(&Fault::Rate(200 << 10));
    let read = json!({"path": "f", "offset": 0, "len": 4 * PIECE});
    let read = host
        .server
        .echo("acme", host.key("acme"), "read-file", read);
    let answer = expect(read, 200).await;
    let used = &answer["receipt"]["capabilities"][0];
    assert_eq!(
        (&used["backend"], &used["attempts"]),
        (&json!("cloud"), &json!(1)),
        "{used}"
    );
    let text = answer["output"]["text"].as_str().map(str::len);
    assert_eq!(text, Some(4 * PIECE));
    assert_ne!(answer["output"]["version"], Value::Null);
}
