//! The input of `stuga invoke`, from a file and from `--set`.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};
use serde_json::{Map, Value};

/// Largest file that is taken as input or as a part of it.
const INPUT_MAX_BYTES: u64 = 64 << 20;

/// Builds the input's JSON text: the document in `file` (`-` for stdin), with each `--set` added to it.
///
/// # Errors
/// When a file cannot be read, is not UTF-8 or not JSON, or a `--set` has no `=`.
pub(crate) fn build(file: Option<&str>, sets: &[String]) -> anyhow::Result<String> {
    let document = match file {
        None => None,
        Some("-") => Some(read_text(
            "standard input",
            &mut std::io::stdin().lock(),
            "",
        )?),
        Some(path) => Some(read_file(path, "")?),
    };
    if sets.is_empty() {
        return Ok(document.unwrap_or_else(|| "{}".to_owned()));
    }
    let mut input = match document.as_deref().map(serde_json::from_str) {
        None => Map::new(),
        Some(Ok(Value::Object(map))) => map,
        Some(Ok(_)) => bail!("--set needs an input that is a JSON object"),
        Some(Err(error)) => bail!("the input is not JSON: {error}"),
    };
    for set in sets {
        let (name, value) = entry(set)?;
        input.insert(name, value);
    }
    Ok(Value::Object(input).to_string())
}

fn entry(set: &str) -> anyhow::Result<(String, Value)> {
    let Some((name, value)) = set
        .split_once('=')
        .filter(|(name, _)| !name.trim_end_matches(':').is_empty())
    else {
        bail!("--set {set:?} is not name=value, name:=JSON, name=@FILE or name=@base64:FILE");
    };
    if let Some(name) = name.strip_suffix(':') {
        let value = serde_json::from_str(value)
            .with_context(|| format!("--set {name}:= is not followed by JSON"))?;
        return Ok((name.to_owned(), value));
    }
    let value = match value.strip_prefix('@') {
        None => value.to_owned(),
        Some(source) => match source.strip_prefix("base64:") {
            Some(path) => base64(&read_bytes(path)?),
            None => read_file(
                source,
                &format!(
                    "; bytes go as Base64 into an input that takes them, such as --set {name}_base64=@base64:{source}"
                ),
            )?,
        },
    };
    Ok((name.to_owned(), Value::String(value)))
}

fn read_file(path: &str, hint: &str) -> anyhow::Result<String> {
    let mut file =
        std::fs::File::open(Path::new(path)).with_context(|| format!("{path} cannot be read"))?;
    read_text(path, &mut file, hint)
}

fn read_bytes(path: &str) -> anyhow::Result<Vec<u8>> {
    let mut file =
        std::fs::File::open(Path::new(path)).with_context(|| format!("{path} cannot be read"))?;
    limited(path, &mut file)
}

fn limited(whence: &str, reader: &mut impl Read) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader
        .take(INPUT_MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("{whence} cannot be read"))?;
    if bytes.len() as u64 > INPUT_MAX_BYTES {
        bail!("{whence} has more than {INPUT_MAX_BYTES} bytes");
    }
    Ok(bytes)
}

fn read_text(whence: &str, reader: &mut impl Read, hint: &str) -> anyhow::Result<String> {
    String::from_utf8(limited(whence, reader)?).map_err(|error| {
        anyhow::anyhow!(
            "{whence} is not UTF-8 at byte {}{hint}",
            error.utf8_error().valid_up_to()
        )
    })
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sets(sets: &[&str]) -> anyhow::Result<Value> {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        Ok(serde_json::from_str(&build(None, &sets)?)?)
    }

    #[test]
    fn names_get_text_json_and_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        std::fs::write(&path, "hej").unwrap();
        let file = format!("c=@{}", path.display());
        let coded = format!("d=@base64:{}", path.display());
        let input = sets(&["a=1", "b:=[1]", &file, &coded, "e=x=y"]).unwrap();
        assert_eq!(
            input,
            serde_json::json!({"a": "1", "b": [1], "c": "hej", "d": "aGVq", "e": "x=y"})
        );
        for bad in ["a", "=1", ":=1", "a:=x"] {
            assert!(sets(&[bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_file_that_is_not_utf8_names_the_byte_and_the_way_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("latin1.txt");
        std::fs::write(&path, b"ab\xe5").unwrap();
        let error = sets(&[&format!("t=@{}", path.display())])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("not UTF-8 at byte 2") && error.contains("t_base64=@base64:"),
            "{error}"
        );
    }
}
