//! The models of the configuration, made ready: keys read, weights loaded.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use stuga_core::embed::{Embedder, HashedEmbedder};
use stuga_core::{Error, Result};
use stuga_local::{EndpointConfig, EndpointEmbedder, Models};

use crate::config::{EmbeddingSettings, ModelSettings, SecretPlace};

const OPERATION: &str = "model.open";

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

/// Reads a key.
fn key(place: &SecretPlace) -> Result<SecretString> {
    let key = place.read(OPERATION)?;
    match key.expose_secret().trim() {
        "" => Err(place.wrong(OPERATION, "holds no key")),
        key => Ok(key.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_without_the_space_around_it_and_an_empty_one_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let place = SecretPlace::file("model.api_key_file", &path);
        std::fs::write(&path, "sk-1\n").unwrap();
        assert_eq!(key(&place).unwrap().expose_secret(), "sk-1");
        std::fs::write(&path, " \n").unwrap();
        let empty = key(&place).unwrap_err();
        assert!(empty.message().contains("holds no key"), "{empty}");
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
