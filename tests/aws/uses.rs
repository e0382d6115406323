//! Every capability that AWS serves, as the echo agent uses it: what writes a word, and what finds it again.

use std::fs;

use serde_json::{Value, json};

use crate::cloud::{ECHO, Host, until};
use crate::support::{Site, expect};

/// A skill and its input.
type Call = (&'static str, Value);

/// A capability in use.
pub(crate) struct Use {
    pub(crate) capability: &'static str,
    /// None where an operator writes, or nobody.
    pub(crate) write: Option<Call>,
    pub(crate) read: Call,
    /// Where in the answer the word is found.
    at: &'static str,
    found: Value,
}

/// Every use, with a word that shows whose it is.
pub(crate) fn uses(word: &str) -> Vec<Use> {
    let fact = format!("her favourite colour is {word}");
    vec![
        Use {
            capability: "memory",
            write: Some(("put", json!({"key": "k", "text": word}))),
            read: ("get", json!({"key": "k"})),
            at: "/text",
            found: json!(word),
        },
        Use {
            capability: "files",
            write: Some(("put-file", json!({"path": "notes/a.txt", "text": word}))),
            read: ("get-file", json!({"path": "notes/a.txt"})),
            at: "/text",
            found: json!(word),
        },
        Use {
            capability: "sessions",
            write: Some((
                "say",
                json!({"actor": "astrid", "session": "s", "text": word}),
            )),
            read: ("said", json!({"actor": "astrid", "session": "s"})),
            at: "/texts",
            found: json!([word]),
        },
        Use {
            capability: "records",
            write: Some((
                "learn",
                json!({"namespace": "/users/astrid", "id": "colour", "text": fact}),
            )),
            read: (
                "recall",
                json!({"under": "/users", "query": "favourite colour", "k": 3}),
            ),
            at: "/texts",
            found: json!([fact]),
        },
        Use {
            capability: "search",
            write: Some((
                "index",
                json!({"index": "notes", "id": "n", "tag": word, "text": format!("huset är {word}")}),
            )),
            read: ("search", json!({"index": "notes", "words": "huset"})),
            at: "/tags",
            found: json!([format!("{word} 1")]),
        },
        Use {
            capability: "a2a",
            write: Some((
                "post",
                json!({"to": ECHO, "skill": "note-message", "input": {"text": word}}),
            )),
            // The agent keeps in memory what it was told.
            read: ("get", json!({"key": format!("from/{ECHO}")})),
            at: "/text",
            found: json!(format!("{word} posted\n")),
        },
        Use {
            capability: "secrets",
            write: None,
            read: ("reveal", json!({"secret": "token"})),
            at: "/text",
            found: json!(format!("token of {word}")),
        },
    ]
}

/// Sets the tenant's secret, as its operator does.
pub(crate) fn set_secret(site: &Site, tenant: &str, word: &str) {
    let file = site.path().join("token.txt");
    fs::write(&file, format!("token of {word}\n")).unwrap();
    site.stuga(&["secret", "set", tenant, "token", "--file", "token.txt"]);
    fs::remove_file(file).unwrap();
}

impl Use {
    /// Writes, and checks that AWS was written to.
    pub(crate) async fn writes(&self, host: &Host, tenant: &str) {
        if let Some((skill, input)) = &self.write {
            let answer = host.call(tenant, skill, input.clone()).await;
            assert_cloud(&answer, self.capability);
        }
    }

    /// Reads what was written: at once, but for a message, which its agent is told some time later.
    pub(crate) async fn reads(&self, host: &Host, tenant: &str) {
        let (skill, input) = &self.read;
        if self.capability == "a2a" {
            until("the message", async || {
                let answer = host.call(tenant, skill, input.clone()).await;
                (self.found_in(&answer) == &self.found).then_some(())
            })
            .await;
            return;
        }
        let answer = host.call(tenant, skill, input.clone()).await;
        assert_cloud(&answer, self.capability);
        assert_eq!(self.found_in(&answer), &self.found, "{answer}");
    }

    /// Reads where nothing was written.
    pub(crate) async fn finds_nothing(&self, host: &Host, tenant: &str) {
        let (skill, input) = &self.read;
        let request = host.request(tenant, skill, input.clone());
        // What must be made before it is read is not found: a session, an index, a secret.
        if matches!(self.capability, "sessions" | "search" | "secrets") {
            let answer = expect(request, 404).await;
            assert_eq!(answer["type"], "urn:stuga:problem:not-found", "{answer}");
            return;
        }
        let answer = expect(request, 200).await;
        let found = self.found_in(&answer);
        assert!(found.is_null() || found == &json!([]), "{answer}");
    }

    fn found_in<'a>(&self, answer: &'a Value) -> &'a Value {
        answer["output"].pointer(self.at).unwrap()
    }
}

/// Checks in a receipt that the capability was used, and that AWS served whatever was.
pub(crate) fn assert_cloud(answer: &Value, capability: &str) {
    let used = answer["receipt"]["capabilities"].as_array().unwrap();
    assert!(
        used.iter().any(|used| used["capability"] == capability),
        "{capability} was not used: {answer}"
    );
    assert!(
        used.iter().all(|used| used["backend"] == "cloud"),
        "{answer}"
    );
}
