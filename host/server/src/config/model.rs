//! `model:` of the configuration: which models the host has.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use stuga_core::embed::DIMENSION_MAX;
use stuga_core::model::MODEL_NAME_MAX_BYTES;
use stuga_local::check_endpoint_url;

use super::SecretPlace;
use crate::yaml::{Node, Report};

/// Longest silence of an endpoint when the file does not say.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Longest silence that can be asked for.
const TIMEOUT_MAX: Duration = Duration::from_secs(600);
/// Most names in `also`.
const ALSO_MAX: usize = 32;

/// Which models the host has.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ModelSettings {
    /// What completes conversations; none when nothing does.
    #[serde(flatten)]
    pub completions: Option<Completions>,
    /// Where the endpoint's key is; none when it wants none.
    #[serde(flatten)]
    pub api_key: Option<SecretPlace>,
    /// Longest silence of an endpoint.
    #[serde(serialize_with = "super::as_text")]
    pub timeout: Duration,
    /// What makes vectors.
    pub embeddings: EmbeddingSettings,
}

/// An endpoint that completes conversations.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Completions {
    /// Its address up to and with the version.
    pub endpoint: String,
    /// The model that is asked.
    pub name: String,
    /// Models that an agent may choose besides.
    pub also: Vec<String>,
}

/// What makes vectors of texts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum EmbeddingSettings {
    /// The built-in embedder.
    Hashed,
    /// A sentence-transformer.
    Folder {
        /// Its folder.
        path: PathBuf,
    },
    /// A model behind an endpoint.
    Endpoint {
        /// Its address up to and with the version.
        endpoint: String,
        /// The model that is asked.
        name: String,
        /// Numbers in its vectors.
        dimension: usize,
    },
}

impl Default for ModelSettings {
    /// No model, and the built-in embedder.
    fn default() -> Self {
        Self {
            completions: None,
            api_key: None,
            timeout: TIMEOUT,
            embeddings: EmbeddingSettings::Hashed,
        }
    }
}

impl ModelSettings {
    /// Reads `model:`. What is wrong keeps its default and is reported.
    pub(super) fn read(node: &Node, report: &mut Report) -> Self {
        let mut settings = Self::default();
        let Some(mut fields) = report.fields(node, "model") else {
            return settings;
        };
        let given = fields.optional("endpoint");
        let endpoint = given.and_then(|node| url(report, node, "model.endpoint"));
        let name = fields.optional("name");
        let also = fields.optional("also");
        if let Some(endpoint) = &endpoint {
            let name = match name {
                Some(node) => model_name(report, node, "model.name"),
                None => {
                    report.add(
                        node.at,
                        "model has an `endpoint` and no `name`",
                        "add `name:` with the model that the endpoint shall use",
                    );
                    None
                }
            };
            let also = also.map(|node| names(report, node)).unwrap_or_default();
            settings.completions = name.map(|name| Completions {
                endpoint: endpoint.clone(),
                name,
                also,
            });
        } else if let Some(node) = name.or(also)
            && given.is_none()
        {
            report.add(
                node.at,
                "model has a name and no `endpoint`",
                "add `endpoint:`, such as http://127.0.0.1:11434/v1",
            );
        }
        settings.api_key = SecretPlace::find(
            &mut fields,
            report,
            ["model.api_key_file", "model.api_key_env"],
        );
        if let Some(node) = fields.optional("timeout")
            && let Some(timeout) = report.duration(
                node,
                "model.timeout",
                Duration::from_millis(100)..=TIMEOUT_MAX,
            )
        {
            settings.timeout = timeout;
        }
        if let Some(node) = fields.optional("embeddings")
            && let Some(embeddings) = EmbeddingSettings::read(node, report, endpoint.as_deref())
        {
            settings.embeddings = embeddings;
        }
        fields.finish(report);
        settings
    }
}

impl EmbeddingSettings {
    fn read(node: &Node, report: &mut Report, endpoint: Option<&str>) -> Option<Self> {
        const KINDS: [(&str, u8); 3] = [("hashed", 0), ("folder", 1), ("endpoint", 2)];
        let mut fields = report.fields(node, "model.embeddings")?;
        let kind = fields.required("kind", report)?;
        let settings = match report.word(kind, "model.embeddings.kind", &KINDS)? {
            0 => Some(Self::Hashed),
            1 => fields
                .required("path", report)
                .and_then(|node| report.text(node, "model.embeddings.path"))
                .map(|path| Self::Folder { path: path.into() }),
            _ => {
                let own = fields.optional("endpoint");
                let own = own.and_then(|node| url(report, node, "model.embeddings.endpoint"));
                let url = own.as_deref().or(endpoint).map(str::to_owned);
                if url.is_none() {
                    report.add(
                        node.at,
                        "model.embeddings has no endpoint",
                        "add `endpoint:` here or in `model`, such as http://127.0.0.1:11434/v1",
                    );
                }
                let name = fields
                    .required("name", report)
                    .and_then(|node| model_name(report, node, "model.embeddings.name"));
                let dimension = fields.required("dimension", report).and_then(|node| {
                    let range = 1..=DIMENSION_MAX as u64;
                    report.integer(node, "model.embeddings.dimension", range)
                });
                url.zip(name)
                    .zip(dimension)
                    .map(|((endpoint, name), dimension)| Self::Endpoint {
                        endpoint,
                        name,
                        dimension: usize::try_from(dimension).unwrap_or(DIMENSION_MAX),
                    })
            }
        };
        fields.finish(report);
        settings
    }
}

fn url(report: &mut Report, node: &Node, what: &str) -> Option<String> {
    report.parsed(node, what, |text| {
        check_endpoint_url(text).map(|()| text.to_owned())
    })
}

fn model_name(report: &mut Report, node: &Node, what: &str) -> Option<String> {
    report.parsed(node, what, |text| {
        let fits = (1..=MODEL_NAME_MAX_BYTES / 2).contains(&text.len());
        match fits && !text.chars().any(char::is_control) {
            true => Ok(text.to_owned()),
            false => Err("it is not 1 to 128 bytes without control characters"),
        }
    })
}

fn names(report: &mut Report, node: &Node) -> Vec<String> {
    let nodes = report.list(node, "model.also").unwrap_or_default();
    if nodes.len() > ALSO_MAX {
        report.add(
            node.at,
            format!("model.also has {} names", nodes.len()),
            format!("write at most {ALSO_MAX}"),
        );
    }
    let nodes = nodes.iter().take(ALSO_MAX);
    nodes
        .filter_map(|node| model_name(report, node, "model.also"))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(text: &str) -> Result<ModelSettings, Vec<String>> {
        let mut report = Report::new(Path::new("stuga.yaml"));
        let node = report.parse(text).unwrap();
        let settings = ModelSettings::read(&node, &mut report);
        if report.is_empty() {
            return Ok(settings);
        }
        let found = report.into_diagnostics();
        Err(found.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn an_endpoint_with_a_model_a_key_and_embeddings_is_read() {
        let settings = read(
            "endpoint: http://127.0.0.1:11434/v1\nname: llama3.2\nalso: [qwen3]\napi_key_file: /run/key\ntimeout: 20s\n\
             embeddings:\n  kind: endpoint\n  name: nomic-embed-text\n  dimension: 768\n",
        )
        .unwrap();
        let completions = settings.completions.unwrap();
        assert_eq!(
            (completions.name.as_str(), completions.also),
            ("llama3.2", vec!["qwen3".to_owned()])
        );
        assert_eq!(
            settings.api_key,
            Some(SecretPlace::file("model.api_key_file", "/run/key"))
        );
        assert_eq!(settings.timeout, Duration::from_secs(20));
        let EmbeddingSettings::Endpoint {
            endpoint,
            dimension,
            ..
        } = settings.embeddings
        else {
            unreachable!("an endpoint was configured")
        };
        assert_eq!(
            (endpoint.as_str(), dimension),
            ("http://127.0.0.1:11434/v1", 768)
        );
        let folder = read("embeddings: {kind: folder, path: models/minilm}\n").unwrap();
        assert_eq!(folder.completions, None);
        let path = "models/minilm".into();
        assert_eq!(folder.embeddings, EmbeddingSettings::Folder { path });
    }

    #[test]
    fn every_mistake_is_told_with_its_place_and_what_to_do() {
        for (text, told) in [
            (
                "endpint: x\n",
                "1:1: unknown key \"endpint\" in model; did you mean \"endpoint\"?",
            ),
            (
                "endpoint: localhost:11434\nname: a\n",
                "1:11: model.endpoint: it does not begin with http",
            ),
            (
                "endpoint: http://u:p@h/v1\nname: a\n",
                "1:11: model.endpoint: it holds credentials",
            ),
            (
                "endpoint: http://h/v1\n",
                "model has an `endpoint` and no `name`",
            ),
            ("name: a\n", "1:7: model has a name and no `endpoint`"),
            ("api_key_env: A\napi_key_file: b\n", "keep one of them"),
            ("embeddings: {kind: hash}\n", "did you mean \"hashed\"?"),
            ("embeddings: {kind: folder}\n", "has no `path`"),
            (
                "embeddings: {kind: hashed, path: x}\n",
                "unknown key \"path\"",
            ),
            (
                "embeddings: {kind: endpoint, name: a, dimension: 9}\n",
                "has no endpoint",
            ),
            (
                "embeddings: {kind: endpoint, endpoint: 'http://h/v1', name: a, dimension: 9999}\n",
                "from 1 to 4096",
            ),
        ] {
            let mistakes = read(text).unwrap_err();
            assert!(
                mistakes.iter().any(|m| m.contains(told)),
                "{text}: {mistakes:?}"
            );
        }
    }
}
