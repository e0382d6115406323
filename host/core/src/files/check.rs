//! What every backend checks of its arguments before anything else.

use super::{
    CONTENT_MAX_BYTES, CONTENT_TYPE_MAX_BYTES, FilesWrite, PAGE_MAX_FILES, PART_MAX_BYTES,
    PATH_MAX_BYTES, RANGE_MAX_BYTES,
};
use crate::metadata::check_metadata;
use crate::{Error, Result, Write};

/// Checks a path: relative, `/` between parts of 1 to [`PART_MAX_BYTES`] bytes, none of them `.` or `..`, no backslash,
/// no control characters, at most [`PATH_MAX_BYTES`].
pub fn check_path(operation: &'static str, path: &str) -> Result<()> {
    if path.is_empty() {
        return Err(Error::invalid(operation, "the path is empty"));
    }
    check_characters(operation, path)?;
    for part in path.split('/') {
        let problem = match part {
            "" if path.starts_with('/') => "the path is absolute; leave out the leading /",
            "" => "the path has an empty part",
            "." | ".." => "the path has a part . or ..",
            part if part.len() > PART_MAX_BYTES => "a part of the path is over 255 bytes",
            _ => continue,
        };
        return Err(Error::invalid(operation, problem));
    }
    Ok(())
}

/// Checks a prefix of paths: any beginning of a path, or nothing.
pub fn check_prefix(operation: &'static str, prefix: &str) -> Result<()> {
    check_characters(operation, prefix)?;
    if prefix.starts_with('/') || prefix.split('/').any(|part| part == "..") {
        return Err(Error::invalid(
            operation,
            "the prefix is absolute or has a part ..",
        ));
    }
    Ok(())
}

fn check_characters(operation: &'static str, path: &str) -> Result<()> {
    if path.len() > PATH_MAX_BYTES {
        return Err(Error::invalid(
            operation,
            format!(
                "the path has {} bytes; the limit is {PATH_MAX_BYTES}",
                path.len()
            ),
        )
        .with_context("limit", PATH_MAX_BYTES));
    }
    match path
        .char_indices()
        .find(|(_, c)| c.is_control() || *c == '\\')
    {
        None => Ok(()),
        Some((at, c)) => Err(Error::invalid(
            operation,
            format!("the path has the character U+{:04X} at byte {at}", c as u32),
        )),
    }
}

/// Checks how many files a page may hold.
pub fn check_limit(operation: &'static str, limit: u32) -> Result<()> {
    if (1..=PAGE_MAX_FILES).contains(&limit) {
        return Ok(());
    }
    Err(Error::invalid(
        operation,
        format!("limit {limit} is not between 1 and {PAGE_MAX_FILES}"),
    )
    .with_context("limit", PAGE_MAX_FILES))
}

/// Checks the size of a content before it is spooled.
pub fn check_content(operation: &'static str, size: usize) -> Result<()> {
    if size <= CONTENT_MAX_BYTES {
        return Ok(());
    }
    Err(Error::invalid(
        operation,
        format!("the content has {size} bytes; the limit is {CONTENT_MAX_BYTES}"),
    )
    .with_context("limit", CONTENT_MAX_BYTES))
}

/// Checks that a file may be handed over in one piece.
pub fn check_whole(operation: &'static str, size: u64) -> Result<()> {
    if usize::try_from(size).is_ok_and(|size| size <= CONTENT_MAX_BYTES) {
        return Ok(());
    }
    Err(Error::invalid(
        operation,
        format!(
            "the file has {size} bytes; over {CONTENT_MAX_BYTES} it must be read with `read-range`"
        ),
    )
    .with_context("limit", CONTENT_MAX_BYTES))
}

/// Checks the size of a part before it is appended to an upload.
pub fn check_part(operation: &'static str, size: usize) -> Result<()> {
    if size <= RANGE_MAX_BYTES {
        return Ok(());
    }
    Err(Error::invalid(
        operation,
        format!("the part has {size} bytes; the limit is {RANGE_MAX_BYTES}, append it in pieces"),
    )
    .with_context("limit", RANGE_MAX_BYTES))
}

/// Checks how many bytes one read may ask for.
pub fn check_range(operation: &'static str, len: u32) -> Result<()> {
    if len as usize <= RANGE_MAX_BYTES {
        return Ok(());
    }
    Err(Error::invalid(
        operation,
        format!("{len} bytes asked for at once; the limit is {RANGE_MAX_BYTES}"),
    )
    .with_context("limit", RANGE_MAX_BYTES))
}

impl FilesWrite {
    /// Checks path, content type, digest and metadata.
    pub fn check(&self) -> Result<()> {
        let operation = self.operation();
        check_path(operation, self.key())?;
        let Self::Put {
            sha256,
            content_type,
            metadata,
            ..
        } = self
        else {
            return Ok(());
        };
        if sha256.len() != 64
            || !sha256
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        {
            return Err(Error::invalid(
                operation,
                "the digest is not 64 lowercase hexadecimal digits",
            ));
        }
        let visible = |text: &str, max: usize| {
            (1..=max).contains(&text.len()) && text.bytes().all(|b| (0x20..0x7f).contains(&b))
        };
        if !visible(content_type, CONTENT_TYPE_MAX_BYTES) {
            return Err(Error::invalid(
                operation,
                "the content type is not 1 to 255 visible ASCII characters",
            ));
        }
        check_metadata(operation, metadata)
    }
}

#[cfg(test)]
mod tests {
    use super::check_path;

    #[test]
    fn paths_that_leave_the_tenant_are_refused() {
        let long = "x".repeat(10_000);
        for bad in [
            "",
            "/",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a/..",
            ".",
            "a//b",
            "a/",
            "a\0b",
            "a\\b",
            "a\nb",
            &long,
            &"y".repeat(256),
        ] {
            assert!(check_path("files.put", bad).is_err(), "{bad:?}");
        }
        for good in [
            "a",
            "a/b.md",
            "möten/2024 våren.md",
            "..a",
            "a..",
            "...",
            &"z".repeat(255),
        ] {
            assert!(check_path("files.put", good).is_ok(), "{good:?}");
        }
    }
}
