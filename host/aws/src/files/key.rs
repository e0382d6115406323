//! How a path becomes a key, so that S3 lists keys in the order of the paths.
//!
//! A path is written in base 64 with an alphabet in ascending order: whatever characters it has, the key has only letters,
//! digits, `-` and `_`, and it compares as the path's bytes do. A key has 1,024 bytes at most, which is too few for the longest
//! paths. What is behind the first [`HEAD_BYTES`] of a path goes into a sequence of its own, and a mark in the main sequence
//! says at its place in the order that there is one.
//!
//! Keys here are relative to what belongs to the agent; `store` alone puts them behind it.

use base64::Engine;
use base64::alphabet::{self, Alphabet};
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, NO_PAD};
use sha2::{Digest, Sha256};

/// Bytes of a path that have room in one key.
pub(super) const HEAD_BYTES: usize = 512;
/// Longest key relative to its agent, in bytes: `m/` or `x/`, a digest, `/` and the rest of a path.
pub(super) const RELATIVE_MAX_BYTES: usize = 2 + 64 + 1 + (HEAD_BYTES * 4).div_ceil(3);

/// Manifests of paths that fit into one key, and the marks of those that do not.
const MAIN: &str = "m/";
/// Manifests of longer paths, by the digest of their beginning.
const REST: &str = "x/";
/// Contents of versions.
const CONTENTS: &str = "c/";
/// What ends a mark. It is in no alphabet, so no path's key is a mark.
const MARK: char = '=';

const ORDERED: Alphabet =
    match Alphabet::new("-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz") {
        Ok(ordered) => ordered,
        // 64 different characters: the test of the order would tell otherwise.
        Err(_) => alphabet::URL_SAFE,
    };
const CODE: GeneralPurpose = GeneralPurpose::new(&ORDERED, code());

const fn code() -> GeneralPurposeConfig {
    NO_PAD
}

/// The key of a path's manifest.
pub(super) fn manifest(path: &str) -> String {
    match split(path) {
        (head, []) => format!("{MAIN}{}", CODE.encode(head)),
        (head, rest) => Sequence::after(head).key(rest),
    }
}

/// The key of the mark that a path's manifest needs to be found by listings; none for a path that fits into one key.
pub(super) fn mark(path: &str) -> Option<String> {
    let (head, rest) = split(path);
    (!rest.is_empty()).then(|| format!("{MAIN}{}{MARK}", CODE.encode(head)))
}

/// What the keys of all contents of a path begin with.
pub(super) fn contents(path: &str) -> String {
    format!("{CONTENTS}{}/", hex::encode(Sha256::digest(path)))
}

/// What an object is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// The manifest of a path.
    Manifest,
    /// The content of a version.
    Content,
}

/// What the object with that key is of; none of a mark, and of what this host did not make.
pub(super) fn kind(relative: &str) -> Option<Kind> {
    let is_manifest = relative.starts_with(MAIN) || relative.starts_with(REST);
    if relative.starts_with(CONTENTS) {
        return Some(Kind::Content);
    }
    (is_manifest && !relative.ends_with(MARK)).then_some(Kind::Manifest)
}

/// The beginning of a path that has room in one key, and what is left of it.
fn split(path: &str) -> (&[u8], &[u8]) {
    path.as_bytes()
        .split_at_checked(HEAD_BYTES)
        .unwrap_or((path.as_bytes(), &[]))
}

/// Keys that S3 lists together: the main sequence, or what lies behind one beginning.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Sequence {
    /// What all its keys begin with.
    pub(super) prefix: String,
    /// What all its paths begin with.
    head: Vec<u8>,
}

/// What a listed key stands for.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Listed {
    /// The manifest of a path.
    Path(String),
    /// Here, in the order of the paths, stand those of another sequence.
    Rest(Sequence),
}

impl Sequence {
    /// The one that every listing begins with.
    pub(super) fn main() -> Self {
        Self {
            prefix: MAIN.to_owned(),
            head: Vec::new(),
        }
    }

    /// The paths that begin with these bytes, [`HEAD_BYTES`] of them, and go on.
    fn after(head: &[u8]) -> Self {
        Self {
            prefix: format!("{REST}{}/", hex::encode(Sha256::digest(head))),
            head: head.to_vec(),
        }
    }

    /// Where the path `after` lies, when it lies in another sequence than the main one.
    pub(super) fn of(path: &str) -> Option<Self> {
        let (head, rest) = split(path);
        (!rest.is_empty()).then(|| Self::after(head))
    }

    /// Whether it is the main one.
    pub(super) fn is_main(&self) -> bool {
        self.head.is_empty()
    }

    /// The key after which those stand that come after `path`.
    pub(super) fn behind(&self, path: &str) -> String {
        let (head, rest) = split(path);
        if !self.is_main() {
            return self.key(rest);
        }
        let key = self.key(head);
        // A path that goes on stands aside, where its head is marked.
        if rest.is_empty() {
            key
        } else {
            format!("{key}{MARK}")
        }
    }

    /// The key after which those stand that do not come before `path`; none when all of them do not.
    pub(super) fn before(&self, path: &str) -> Option<String> {
        let (head, rest) = split(path);
        let from = if self.is_main() { head } else { rest };
        let mut encoded = CODE.encode(from).into_bytes();
        let last = encoded.pop()?;
        let alphabet = ORDERED.as_str().as_bytes();
        let place = alphabet.iter().position(|c| *c == last)?;
        if let Some(lower) = place.checked_sub(1).and_then(|at| alphabet.get(at)) {
            // Behind everything that begins with the next lower character: `~` is greater than the whole alphabet.
            encoded.extend([*lower, b'~']);
        }
        Some(self.prefix.clone() + &String::from_utf8(encoded).ok()?)
    }

    /// What a key of the sequence stands for; none when it is not one that this crate makes.
    pub(super) fn read(&self, key: &str) -> Option<Listed> {
        let name = key.strip_prefix(&self.prefix)?;
        if let Some(head) = name.strip_suffix(MARK) {
            let head = CODE.decode(head).ok()?;
            let whole = self.is_main() && head.len() == HEAD_BYTES;
            return whole.then(|| Listed::Rest(Self::after(&head)));
        }
        let mut path = self.head.clone();
        path.extend(CODE.decode(name).ok()?);
        Some(Listed::Path(String::from_utf8(path).ok()?))
    }

    /// Whether paths of it may begin with `prefix`.
    pub(super) fn meets(&self, prefix: &str) -> bool {
        self.head.starts_with(split(prefix).0)
    }

    fn key(&self, rest: &[u8]) -> String {
        format!("{}{}", self.prefix, CODE.encode(rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths() -> Vec<String> {
        let long = "p".repeat(HEAD_BYTES);
        let mut paths: Vec<String> = [
            "a",
            "a ",
            "a b",
            "a.b",
            "a/b",
            "ab",
            "abc",
            "abcd",
            "b",
            "å",
            "ä",
            "~",
            "\u{10000}",
            "A",
            "0",
            "-",
        ]
        .map(str::to_owned)
        .into();
        paths.extend([
            long.clone(),
            format!("{long}/"),
            format!("{long}q"),
            format!("{long}/å"),
        ]);
        paths.extend([format!("{}å", &long[1..]), format!("{}q", &long[1..])]);
        paths.sort_unstable();
        paths
    }

    #[test]
    fn keys_come_in_the_order_of_their_paths_and_lead_back_to_them() {
        let main = Sequence::main();
        let short: Vec<_> = paths()
            .into_iter()
            .filter(|p| p.len() <= HEAD_BYTES)
            .collect();
        let keys: Vec<_> = short.iter().map(|path| manifest(path)).collect();
        assert!(keys.is_sorted(), "{keys:?}");
        for (path, key) in short.iter().zip(&keys) {
            assert_eq!(main.read(key), Some(Listed::Path(path.clone())));
        }
    }

    #[test]
    fn a_path_that_is_too_long_for_a_key_is_found_by_its_mark() {
        for path in paths().into_iter().filter(|path| path.len() > HEAD_BYTES) {
            let mark = mark(&path).unwrap();
            let Some(Listed::Rest(rest)) = Sequence::main().read(&mark) else {
                panic!("{mark} is no mark")
            };
            assert_eq!(Sequence::of(&path).as_ref(), Some(&rest));
            assert_eq!(
                rest.read(&manifest(&path)),
                Some(Listed::Path(path.clone()))
            );
            assert!(manifest(&path).len() <= RELATIVE_MAX_BYTES);
            // It stands where its paths would stand.
            assert_eq!(mark, Sequence::main().behind(&path));
        }
    }

    #[test]
    fn a_listing_that_begins_at_a_path_leaves_out_what_comes_before_and_nothing_else() {
        let main = Sequence::main();
        let paths: Vec<_> = paths()
            .into_iter()
            .filter(|p| p.len() <= HEAD_BYTES)
            .collect();
        for (n, from) in paths.iter().enumerate() {
            let (before, behind) = (main.before(from).unwrap(), main.behind(from));
            for (m, path) in paths.iter().enumerate() {
                assert_eq!(
                    manifest(path) > before,
                    m >= n,
                    "{path:.20} from {from:.20}"
                );
                assert_eq!(
                    manifest(path) > behind,
                    m > n,
                    "{path:.20} behind {from:.20}"
                );
            }
        }
        assert_eq!(main.before(""), None);
    }

    #[test]
    fn keys_that_this_crate_does_not_make_are_no_paths() {
        let main = Sequence::main();
        for foreign in ["m/a", "m/ä", "m/a=", "x/ab", "m/../x", "m/zz/zz", "m/~~~~"] {
            assert_eq!(main.read(foreign), None, "{foreign}");
        }
    }
}
