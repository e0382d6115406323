//! A disk of a few megabytes that a test can fill to the last byte.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What fits on it: what a site begins with, and some room.
const MEBIBYTES: u32 = 64;
/// What is on it to fill it.
const BALLAST: &str = "ballast";
const PIECE_BYTES: usize = 64 << 10;

/// A file system of its own at a directory. Detached when dropped, whoever still uses it.
pub(crate) struct Disk {
    at: PathBuf,
}

impl Disk {
    /// Puts a disk under a directory and what is in it.
    ///
    /// # Panics
    /// When it cannot be mounted: that takes root, or a sudo that asks nothing.
    pub(crate) fn under(at: &Path) -> Self {
        let away = at.with_extension("away");
        fs::rename(at, &away).unwrap();
        fs::create_dir(at).unwrap();
        let size = format!("size={MEBIBYTES}m,mode=777");
        let at = at.to_owned();
        let text = at.to_str().unwrap();
        privileged(&["mount", "-t", "tmpfs", "-o", &size, "stuga-test", text]);
        let disk = Self { at };
        let copied = Command::new("cp")
            .arg("-a")
            .arg(away.join("."))
            .arg(&disk.at)
            .status();
        assert!(copied.unwrap().success());
        disk
    }

    /// Takes every byte that is free but so many.
    pub(crate) fn fill(&self, room: u64) {
        let path = self.at.join(BALLAST);
        let mut options = fs::OpenOptions::new();
        let mut file = options.append(true).create(true).open(path).unwrap();
        let mut piece = vec![0_u8; PIECE_BYTES];
        while !piece.is_empty() {
            match file.write(&piece) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => {
                    piece.truncate(piece.len() / 2);
                }
                Err(error) => panic!("the disk cannot be filled: {error}"),
            }
        }
        let filled = file.metadata().unwrap().len();
        file.set_len(filled.saturating_sub(room)).unwrap();
    }

    /// Gives it all back.
    pub(crate) fn free(&self) {
        fs::remove_file(self.at.join(BALLAST)).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        privileged(&["umount", "--lazy", self.at.to_str().unwrap()]);
    }
}

/// Runs a command as root: as who we are, else by sudo.
fn privileged(command: &[&str]) {
    let run = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).output();
        match output {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    };
    let own = run(command[0], &command[1..]);
    if let Err(refused) = own
        && let Err(sudo) = run("sudo", &[&["--non-interactive"], command].concat())
    {
        panic!(
            "a test of a full disk mounts a tmpfs, as root or by a sudo that asks nothing; \
             {command:?}: {refused}; by sudo: {sudo}"
        );
    }
}
