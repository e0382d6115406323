//! The operator's commands for what lies on AWS: secrets, messages, and what a tenant needs there.

use serde_json::{Value, json};

use crate::cloud::{Cloud, ECHO};
use crate::support::expect;
use crate::uses::set_secret;

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test]
async fn a_secret_on_aws_is_set_listed_rotated_and_removed_by_commands() {
    let cloud = Cloud::new().await;
    let host = cloud.host();
    let site = &host.site;
    set_secret(site, "acme", "blue");
    set_secret(site, "acme", "green");
    let list = || json_of(&site.stuga(&["secret", "list", "acme", "--output", "json"]));
    let listed = list();
    let versions: Vec<&Value> = listed.as_array().unwrap().iter().collect();
    assert_eq!(versions.len(), 2, "{listed}");
    assert!(
        versions.iter().all(|shown| shown["name"] == "token"
            && shown["tenant"] == "acme"
            && shown["readers"] == json!([ECHO])),
        "{listed}"
    );
    assert!(!listed.to_string().contains("token of"), "{listed}");
    let reveal = |version: Value| {
        let input = json!({"secret": "token", "version": version});
        host.request("acme", "reveal", input)
    };
    for (version, text) in [
        (json!(null), "token of green"),
        (json!(1), "token of blue"),
        (json!(2), "token of green"),
    ] {
        let answer = expect(reveal(version), 200).await;
        assert_eq!(answer["output"]["text"], text);
    }
    let rotated = site.stuga(&["secret", "rotate", "acme", "--output", "json"]);
    assert_eq!(json_of(&rotated)["values"], 2);
    site.stuga(&["secret", "remove", "acme", "token", "--older"]);
    assert_eq!(list().as_array().map(Vec::len), Some(1));
    // A host that has read nothing yet: this one may keep a value for a while.
    let other = cloud.host();
    let input = json!({"secret": "token", "version": 1});
    expect(other.request("acme", "reveal", input), 404).await;
    let input = json!({"secret": "token"});
    let answer = other.call("acme", "reveal", input).await;
    assert_eq!(answer["output"]["text"], "token of green");
    site.stuga(&["secret", "remove", "acme", "token"]);
    assert_eq!(list(), json!([]));
    let gone = site.try_stuga(&["secret", "remove", "acme", "token"]);
    assert!(!gone.status.success());
}

#[tokio::test]
async fn a_message_on_aws_that_cannot_be_taken_is_shown_requeued_and_dropped_by_commands() {
    let cloud = Cloud::new().await;
    let host = cloud.host();
    let site = &host.site;
    let wrong = json!({"to": ECHO, "skill": "echo", "input": {"text": 5}});
    let posted = host.call("acme", "post", wrong).await;
    let id = posted["output"]["text"].as_str().unwrap();
    let dead = |line: &Value| {
        let message = line["message"].as_str();
        message.is_some_and(|text| text.starts_with("a message is dead"))
    };
    host.server.log(dead);
    let shown = site.stuga(&["messages", "show", "acme", id]);
    assert!(
        shown.contains("state: dead") && shown.contains("is not of type"),
        "{shown}"
    );
    // Whoever shares the cloud sees the same mailbox.
    let other = cloud.site();
    let list = ["messages", "list", "acme/fixture-echo", "--state", "dead"];
    for site in [site, &other] {
        let listed = json_of(&site.stuga(&[&list[..], &["--output", "json"]].concat()));
        assert_eq!(listed["messages"][0]["id"], id, "{listed}");
    }
    let globex = site.stuga(&["messages", "list", "globex", "--output", "json"]);
    assert_eq!(json_of(&globex)["messages"], json!([]));
    other.stuga(&["messages", "requeue", "acme", id]);
    // The running host hears of it, tries again, and gives up again.
    host.server.log(dead);
    site.stuga(&["messages", "drop", "acme", id]);
    let gone = other.try_stuga(&["messages", "requeue", "acme", id]);
    let error = String::from_utf8(gone.stderr).unwrap();
    assert!(error.contains("there is no message"), "{error}");
}
