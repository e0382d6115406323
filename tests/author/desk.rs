//! An author's own folder, with the command `stuga` in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

fn binary() -> PathBuf {
    let path = std::env::var_os("STUGA_BIN").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/debug/stuga"),
        PathBuf::from,
    );
    assert!(
        path.exists(),
        "{} is missing; run `cargo build -p stuga-server` or set STUGA_BIN",
        path.display()
    );
    path
}

/// An author's own folder.
pub(crate) struct Desk {
    folder: TempDir,
}

pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn edit(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(from), "{name} has no {from:?}");
        self.write(name, &text.replace(from, to));
    }

    pub(crate) fn command(&self, folder: &str, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(args)
            .current_dir(self.path(folder))
            .env("XDG_CACHE_HOME", self.path("cache"))
            // The author is alone with what is on the machine, where something was built before.
            .env("CARGO_NET_OFFLINE", "true")
            .env(
                "CARGO_TARGET_DIR",
                stuga_tests::guest_path("x").with_file_name("author"),
            );
        command
    }

    pub(crate) fn stuga(&self, folder: &str, args: &[&str]) -> Ran {
        ran(self.command(folder, args).output().unwrap())
    }

    /// Runs a command that must fail with that code, and gives what it says.
    pub(crate) fn refused(&self, folder: &str, args: &[&str], code: i32) -> String {
        let ran = self.stuga(folder, args);
        let said = format!("{}{}", ran.out, ran.err);
        assert_eq!(ran.code, Some(code), "stuga {args:?}: {said}");
        said
    }

    /// Runs a command that must succeed.
    pub(crate) fn ok(&self, folder: &str, args: &[&str]) -> String {
        let ran = self.stuga(folder, args);
        assert_eq!(ran.code, Some(0), "stuga {args:?}: {}{}", ran.out, ran.err);
        ran.out
    }
}

pub(crate) fn ran(output: Output) -> Ran {
    Ran {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}
