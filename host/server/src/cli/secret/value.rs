//! Where a secret's value comes from: a file, standard input, or a person who types it unseen.

use std::fs::File;
use std::io::{self, Read};

use anyhow::Context;
use stuga_core::secrets::{SecretValue, VALUE_MAX_BYTES};
use zeroize::Zeroizing;

/// Reads a value. One line break at its end goes, unless it is to be kept exactly.
///
/// # Errors
/// When it cannot be read, is empty or too long, or nobody is there to be asked.
pub(super) fn read(file: Option<&str>, exact: bool) -> anyhow::Result<SecretValue> {
    let mut bytes = match file {
        Some("-") => limited("standard input", &mut io::stdin().lock())?,
        Some(path) => {
            let mut file = File::open(path).with_context(|| format!("{path} cannot be read"))?;
            limited(path, &mut file)?
        }
        None => ask()?,
    };
    if !exact {
        trim(&mut bytes);
    }
    SecretValue::new(std::mem::take(&mut *bytes))
        .map_err(|error| anyhow::anyhow!(error.message().to_owned()))
}

fn trim(bytes: &mut Vec<u8>) {
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
}

fn limited(whence: &str, reader: &mut impl Read) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    // A line break more than the value may have, and one byte more to see that it is too long.
    const READ_MAX_BYTES: usize = VALUE_MAX_BYTES + 3;
    // With room for all of it: bytes that moved would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(2 * READ_MAX_BYTES));
    reader
        .take(READ_MAX_BYTES as u64)
        .read_to_end(&mut bytes)
        .with_context(|| format!("{whence} cannot be read"))?;
    Ok(bytes)
}

#[cfg(unix)]
fn ask() -> anyhow::Result<Zeroizing<Vec<u8>>> {
    use std::io::{IsTerminal, Write};

    use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

    /// Shows what is typed again, however the question ends.
    struct Echo(Termios);

    impl Drop for Echo {
        fn drop(&mut self) {
            // A terminal that went away needs no echo.
            let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
        }
    }

    if !io::stdin().is_terminal() {
        anyhow::bail!("nobody can be asked for the value; give it with --file FILE or --file -");
    }
    let before = tcgetattr(io::stdin()).context("the terminal cannot be read")?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    let _echo = Echo(before);
    tcsetattr(io::stdin(), OptionalActions::Flush, &silent)
        .context("the terminal cannot be told not to show what is typed")?;
    let mut stderr = io::stderr();
    write!(stderr, "value (not shown): ")?;
    stderr.flush()?;
    let mut line = Zeroizing::new(Vec::with_capacity(VALUE_MAX_BYTES + 1));
    // Byte by byte, past the buffer of standard input, which nobody wipes.
    let mut byte = [0_u8];
    while line.len() <= VALUE_MAX_BYTES && rustix::io::read(io::stdin(), &mut byte)? == 1 {
        let [typed] = byte;
        if typed == b'\n' {
            break;
        }
        line.push(typed);
    }
    writeln!(stderr)?;
    Ok(line)
}

#[cfg(not(unix))]
fn ask() -> anyhow::Result<Zeroizing<Vec<u8>>> {
    anyhow::bail!("give the value with --file FILE or --file -")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_break_at_the_end_goes() {
        for (given, kept) in [
            ("a\n", "a"),
            ("a\r\n", "a"),
            ("a\n\n", "a\n"),
            ("a\r", "a\r"),
            ("\n", ""),
        ] {
            let mut bytes = given.as_bytes().to_vec();
            trim(&mut bytes);
            assert_eq!(bytes, kept.as_bytes(), "{given:?}");
        }
    }

    #[test]
    fn a_value_comes_from_a_file_within_its_bounds() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("value");
        let read_of = |content: &[u8], exact| {
            std::fs::write(&path, content).unwrap();
            read(path.to_str(), exact)
        };
        let bytes = |value: anyhow::Result<SecretValue>| value.unwrap().reveal().to_vec();
        assert_eq!(bytes(read_of(b"abc\n", false)), b"abc");
        assert_eq!(bytes(read_of(b"abc\n", true)), b"abc\n");
        let largest = [vec![7; VALUE_MAX_BYTES], b"\r\n".to_vec()].concat();
        assert_eq!(bytes(read_of(&largest, false)).len(), VALUE_MAX_BYTES);
        for bad in [
            &b"\n"[..],
            b"",
            &vec![7; VALUE_MAX_BYTES + 1],
            &vec![7; 1 << 20],
        ] {
            assert!(read_of(bad, false).is_err());
        }
    }
}
