//! Limits at the limit and one beyond, and hostile arguments.

use super::{AllFiles, ctx, delete, put, put_as};
use crate::files::{
    CONTENT_MAX_BYTES, CONTENT_TYPE_MAX_BYTES, Expected, Files, FilesWrite, METADATA_MAX_ENTRIES,
    METADATA_NAME_MAX_BYTES, METADATA_VALUE_MAX_BYTES, PAGE_MAX_FILES, PATH_MAX_BYTES,
};
use crate::testkit::suite::{Case, cases};
use crate::{ErrorKind, Result};

pub(super) fn cases() -> Vec<Case<dyn Files>> {
    cases![
        paths_are_taken_up_to_their_limit,
        paths_that_break_the_rules_are_invalid_everywhere,
        prefixes_that_leave_the_agent_are_invalid,
        hostile_paths_are_just_paths,
        contents_are_taken_up_to_their_limit,
        a_digest_must_be_one,
        content_types_are_taken_up_to_their_limit,
        metadata_is_taken_up_to_its_limits,
        metadata_that_breaks_the_rules_is_invalid,
        a_page_of_nothing_or_of_too_much_is_invalid,
    ]
}

fn assert_invalid(result: Result<impl std::fmt::Debug>, what: &str) {
    let what: String = what.escape_debug().take(40).collect();
    let error = result.expect_err(&what);
    assert_eq!(error.kind(), ErrorKind::Invalid, "{what}: {error}");
}

/// A path of exactly `bytes` bytes with parts of 255 bytes at most.
fn path_of(bytes: usize) -> String {
    let mut path = "p".repeat(bytes);
    for at in (255..bytes).step_by(256) {
        path.replace_range(at..=at, "/");
    }
    path
}

async fn paths_are_taken_up_to_their_limit(files: AllFiles) {
    // One byte less than the limit, because a path of 1,024 bytes in parts of 255 would end in a slash.
    for path in [
        path_of(PATH_MAX_BYTES - 1),
        format!("pp/{}", path_of(PATH_MAX_BYTES - 3)),
        "å".repeat(127),
    ] {
        files.put(&path, "a").await;
        assert_eq!(files.get(&path).await.unwrap().info.path, path);
        assert_eq!(files.paths(&path, 1).await, [path.as_str()]);
        assert!(files.delete(&path).await.existed);
    }
}

async fn paths_that_break_the_rules_are_invalid_everywhere(files: AllFiles) {
    let spooled = files.spool("a").await;
    let too_long = format!("ppp/{}", path_of(PATH_MAX_BYTES - 3));
    let huge = "p".repeat(10_000);
    let long_part = format!("a/{}", "p".repeat(256));
    for bad in [
        "",
        "/",
        "/etc/passwd",
        "//",
        "..",
        ".",
        "../x",
        "a/../b",
        "a/..",
        "./a",
        "a/./b",
        "a//b",
        "a/",
        "a\\b",
        "..\\x",
        "\0",
        "a\0b",
        "a\nb",
        "a\u{7f}",
        "\u{9b}",
        &too_long,
        &huge,
        &long_part,
    ] {
        assert_invalid(files.try_apply(&put(bad, &spooled)).await, bad);
        assert_invalid(files.try_apply(&delete(bad)).await, bad);
        assert_invalid(files.backend.get(&ctx(), bad).await, bad);
        assert_invalid(files.backend.stat(&ctx(), bad).await, bad);
    }
    assert!(files.paths("", 10).await.is_empty());
}

async fn prefixes_that_leave_the_agent_are_invalid(files: AllFiles) {
    let too_long = "p".repeat(PATH_MAX_BYTES + 1);
    for bad in ["/", "/a", "..", "../", "a/../", "a\\", "\0", &too_long] {
        assert_invalid(files.backend.list(&ctx(), bad, None, 1).await, bad);
    }
}

async fn hostile_paths_are_just_paths(files: AllFiles) {
    let paths = [
        "..a",
        "a..",
        "...",
        "~",
        "~/x",
        "-rf",
        "CON",
        "nul.txt",
        "a:b",
        "C:",
        "'; DROP TABLE file; --",
        "%2e%2e%2fx",
        "$HOME",
        "`id`",
        " ",
        "\u{202e}txt",
        "é",
        "e\u{301}",
        "tmp",
        "files/ab/cd",
        "state.db",
    ];
    for path in paths {
        files.put(path, path).await;
    }
    for path in paths {
        assert_eq!(files.get(path).await.unwrap().content, path.as_bytes());
    }
    assert_eq!(files.paths("", 4).await.len(), paths.len());
}

async fn contents_are_taken_up_to_their_limit(files: AllFiles) {
    let mut content = vec![0x5a; CONTENT_MAX_BYTES];
    files.put("f", &content).await;
    assert!(files.get("f").await.unwrap().content == content);
    content.push(0);
    assert_invalid(files.backend.spool(&ctx(), &content).await, "content");
}

async fn a_digest_must_be_one(files: AllFiles) {
    let good = files.spool("a").await;
    let upper = good.sha256.to_uppercase();
    let long = format!("{}0", good.sha256);
    let outside = format!("../../{}", &good.sha256[6..]);
    for bad in ["", "0", &good.sha256[1..], &upper, &long, &outside] {
        let write = FilesWrite::Put {
            path: "f".to_owned(),
            sha256: bad.to_owned(),
            size: good.size,
            content_type: "text/plain".to_owned(),
            metadata: Vec::new(),
            expected: Expected::Any,
        };
        assert_invalid(files.try_apply(&write).await, bad);
    }
}

async fn content_types_are_taken_up_to_their_limit(files: AllFiles) {
    let spooled = files.spool("a").await;
    let longest = "t".repeat(CONTENT_TYPE_MAX_BYTES);
    for good in ["a", "text/html; charset=utf-8", &longest] {
        let write = put_as("f", &spooled, good, &[]);
        files.try_apply(&write).await.unwrap();
        assert_eq!(files.stat("f").await.unwrap().content_type, good);
    }
    let too_long = "t".repeat(CONTENT_TYPE_MAX_BYTES + 1);
    for bad in ["", "text/\r\nhtml", "tëxt", "\0", &too_long] {
        assert_invalid(files.try_apply(&put_as("f", &spooled, bad, &[])).await, bad);
    }
}

async fn metadata_is_taken_up_to_its_limits(files: AllFiles) {
    let spooled = files.spool("a").await;
    let names: Vec<String> = (0..METADATA_MAX_ENTRIES)
        .map(|n| format!("{n:0width$}", width = METADATA_NAME_MAX_BYTES))
        .collect();
    let value = "v".repeat(METADATA_VALUE_MAX_BYTES);
    let metadata: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), value.as_str()))
        .collect();
    let write = put_as("f", &spooled, "text/plain", &metadata);
    let info = files.try_apply(&write).await.unwrap().info.unwrap();
    assert_eq!(info.metadata.len(), METADATA_MAX_ENTRIES);
    assert_eq!(files.stat("f").await, Some(info));
}

async fn metadata_that_breaks_the_rules_is_invalid(files: AllFiles) {
    let spooled = files.spool("a").await;
    let names: Vec<String> = (0..=METADATA_MAX_ENTRIES)
        .map(|n| format!("{n:03}"))
        .collect();
    let too_many: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
    let long_name = "n".repeat(METADATA_NAME_MAX_BYTES + 1);
    let long_value = "v".repeat(METADATA_VALUE_MAX_BYTES + 1);
    for bad in [
        too_many.as_slice(),
        &[("", "v")],
        &[("å", "v")],
        &[("n\n", "v")],
        &[("n", "a\r\nb")],
        &[("n", "\0")],
        &[("n", "1"), ("n", "2")],
        &[("b", "1"), ("a", "2")],
        &[(&long_name, "v")],
        &[("n", &long_value)],
    ] {
        let write = put_as("f", &spooled, "text/plain", bad);
        assert_invalid(files.try_apply(&write).await, &format!("{bad:?}"));
    }
    assert_eq!(files.stat("f").await, None);
}

async fn a_page_of_nothing_or_of_too_much_is_invalid(files: AllFiles) {
    for limit in [0, PAGE_MAX_FILES + 1, u32::MAX] {
        let result = files.backend.list(&ctx(), "", None, limit).await;
        assert_invalid(result, &limit.to_string());
    }
}
