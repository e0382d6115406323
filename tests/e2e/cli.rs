//! The commands, on the files and against a server.

use serde_json::{Value, json};

use crate::support::{Site, guest};

#[test]
fn check_explains_every_mistake_and_fails() {
    let site = Site::new();
    site.write_tenant(
        "bad",
        "id: bad\nplugins:\n  - name: x\n    grants: [memry]\nlimit: 1\n",
    );
    let output = site.try_stuga(&["tenant", "check"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text.contains("bad.yaml:4:14: the grant is \"memry\"; did you mean \"memory\"?"),
        "{text}"
    );
    assert!(
        text.contains("bad.yaml:5:1: unknown key \"limit\""),
        "{text}"
    );
    assert!(
        text.contains("2 sound (acme, globex), 2 mistakes"),
        "{text}"
    );
    assert_eq!(
        site.try_stuga(&["tenant", "check", "tenants/acme.yaml"])
            .status
            .code(),
        Some(0)
    );
    assert_eq!(
        site.try_stuga(&["tenant", "chek"]).status.code(),
        Some(2),
        "wrong usage"
    );
}

#[test]
fn invoke_works_without_a_server_and_keeps_what_was_stored() {
    let site = Site::new();
    let target = "acme/fixture-echo";
    site.stuga(&[
        "invoke", target, "put", "--set", "key=a", "--set", "text=hej",
    ]);
    let output = site.stuga(&[
        "invoke", target, "get", "--set", "key=a", "--output", "json",
    ]);
    let answer: Value = serde_json::from_str(&output).unwrap();
    assert_eq!(answer["output"]["text"], "hej");
    let wrong = site.try_stuga(&["invoke", target, "put", "--set", "key:=5"]);
    let error = String::from_utf8(wrong.stderr).unwrap();
    assert!(
        wrong.status.code() == Some(1) && error.contains("/key: 5 is not of type \"string\""),
        "{error}"
    );
    let unknown = site.try_stuga(&["invoke", "acmee/fixture-echo", "put"]);
    let error = String::from_utf8(unknown.stderr).unwrap();
    assert!(
        error.contains("did you mean \"acme\"") && error.contains("globex"),
        "{error}"
    );
}

#[test]
fn a_plugin_is_loaded_only_where_the_tenant_lets_it() {
    let site = Site::new();
    let hostile = guest("fixture-hostile");
    let hostile = hostile.to_str().unwrap();
    site.write_tenant("small", "id: small\n");
    let refused = site.try_stuga(&["plugin", "load", "small", hostile]);
    let error = String::from_utf8(refused.stderr).unwrap();
    assert!(
        error.contains("has no entry for plugin fixture-hostile")
            && error.contains("- name: fixture-hostile"),
        "{error}"
    );
    site.write_tenant("small", "id: small\nplugins:\n  - name: fixture-hostile\n");
    let refused = site.try_stuga(&["plugin", "load", "small", hostile]);
    let error = String::from_utf8(refused.stderr).unwrap();
    assert!(
        error.contains("stuga:agent/files") && error.contains("does not grant"),
        "{error}"
    );
    std::fs::write(site.path().join("no.wasm"), b"\0asm\x01\0\0\0").unwrap();
    let refused = site.try_stuga(&["plugin", "load", "acme", "no.wasm"]);
    let error = String::from_utf8(refused.stderr).unwrap();
    assert!(
        refused.status.code() == Some(1) && error.contains("not a WebAssembly component"),
        "{error}"
    );
    let listed: Value =
        serde_json::from_str(&site.stuga(&["plugin", "list", "--output", "json"])).unwrap();
    assert_eq!(listed[0]["tenants"], json!(["acme", "globex"]));
    let inspected = site.stuga(&["plugin", "inspect", "fixture-echo"]);
    assert!(inspected.contains("skill     echo: "), "{inspected}");
}

#[test]
fn status_and_show_tell_what_runs_without_secrets() {
    let site = Site::new();
    let key = site.key("acme");
    site.stuga(&["plugin", "unload", "acme", "fixture-hostile"]);
    let status: Value = serde_json::from_str(&site.stuga(&["status", "--output", "json"])).unwrap();
    let state = |n: usize| {
        (
            status["agents"][n]["agent"].clone(),
            status["agents"][n]["state"].clone(),
        )
    };
    assert_eq!(state(0), (json!("fixture-echo"), json!("runs")));
    assert_eq!(state(1), (json!("fixture-hostile"), json!("not loaded")));
    let shown = site.stuga(&["tenant", "show", "acme"]);
    let (id, secret) = (
        key.split('_').nth(1).unwrap(),
        key.split('_').nth(2).unwrap(),
    );
    assert!(shown.contains(id) && !shown.contains(secret), "{shown}");
    assert!(
        !std::fs::read_to_string(site.tenants().join("acme.yaml"))
            .unwrap()
            .contains(secret)
    );
}

#[test]
fn invoke_by_url_prints_parts_and_fails_with_the_servers_words() {
    let site = Site::new();
    let key = site.key("acme");
    let server = site.start();
    let url = server.url("");
    let call = |skill: &str, set: &str, more: &[&str]| {
        let mut args = vec![
            "invoke",
            "acme/fixture-echo",
            skill,
            "--url",
            &url,
            "--key",
            &key,
            "--set",
            set,
        ];
        args.extend(more);
        site.try_stuga(&args)
    };
    let streamed = call("emit", "n:=2", &["--stream", "--output", "json"]);
    let lines: Vec<Value> = streamed
        .stdout
        .split(|b| *b == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect();
    assert_eq!(
        (
            &lines[0]["part"]["value"],
            &lines[1]["part"]["value"],
            &lines[2]["output"]["value"]
        ),
        (&json!(1), &json!(2), &json!(2))
    );
    let failed = call("fail", "kind=conflict", &[]);
    let error = String::from_utf8(failed.stderr).unwrap();
    assert!(
        failed.status.code() == Some(1) && error.contains("asked to fail (request "),
        "{error}"
    );
}

#[test]
fn a_secret_is_set_read_by_whom_the_tenant_names_and_removed() {
    let site = Site::new();
    std::fs::write(site.path().join("token.txt"), "t-0123456789\n").unwrap();
    let set = ["secret", "set", "acme", "api-token", "--file", "token.txt"];
    let noted = site.try_stuga(&set);
    let note = String::from_utf8(noted.stderr).unwrap();
    assert!(
        noted.status.success() && note.contains("`secrets: [api-token]`"),
        "{note}"
    );
    let reveal = |version: &str| {
        let set = format!("version:={version}");
        let target = "acme/fixture-echo";
        site.try_stuga(&[
            "invoke",
            target,
            "reveal",
            "--set",
            "secret=api-token",
            "--set",
            &set,
        ])
    };
    let denied = String::from_utf8(reveal("null").stderr).unwrap();
    assert!(
        denied.contains("adds it to `secrets` of its plugin"),
        "{denied}"
    );
    site.edit_tenant("acme", |text| {
        text.replacen("    config:", "    secrets: [api-token]\n    config:", 1)
    });
    let revealed = String::from_utf8(reveal("null").stdout).unwrap();
    assert!(revealed.contains("t-0123456789"), "{revealed}");

    std::fs::write(site.path().join("token.txt"), "t-9876543210\n").unwrap();
    let text = site.stuga(&set);
    assert_eq!(text.trim(), "api-token of acme has version 2");
    let json = site.stuga(&["secret", "list", "acme", "--output", "json"]);
    let listed: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(listed[0]["version"], 2);
    assert_eq!(listed[0]["readers"], json!(["fixture-echo"]));
    assert!(!json.contains("t-9") && !json.contains("t-0"), "{json}");
    site.stuga(&["secret", "rotate", "acme"]);
    site.stuga(&["secret", "remove", "acme", "api-token", "--older"]);
    let gone = String::from_utf8(reveal("1").stderr).unwrap();
    assert!(gone.contains("has no version 1"), "{gone}");
    assert!(
        String::from_utf8(reveal("2").stdout)
            .unwrap()
            .contains("t-9876543210")
    );
    let unknown = site.try_stuga(&["secret", "remove", "acme", "api-tokn"]);
    let error = String::from_utf8(unknown.stderr).unwrap();
    assert!(error.contains("did you mean \"api-token\"?"), "{error}");
    let nobody = site.try_stuga(&["secret", "set", "acme", "other"]);
    let error = String::from_utf8(nobody.stderr).unwrap();
    assert!(error.contains("--file -"), "nobody can be asked: {error}");
}
