//! kill -9 while puts run: every put that was acknowledged is there afterwards.

use serde_json::json;

use crate::support::{Site, expect};

/// How often the server is killed.
const ROUNDS: usize = 50;
/// Clients that put at the same time.
const WRITERS: usize = 4;
/// Acknowledgements after which a round ends: different in each, so that the kill hits different moments.
const ACKNOWLEDGED_LEAST: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_put_survives_kill_9() {
    let site = Site::new();
    let key = site.key("acme");
    let mut acknowledged: Vec<String> = Vec::new();
    for round in 0..ROUNDS {
        let server = site.start();
        let (sender, mut acks) = tokio::sync::mpsc::channel(64);
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (sender, key) = (sender.clone(), key.clone());
                let url = server.url("/v1/tenants/acme/agents/fixture-echo/invoke");
                tokio::spawn(async move {
                    let client = reqwest::Client::new();
                    for n in 0.. {
                        let name = format!("{round:02}-{writer}-{n}");
                        let body = json!({"skill": "put", "input": {"key": name, "text": name}})
                            .to_string();
                        let answer = client.post(&url).bearer_auth(&key).body(body).send().await;
                        match answer {
                            Ok(answer) if answer.status().is_success() => {
                                if sender.send(name).await.is_err() {
                                    return;
                                }
                            }
                            // The server is gone, or went before the answer was whole: this put was not acknowledged.
                            _ => return,
                        }
                    }
                })
            })
            .collect();
        drop(sender);
        for _ in 0..ACKNOWLEDGED_LEAST + round % 7 {
            acknowledged.push(acks.recv().await.expect("the server takes puts"));
        }
        server.kill();
        while let Some(name) = acks.recv().await {
            acknowledged.push(name);
        }
        for writer in writers {
            writer.await.unwrap();
        }
    }
    let server = site.start();
    let keys = expect(server.echo("acme", &key, "list", json!({"key": ""})), 200).await;
    let stored: std::collections::HashSet<&str> = keys["output"]["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key.as_str().unwrap())
        .collect();
    let lost: Vec<&String> = acknowledged
        .iter()
        .filter(|name| !stored.contains(name.as_str()))
        .collect();
    assert!(
        lost.is_empty(),
        "{} of {} acknowledged puts are lost: {lost:?}",
        lost.len(),
        acknowledged.len()
    );
    assert!(acknowledged.len() >= ROUNDS * ACKNOWLEDGED_LEAST);
}
