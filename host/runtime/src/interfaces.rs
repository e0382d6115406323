//! What a component imports and exports, read from its bytes. Nothing is compiled or run, so that a component which this
//! host does not take can be looked at as well, and is refused before it costs a compilation.

use stuga_core::CapabilityName;
use wasmparser::{ComponentExternalKind, Parser, Payload};

use crate::{LoadError, wasi};

/// Largest component in bytes. Python guests, the largest known, have about 20 MB.
const COMPONENT_MAX_BYTES: usize = 64 << 20;
/// Most imports and exports of a component; the largest world known has about 40.
const INTERFACES_MAX: usize = 1_000;

/// The package of the contract.
pub const WIT_PACKAGE: &str = "stuga:agent";
/// The version of the contract that this host speaks. Components of an earlier patch of it are taken as well.
pub const WIT_VERSION: &str = "0.1.0";

/// The interface that makes a component an agent.
const AGENT: &str = "agent";
/// Interfaces that reach nothing of a tenant's and need no grant.
const OPEN_INTERFACES: [&str; 6] = ["types", "log", "clock", "random", "output", "config"];

/// The interfaces of a component, in its own order.
#[derive(Clone, Debug)]
pub struct Interfaces {
    /// What it imports, such as `stuga:agent/memory@0.1.0`.
    pub imports: Vec<String>,
    /// What it exports.
    pub exports: Vec<String>,
    /// Whether one of the exports is the interface of an agent, in whatever version.
    is_agent: bool,
}

impl Interfaces {
    /// Reads the outermost imports and exports of a component.
    ///
    /// # Errors
    /// `TooLarge`, or `NotAComponent` with what the bytes are instead or where they are damaged.
    pub fn read(component: &[u8]) -> Result<Self, LoadError> {
        if component.len() > COMPONENT_MAX_BYTES {
            return Err(LoadError::TooLarge {
                bytes: component.len(),
                limit: COMPONENT_MAX_BYTES,
            });
        }
        check_header(component)?;
        let mut found = Self {
            imports: Vec::new(),
            exports: Vec::new(),
            is_agent: false,
        };
        let damaged = |error: wasmparser::BinaryReaderError| {
            LoadError::NotAComponent(format!("the bytes are damaged: {error}"))
        };
        // Modules and components within have imports and exports of their own.
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(component) {
            match payload.map_err(damaged)? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section {
                        let name = import.map_err(damaged)?.name.name;
                        found.imports.push(name.to_owned());
                        found.check_count()?;
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        let export = export.map_err(damaged)?;
                        found.is_agent |= export.kind == ComponentExternalKind::Instance
                            && own_name(export.name.name) == Some(AGENT);
                        found.exports.push(export.name.name.to_owned());
                        found.check_count()?;
                    }
                }
                _ => {}
            }
        }
        Ok(found)
    }

    fn check_count(&self) -> Result<(), LoadError> {
        if self.imports.len() + self.exports.len() <= INTERFACES_MAX {
            return Ok(());
        }
        Err(LoadError::NotAComponent(format!(
            "it has more than {INTERFACES_MAX} imports and exports"
        )))
    }

    /// Whether this host takes a component with these interfaces. Their functions are compared when it is loaded.
    ///
    /// # Errors
    /// `WrongWorld`, `UnknownVersion` or `UnknownImport`, each with the fix.
    pub fn check(&self) -> Result<(), LoadError> {
        if !self.is_agent {
            return Err(LoadError::WrongWorld {
                missing: format!("{WIT_PACKAGE}/{AGENT}@{WIT_VERSION}"),
                found: if self.exports.is_empty() {
                    "nothing".into()
                } else {
                    self.exports.join(", ")
                },
            });
        }
        for interface in self.imports.iter().chain(&self.exports) {
            check_version(interface)?;
        }
        match self.imports.iter().find(|import| !is_offered(import)) {
            None => Ok(()),
            Some(import) => Err(LoadError::UnknownImport {
                import: import.clone(),
                offered: offered(),
            }),
        }
    }

    /// The version of the contract that the component was built with, as its export says; none when it is no agent.
    pub fn wit_version(&self) -> Option<&str> {
        let agent = |export: &&String| own_name(export) == Some(AGENT);
        let (_, version) = self.exports.iter().find(agent)?.split_once('@')?;
        Some(version)
    }

    /// The imports that are WASI's. A component of Rust has none; JavaScript and Python bring a runtime that wants some.
    pub fn wasi_imports(&self) -> impl Iterator<Item = &str> {
        let imports = self.imports.iter().map(String::as_str);
        imports.filter(|import| import.starts_with("wasi:"))
    }
}

/// The name of one of our interfaces, `memory` of `stuga:agent/memory@0.1.0`; none for other packages.
pub(crate) fn own_name(interface: &str) -> Option<&str> {
    interface
        .split_once('@')
        .map_or(interface, |(name, _)| name)
        .strip_prefix(WIT_PACKAGE)?
        .strip_prefix('/')
}

/// The first eight bytes tell a component from a core module, which is the usual mistake.
fn check_header(bytes: &[u8]) -> Result<(), LoadError> {
    match bytes.first_chunk::<8>() {
        Some([b'\0', b'a', b's', b'm', _, _, 1, 0]) => Ok(()),
        Some([b'\0', b'a', b's', b'm', 1, 0, 0, 0]) => Err(LoadError::NotAComponent(
            "these bytes are a core module; turn it into a component first (`cargo xtask guests` or `wasm-tools component new`)"
                .into(),
        )),
        _ => Err(LoadError::NotAComponent("these bytes do not begin like a WebAssembly binary".into())),
    }
}

/// Refuses an interface of ours in a version that this host does not speak. What was added within a version is compatible.
fn check_version(interface: &str) -> Result<(), LoadError> {
    let line = |version: &str| version.rsplit_once('.').map(|(line, _)| line.to_owned());
    match interface.split_once('@') {
        Some((_, version))
            if own_name(interface).is_some() && line(version) != line(WIT_VERSION) =>
        {
            Err(LoadError::UnknownVersion {
                interface: interface.to_owned(),
                spoken: WIT_VERSION,
            })
        }
        _ => Ok(()),
    }
}

fn is_offered(import: &str) -> bool {
    let of_ours =
        |name| OPEN_INTERFACES.contains(&name) || CapabilityName::from_name(name).is_some();
    wasi::offers(import) || own_name(import).is_some_and(of_ours)
}

/// What a component may import, for messages.
fn offered() -> String {
    let capabilities = CapabilityName::ALL.iter().map(|c| c.as_str());
    let names: Vec<_> = OPEN_INTERFACES.into_iter().chain(capabilities).collect();
    format!(
        "{WIT_PACKAGE}/{{{}}}@{WIT_VERSION} and {}",
        names.join(", "),
        wasi::OFFERED
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_of_the_contract_that_is_not_spoken_is_refused_by_name() {
        for spoken in [
            "stuga:agent/memory@0.1.0",
            "stuga:agent/log@0.1.7",
            "wasi:io/poll@0.2.9",
        ] {
            assert!(check_version(spoken).is_ok(), "{spoken}");
        }
        let error = check_version("stuga:agent/memory@0.2.0").unwrap_err();
        assert!(error.to_string().contains("speaks 0.1.0"), "{error}");
        assert!(check_version("stuga:agent/agent@1.1.0").is_err());
    }

    #[test]
    fn a_core_module_is_told_from_a_component() {
        let error = check_header(b"\0asm\x01\0\0\0").unwrap_err();
        assert!(error.to_string().contains("core module"), "{error}");
        assert!(check_header(b"\0asm\x0d\0\x01\0").is_ok());
        assert!(check_header(b"MZ").is_err());
    }

    #[test]
    fn only_the_outermost_imports_and_exports_count() {
        let text = r#"(component
            (component
                (import "stuga:agent/memory@0.1.0" (instance))
                (instance $inner) (export "stuga:agent/agent@0.1.0" (instance $inner)))
            (core module (import "a" "b" (func)) (func (export "c")))
            (import "wasi:io/poll@0.2.9" (instance))
            (instance $i)
            (export "x" (instance $i)))"#;
        let found = Interfaces::read(&wat::parse_str(text).unwrap()).unwrap();
        assert_eq!(found.imports, ["wasi:io/poll@0.2.9"]);
        assert_eq!(found.exports, ["x"]);
        assert_eq!((found.is_agent, found.wit_version()), (false, None));
        assert_eq!(found.wasi_imports().count(), 1);
    }

    #[test]
    fn the_version_that_is_spoken_is_that_of_the_wit() {
        let world = include_str!("../../../wit/world.wit");
        assert!(world.contains(&format!("package {WIT_PACKAGE}@{WIT_VERSION};")));
    }

    #[test]
    fn a_component_with_too_many_interfaces_is_refused() {
        let imports: String = (0..=INTERFACES_MAX)
            .map(|at| format!("(import \"i{at}\" (instance))"))
            .collect();
        let component = wat::parse_str(format!("(component {imports})")).unwrap();
        let error = Interfaces::read(&component).unwrap_err();
        assert!(error.to_string().contains("more than 1000"), "{error}");
    }
}
