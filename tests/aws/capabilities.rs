//! Each capability through a guest, on AWS: one host, two hosts, two tenants.

use serde_json::json;

use crate::cloud::{Cloud, TENANTS};
use crate::uses::{assert_cloud, set_secret, uses};

#[tokio::test]
async fn every_capability_is_served_by_aws_and_its_receipt_says_so() {
    let cloud = Cloud::new().await;
    let host = cloud.host();
    set_secret(&host.site, "acme", "blue");
    for used in uses("blue") {
        used.writes(&host, "acme").await;
        used.reads(&host, "acme").await;
    }
    // What is written again is another version of the same.
    let versions = async |skill, input| host.call("acme", skill, input).await["output"].clone();
    let path = json!({"path": "notes/a.txt"});
    let first = versions("file-versions", path.clone()).await["values"].clone();
    let text = json!({"path": "notes/a.txt", "text": "green", "expected": first[0]});
    let second = versions("put-file", text).await["value"].clone();
    assert_eq!(
        versions("file-versions", path).await["values"],
        json!([second, first[0]])
    );
    // The model writes nothing: it answers, in pieces as well.
    for skill in ["ask", "stream"] {
        let asked = host.call("acme", skill, json!({"question": "hej"})).await;
        assert_cloud(&asked, "model");
        assert_eq!(asked["output"]["model"], "writer", "{asked}");
        assert_ne!(asked["output"]["text"], "", "{asked}");
        let tokens = &asked["receipt"]["capabilities"][0]["tokens"];
        assert_ne!(tokens["completion_tokens"], 0, "{asked}");
    }
    // The queue of jobs stays with the host; what a job does goes to AWS.
    let note = json!({"kind": "note", "input": {"key": "by-job", "text": "hej"}});
    let run = host.call("acme", "run", note).await;
    assert_eq!(run["output"]["state"], "succeeded", "{run}");
    let used = &run["receipt"]["capabilities"];
    assert_eq!(
        (&used[0]["capability"], &used[0]["backend"]),
        (&json!("jobs"), &json!("local"))
    );
    let noted = host.call("acme", "get", json!({"key": "by-job"})).await;
    assert_eq!(noted["output"]["text"], "hej");
    assert_cloud(&noted, "memory");
}

#[tokio::test]
async fn what_one_host_writes_another_reads_at_once() {
    let cloud = Cloud::new().await;
    let (one, other) = (cloud.host(), cloud.host());
    set_secret(&one.site, "acme", "blue");
    for used in uses("blue") {
        used.writes(&one, "acme").await;
        used.reads(&other, "acme").await;
    }
    // And the other way, on what is there already.
    let put = json!({"key": "k", "text": "green"});
    other.call("acme", "put", put).await;
    let read = one.call("acme", "get", json!({"key": "k"})).await;
    assert_eq!(read["output"]["text"], "green");
    let say = json!({"actor": "astrid", "session": "s", "text": "green"});
    other.call("acme", "say", say).await;
    let session = json!({"actor": "astrid", "session": "s"});
    let said = one.call("acme", "said", session).await;
    assert_eq!(said["output"]["texts"], json!(["blue", "green"]));
}

#[tokio::test]
async fn what_one_tenant_keeps_on_aws_the_other_never_finds() {
    let cloud = Cloud::new().await;
    let host = cloud.host();
    set_secret(&host.site, "acme", "blue");
    for used in uses("blue") {
        used.writes(&host, "acme").await;
        used.reads(&host, "acme").await;
        // By the very same names.
        used.finds_nothing(&host, "globex").await;
    }
    set_secret(&host.site, "globex", "green");
    for used in uses("green") {
        used.writes(&host, "globex").await;
    }
    for (tenant, word) in TENANTS.into_iter().zip(["blue", "green"]) {
        for used in uses(word) {
            used.reads(&host, tenant).await;
        }
        let keys = host.call(tenant, "list", json!({"key": ""})).await;
        let expected = json!(["from/fixture-echo", "k"]);
        assert_eq!(keys["output"]["keys"], expected, "{tenant}");
    }
}
