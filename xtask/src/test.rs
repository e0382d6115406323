//! `cargo xtask test`: everything that tests need, then the tests, then a plain summary.
//!
//! Tests find the components in `STUGA_GUESTS` and the server in `STUGA_BIN`. A test that cannot run, because a server
//! that it needs cannot be had here, adds the line `name<TAB>reason` to the file `STUGA_SKIPPED` and returns: it is
//! then counted as skipped, and in CI as a failure. A suite that runs before a server of AWS's protocols adds the line
//! `suite<TAB>server` to the file `STUGA_SERVED`. What a script around us could not check it tells in `STUGA_UNCHECKED`, so
//! that the summary is the whole truth.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use stuga_author::toolchain::Choice;

use crate::models::Models;
use crate::steps::Steps;
use crate::{guests, shell};

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask test\n  cargo xtask test -p stuga-core\n  cargo xtask test -p stuga-tests --test e2e -- hostile"
)]
pub(crate) struct Args {
    /// Which toolchain builds the guests: auto, rustup or debian
    #[arg(long, default_value_t)]
    toolchain: Choice,

    /// Arguments of `cargo test`, which choose the tests; the whole workspace when there are none
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    cargo_test: Vec<String>,
}

/// The task `test`.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut steps = Steps::new(5);
    let guests = steps.step("Build the guests", || guests::build_all(args.toolchain))?;
    let server = steps.step("Build the server", || build_server(args))?;
    let models = steps.step("Install models for the tests", || Ok(install_models(args)))?;
    steps.step("Install servers for the tests", || {
        install_servers(args);
        Ok(())
    })?;
    let [skipped, served] = [noted("skipped")?, noted("served")?];

    let mut cargo = shell::cargo();
    cargo.args(["test", "--no-fail-fast"]);
    if args.cargo_test.is_empty() {
        cargo.arg("--workspace");
    }
    cargo.args(&args.cargo_test);
    cargo.env("STUGA_GUESTS", guests);
    cargo.env("STUGA_BIN", server);
    cargo.env("STUGA_SKIPPED", &skipped);
    cargo.env("STUGA_SERVED", &served);
    if let Some(models) = models {
        cargo.env("STUGA_LLAMA", models.python);
        cargo.env("STUGA_MINILM", models.minilm);
    }

    let summary = steps.step("Run the tests", || observe(&mut cargo, &skipped, &served));
    fs::remove_file(&skipped).ok();
    fs::remove_file(&served).ok();
    summary?.conclude()
}

/// An empty file of this process that tests add lines to.
fn noted(what: &str) -> Result<PathBuf> {
    let file = shell::target().join(format!("{what}-{}.txt", std::process::id()));
    fs::write(&file, "").with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

/// The models, when tests that ask them are chosen; none where they cannot be had, and those tests say that they are skipped.
fn install_models(args: &Args) -> Option<Models> {
    let has = |word: &str| args.cargo_test.iter().any(|given| given == word);
    let tests = has("stuga-tests") && (has("model") || !has("--test"));
    if !(args.cargo_test.is_empty() || tests || has("stuga-embedding")) {
        return None;
    }
    Models::ready()
        .inspect_err(|error| eprintln!("No models, so their tests are skipped: {error:#}"))
        .ok()
}

/// The servers that the tests of AWS start, when these are chosen. A test whose server cannot be had fails with the reason.
fn install_servers(args: &Args) {
    let chosen = |crate_name: &&str| args.cargo_test.iter().any(|given| given == crate_name);
    if args.cargo_test.is_empty()
        || ["stuga-aws", "stuga-chaos", "stuga-tests"]
            .iter()
            .any(chosen)
    {
        for problem in stuga_test_servers::install_all() {
            eprintln!("A server cannot be installed, so its tests will fail: {problem}");
        }
    }
}

/// Builds the binary `stuga` and says where it is.
///
/// For the whole workspace it is built together with the tests: alone it would have other features of shared
/// dependencies, and wasmtime would be compiled twice.
fn build_server(args: &Args) -> Result<PathBuf> {
    let mut cargo = shell::cargo();
    cargo.arg("build");
    if args.cargo_test.is_empty() {
        cargo.args(["--workspace", "--all-targets"]);
    } else {
        cargo.args(["--package", "stuga-server", "--bin", "stuga"]);
    }
    cargo.arg("--message-format=json-render-diagnostics");
    shell::executable(&mut cargo, "stuga")
}

/// What came of the tests.
#[derive(Default)]
struct Summary {
    passed: usize,
    suites: usize,
    failed: Vec<String>,
    /// Tests that did not run, each with its reason.
    skipped: Vec<String>,
    /// Suites before servers of AWS's protocols, each with its server.
    served: BTreeSet<String>,
    /// Whether cargo itself was content; it is not when something does not compile.
    complete: bool,
}

/// Runs the tests, shows what they write, and counts.
fn observe(cargo: &mut Command, skipped: &Path, served: &Path) -> Result<Summary> {
    let mut child = cargo
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start `cargo test`")?;
    let mut summary = Summary::default();
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).split(b'\n') {
            let line = line.context("cannot read what `cargo test` writes")?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            summary.read(&line);
        }
    }
    summary.complete = child.wait().context("`cargo test` was lost")?.success();
    let skipped = fs::read_to_string(skipped).context("the list of skipped tests was lost")?;
    summary.take_skipped(&skipped);
    let served = fs::read_to_string(served).context("the list of servers was lost")?;
    summary.take_served(&served);
    Ok(summary)
}

impl Summary {
    /// Takes in one line of a test binary.
    fn read(&mut self, line: &str) {
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.suites += 1;
            self.passed += count(counts, "passed");
        } else if let Some((name, "FAILED")) = outcome(line) {
            self.failed.push(name.to_owned());
        } else if let Some((name, result)) = outcome(line)
            && let Some(reason) = result.strip_prefix("ignored")
        {
            let reason = reason.trim_start_matches([',', ' ']);
            let reason = if reason.is_empty() {
                "marked #[ignore]"
            } else {
                reason
            };
            self.skipped.push(format!("{name}: {reason}"));
        }
    }

    /// Takes in the tests that returned early and were counted as passed.
    fn take_skipped(&mut self, lines: &str) {
        for line in lines.lines().filter(|line| !line.is_empty()) {
            let (name, reason) = line.split_once('\t').unwrap_or((line, "no reason given"));
            self.passed = self.passed.saturating_sub(1);
            self.skipped.push(format!("{name}: {reason}"));
        }
    }

    /// Takes in which suite ran before which server, each once.
    fn take_served(&mut self, lines: &str) {
        let told = lines.lines().filter_map(|line| line.split_once('\t'));
        self.served
            .extend(told.map(|(suite, server)| format!("{suite}: {server}")));
    }

    /// Prints the summary and fails when anything failed.
    fn conclude(self) -> Result<()> {
        let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
        println!(
            "\nSummary of {} test binaries and doc-test runs:",
            self.suites
        );
        list("served", &self.served);
        list("failed", &self.failed);
        list("not run", &self.skipped);
        if self.skipped.is_empty() {
            println!("  no test was left out");
        }
        if let Ok(unchecked) = std::env::var("STUGA_UNCHECKED") {
            println!("  not checked: {unchecked}");
        }
        let unnamed = !self.complete && self.failed.is_empty();
        if unnamed {
            println!("  cargo test itself failed: see its first error above");
        }
        let (failed, skipped) = (self.failed.len(), self.skipped.len());
        println!("{} passed, {failed} failed, {skipped} skipped", self.passed);
        if in_ci && skipped > 0 {
            bail!("{skipped} tests were skipped, which counts as failed when CI=true");
        }
        if self.complete && failed == 0 {
            return Ok(());
        }
        bail!("the tests failed")
    }
}

fn list<'l>(what: &str, lines: impl IntoIterator<Item = &'l String>) {
    for line in lines {
        println!("  {what}: {line}");
    }
}

/// The name and the result in a line such as `test a::b ... ok`.
fn outcome(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("test ")?.rsplit_once(" ... ")
}

/// The number before `word` in `ok. 3 passed; 0 failed; ...`.
fn count(counts: &str, word: &str) -> usize {
    counts
        .split([';', '.'])
        .filter_map(|part| part.trim().strip_suffix(word))
        .find_map(|number| number.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::Summary;

    #[test]
    fn counts_and_names_come_from_the_lines_of_a_test_binary() {
        let mut summary = Summary::default();
        for line in [
            "running 3 tests",
            "test a::fine ... ok",
            "test a::broken ... FAILED",
            "test b::slow ... ignored, needs a server",
            "test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s",
        ] {
            summary.read(line);
        }
        assert_eq!(summary.passed, 1);
        assert_eq!(summary.failed, ["a::broken"]);
        assert_eq!(summary.skipped, ["b::slow: needs a server"]);
    }

    #[test]
    fn a_test_that_says_it_was_skipped_does_not_count_as_passed() {
        let mut summary = Summary::default();
        summary.read("test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
        summary.take_skipped("s3_put\tno S3 server here\n");
        assert_eq!(summary.passed, 1);
        assert_eq!(summary.skipped, ["s3_put: no S3 server here"]);
    }

    #[test]
    fn which_server_a_suite_ran_before_is_told_once() {
        let mut summary = Summary::default();
        let line = "contract of files\tSeaweedFS 4.48\n";
        summary.take_served(&format!("{line}contract of search\tOpenSearch\n{line}"));
        let told: Vec<_> = summary.served.into_iter().collect();
        assert_eq!(
            told,
            [
                "contract of files: SeaweedFS 4.48",
                "contract of search: OpenSearch"
            ]
        );
    }
}
