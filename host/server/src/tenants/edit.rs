//! Editing the `keys:` of a tenant's file as text, so that comments and layout stay.
//!
//! The edit is only done where the file has the usual shape, and the result is read again: what comes out must be the
//! same tenant with exactly the key added or removed. Anything else is refused with what to do by hand.

use std::path::Path;

use stuga_core::{Error, Result};

use super::{ApiKey, Tenant, check, keys};

/// The text with `key` added.
///
/// # Errors
/// `Conflict` with the lines to add by hand when the file's shape is unusual; `Invalid` when it has mistakes.
pub fn add_key(path: &Path, text: &str, key: &ApiKey) -> Result<String> {
    let before = sound(path, text)?;
    let item = item(key);
    let refused = || {
        Error::conflict(
            "tenant.key.create",
            format!(
                "the keys of {} are not written one per `- id:` line; add by hand under `keys:`\n{item}",
                path.display()
            ),
        )
    };
    let edited = insert(text, &item).ok_or_else(refused)?;
    let mut expected = before;
    expected.keys.push(key.clone());
    unchanged_but(path, &edited, &expected)
        .then_some(edited)
        .ok_or_else(refused)
}

/// The text without the key of that id.
///
/// # Errors
/// `NotFound` when there is no such key; else as [`add_key`].
pub fn remove_key(path: &Path, text: &str, id: &str) -> Result<String> {
    let mut expected = sound(path, text)?;
    let Some(position) = expected.keys.iter().position(|key| key.id == id) else {
        let known: Vec<&str> = expected.keys.iter().map(|key| key.id.as_str()).collect();
        let known = if known.is_empty() {
            "it has none".to_owned()
        } else {
            format!("it has {}", known.join(", "))
        };
        return Err(Error::not_found(
            "tenant.key.revoke",
            format!("tenant {} has no key {id:?}; {known}", expected.id),
        ));
    };
    let refused = || {
        Error::conflict(
            "tenant.key.revoke",
            format!(
                "the keys of {} are not written one per `- id:` line; remove key {id} by hand",
                path.display()
            ),
        )
    };
    let edited = remove(text, position).ok_or_else(refused)?;
    expected.keys.remove(position);
    unchanged_but(path, &edited, &expected)
        .then_some(edited)
        .ok_or_else(refused)
}

fn sound(path: &Path, text: &str) -> Result<Tenant> {
    check::read_text(path, text).map_err(|diagnostics| {
        let first = diagnostics
            .first()
            .map(ToString::to_string)
            .unwrap_or_default();
        Error::invalid(
            "tenant.file",
            format!("{first}; run `stuga tenant check` and mend the file first"),
        )
    })
}

fn unchanged_but(path: &Path, text: &str, expected: &Tenant) -> bool {
    check::read_text(path, text).is_ok_and(|tenant| tenant == *expected)
}

fn item(key: &ApiKey) -> String {
    // JSON strings are YAML strings, so that any name comes back as it was given.
    let name = serde_json::Value::from(key.name.as_str());
    let (id, hash, created) = (&key.id, keys::show_hash(&key.hash), &key.created);
    format!(
        "  - id: \"{id}\"\n    name: {name}\n    hash: \"{hash}\"\n    created: \"{created}\"\n"
    )
}

/// Lines of the block under the top-level `keys:`: the index of its own line and of the first line after it.
fn block(lines: &[&str]) -> Option<(usize, usize)> {
    let start = lines.iter().position(|line| line.starts_with("keys:"))?;
    let belongs = |line: &&str| line.trim().is_empty() || line.starts_with([' ', '-', '#']);
    let length = lines
        .iter()
        .skip(start + 1)
        .take_while(|line| belongs(line))
        .count();
    let blank = |line: &&&str| line.trim().is_empty() || line.starts_with('#');
    let trailing = lines
        .iter()
        .skip(start + 1)
        .take(length)
        .rev()
        .take_while(blank)
        .count();
    Some((start, start + 1 + length - trailing))
}

fn insert(text: &str, item: &str) -> Option<String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let Some((start, end)) = block(&lines) else {
        let gap = if text.is_empty() || text.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        return Some(format!("{text}{gap}\nkeys:\n{item}"));
    };
    let head = lines.get(start)?;
    let after = head.strip_prefix("keys:")?.split('#').next()?.trim();
    let (before, rest) = (lines.get(..start)?.concat(), lines.get(end..)?.concat());
    match after {
        "[]" => Some(format!(
            "{before}{}{item}{rest}",
            head.replacen("[]", "", 1).replacen(": ", ":", 1)
        )),
        "" => {
            let mut block = lines.get(start..end)?.concat();
            if !block.ends_with('\n') {
                block.push('\n');
            }
            let indented = same_indent(lines.get(start + 1..end)?, item);
            Some(format!("{before}{block}{indented}{rest}"))
        }
        _ => None,
    }
}

/// The item with the indentation of the items that stand there.
fn same_indent(block: &[&str], item: &str) -> String {
    let dash = block.iter().find(|line| line.trim_start().starts_with('-'));
    let indent = dash.map_or(2, |line| line.len() - line.trim_start().len());
    let margin = " ".repeat(indent);
    item.lines()
        .map(|line| format!("{margin}{}\n", line.get(2..).unwrap_or(line)))
        .collect()
}

fn remove(text: &str, position: usize) -> Option<String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let (start, end) = block(&lines)?;
    let inside = lines.get(start + 1..end)?;
    let indent = inside
        .iter()
        .find(|line| line.trim_start().starts_with('-'))
        .map(|line| line.len() - line.trim_start().len())?;
    let items: Vec<usize> = inside
        .iter()
        .enumerate()
        .filter(|(_, line)| {
            line.trim_start().starts_with('-') && line.len() - line.trim_start().len() == indent
        })
        .map(|(at, _)| start + 1 + at)
        .collect();
    let from = *items.get(position)?;
    let to = items.get(position + 1).copied().unwrap_or(end);
    let mut edited = lines.get(..start)?.concat();
    let head = lines.get(start)?;
    if items.len() == 1 {
        edited.push_str(&head.replacen("keys:", "keys: []", 1));
    } else {
        edited.push_str(head);
    }
    edited.push_str(&lines.get(start + 1..from)?.concat());
    edited.push_str(&lines.get(to..)?.concat());
    Some(edited)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str) -> ApiKey {
        ApiKey {
            id: id.repeat(12),
            name: "the \"CI\": #1".into(),
            hash: [7; keys::HASH_BYTES],
            created: "2026-11-22".into(),
        }
    }

    #[test]
    fn keys_come_and_go_and_everything_else_stays() {
        let path = Path::new("acme.yaml");
        for shape in [
            "id: acme # ours\n",
            "id: acme",
            "id: acme\nkeys: []\n# the end\nlimits:\n  memory: 8MiB\n",
            "id: acme\nkeys:\n# the end\n\ndisplay_name: \"Å\"\n",
        ] {
            let one = add_key(path, shape, &key("a")).unwrap();
            let two = add_key(path, &one, &key("b")).unwrap();
            let less = remove_key(path, &two, &key("a").id).unwrap();
            let tenant = check::read_text(path, &less).unwrap();
            assert_eq!(tenant.keys, [key("b")], "{two}");
            let none = remove_key(path, &less, &key("b").id).unwrap();
            assert!(check::read_text(path, &none).unwrap().keys.is_empty());
            for comment in shape.lines().filter(|line| line.contains('#')) {
                assert!(none.contains(comment), "{comment} is gone from\n{none}");
            }
        }
    }

    #[test]
    fn an_unusual_shape_is_refused_with_the_lines_to_add() {
        let path = Path::new("acme.yaml");
        let flow = format!(
            "id: acme\nkeys: [{{id: \"{}\", name: x, hash: \"{}\"}}]\n",
            key("a").id,
            keys::show_hash(&[1; 32])
        );
        let error = add_key(path, &flow, &key("b")).unwrap_err();
        assert!(
            error.message().contains("  - id: \"bbbbbbbbbbbb\""),
            "{error}"
        );
        assert!(remove_key(path, &flow, &key("a").id).is_err());
        assert!(
            remove_key(path, "id: acme\n", &key("a").id)
                .unwrap_err()
                .message()
                .contains("it has none")
        );
    }
}
