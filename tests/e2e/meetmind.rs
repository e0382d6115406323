//! The main job: MeetMind with the tenants that ship, on meetings that ship.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{Server, Site, expect};

/// Whose meeting is whose.
const MEETINGS: [(&str, &str); 2] = [
    ("meetmind", "ES2006a.vtt"),
    ("svea", "styrgrupp-2026-03-18.txt"),
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn transcript(name: &str) -> String {
    fs::read_to_string(repository().join("plugins/meetmind/fixtures").join(name)).unwrap()
}

/// A site with the tenants of the repository that are named in [`MEETINGS`], each with MeetMind.
fn site() -> Site {
    let site = Site::new();
    let component = stuga_tests::guest_path("meetmind");
    for (tenant, _) in MEETINGS {
        let file = repository().join("tenants").join(format!("{tenant}.yaml"));
        site.write_tenant(tenant, &fs::read_to_string(file).unwrap());
        site.stuga(&["plugin", "load", tenant, component.to_str().unwrap()]);
    }
    site
}

async fn call(server: &Server, tenant: &str, key: &str, skill: &str, input: Value) -> Value {
    let answer = expect(server.call(tenant, "meetmind", key, skill, input), 200).await;
    answer["output"].clone()
}

#[tokio::test]
async fn each_tenant_recalls_its_own_meetings_and_no_others() {
    let site = site();
    let keys = MEETINGS.map(|(tenant, _)| site.key(tenant));
    let server = site.start();
    let mut ids = Vec::new();
    for ((tenant, file), key) in MEETINGS.iter().zip(&keys) {
        let input = json!({ "transcript": transcript(file) });
        let meeting = call(&server, tenant, key, "summarize", input).await;
        assert!(
            !meeting["summary"].as_array().unwrap().is_empty(),
            "{meeting}"
        );
        assert!(
            meeting["markdown"].as_str().unwrap().starts_with("# "),
            "{meeting}"
        );
        assert_eq!(meeting["stored"], true, "{meeting}");
        ids.push(meeting["meeting_id"].clone());
    }
    assert_ne!(ids[0], ids[1]);
    for (at, ((tenant, _), key)) in MEETINGS.iter().zip(&keys).enumerate() {
        let listed = call(&server, tenant, key, "recall", json!({})).await;
        let found: Vec<&Value> = listed["meetings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|m| &m["meeting_id"])
            .collect();
        assert_eq!(found, [&ids[at]], "tenant {tenant}");
        let own = json!({ "meeting_id": ids[at] });
        call(&server, tenant, key, "recall", own).await;
        let foreign = json!({ "meeting_id": ids[1 - at] });
        expect(server.call(tenant, "meetmind", key, "recall", foreign), 404).await;
    }
}

#[tokio::test]
async fn a_meeting_is_there_after_a_crash_and_in_process() {
    let site = site();
    let key = site.key("meetmind");
    let server = site.start();
    let input = json!({ "transcript": transcript("ES2006a.vtt") });
    let meeting = call(&server, "meetmind", &key, "summarize", input).await;
    server.kill();
    let printed = site.stuga(&["invoke", "meetmind/meetmind", "recall", "--output", "json"]);
    let recalled: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(
        recalled["output"]["meetings"][0]["meeting_id"],
        meeting["meeting_id"]
    );
}
