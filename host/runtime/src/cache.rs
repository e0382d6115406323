//! Compiled code on disk, so that a start does not compile.
//!
//! Loading compiled code means running it, so a file is used only when it lies in a directory that this host made for
//! itself alone and when its bytes have the digest that was noted when it was written.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};
use stuga_core::{Error, Result};
use tracing::{debug, warn};
use wasmtime::Engine;
use wasmtime::component::Component;

const DIGEST_BYTES: usize = 32;

/// Compiled components by the digest of their source and the engine's settings.
pub(crate) struct CodeCache {
    directory: Option<PathBuf>,
    engine: String,
    hits: AtomicU64,
    compilations: AtomicU64,
}

impl CodeCache {
    /// Opens the cache; makes its directory, readable by this user only.
    pub(crate) fn open(engine: &Engine, directory: Option<PathBuf>) -> Result<Self> {
        if let Some(directory) = &directory {
            private_directory(directory).map_err(|e| {
                Error::internal(
                    "runtime.code-cache",
                    format!("cannot use {} as code cache", directory.display()),
                )
                .with_source(e)
            })?;
        }
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Self {
            directory,
            engine: format!("{:016x}", hasher.finish()),
            hits: AtomicU64::new(0),
            compilations: AtomicU64::new(0),
        })
    }

    /// The compiled component, from disk or from the compiler. Blocks for as long as the compiler needs.
    pub(crate) fn component(
        &self,
        engine: &Engine,
        digest: &str,
        bytes: &[u8],
    ) -> wasmtime::Result<Component> {
        let path = self
            .directory
            .as_ref()
            .map(|d| d.join(format!("{digest}-{}.cwasm", self.engine)));
        if let Some(component) = path.as_deref().and_then(|path| self.read(engine, path)) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(component);
        }
        let component = Component::from_binary(engine, bytes)?;
        self.compilations.fetch_add(1, Ordering::Relaxed);
        if let Some(path) = path
            && let Err(error) = write(&path, &component)
        {
            warn!(path = %path.display(), %error, "compiled code was not kept; the next start compiles again");
        }
        Ok(component)
    }

    pub(crate) fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    pub(crate) fn compilations(&self) -> u64 {
        self.compilations.load(Ordering::Relaxed)
    }

    fn read(&self, engine: &Engine, path: &Path) -> Option<Component> {
        let file = fs::read(path).ok()?;
        let (noted, code) = file.split_at_checked(DIGEST_BYTES)?;
        if Sha256::digest(code).as_slice() != noted {
            warn!(path = %path.display(), "compiled code is damaged; compiling again");
            return None;
        }
        // SAFETY: the file lies in a directory that only this user can write and has the digest noted when this
        // program wrote it from its own compiler's output; its name binds it to this engine's settings.
        #[allow(unsafe_code, reason = "the only way to load compiled code; see SAFETY")]
        let component = unsafe { Component::deserialize(engine, code) };
        component
            .inspect_err(|error| debug!(path = %path.display(), %error, "compiled code does not fit; compiling again"))
            .ok()
    }
}

fn write(path: &Path, component: &Component) -> Result<(), Box<dyn std::error::Error>> {
    let code = component.serialize()?;
    let directory = path.parent().ok_or("the path has no directory")?;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(Sha256::digest(&code).as_slice())?;
    file.write_all(&code)?;
    file.persist(path)?;
    Ok(())
}

#[cfg(unix)]
fn private_directory(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)?;
    if fs::metadata(path)?.permissions().mode() & 0o022 != 0 {
        return Err(std::io::Error::other(
            "others may write to the directory; run chmod 700 on it",
        ));
    }
    Ok(())
}

#[cfg(not(unix))]
fn private_directory(path: &Path) -> std::io::Result<()> {
    fs::create_dir_all(path)
}
