//! A gateway in front of the host: what it says counts with its secret, and nothing of it counts without.

use reqwest::{RequestBuilder, Response};
use serde_json::Value;

use crate::support::{Server, Site, expect};

const SECRET: &str = "5c1f0e3d9a7b4826b0d1e2f3a4958677";
const SETTINGS: &str = "http:
  gateway:
    secret_header: x-stuga-gateway
    secret_file: gateway.secret
    request_id_header: x-amzn-requestid
    identity_header: x-stuga-identity
";

/// A site whose two tenants have a client each behind a gateway, which is configured or not.
fn site(settings: &str) -> Site {
    let site = Site::new();
    std::fs::write(site.path().join("stuga.yaml"), settings).unwrap();
    std::fs::write(site.path().join("gateway.secret"), format!("{SECRET}\n")).unwrap();
    for tenant in ["acme", "globex"] {
        let names = format!(
            "gateway:\n  identities: [{tenant}-client, \"arn:aws:iam::1:role/{tenant}\"]\n"
        );
        site.edit_tenant(tenant, |text| text + &names);
    }
    site
}

/// A request for the agents of a tenant, as a gateway passes it on that has identified a client.
fn passed_on(server: &Server, tenant: &str, identity: &str) -> RequestBuilder {
    server
        .get(&format!("/v1/tenants/{tenant}/agents"))
        .header("x-stuga-gateway", SECRET)
        .header("x-amzn-requestid", "gateway-1")
        .header("x-stuga-identity", identity)
}

async fn sent(request: RequestBuilder) -> (u16, String) {
    let response: Response = request.send().await.unwrap();
    let id = response.headers()["x-request-id"].to_str().unwrap();
    (response.status().as_u16(), id.to_owned())
}

#[tokio::test]
async fn a_gateways_client_is_its_tenant_and_no_other_under_the_gateways_id() {
    let site = site(SETTINGS);
    let server = site.start();
    let listed = expect(passed_on(&server, "acme", "acme-client"), 200).await;
    assert!(listed["agents"].is_array(), "{listed}");
    for identity in ["acme-client", "arn:aws:iam::1:role/acme"] {
        // What the client itself sends beside it is not asked: a gateway may have taken it for its own.
        let request = passed_on(&server, "acme", identity).bearer_auth("a-token-of-the-gateway");
        let request = request.header("x-request-id", "client-1");
        assert_eq!(sent(request).await, (200, "gateway-1".to_owned()));
        let foreign = expect(passed_on(&server, "globex", identity), 403).await;
        assert_eq!(foreign["request_id"], "gateway-1");
    }
    let audit = server.log(|line| line["event"] == "foreign-tenant");
    assert_eq!(audit["identity"], "acme-client");
    for unknown in ["nobody", "", "two words"] {
        let refused = expect(passed_on(&server, "acme", unknown), 401).await;
        assert!(!refused.to_string().contains(SECRET));
    }
    let twice = passed_on(&server, "acme", "acme-client").header("x-stuga-identity", "acme-client");
    expect(twice, 401).await;
}

#[tokio::test]
async fn without_the_gateways_secret_its_headers_are_a_clients_and_count_for_nothing() {
    let site = site(SETTINGS);
    let (key, server) = (site.key("acme"), site.start());
    let path = "/v1/tenants/acme/agents";
    let past_it = |secret: &str| {
        let request = server.get(path).header("x-stuga-identity", "acme-client");
        let request = request.header("x-amzn-requestid", "forged");
        match secret {
            "" => request,
            secret => request.header("x-stuga-gateway", secret),
        }
    };
    for secret in ["", "guess", &SECRET[1..], &SECRET.to_ascii_uppercase()] {
        let (status, id) = sent(past_it(secret)).await;
        assert_eq!(status, 401, "{secret:?}");
        assert_ne!(id, "forged");
        // A key is a key, whoever claims to be somebody else beside it.
        let request = past_it(secret).bearer_auth(&key);
        let request = request.header("x-request-id", "client-1");
        assert_eq!(sent(request).await, (200, "client-1".to_owned()));
    }
    // A request that the gateway has passed on and identified nobody for.
    let request = server.get(path).header("x-stuga-gateway", SECRET);
    assert_eq!(sent(request.bearer_auth(&key)).await.0, 200);
    let request = server.get(path).header("x-stuga-gateway", SECRET);
    assert_eq!(sent(request).await.0, 401);
}

#[tokio::test]
async fn a_host_without_a_gateway_believes_none() {
    let site = site("drain: 10s\n");
    let server = site.start();
    let (status, id) = sent(passed_on(&server, "acme", "acme-client")).await;
    assert_eq!(status, 401);
    assert_ne!(id, "gateway-1");
}

#[tokio::test]
async fn a_gateway_without_a_secret_that_can_be_trusted_keeps_the_host_from_starting() {
    let site = site(SETTINGS);
    std::fs::write(site.path().join("gateway.secret"), "short-secret\n").unwrap();
    let output = site.try_stuga(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("http.gateway.secret_file"), "{told}");
    assert!(told.contains("openssl rand"), "{told}");
    assert!(!told.contains("short-secret"), "{told}");

    site.edit_tenant("globex", |text| {
        text.replace("globex-client", "acme-client")
    });
    let output = site.try_stuga(&["tenant", "check"]);
    assert!(!output.status.success(), "two tenants have one client");
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told).into_owned();
    assert!(told.contains("is also in tenant \"acme\""), "{told}");
}

#[tokio::test]
async fn a_host_starts_without_its_key_service_and_says_what_is_shut() {
    let site = Site::new();
    // Nobody listens there.
    let settings = "aws:\n  region: eu-north-1\n  endpoints: {all: 'http://127.0.0.1:1'}\n  kms: {key: 'alias/stuga-{tenant}'}\n";
    std::fs::write(site.path().join("stuga.yaml"), settings).unwrap();
    site.set("AWS_ACCESS_KEY_ID", "test");
    site.set("AWS_SECRET_ACCESS_KEY", "test");
    let (key, server) = (site.key("acme"), site.start());
    let put = serde_json::json!({"key": "k", "text": "v"});
    let put: Value = expect(server.echo("acme", &key, "put", put), 200).await;
    assert!(put["invocation_id"].is_string());

    std::fs::write(site.path().join("value"), "hunter2").unwrap();
    let output = site.try_stuga(&["secret", "set", "acme", "token", "--file", "value"]);
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("stuga check aws"), "{told}");
    assert!(
        !site.path().join("data/keys").exists(),
        "a bare key was made"
    );
}
