//! Secrets in Secrets Manager, as ministack plays it.

use aws_sdk_secretsmanager::Client;
use aws_smithy_types::Blob;
use serde_json::json;
use stuga_core::TenantId;
use stuga_core::secrets::{SecretStore, SecretValue, Secrets};
use stuga_test_servers::{Ministack, unique};

use crate::harness::{Figures, REGION, acme, host, sdk};

const KEYS: (&str, &str) = ("test", "test");
const BYTES: usize = 64;
/// A secret keeps a bounded number of versions, so many are set in turns.
const SECRETS: usize = 50;

pub(crate) async fn measure(figures: &mut Figures) {
    let server = Ministack::shared().await;
    let (endpoint, name) = (server.endpoint(), unique("bench"));
    let settings = |ttl: &str| {
        json!({
            "region": REGION,
            "endpoints": {"all": endpoint},
            "secrets": {
                "prefix": format!("{name}/{{tenant}}/"),
                "kms_key": format!("alias/{name}-{{tenant}}"),
                "cache_ttl": ttl,
            },
        })
    };
    let (keeps, asks) = (host(KEYS, settings("5m")), host(KEYS, settings("1ms")));
    let tenant = TenantId::new("acme").unwrap();
    keeps.provision(&tenant).await.unwrap();
    let client = Client::new(&sdk(KEYS, &endpoint));
    let bare = |at: usize| format!("{name}/bare/{:02}", at % SECRETS);
    let value = || SecretValue::new(vec![b'x'; BYTES]).unwrap();
    let (keeps, asks) = (keeps.secrets().unwrap(), asks.secrets().unwrap());
    let set = async |n: usize| {
        let id = acme().next_write_id().unwrap();
        let name = format!("s{:02}", n % SECRETS);
        keeps.set(&tenant, id, &name, &value()).await.unwrap();
    };
    for n in 0..SECRETS {
        set(n).await;
        let create = client.create_secret().name(bare(n));
        let create = create.secret_binary(Blob::new(vec![b'x'; BYTES]));
        create.send().await.unwrap();
    }

    let mut section = figures.of("secrets", server.describe());
    let get = async |_: usize| {
        let get = client.get_secret_value().secret_id(bare(0));
        get.send().await.unwrap();
    };
    let ours = async |_: usize| {
        let found = keeps.find(&acme(), "s00", None).await.unwrap().unwrap();
        keeps.reveal(&acme(), "s00", found.version).await.unwrap();
    };
    section
        .row("find and reveal what is kept", "GetSecretValue", ours, &get)
        .await;
    let ours = async |_: usize| {
        let found = asks.find(&acme(), "s00", None).await.unwrap().unwrap();
        asks.reveal(&acme(), "s00", found.version).await.unwrap();
    };
    let both = async |n: usize| {
        let describe = client.describe_secret().secret_id(bare(0));
        describe.send().await.unwrap();
        get(n).await;
    };
    section
        .row(
            "find and reveal what is not",
            "DescribeSecret, GetSecretValue",
            ours,
            both,
        )
        .await;
    let put = async |n: usize| {
        let put = client.put_secret_value().secret_id(bare(n));
        let put = put.secret_binary(Blob::new(vec![b'x'; BYTES]));
        put.send().await.unwrap();
    };
    section.row("set", "PutSecretValue", set, put).await;
}
