//! Whether agents that were built against a published version of the contract still run here, and whether `wit/` has grown
//! in ways only that let them.
//!
//! A component of a version is made from that version's own WIT (`wit/published`) and a body in the canonical ABI
//! (`tests/fixtures/published`). It imports every function of the version, so the host compares every type with its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use stuga_runtime::{JobRun, WIT_VERSION};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata, targets};
use wit_parser::abi::{AbiVariant, WasmType};
use wit_parser::{
    InterfaceId, ManglingAndAbi, Resolve, ResourceIntrinsic, SourceMap, TypeDefKind, WasmImport,
    WorldId, WorldItem, WorldKey,
};

use crate::{World, call, ctx, settings};

const PACKAGE: &str = "package stuga:agent@";
const WORLD: &str = "guest";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The versions of `wit/published`.
fn published() -> Vec<String> {
    let entries = fs::read_dir(repository().join("wit/published")).unwrap();
    let mut versions: Vec<String> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    versions.sort();
    versions
}

/// The name and the text of each file of the contract in a folder.
type Files = Vec<(String, String)>;

fn files(folder: &str) -> Files {
    let mut files: Files = fs::read_dir(repository().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wit"))
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(&path).unwrap())
        })
        .collect();
    files.sort();
    assert!(files.len() > 10, "{folder}");
    files
}

/// The same contract under another version.
fn under(version: &str, files: Files) -> Files {
    let (_, world) = files.iter().find(|(name, _)| name == "world.wit").unwrap();
    let at = world.find(PACKAGE).unwrap() + PACKAGE.len();
    let before = world[at..].split(';').next().unwrap().to_owned();
    let rename = |text: String| {
        text.replace(
            &format!("{PACKAGE}{before};"),
            &format!("{PACKAGE}{version};"),
        )
    };
    files
        .into_iter()
        .map(|(name, text)| (name, rename(text)))
        .collect()
}

/// Adds a contract to `resolve` and gives its world.
fn push(resolve: &mut Resolve, files: &Files) -> WorldId {
    let mut sources = SourceMap::new();
    for (name, text) in files {
        sources.push_str(name, text.clone());
    }
    let group = sources.parse().map_err(|(_, error)| error).unwrap();
    let package = resolve.push_group(group).unwrap();
    resolve.packages[package].worlds[WORLD]
}

/// An agent of that contract with that body.
fn component(files: &Files, body: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let world = push(&mut resolve, files);
    let text = format!("(module\n{}\n{body})", imports(&resolve, world));
    let mut module = wat::parse_str(text).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    let mut encoder = ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .unwrap();
    encoder.encode().unwrap()
}

fn body(version: &str) -> String {
    let path = repository().join(format!("tests/fixtures/published/{version}.wat"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every function that the world imports, as the core module sees it.
fn imports(resolve: &Resolve, world: WorldId) -> String {
    let mut text = String::new();
    for (key, item) in &resolve.worlds[world].imports {
        let WorldItem::Interface { id, .. } = item else {
            panic!("the world imports something that is no interface");
        };
        text.push_str(&functions(resolve, key, *id));
    }
    text
}

fn functions(resolve: &Resolve, key: &WorldKey, id: InterfaceId) -> String {
    let mangling = ManglingAndAbi::Legacy(wit_parser::LiftLowerAbi::Sync);
    let interface = &resolve.interfaces[id];
    let name = interface.name.as_deref().unwrap();
    let mut text = String::new();
    for func in interface.functions.values() {
        let signature = resolve.wasm_signature(AbiVariant::GuestImport, func);
        let import = WasmImport::Func {
            interface: Some(key),
            func,
        };
        let (module, field) = resolve.wasm_import_name(mangling, import);
        let types = |what: &str, types: &[WasmType]| -> String {
            types
                .iter()
                .map(|ty| format!(" ({what} {})", core_type(*ty)))
                .collect()
        };
        text.push_str(&format!(
            "(import {module:?} {field:?} (func $\"{name}.{}\"{}{}))\n",
            func.name,
            types("param", &signature.params),
            types("result", &signature.results)
        ));
    }
    for ty in interface.types.values() {
        if !matches!(resolve.types[*ty].kind, TypeDefKind::Resource) {
            continue;
        }
        let import = WasmImport::ResourceIntrinsic {
            interface: Some(key),
            resource: *ty,
            intrinsic: ResourceIntrinsic::ImportedDrop,
        };
        let (module, field) = resolve.wasm_import_name(mangling, import);
        text.push_str(&format!(
            "(import {module:?} {field:?} (func (param i32)))\n"
        ));
    }
    text
}

fn core_type(ty: WasmType) -> &'static str {
    match ty {
        WasmType::I64 | WasmType::PointerOrI64 => "i64",
        WasmType::F32 => "f32",
        WasmType::F64 => "f64",
        WasmType::I32 | WasmType::Pointer | WasmType::Length => "i32",
    }
}

#[tokio::test]
async fn an_agent_of_every_published_version_loads_and_runs() {
    let versions = published();
    assert!(!versions.is_empty());
    for version in versions {
        let contract = files(&format!("wit/published/{version}"));
        let component = component(&contract, &body(&version));
        let world = World::new();
        let plugin = world.runtime.load(component).await.unwrap();
        let manifest = plugin.manifest();
        assert_eq!(manifest.wit_version, version);
        for interface in [
            "memory", "files", "sessions", "records", "search", "jobs", "model", "a2a", "secrets",
        ] {
            let import = format!("stuga:agent/{interface}@{version}");
            assert!(manifest.imports.contains(&import), "{import}");
        }
        let agent = world
            .runtime
            .deploy(plugin, settings(), world.capabilities.clone())
            .await
            .unwrap();
        let input = json!({"text": "hej"});
        assert_eq!(call(&agent, "keep", input.clone()).await.unwrap(), input);
        let run = JobRun {
            id: "job".into(),
            kind: "keep".into(),
            input: input.to_string(),
            attempt: 1,
        };
        let reply = agent.run_job(ctx(Duration::from_secs(20)), run).await;
        assert_eq!(reply.unwrap().output, input.to_string());
    }
}

#[tokio::test]
async fn a_version_that_this_host_does_not_know_is_named_with_the_one_it_speaks() {
    for version in ["0.0.9", "0.2.0", "9.9.9"] {
        let contract = under(version, files(&format!("wit/published/{WIT_VERSION}")));
        let body = body(WIT_VERSION).replace(WIT_VERSION, version);
        let world = World::new();
        let error = match world.runtime.load(component(&contract, &body)).await {
            Ok(_) => panic!("{version} was taken"),
            Err(error) => error,
        };
        assert_eq!(error.kind(), "unknown-version");
        let text = error.to_string();
        for part in [
            &format!("@{version}`"),
            "speaks 0.1.0",
            "`stuga build --refresh`",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(world.runtime.stats().compilations, 0, "it was compiled");
    }
}

#[tokio::test]
async fn a_later_patch_of_the_spoken_version_is_taken() {
    let contract = under("0.1.7", files("wit"));
    let body = body("0.1.0").replace("agent@0.1.0", "agent@0.1.7");
    let world = World::new();
    let plugin = world
        .runtime
        .load(component(&contract, &body))
        .await
        .unwrap();
    assert_eq!(plugin.manifest().wit_version, "0.1.7");
}

/// Whether an agent of the contract `before`, which is published as `version`, runs on a host of the contract `now`.
fn compatible(version: &str, before: &Files, now: &Files) -> Result<(), String> {
    // Versions of one line stand for each other.
    let before = under(WIT_VERSION, before.clone());
    let body = body(version).replace(&format!("@{version}"), &format!("@{WIT_VERSION}"));
    let mut resolve = Resolve::default();
    let world = push(&mut resolve, now);
    targets(&resolve, world, &component(&before, &body)).map_err(|error| format!("{error:#}"))
}

#[test]
fn the_contract_has_grown_in_compatible_ways_only() {
    let now = files("wit");
    let line = |version: &str| version.rsplit_once('.').unwrap().0.to_owned();
    let of_line: Vec<String> = published()
        .into_iter()
        .filter(|version| line(version) == line(WIT_VERSION))
        .collect();
    assert!(
        of_line.iter().any(|version| version == WIT_VERSION),
        "wit/published has no {WIT_VERSION}; its README says how to publish a version"
    );
    for version in of_line {
        let before = files(&format!("wit/published/{version}"));
        if let Err(error) = compatible(&version, &before, &now) {
            panic!(
                "agents built with {version} no longer run on this host: {error}\n\
                 Take the change back and write the wish into wit/PENDING.md."
            );
        }
    }
}

#[test]
fn what_would_break_agents_is_noticed_and_what_would_not_is_let_through() {
    let before = files("wit/published/0.1.0");
    let changed = |file: &str, from: &str, to: &str| -> Files {
        let mut files = before.clone();
        let (_, text) = files.iter_mut().find(|(name, _)| name == file).unwrap();
        assert!(text.contains(from), "{file} has no {from:?}");
        *text = text.replacen(from, to, 1);
        files
    };
    let delete = "delete: func(key: string) -> result<bool, error>;";
    let breaking = [
        ("memory.wit", delete, ""),
        ("memory.wit", delete, "delete: func(key: string);"),
        ("memory.wit", "created-at: u64,", ""),
        (
            "memory.wit",
            "created-at: u64,",
            "created-at: u64, by: string,",
        ),
        (
            "types.wit",
            "internal(error-detail),",
            "internal(error-detail), other,",
        ),
        ("log.wit", "warn, error }", "warn, error, fatal }"),
        ("world.wit", "import memory;", ""),
        (
            "world.wit",
            "record skill {",
            "record skill { tags: list<string>,",
        ),
        (
            "world.wit",
            "describe: func()",
            "stop: func(); describe: func()",
        ),
    ];
    for (file, from, to) in breaking {
        let outcome = compatible("0.1.0", &before, &changed(file, from, to));
        assert!(outcome.is_err(), "{file}: {from:?} became {to:?}");
    }
    let added = format!("{delete} touch: func(key: string);");
    let fine = [
        ("memory.wit", delete, added.as_str()),
        (
            "memory.wit",
            "interface memory {",
            "interface telepathy { think: func(); } interface memory {",
        ),
        ("memory.wit", "/// A stored value", "/// Another comment"),
    ];
    for (file, from, to) in fine {
        let now = changed(file, from, to);
        compatible("0.1.0", &before, &now).unwrap_or_else(|error| panic!("{to:?}: {error}"));
    }
}

#[tokio::test]
async fn a_function_of_another_type_is_refused_by_name() {
    let mut contract = files("wit/published/0.1.0");
    let (_, memory) = contract
        .iter_mut()
        .find(|(name, _)| name == "memory.wit")
        .unwrap();
    *memory = memory.replace(
        "delete: func(key: string) -> result<bool, error>;",
        "delete: func(key: u64) -> result<bool, error>;",
    );
    let world = World::new();
    let error = match world
        .runtime
        .load(component(&contract, &body("0.1.0")))
        .await
    {
        Ok(_) => panic!("it was taken"),
        Err(error) => error,
    };
    assert_eq!(error.kind(), "mismatch");
    let text = error.to_string();
    assert!(text.contains("stuga:agent/memory@0.1.0"), "{text}");
}
