//! What is taken as an agent, and how the rest is refused.

use stuga_core::CapabilityName;
use stuga_runtime::{LoadError, RuntimeConfig};

use crate::{World, only};

async fn refused(component: Vec<u8>) -> LoadError {
    match World::new().runtime.load(component).await {
        Ok(_) => panic!("it was taken"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_plugin_says_what_it_is() {
    let world = World::new();
    let plugin = world.plugin("fixture-echo").await;
    let manifest = plugin.manifest();
    assert_eq!(manifest.name.as_str(), "fixture-echo");
    assert_eq!(manifest.wit_version, "0.1.0");
    assert!(
        manifest
            .imports
            .iter()
            .any(|i| i == "stuga:agent/memory@0.1.0"),
        "{:?}",
        manifest.imports
    );
    let echo = manifest.skills.iter().find(|s| s.name == "echo").unwrap();
    assert_eq!(echo.input_schema["type"], "object");
    assert_eq!(plugin.digest().len(), 64);
}

#[tokio::test]
async fn an_import_that_is_not_granted_is_refused_by_name() {
    let world = World::new();
    let error = match world
        .deploy("fixture-echo", |s| {
            s.grants = only(CapabilityName::Memory)
                .with(CapabilityName::Sessions)
                .with(CapabilityName::Records)
                .with(CapabilityName::Jobs)
        })
        .await
    {
        Ok(_) => panic!("it was deployed"),
        Err(error) => error,
    };
    assert_eq!(error.kind(), "not-granted");
    let text = error.to_string();
    assert!(
        text.contains("stuga:agent/files@0.1.0") && text.contains("`tenant`"),
        "{text}"
    );
}

#[tokio::test]
async fn a_component_of_another_world_is_told_what_is_missing() {
    let component = wat::parse_str("(component)").unwrap();
    let error = refused(component).await;
    assert_eq!(error.kind(), "wrong-world");
    assert!(
        error.to_string().contains("stuga:agent/agent@0.1.0"),
        "{error}"
    );
}

#[tokio::test]
async fn an_import_that_the_host_does_not_offer_is_named() {
    for import in [
        "wasi:http/outgoing-handler@0.2.0",
        "wasi:sockets/tcp@0.3.0",
        "stuga:agent/telepathy@0.1.0",
    ] {
        let component = wat::parse_str(format!(
            r#"(component
                (import "{import}" (instance))
                (instance $agent)
                (export "stuga:agent/agent@0.1.0" (instance $agent)))"#,
        ))
        .unwrap();
        let error = refused(component).await;
        assert_eq!(error.kind(), "unknown-import");
        let text = error.to_string();
        assert!(
            text.contains(import) && text.contains("wasi:{cli,clocks"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn wasi_is_known_in_every_patch_of_0_2_and_by_its_types() {
    let component = |version: &str, result: &str| {
        let text = format!(
            r#"(component
                (import "wasi:random/random@{version}" (instance
                    (export "get-random-u64" (func (result {result})))
                    (export "brew-coffee" (func))))
                (instance $agent)
                (export "stuga:agent/agent@0.1.0" (instance $agent)))"#,
        );
        wat::parse_str(text).unwrap()
    };
    for version in ["0.2.0", "0.2.9", "0.2.12"] {
        // What is missing is the agent's own functions: the import was taken, also the function that nobody knows.
        let error = refused(component(version, "u64")).await;
        assert!(error.to_string().contains("describe"), "{error}");
    }
    let error = refused(component("0.2.9", "string")).await;
    assert_eq!(error.kind(), "mismatch");
    assert!(
        error.to_string().contains("wasi:random/random@0.2.9"),
        "{error}"
    );
}

#[tokio::test]
async fn an_agent_without_its_functions_does_not_fit() {
    let component = wat::parse_str(
        r#"(component (instance $agent) (export "stuga:agent/agent@0.1.0" (instance $agent)))"#,
    )
    .unwrap();
    let error = refused(component).await;
    assert_eq!(error.kind(), "mismatch");
    assert!(error.to_string().contains("describe"), "{error}");
}

#[tokio::test]
async fn what_is_no_component_is_refused() {
    assert_eq!(
        refused(b"not wasm".to_vec()).await.kind(),
        "not-a-component"
    );
    assert_eq!(refused(Vec::new()).await.kind(), "not-a-component");
    let module = refused(wat::parse_str("(module)").unwrap()).await;
    assert!(module.to_string().contains("core module"), "{module}");
    let mut damaged = stuga_tests::guest("fixture-echo");
    damaged.truncate(damaged.len() / 2);
    assert_eq!(refused(damaged).await.kind(), "not-a-component");
}

#[tokio::test]
async fn compiled_code_is_taken_from_the_cache_and_damaged_code_is_not() {
    let cache = tempfile::tempdir().unwrap();
    let directory = cache.path().join("code");
    let world = || {
        World::with(RuntimeConfig {
            max_instances: 4,
            code_cache: Some(directory.clone()),
            ..RuntimeConfig::default()
        })
    };
    let first = world();
    first.plugin("fixture-echo").await;
    assert_eq!(
        (
            first.runtime.stats().compilations,
            first.runtime.stats().code_cache_hits
        ),
        (1, 0)
    );

    let second = world();
    second.plugin("fixture-echo").await;
    assert_eq!(
        (
            second.runtime.stats().compilations,
            second.runtime.stats().code_cache_hits
        ),
        (0, 1)
    );

    let file = std::fs::read_dir(&directory)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let third = world();
    third.plugin("fixture-echo").await;
    assert_eq!(
        (
            third.runtime.stats().compilations,
            third.runtime.stats().code_cache_hits
        ),
        (1, 0)
    );
}
