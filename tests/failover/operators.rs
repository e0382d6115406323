//! What operators see and do.

use serde_json::json;

use crate::support::{expect, problem};
use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drill_holds_for_one_tenant_and_capability_until_it_is_stopped() {
    let world = World::new().await;
    let host = world.host();
    host.put("acme", "k", "before").await;
    let drill = [
        "drill",
        "start",
        "--tenant",
        "acme",
        "--capability",
        "memory",
    ];
    let started = host.command(&[&drill[..], &["--for", "10m", "--why", "yearly"]].concat());
    assert_eq!(
        (&started["tenant"], &started["why"]),
        (&json!("acme"), &json!("mona: yearly"))
    );
    let listed = host.command(&["drill", "list"]);
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");

    let used = host.put("acme", "k", "in the drill").await;
    assert_eq!(
        (&used["backend"], &used["pending"]),
        (&json!("local"), &json!(1))
    );
    assert_eq!(host.get("acme", "k").await.0, "in the drill");
    let said = host.site.stuga(&["explain", "acme"]);
    assert!(said.contains("a drill keeps it from AWS until "), "{said}");
    assert!(said.contains("mona: yearly"), "{said}");
    // Neither another capability nor another tenant takes part.
    assert_eq!(host.put_file("acme", "f", "x").await["backend"], "cloud");
    assert_eq!(host.put("globex", "k", "x").await["backend"], "cloud");
    host.server
        .log(|line| line["event"] == "tenant-isolated" && line["tenant"] == "acme");

    let stopped = host.command(&[
        "drill",
        "stop",
        "--tenant",
        "acme",
        "--capability",
        "memory",
    ]);
    assert_eq!(stopped["stopped"], true);
    host.until("acme", "memory", |said| said["reads"] == "cloud")
        .await;
    let (text, used) = host.get("acme", "k").await;
    assert_eq!(
        (text, &used["backend"]),
        (json!("in the drill"), &json!("cloud"))
    );
    assert_eq!(world.other_host().get("acme", "k").await.0, "in the drill");
    host.server
        .log(|line| line["event"] == "tenant-released" && line["by"] == "mona");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drill_ends_by_itself() {
    let world = World::new().await;
    let host = world.host();
    let drill = [
        "drill",
        "start",
        "--tenant",
        "acme",
        "--capability",
        "files",
    ];
    host.command(&[&drill[..], &["--for", "1s", "--why", "short"]].concat());
    host.until("acme", "files", |said| said["mode"] == "cloud")
        .await;
    host.server
        .log(|line| line["event"] == "drill-ended" && line["capability"] == "files");
    assert_eq!(host.put_file("acme", "f", "x").await["backend"], "cloud");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_isolated_capability_stays_here_over_a_restart_until_it_is_released() {
    let world = World::new().await;
    let mut host = world.host();
    host.put("acme", "k", "before").await;
    host.command(&["breaker", "isolate", "memory", "--why", "the memory moves"]);
    for tenant in ["acme", "globex"] {
        let used = host.put(tenant, "k", "isolated").await;
        assert_eq!(
            (&used["backend"], &used["breaker"]),
            (&json!("local"), &json!("isolated"))
        );
    }
    assert_eq!(host.put_file("acme", "f", "x").await["backend"], "cloud");
    let site = host.site;
    host.server.kill();
    host.server = site.start();
    host.site = site;
    let said = host.site.stuga(&["explain", "globex"]);
    assert!(said.contains("mona: the memory moves"), "{said}");
    let listed = host.site.stuga(&["breaker", "list"]);
    assert!(listed.contains("isolated"), "{listed}");
    host.command(&["breaker", "release", "memory"]);
    for tenant in ["acme", "globex"] {
        host.until(tenant, "memory", |said| said["reads"] == "cloud")
            .await;
        let (text, used) = host.get(tenant, "k").await;
        assert_eq!(
            (text, &used["backend"]),
            (json!("isolated"), &json!("cloud"))
        );
    }
    let again = host.command(&["breaker", "release", "memory"]);
    assert_eq!(again["released"], false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_content_of_the_journal_is_shown_to_who_asks_for_it_and_that_is_noted() {
    let world = World::new().await;
    let host = world.host();
    world.cut().await;
    host.put("acme", "k", "a tenant's own words").await;
    let listed = host.command(&["journal", "list", "--tenant", "acme"]);
    let entry = listed["entries"][0]["seq"].to_string();
    assert_eq!(listed["entries"][0]["operation"], "memory.put");
    let shown = host.command(&["journal", "show", "--tenant", "acme", &entry]);
    assert!(shown.get("write").is_none(), "{shown}");
    let shown = host.command(&["journal", "show", "--tenant", "acme", &entry, "--content"]);
    assert_eq!(shown["write"]["put"]["key"], "k", "{shown}");
    host.server
        .log(|line| line["event"] == "journal-shown" && line["by"] == "mona");
    let told = host.refused(&["journal", "retry", "--tenant", "acme", &entry]);
    assert!(told.contains("is not parked"), "{told}");
    let told = host.refused(&["journal", "discard", "--tenant", "acme", &entry]);
    assert!(told.contains("neither parked nor superseded"), "{told}");
    let other = host.command(&["journal", "list", "--tenant", "globex"]);
    assert_eq!(other["entries"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_admin_key_opens_what_operators_see() {
    let world = World::new().await;
    let host = world.host();
    let paths = ["breakers", "tenants/acme/explain", "tenants/acme/journal"];
    for path in paths {
        let path = format!("/v1/admin/{path}");
        problem(host.server.get(&path), 401, "unauthorized").await;
        let own = host.server.get(&path).bearer_auth(host.key("acme"));
        problem(own, 403, "admin-only").await;
        let other = host.key("acme").replace(|c: char| c.is_ascii_digit(), "0");
        problem(
            host.server.get(&path).bearer_auth(other),
            401,
            "unauthorized",
        )
        .await;
    }
    host.server.log(|line| line["event"] == "tenant-on-admin");
    let agents = host.server.get("/v1/tenants/acme/agents");
    problem(agents.bearer_auth(host.admin_key()), 401, "unauthorized").await;
    problem(host.admin("tenants/nobody/explain"), 404, "unknown-tenant").await;
    let drill = host
        .server
        .post("/v1/admin/drills")
        .bearer_auth(host.admin_key());
    let long = json!({"tenant": "acme", "capability": "memory", "for_ms": 86_400_001, "why": ""});
    problem(drill.body(long.to_string()), 400, "bad-request").await;
    let not_there = host.server.post("/v1/admin/breakers/jobs/isolate");
    problem(not_there.bearer_auth(host.admin_key()), 404, "not-found").await;
    let listed = expect(host.admin("breakers"), 200).await;
    let names: Vec<_> = listed["capabilities"].as_array().unwrap().iter().collect();
    let names: Vec<_> = names.iter().map(|one| one["capability"].clone()).collect();
    assert_eq!(names, ["memory", "files", "sessions", "records"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_without_a_server_says_what_to_do() {
    let world = World::new().await;
    let host = world.host();
    host.server.terminate();
    let site = host.site;
    assert!(host.server.wait());
    let told = site.try_stuga(&["explain", "acme"]);
    let told = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(
        told.contains("stuga serve") && told.contains("--url"),
        "{told}"
    );
    let told = site.try_stuga(&["breaker", "isolate", "memry"]);
    let told = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(told.contains("memory, files"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_hold_as_soon_as_their_file_is_changed_and_mistakes_change_nothing() {
    let world = World::new().await;
    let host = world.host();
    let file = host.site.path().join("stuga.yaml");
    let before = std::fs::read_to_string(&file).unwrap();
    let patient = "{consecutive_failures: 100000, minimum_calls: 100000, ";
    let patient = before.replace("{consecutive_failures: 3, ", patient);
    assert_ne!(patient, before);
    let says = |wanted: &'static str| {
        host.server.log(move |line| {
            let message = line["message"].as_str();
            message.is_some_and(|message| message.starts_with(wanted))
        })
    };
    std::fs::write(&file, &patient).unwrap();
    says("the configuration changed: ");

    world.cut().await;
    for n in 0..8 {
        let used = host.put("acme", &format!("k{n}"), "x").await;
        assert_eq!(
            (&used["backend"], &used["breaker"]),
            (&json!("local"), &json!("closed")),
            "{n}"
        );
    }

    std::fs::write(
        &file,
        before.replace("breaker: {", "breaker: {opn_for: 1s, "),
    )
    .unwrap();
    let told = says("the configuration cannot be read or has mistakes");
    let error = told["error"].as_str().unwrap();
    assert!(error.contains("did you mean \"open_for\"?"), "{error}");
    let used = host.put("acme", "k", "x").await;
    assert_eq!(used["breaker"], "closed", "what was read before stays");

    std::fs::write(
        &file,
        before.replace("failover:", "max_connections: 4000\nfailover:"),
    )
    .unwrap();
    says("the configuration changed: ");
    says("the configuration changed beyond `failover`");
    host.put("acme", "k", "x").await;
    host.until("acme", "memory", |said| said["breaker"] == "open")
        .await;
}
