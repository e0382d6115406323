//! Reading tenant files from disk: one, or all of a directory, with every mistake found.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use stuga_core::TenantId;

use super::{Loaded, TENANTS_MAX, Tenant, file};
use crate::yaml::{Diagnostic, Place};

/// Reads one tenant's file.
///
/// # Errors
/// Every mistake in it, or that it cannot be read.
pub fn read_file(path: &Path) -> Result<Tenant, Vec<Diagnostic>> {
    match fs::read(path) {
        Err(error) => Err(vec![problem(path, cannot_read(&error), "")]),
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => file::read(path, &text),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                Err(vec![problem(
                    path,
                    format!("not UTF-8 at byte {at}"),
                    "save the file as UTF-8",
                )])
            }
        },
    }
}

/// Reads the text of one tenant's file that stands or would stand at `path`.
///
/// # Errors
/// Every mistake in it.
pub fn read_text(path: &Path, text: &str) -> Result<Tenant, Vec<Diagnostic>> {
    file::read(path, text)
}

/// Reads all `*.yaml` of a directory. A key id, or a gateway's name for a client, that two tenants share is a mistake of the
/// second.
///
/// # Errors
/// When the directory cannot be listed or holds more than [`TENANTS_MAX`] files.
pub fn read_dir(directory: &Path) -> io::Result<Loaded> {
    let mut loaded = Loaded::default();
    let (mut key_owners, mut identity_owners) = (HashMap::new(), HashMap::new());
    for path in files(directory)? {
        let tenant = read_file(&path)
            .and_then(|tenant| claim_keys(tenant, &path, &mut key_owners))
            .and_then(|tenant| claim_identities(tenant, &path, &mut identity_owners));
        match tenant {
            Ok(tenant) => {
                loaded.tenants.insert(tenant.id.clone(), tenant);
            }
            Err(diagnostics) => {
                loaded.diagnostics.extend(diagnostics);
                loaded.broken.extend(id_of(&path));
            }
        }
    }
    Ok(loaded)
}

/// Takes a tenant whose keys no tenant before it has.
fn claim_keys(
    tenant: Tenant,
    path: &Path,
    owners: &mut HashMap<String, TenantId>,
) -> Result<Tenant, Vec<Diagnostic>> {
    for key in &tenant.keys {
        if let Some(owner) = owners.insert(key.id.clone(), tenant.id.clone()) {
            let message = format!("key {:?} is also in tenant {:?}", key.id, owner.as_str());
            owners.insert(key.id.clone(), owner);
            return Err(vec![problem(
                path,
                message,
                "make a key of its own for each tenant",
            )]);
        }
    }
    Ok(tenant)
}

/// Takes a tenant whose clients no tenant before it has.
fn claim_identities(
    tenant: Tenant,
    path: &Path,
    owners: &mut HashMap<String, TenantId>,
) -> Result<Tenant, Vec<Diagnostic>> {
    let owner_of = |identity: &&String| owners.contains_key(*identity);
    if let Some(identity) = tenant.identities.iter().find(owner_of) {
        let owner = owners.get(identity).map(TenantId::as_str);
        let message = format!(
            "gateway identity {identity:?} is also in tenant {:?}",
            owner.unwrap_or_default()
        );
        let fix = "name each client of the gateway in one tenant";
        return Err(vec![problem(path, message, fix)]);
    }
    let own = tenant.identities.iter().cloned();
    owners.extend(own.map(|identity| (identity, tenant.id.clone())));
    Ok(tenant)
}

/// The tenant files of a directory in the order of their names.
///
/// # Errors
/// As [`read_dir`].
pub fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden
            && path
                .extension()
                .is_some_and(|extension| extension == "yaml")
        {
            paths.push(path);
        }
        if paths.len() > TENANTS_MAX {
            return Err(io::Error::other(format!(
                "more than {TENANTS_MAX} tenant files"
            )));
        }
    }
    paths.sort();
    Ok(paths)
}

fn id_of(path: &Path) -> Option<TenantId> {
    TenantId::new(path.file_stem()?.to_str()?).ok()
}

fn problem(path: &Path, message: impl Into<String>, help: &str) -> Diagnostic {
    Diagnostic {
        file: path.to_owned(),
        at: Place::default(),
        message: message.into(),
        help: help.to_owned(),
    }
}

fn cannot_read(error: &io::Error) -> String {
    format!("the file cannot be read: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> Vec<String> {
        let diagnostics = read_text(Path::new("acme.yaml"), text).unwrap_err();
        diagnostics.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_small_file_is_a_tenant_with_defaults() {
        let tenant = read_text(
            Path::new("acme.yaml"),
            "id: acme\nplugins:\n  - name: echo\n",
        )
        .unwrap();
        assert_eq!(tenant.display_name, "acme");
        assert_eq!(tenant.limits, super::super::Limits::default());
        assert_eq!(tenant.plugins[0].max_instances, 8);
    }

    #[test]
    fn every_mistake_is_named_with_its_line_and_what_is_allowed() {
        let found = mistakes(
            "id: other\nlimit: {}\nplugins:\n  - name: echo\n    grants: [memry, log]\n  - name: echo\nlimits:\n  memory: 2TiB\nkeys:\n  - id: zz\n    name: ci\n    hash: abc\n",
        );
        let expected = [
            "acme.yaml:1:5: id is \"other\", but the file is named \"acme\"; rename the file to other.yaml or write `id: acme`",
            "acme.yaml:2:1: unknown key \"limit\" in the tenant file; did you mean \"limits\"?",
            "acme.yaml:5:14: the grant is \"memry\"; did you mean \"memory\"? Allowed: memory, files, sessions, records, search, jobs, model, a2a, secrets",
            "acme.yaml:5:21: `log` needs no grant",
            "acme.yaml:6:5: plugin \"echo\" is listed twice",
            "acme.yaml:8:11: memory is \"2TiB\"; write a size from 1MiB to 512MiB",
            "acme.yaml:10:9: id: ",
            "acme.yaml:12:11: hash: ",
        ];
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                found.starts_with(expected),
                "{found}\nshould begin with\n{expected}"
            );
        }
    }

    #[test]
    fn secrets_are_named_and_granted() {
        let text =
            "id: acme\nplugins:\n  - name: echo\n    grants: [secrets]\n    secrets: [token]\n";
        let tenant = read_text(Path::new("acme.yaml"), text).unwrap();
        assert!(tenant.plugins[0].secrets.contains("token"));
        let found = mistakes("id: acme\nplugins:\n  - name: echo\n    secrets: [../token]\n");
        let expected = [
            "acme.yaml:4:14: the plugin names secrets and may read none; add `secrets` to its grants",
            "acme.yaml:4:15: the secret: the secret's name is not 1 to 63 characters",
        ];
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{found}");
        }
    }

    #[test]
    fn a_key_belongs_to_one_tenant() {
        let dir = tempfile::tempdir().unwrap();
        for id in ["a", "b"] {
            let hash = super::super::keys::show_hash(&[1; 32]);
            let text = format!(
                "id: {id}\nkeys:\n  - id: \"0123456789ab\"\n    name: x\n    hash: \"{hash}\"\n"
            );
            fs::write(dir.path().join(format!("{id}.yaml")), text).unwrap();
        }
        let loaded = read_dir(dir.path()).unwrap();
        assert_eq!((loaded.tenants.len(), loaded.broken.len()), (1, 1));
        assert!(
            loaded.diagnostics[0]
                .message
                .contains("also in tenant \"a\"")
        );
    }

    #[test]
    fn a_broken_file_does_not_hide_the_sound_ones() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.yaml"), "id: a\n").unwrap();
        fs::write(dir.path().join("b.yaml"), [0x69, 0xff]).unwrap();
        fs::write(dir.path().join(".c.yaml"), "editor's swap file").unwrap();
        let loaded = read_dir(dir.path()).unwrap();
        assert_eq!(loaded.tenants.len(), 1);
        assert_eq!(loaded.broken.len(), 1);
        assert!(
            loaded.diagnostics[0]
                .message
                .contains("not UTF-8 at byte 1")
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,200}|[a-z:\\-\\[\\]{}&*!|>'\"# \n]{0,200}") {
            let _ = read_text(Path::new("a.yaml"), &text);
        }
    }
}
