//! A directory that a host runs in: tenants with their keys and the agent, set up by the host's own commands.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The agent that clients work through.
pub const AGENT: &str = "fixture-echo";
/// The tenants.
pub const TENANTS: [&str; 3] = ["acme", "globex", "initech"];
/// What every tenant's file says after its id. The limits are wide, so that no client meets one.
const TENANT: &str = "plugins:
  - name: fixture-echo
    grants: [memory, files, sessions, records, model, jobs, search, secrets, a2a]
    max_instances: 64
limits:
  memory: 16MiB
  deadline: 20s
  concurrent_calls: 256
";

/// What is tested: the binary and the agent's component.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The host.
    pub stuga: PathBuf,
    /// The component of [`AGENT`].
    pub guest: PathBuf,
}

impl Tools {
    /// Those in `STUGA_BIN` and `STUGA_GUESTS`, or where the repository's chores put them.
    ///
    /// # Errors
    /// When one is missing, with what makes it.
    pub fn find() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .nth(2)
            .context("this crate lies in the workspace")?;
        let from = |name: &str, else_in: &str| {
            std::env::var_os(name).map_or_else(|| root.join(else_in), PathBuf::from)
        };
        let tools = Self {
            stuga: from("STUGA_BIN", "target/debug/stuga"),
            guest: from("STUGA_GUESTS", "target/guests").join(format!("{AGENT}.wasm")),
        };
        for (path, how) in [
            (
                &tools.stuga,
                "run `cargo build -p stuga-server` or set STUGA_BIN",
            ),
            (&tools.guest, "run `cargo xtask guests` or set STUGA_GUESTS"),
        ] {
            if !path.exists() {
                bail!("{} is missing; {how}", path.display());
            }
        }
        Ok(Self {
            stuga: tools.stuga.canonicalize()?,
            guest: tools.guest.canonicalize()?,
        })
    }
}

/// A directory with everything that a host needs but the cloud.
#[derive(Clone, Debug)]
pub struct Site {
    /// Where it is.
    pub folder: PathBuf,
    /// The binary.
    pub stuga: PathBuf,
    /// The API key of each tenant.
    pub keys: BTreeMap<String, String>,
    /// The environment of hosts and commands.
    pub environment: Vec<(String, String)>,
}

impl Site {
    /// A new site in an empty folder, with all tenants, their agent and their keys.
    ///
    /// # Errors
    /// When a command fails, with what it said.
    pub fn make(folder: &Path, tools: &Tools) -> Result<Self> {
        let tenants = folder.join("tenants");
        fs::create_dir_all(&tenants)
            .with_context(|| format!("{} cannot be made", tenants.display()))?;
        let mut site = Self {
            folder: folder.canonicalize()?,
            stuga: tools.stuga.clone(),
            keys: BTreeMap::new(),
            environment: Vec::new(),
        };
        let guest = tools
            .guest
            .to_str()
            .context("the guest's path is not text")?;
        for tenant in TENANTS {
            let text = format!("id: {tenant}\n{TENANT}");
            fs::write(tenants.join(format!("{tenant}.yaml")), text)?;
            site.stuga(&["plugin", "load", tenant, guest])?;
            let key = site.stuga(&["tenant", "key", "create", tenant, "--name", "chaos"])?;
            site.keys.insert(tenant.to_owned(), key.trim().to_owned());
        }
        Ok(site)
    }

    /// The same site in another folder, as it is now on disk.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub fn copy(&self, folder: &Path) -> Result<Self> {
        copy(&self.folder, folder)
            .with_context(|| format!("{} cannot be copied", self.folder.display()))?;
        Ok(Self {
            folder: folder.canonicalize()?,
            ..self.clone()
        })
    }

    /// A command of the host, in the site.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.stuga);
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("XDG_CACHE_HOME", self.folder.join("user-cache"))
            .envs(self.environment.iter().cloned())
            .current_dir(&self.folder);
        command
    }

    /// Runs a command of the host and gives back what it printed.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub fn stuga(&self, args: &[&str]) -> Result<String> {
        let output = self.command().args(args).output();
        let output = output.with_context(|| format!("{} cannot run", self.stuga.display()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("stuga {} failed: {}", args.join(" "), said.trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
