//! Two tenants side by side: the same names, never the same data.

use serde_json::json;

use crate::support::{Site, expect, problem};

#[tokio::test]
async fn what_one_tenant_stores_the_other_never_sees() {
    let site = Site::new();
    let (acme, globex) = (site.key("acme"), site.key("globex"));
    let server = site.start();
    for (tenant, key) in [("acme", &acme), ("globex", &globex)] {
        for n in 0..3 {
            expect(
                server.echo(
                    tenant,
                    key,
                    "put",
                    json!({"key": format!("{tenant}-{n}"), "text": tenant}),
                ),
                200,
            )
            .await;
        }
        expect(
            server.echo(tenant, key, "put", json!({"key": "same", "text": tenant})),
            200,
        )
        .await;
        expect(
            server.echo(
                tenant,
                key,
                "put-file",
                json!({"path": "same.txt", "text": tenant}),
            ),
            200,
        )
        .await;
    }
    for (tenant, key) in [("acme", &acme), ("globex", &globex)] {
        let keys = expect(server.echo(tenant, key, "list", json!({"key": ""})), 200).await;
        let expected: Vec<String> = (0..3)
            .map(|n| format!("{tenant}-{n}"))
            .chain(["same".to_owned()])
            .collect();
        assert_eq!(keys["output"]["keys"], json!(expected));
        for (skill, input) in [
            ("get", json!({"key": "same"})),
            ("get-file", json!({"path": "same.txt"})),
        ] {
            assert_eq!(
                expect(server.echo(tenant, key, skill, input), 200).await["output"]["text"],
                tenant
            );
        }
    }
}

#[tokio::test]
async fn an_invocation_is_found_by_its_own_tenant_alone() {
    let site = Site::new();
    let (acme, globex) = (site.key("acme"), site.key("globex"));
    let server = site.start();
    let call = server
        .echo("acme", &acme, "echo", json!({"text": "secret"}))
        .header("idempotency-key", "k");
    let id = expect(call, 200).await["invocation_id"]
        .as_str()
        .unwrap()
        .to_owned();
    expect(
        server
            .get(&format!("/v1/tenants/acme/invocations/{id}"))
            .bearer_auth(&acme),
        200,
    )
    .await;
    problem(
        server
            .get(&format!("/v1/tenants/globex/invocations/{id}"))
            .bearer_auth(&globex),
        404,
        "unknown-invocation",
    )
    .await;
    problem(
        server
            .get(&format!("/v1/tenants/acme/invocations/{id}"))
            .bearer_auth(&globex),
        403,
        "foreign-tenant",
    )
    .await;
    problem(
        server.echo("acme", &globex, "echo", json!({"text": "x"})),
        403,
        "foreign-tenant",
    )
    .await;
}
