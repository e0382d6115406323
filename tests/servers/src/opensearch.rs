//! A real OpenSearch with the k-NN plugin, as one Java process: see `opensearch/README.md` beside this crate.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::python::run;
use crate::{Problem, Result, Server, Shared, debian, folder};

/// What is built, so that another one is built again.
const SOURCES: [&str; 2] = [
    include_str!("../opensearch/pom.xml"),
    include_str!("../opensearch/src/main/java/stuga/OpenSearchServer.java"),
];
/// Longest wait for it to come up, on a machine that is busy with a build.
const PATIENCE: Duration = Duration::from_secs(240);
/// It ends when its standard input closes; the wrapper gives it none that stays open.
const WITH_INPUT: &str = r#"tail -f /dev/null | exec "$@""#;

/// What builds and runs it.
const PROGRAMS: [&str; 2] = ["java", "mvn"];
/// Debian's packages with them.
const PACKAGES: [&str; 2] = ["openjdk-17-jdk-headless", "maven"];

/// A running OpenSearch.
pub struct OpenSearch {
    server: Server,
    address: SocketAddr,
}

impl OpenSearch {
    /// Builds it and answers with where it lies.
    ///
    /// # Errors
    /// When there is no Java or no Maven, or an artifact cannot be had.
    pub fn install() -> Result<PathBuf> {
        folder::installed("opensearch", &SOURCES.concat(), |folder| {
            if PROGRAMS.iter().any(|name| debian::found(name).is_none()) {
                debian::install(&PACKAGES).map_err(|why| {
                    Problem::new(format!(
                        "there is no Java or no Maven; install {}: {why}",
                        PACKAGES.join(" and ")
                    ))
                })?;
            }
            let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("opensearch/pom.xml");
            let mut maven = Command::new("mvn");
            maven
                .args(["-q", "-B", "package", "-f"])
                .arg(project)
                .arg(format!("-Dservers.directory={}", folder.display()));
            run(&mut maven).map_err(|why| {
                Problem::new(format!(
                    "OpenSearch cannot be built; it needs Java 17 and Maven: {why}"
                ))
            })
        })
    }

    /// The one of this test binary.
    ///
    /// # Panics
    /// When it cannot be had, with the reason.
    pub async fn shared() -> &'static Self {
        static SHARED: Shared<OpenSearch> = Shared::new();
        SHARED.get(Self::start)
    }

    /// One of its own, for tests that stop it or change what all others would see.
    ///
    /// # Errors
    /// When it cannot be built or does not come up.
    pub fn start() -> Result<Self> {
        let folder = Self::install()?;
        let data = folder::data("opensearch")?;
        fs::create_dir_all(&data)
            .map_err(|e| Problem::new(format!("{} cannot be made: {e}", data.display())))?;
        let class_path = ["classes", "lib/*", "knn/*"].map(|part| folder.join(part));
        let class_path: Vec<String> = class_path
            .iter()
            .map(|part| part.display().to_string())
            .collect();
        let mut command = Command::new("sh");
        command
            .args(["-c", WITH_INPUT, "sh", "java", "-Xmx512m", "-cp"])
            .arg(class_path.join(":"))
            .arg("stuga.OpenSearchServer")
            .arg(data);
        let server = Server::start("opensearch", &command)?;
        server.wait(PATIENCE, || port(&server.output()).is_some())?;
        let port = port(&server.output())
            .ok_or_else(|| Problem::new("OpenSearch does not say where it listens"))?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Ok(Self { server, address })
    }

    /// What it is, with its version.
    pub fn describe(&self) -> String {
        let [project, _] = SOURCES;
        let version = project
            .split_once("<opensearch.version>")
            .and_then(|(_, rest)| rest.split('<').next());
        format!("OpenSearch {} with k-NN", version.unwrap_or("?"))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its endpoint. It takes requests without a signature.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The process.
    pub fn server(&self) -> &Server {
        &self.server
    }
}

/// The port in a line `listening PORT`, once the line is whole.
fn port(output: &str) -> Option<u16> {
    let (whole, _) = output.rsplit_once('\n')?;
    let mut lines = whole.lines();
    lines.find_map(|line| line.strip_prefix("listening ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::port;

    #[test]
    fn the_port_is_read_once_its_line_is_whole() {
        assert_eq!(port("warning\nlistening 43859\n"), Some(43_859));
        assert_eq!(port("warning\nlistening 438"), None);
        assert_eq!(port(""), None);
    }
}
