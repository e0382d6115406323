//! Children that are killed: a test that runs itself in a process of its own, which ends by `kill -9`.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Set for the child: where the store is, and where its numbering begins.
const DIRECTORY: &str = "STUGA_KILL_DIRECTORY";
const ROUND: &str = "STUGA_KILL_ROUND";

/// Where a child works and which it is; none in the parent.
pub(crate) fn as_child() -> Option<(PathBuf, u32)> {
    let directory = PathBuf::from(std::env::var_os(DIRECTORY)?);
    let round = std::env::var(ROUND).unwrap().parse().unwrap();
    Some((directory, round))
}

/// Tells the parent. A line is one call, so that lines do not mix.
pub(crate) fn tell(line: &str) {
    let line = format!("{line}\n");
    std::io::stdout().write_all(line.as_bytes()).unwrap();
}

/// Runs `test` as a child and kills it when so many of its lines counted. `counts` is given the words of each line that the
/// child told, also of those that it told between the last one and its end.
pub(crate) fn kill_after(
    test: &str,
    (directory, round): (&Path, u32),
    lines: usize,
    mut counts: impl FnMut(&[&str]) -> bool,
) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(DIRECTORY, directory)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap());
    let mut seen = 0;
    let mut line = String::new();
    // To the end of the pipe: what was told before the kill was acknowledged, too.
    while told.read_line(&mut line).unwrap() > 0 {
        let words: Vec<&str> = line.split_whitespace().collect();
        // The kill may cut the last line; then it was told to nobody.
        if line.ends_with('\n') && counts(&words) {
            seen += 1;
            if seen == lines {
                child.kill().unwrap();
            }
        }
        line.clear();
    }
    let status = child.wait().unwrap();
    assert!(
        !status.success() && seen >= lines,
        "the child ended by itself: {status}"
    );
}
