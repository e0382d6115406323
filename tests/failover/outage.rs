//! AWS goes away and comes back.

use serde_json::{Value, json};

use crate::support::expect;
use crate::world::World;

fn waits(said: &Value) -> bool {
    said["backlog"]["waiting"].as_u64().unwrap() > 0
}

pub(crate) fn is_back(said: &Value) -> bool {
    said["reads"] == "cloud" && !waits(said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_go_on_without_aws_and_what_they_wrote_reaches_it_when_it_is_back() {
    println!("memory: ministack and Redis, files: ministack; each behind a proxy");
    let world = World::new().await;
    let host = world.host();
    let used = host.put("acme", "k", "before").await;
    assert_eq!(
        (&used["backend"], &used["breaker"]),
        (&json!("cloud"), &json!("closed"))
    );
    assert_eq!(used["pending"], 0);
    let used = host.put_file("acme", "f", "before").await;
    assert_eq!(
        (&used["backend"], &used["breaker"]),
        (&json!("cloud"), &json!("closed"))
    );
    let said = host.explained("acme", "memory").await;
    assert_eq!(said["says"], "memory is answered by AWS.", "{said}");

    world.cut().await;
    // The very first request after the cut is answered, and so are all others.
    for n in 0..5 {
        let (text, used) = host.get("acme", "k").await;
        assert_eq!(
            text,
            if n == 0 {
                "before".to_owned()
            } else {
                format!("during {}", n - 1)
            }
        );
        assert_eq!(used["backend"], "local", "{used}");
        assert!(used["staleness_ms"].is_u64(), "{used}");
        let used = host.put("acme", "k", &format!("during {n}")).await;
        assert_eq!(
            (&used["backend"], &used["pending"]),
            (&json!("local"), &json!(1)),
            "{used}"
        );
        let used = host.put_file("acme", "f", &format!("during {n}")).await;
        assert_eq!(
            (&used["backend"], &used["pending"]),
            (&json!("local"), &json!(1)),
            "{used}"
        );
    }
    let (text, used) = host.get_file("acme", "f").await;
    assert_eq!(
        (text, &used["backend"]),
        (json!("during 4"), &json!("local"))
    );
    let said = host
        .until("acme", "memory", |said| said["breaker"] != "closed")
        .await;
    assert_eq!(
        (&said["reads"], &said["backlog"]["waiting"]),
        (&json!("local"), &json!(5))
    );
    let text = host.site.stuga(&["explain", "acme"]);
    assert!(
        text.contains("memory is answered by this host since "),
        "{text}"
    );
    assert!(text.contains("5 writes wait"), "{text}");
    let listed = host.command(&["journal", "list", "--tenant", "acme"]);
    assert_eq!(listed["entries"].as_array().unwrap().len(), 10, "{listed}");
    let status = host.command(&["status"]);
    let all = status["failover"]["capabilities"].as_array().unwrap();
    let memory = all
        .iter()
        .find(|one| one["capability"] == "memory")
        .unwrap();
    assert_eq!(memory["waiting"]["waiting"], 5, "{status}");

    world.heal();
    for capability in ["memory", "files"] {
        let said = host.until("acme", capability, is_back).await;
        assert_eq!(said["backlog"]["parked"], 0, "{said}");
    }
    let (text, used) = host.get("acme", "k").await;
    assert_eq!(
        (text, &used["backend"]),
        (json!("during 4"), &json!("cloud"))
    );
    // Who knows the cloud alone sees what was written while it was away.
    let other = world.other_host();
    assert_eq!(other.get("acme", "k").await.0, "during 4");
    let (text, used) = other.get_file("acme", "f").await;
    assert_eq!(
        (text, &used["backend"]),
        (json!("during 4"), &json!("cloud"))
    );
    let metrics = host.server.get("/metrics").send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(
        metrics.contains("stuga_journal_drained_total{capability=\"memory\"} 5"),
        "{metrics}"
    );
    assert!(!metrics.contains("acme"), "a metric names a tenant");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_is_killed_in_an_outage_brings_back_what_it_acknowledged() {
    let world = World::new().await;
    let mut host = world.host();
    host.put("acme", "k", "before").await;
    world.cut().await;
    host.put("acme", "k", "acknowledged").await;
    host.put_file("acme", "f", "acknowledged").await;
    let site = host.site;
    host.server.kill();
    world.heal();
    host.server = site.start();
    host.site = site;
    for capability in ["memory", "files"] {
        host.until("acme", capability, is_back).await;
    }
    let other = world.other_host();
    assert_eq!(other.get("acme", "k").await.0, "acknowledged");
    assert_eq!(other.get_file("acme", "f").await.0, "acknowledged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_starts_without_aws_serves() {
    let world = World::new().await;
    world.cut().await;
    let host = world.host();
    let used = host.put("acme", "k", "alone").await;
    assert_eq!(
        (&used["backend"], &used["pending"]),
        (&json!("local"), &json!(1))
    );
    assert_eq!(host.get("acme", "k").await.0, "alone");
    assert_eq!(expect(host.server.get("/readyz"), 200).await["ready"], true);
    world.heal();
    host.until("acme", "memory", is_back).await;
    assert_eq!(world.other_host().get("acme", "k").await.0, "alone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_tenant_keeps_on_this_host_stays_here_whatever_aws_does() {
    let world = World::new().await;
    let host = world.host();
    host.site.edit_tenant("acme", |text| {
        format!("{text}failover: {{local: [memory]}}\n")
    });
    host.until("acme", "memory", |said| said["mode"] == "local")
        .await;
    let used = host.put("acme", "k", "here").await;
    assert_eq!(
        (&used["backend"], &used["pending"]),
        (&json!("local"), &json!(0))
    );
    assert!(used["staleness_ms"].is_null(), "{used}");
    let used = host.put_file("acme", "f", "there").await;
    assert_eq!(used["backend"], "cloud");
    assert_eq!(host.put("globex", "k", "there").await["backend"], "cloud");
    assert_eq!(world.other_host().get("acme", "k").await.0, Value::Null);
}
