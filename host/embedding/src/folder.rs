//! The folder of a sentence-transformer: what must be in it, and what it must say.

use std::fs;
use std::path::Path;

use candle_core::{DType, Device};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use stuga_core::embed::DIMENSION_MAX;
use stuga_core::{Error, Result};
use tokenizers::Tokenizer;

use crate::network::Network;

const OPERATION: &str = "embedder.open";
/// Most tokens of a text that are read, when the folder does not say or says more.
const TOKENS_MAX: usize = 256;
/// Fewest tokens that make sense.
const TOKENS_MIN: usize = 8;
/// Largest file of weights: they are held in memory.
const WEIGHTS_MAX_BYTES: u64 = 4 << 30;
/// Largest of the other files.
const TEXT_MAX_BYTES: u64 = 64 << 20;

/// What `sentence_bert_config.json` says, if it is there.
#[derive(Deserialize, Default)]
struct Reading {
    max_seq_length: Option<usize>,
}

/// What `1_Pooling/config.json` says, if it is there.
#[derive(Deserialize)]
struct Pooling {
    pooling_mode_mean_tokens: bool,
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_max_tokens: bool,
}

/// Loads a model and the digest of all that its vectors depend on.
pub(crate) fn load(folder: &Path) -> Result<(Network, String)> {
    let file = |name: &str, limit| read(&folder.join(name), limit);
    let config_bytes = file("config.json", TEXT_MAX_BYTES)?;
    let config: Config = parse("config.json", &config_bytes)?;
    check(&config)?;
    let tokenizer_bytes = file("tokenizer.json", TEXT_MAX_BYTES)?;
    let tokenizer = Tokenizer::from_bytes(&tokenizer_bytes)
        .map_err(|e| wrong("tokenizer.json", e.to_string()))?;
    let reading: Reading = optional(folder, "sentence_bert_config.json")?.unwrap_or_default();
    let pooling: Option<Pooling> = optional(folder, "1_Pooling/config.json")?;
    if pooling.is_some_and(|p| {
        !p.pooling_mode_mean_tokens || p.pooling_mode_cls_token || p.pooling_mode_max_tokens
    }) {
        return Err(wrong(
            "1_Pooling/config.json",
            "only models that take the mean of their tokens can be used",
        ));
    }
    let tokens = reading.max_seq_length.unwrap_or(TOKENS_MAX);
    let tokens = tokens
        .min(TOKENS_MAX)
        .min(config.max_position_embeddings)
        .max(TOKENS_MIN);
    let weights = file("model.safetensors", WEIGHTS_MAX_BYTES)?;
    let mut digest = Sha256::new();
    for part in [&config_bytes, &tokenizer_bytes, &weights] {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    digest.update((tokens as u64).to_le_bytes());
    let dimension = config.hidden_size;
    let model = VarBuilder::from_buffered_safetensors(weights, DType::F32, &Device::Cpu)
        .and_then(|weights| BertModel::load(weights, &config))
        .map_err(|e| wrong("model.safetensors", e.to_string()))?;
    let network = Network::new(model, tokenizer, tokens, config.pad_token_id, dimension)?;
    Ok((network, hex::encode(digest.finalize())))
}

fn check(config: &Config) -> Result<()> {
    let model_type = config.model_type.as_deref().unwrap_or("bert");
    if model_type != "bert" {
        return Err(wrong(
            "config.json",
            format!("model_type is {model_type:?}; only \"bert\" can be used"),
        ));
    }
    if !(1..=DIMENSION_MAX).contains(&config.hidden_size) {
        return Err(wrong(
            "config.json",
            format!(
                "hidden_size {} is not between 1 and {DIMENSION_MAX}",
                config.hidden_size
            ),
        ));
    }
    let heads = config.num_attention_heads;
    if heads == 0
        || !config.hidden_size.is_multiple_of(heads)
        || config.max_position_embeddings < TOKENS_MIN
    {
        return Err(wrong("config.json", "its numbers make no network"));
    }
    Ok(())
}

fn optional<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<Option<T>> {
    let path = folder.join(name);
    if !path.exists() {
        return Ok(None);
    }
    parse(name, &read(&path, TEXT_MAX_BYTES)?).map(Some)
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let size = fs::metadata(path).map_err(|e| {
        Error::invalid(
            OPERATION,
            format!(
                "{} cannot be read; the folder of a sentence-transformer has model.safetensors, tokenizer.json and config.json",
                path.display()
            ),
        )
        .with_source(e)
    })?;
    if size.len() > limit {
        return Err(Error::invalid(
            OPERATION,
            format!("{} has over {limit} bytes", path.display()),
        ));
    }
    fs::read(path).map_err(|e| {
        Error::invalid(OPERATION, format!("{} cannot be read", path.display())).with_source(e)
    })
}

fn parse<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|e| wrong(name, e.to_string()))
}

fn wrong(name: &str, why: impl std::fmt::Display) -> Error {
    Error::invalid(
        OPERATION,
        format!("{name} of the sentence-transformer is wrong: {why}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"{"vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 8, "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "max_position_embeddings": 16,
        "type_vocab_size": 2, "initializer_range": 0.02, "layer_norm_eps": 1e-12, "pad_token_id": 0,
        "model_type": "MODEL"}"#;

    fn refusal(files: &[(&str, &str)]) -> String {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        load(folder.path())
            .map(drop)
            .unwrap_err()
            .message()
            .to_owned()
    }

    #[test]
    fn the_file_that_is_missing_is_named() {
        assert!(refusal(&[]).contains("config.json cannot be read"));
        let config = CONFIG.replace("MODEL", "bert");
        let said = refusal(&[("config.json", &config)]);
        assert!(said.contains("tokenizer.json cannot be read"), "{said}");
    }

    #[test]
    fn a_file_that_is_wrong_is_named_with_the_reason() {
        let said = refusal(&[("config.json", "{}")]);
        assert!(
            said.starts_with("config.json of") && said.contains("vocab_size"),
            "{said}"
        );
        let said = refusal(&[("config.json", &CONFIG.replace("MODEL", "t5"))]);
        assert!(said.contains("\"t5\"; only \"bert\""), "{said}");
        let config = CONFIG
            .replace("MODEL", "bert")
            .replace("\"num_attention_heads\": 2", "\"num_attention_heads\": 0");
        assert!(refusal(&[("config.json", &config)]).contains("no network"));
        let config = CONFIG.replace("MODEL", "bert");
        let said = refusal(&[("config.json", &config), ("tokenizer.json", "{")]);
        assert!(said.starts_with("tokenizer.json of"), "{said}");
    }
}
