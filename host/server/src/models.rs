//! The models of the configuration, made ready: keys read, weights loaded.

use std::fs;
use std::sync::Arc;

use secrecy::SecretString;
use stuga_core::embed::{Embedder, HashedEmbedder};
use stuga_core::{Error, Result};
use stuga_local::{EndpointConfig, EndpointEmbedder, Models};

use crate::config::{EmbeddingSettings, KeyPlace, ModelSettings};

const OPERATION: &str = "model.open";
/// Largest file of a key.
const KEY_MAX_BYTES: u64 = 16 << 10;

/// Makes the models ready. Blocks while weights are loaded.
///
/// # Errors
/// `Invalid` naming the setting that is wrong.
pub(crate) fn open(settings: &ModelSettings) -> Result<Models> {
    let api_key = settings.api_key.as_ref().map(key).transpose()?;
    let endpoint = |url: &str, name: &str, also: &[String]| EndpointConfig {
        url: url.to_owned(),
        name: name.to_owned(),
        also: also.to_vec(),
        api_key: api_key.clone(),
        patience: settings.timeout,
    };
    let embedder: Arc<dyn Embedder> = match &settings.embeddings {
        EmbeddingSettings::Hashed => Arc::new(HashedEmbedder),
        EmbeddingSettings::Folder { path } => folder(path)?,
        EmbeddingSettings::Endpoint {
            endpoint: url,
            name,
            dimension,
        } => Arc::new(EndpointEmbedder::new(
            &endpoint(url, name, &[]),
            *dimension,
        )?),
    };
    tracing::debug!(
        embedder = embedder.model(),
        dimension = embedder.dimension(),
        model = settings.completions.as_ref().map(|c| c.name.as_str()),
        "models are ready"
    );
    Ok(Models {
        endpoint: settings
            .completions
            .as_ref()
            .map(|c| endpoint(&c.endpoint, &c.name, &c.also)),
        embedder,
    })
}

#[cfg(feature = "sentence-transformer")]
fn folder(path: &std::path::Path) -> Result<Arc<dyn Embedder>> {
    Ok(Arc::new(stuga_embedding::SentenceTransformer::load(path)?))
}

#[cfg(not(feature = "sentence-transformer"))]
fn folder(_: &std::path::Path) -> Result<Arc<dyn Embedder>> {
    Err(Error::invalid(
        OPERATION,
        "model.embeddings.kind `folder` is not in this build; build with `--features sentence-transformer`, or choose hashed or endpoint",
    ))
}

/// Reads a key. No error says anything of what it holds.
fn key(place: &KeyPlace) -> Result<SecretString> {
    let key = match place {
        KeyPlace::ApiKeyFile(path) => {
            let cannot = |why| {
                Error::invalid(
                    OPERATION,
                    format!(
                        "the file of `model.api_key_file`, {}, {why}",
                        path.display()
                    ),
                )
            };
            let size = fs::metadata(path).map_err(|e| cannot("cannot be read").with_source(e))?;
            if size.len() > KEY_MAX_BYTES {
                return Err(cannot("is too large for a key"));
            }
            fs::read_to_string(path).map_err(|e| cannot("cannot be read").with_source(e))?
        }
        KeyPlace::ApiKeyEnv(name) => std::env::var(name).map_err(|_| {
            Error::invalid(
                OPERATION,
                format!(
                    "the environment variable {name} of `model.api_key_env` is not set or not UTF-8"
                ),
            )
        })?,
    };
    let key = key.trim();
    if key.is_empty() {
        return Err(Error::invalid(
            OPERATION,
            "the key of `model.api_key_file` or `model.api_key_env` is empty",
        ));
    }
    Ok(key.into())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_key_is_read_from_its_file_and_a_missing_one_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        fs::write(&path, "sk-1\n").unwrap();
        let read = key(&KeyPlace::ApiKeyFile(path.clone())).unwrap();
        assert_eq!(read.expose_secret(), "sk-1");
        fs::write(&path, " \n").unwrap();
        assert!(
            key(&KeyPlace::ApiKeyFile(path))
                .unwrap_err()
                .message()
                .contains("is empty")
        );
        let missing = key(&KeyPlace::ApiKeyEnv("STUGA_NO_SUCH_KEY".to_owned())).unwrap_err();
        assert!(missing.message().contains("STUGA_NO_SUCH_KEY"), "{missing}");
    }

    #[test]
    fn a_folder_that_is_no_model_is_named() {
        let settings = ModelSettings {
            embeddings: EmbeddingSettings::Folder {
                path: "/nowhere/minilm".into(),
            },
            ..ModelSettings::default()
        };
        let refused = open(&settings).map(drop).unwrap_err();
        let told = match cfg!(feature = "sentence-transformer") {
            true => "/nowhere/minilm",
            false => "--features sentence-transformer",
        };
        assert!(refused.message().contains(told), "{refused}");
    }
}
