//! Files against a model: random operations with versions, conditions, uploads, time and restarts must answer what a
//! list of versions answers.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use stuga_core::files::{
    EARLIER_VERSIONS_MAX, File, FileInfo, FileVersion, Files, FilesAck, FilesWrite, Spooled,
};
use stuga_core::memory::Expected;
use stuga_core::{CallCtx, Capability, Clock, ErrorKind, Result, Timestamp, Write, WriteId};

use crate::common::{House, scribe};

/// Paths that are each other's neighbours and prefixes.
const PATHS: [&str; 5] = ["a", "aa", "a/b", "a.b", "å"];
const PREFIXES: [&str; 4] = ["", "a", "a/", "zz"];

/// Which version is meant, told without knowing the versions.
#[derive(Clone, Copy, Debug)]
enum Guess {
    Any,
    Absent,
    Right,
    Wrong,
}

#[derive(Clone, Debug)]
enum Step {
    /// `parts` of a content, uploaded one by one or spooled at once.
    Put {
        path: usize,
        parts: Vec<Vec<u8>>,
        by_upload: bool,
        guess: Guess,
    },
    /// An upload that nobody finishes.
    Abandon {
        part: Vec<u8>,
    },
    Delete {
        path: usize,
    },
    Purge {
        path: usize,
    },
    /// The version that is so many versions back; none there for a number that was never given.
    Restore {
        path: usize,
        back: usize,
    },
    Get {
        path: usize,
        back: usize,
    },
    Range {
        path: usize,
        offset: u64,
        len: u32,
    },
    List {
        prefix: usize,
        limit: u32,
    },
    Versions {
        path: usize,
        limit: u32,
    },
    /// The latest write comes again.
    Repeat,
    Advance {
        minutes: u64,
    },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let path = 0..PATHS.len();
    let guess = prop_oneof![
        5 => Just(Guess::Any),
        1 => Just(Guess::Absent),
        2 => Just(Guess::Right),
        1 => Just(Guess::Wrong),
    ];
    let parts = vec(vec(any::<u8>(), 0..6), 0..3);
    prop_oneof![
        10 => (path.clone(), parts, any::<bool>(), guess)
            .prop_map(|(path, parts, by_upload, guess)| Step::Put { path, parts, by_upload, guess }),
        1 => vec(any::<u8>(), 0..6).prop_map(|part| Step::Abandon { part }),
        2 => path.clone().prop_map(|path| Step::Delete { path }),
        1 => path.clone().prop_map(|path| Step::Purge { path }),
        3 => (path.clone(), 0_usize..5).prop_map(|(path, back)| Step::Restore { path, back }),
        4 => (path.clone(), 0_usize..5).prop_map(|(path, back)| Step::Get { path, back }),
        3 => (path.clone(), 0_u64..12, 0_u32..8)
            .prop_map(|(path, offset, len)| Step::Range { path, offset, len }),
        2 => (0..PREFIXES.len(), 1_u32..4).prop_map(|(prefix, limit)| Step::List { prefix, limit }),
        3 => (path, 1_u32..4).prop_map(|(path, limit)| Step::Versions { path, limit }),
        2 => Just(Step::Repeat),
        2 => (1_u64..50).prop_map(|minutes| Step::Advance { minutes }),
        1 => Just(Step::Reopen),
    ]
}

/// A path as a list of versions, oldest first. The last one stands unless it has ended.
#[derive(Default)]
struct Model {
    paths: BTreeMap<String, Vec<(FileVersion, Vec<u8>)>>,
    last_version: u64,
}

impl Model {
    fn standing(&self, path: &str) -> Option<&(FileVersion, Vec<u8>)> {
        let last = self.paths.get(path)?.last();
        last.filter(|(version, _)| version.ended_at.is_none())
    }

    /// The version that many back from the newest; a number that nobody has when there are not so many.
    fn back(&self, path: &str, back: usize) -> u64 {
        let versions = self.paths.get(path).into_iter().flatten();
        let found = versions.rev().nth(back);
        found.map_or(self.last_version + 7, |(version, _)| version.info.version)
    }

    fn find(&self, path: &str, number: u64) -> Option<&(FileVersion, Vec<u8>)> {
        let mut versions = self.paths.get(path)?.iter();
        versions.find(|(version, _)| version.info.version == number)
    }

    /// What the write must answer, or the kind of its error. The version comes from the store, once it has been checked
    /// to be larger than all before.
    fn apply(
        &mut self,
        write: &FilesWrite,
        content: Option<&[u8]>,
        given: Option<u64>,
        now: Timestamp,
    ) -> Result<FilesAck, ErrorKind> {
        let path = write.key().to_owned();
        let standing = self
            .standing(&path)
            .map(|(version, _)| version.info.clone());
        match write {
            FilesWrite::Delete { .. } => {
                self.end(&path, now);
                Ok(gone(standing.is_some()))
            }
            FilesWrite::Purge { .. } => Ok(gone(self.paths.remove(&path).is_some())),
            FilesWrite::Restore { version, .. } => {
                let (old, content) = self
                    .find(&path, *version)
                    .cloned()
                    .ok_or(ErrorKind::NotFound)?;
                let new = FileInfo { ..old.info };
                Ok(self.stand(new, content, standing.as_ref(), given.unwrap(), now))
            }
            FilesWrite::Put {
                sha256,
                size,
                content_type,
                metadata,
                expected,
                ..
            } => {
                let holds = match expected {
                    Expected::Any => true,
                    Expected::Absent => standing.is_none(),
                    Expected::Version(version) => standing
                        .as_ref()
                        .is_some_and(|info| info.version == *version),
                };
                if !holds {
                    return Err(ErrorKind::Conflict);
                }
                let new = FileInfo {
                    path,
                    size: *size,
                    content_type: content_type.clone(),
                    sha256: sha256.clone(),
                    version: 0,
                    created_at: now,
                    updated_at: now,
                    metadata: metadata.clone(),
                };
                let content = content.unwrap().to_vec();
                Ok(self.stand(new, content, standing.as_ref(), given.unwrap(), now))
            }
        }
    }

    fn end(&mut self, path: &str, now: Timestamp) {
        if let Some((last, _)) = self.paths.get_mut(path).and_then(|all| all.last_mut()) {
            last.ended_at.get_or_insert(now);
        }
        self.forget_oldest(path);
    }

    fn stand(
        &mut self,
        new: FileInfo,
        content: Vec<u8>,
        standing: Option<&FileInfo>,
        given: u64,
        now: Timestamp,
    ) -> FilesAck {
        assert!(given > self.last_version, "versions only grow");
        self.last_version = given;
        self.end(&new.path, now);
        let info = FileInfo {
            version: given,
            created_at: standing.map_or(now, |info| info.created_at),
            updated_at: now,
            ..new
        };
        let version = FileVersion {
            info: info.clone(),
            ended_at: None,
        };
        let versions = self.paths.entry(info.path.clone()).or_default();
        versions.push((version, content));
        FilesAck {
            info: Some(info),
            existed: standing.is_some(),
        }
    }

    fn forget_oldest(&mut self, path: &str) {
        if let Some(versions) = self.paths.get_mut(path) {
            let earlier = versions.iter().filter(|(v, _)| v.ended_at.is_some());
            let over = earlier.count().saturating_sub(EARLIER_VERSIONS_MAX);
            versions.drain(..over);
        }
    }
}

fn gone(existed: bool) -> FilesAck {
    FilesAck {
        info: None,
        existed,
    }
}

impl House {
    async fn store(&self, parts: &[Vec<u8>], by_upload: bool) -> Spooled {
        let files = self.local.files();
        if !by_upload {
            return files.spool(&scribe(), &parts.concat()).await.unwrap();
        }
        let ctx = scribe();
        let mut upload = files.begin_upload(&ctx).await.unwrap();
        for part in parts {
            upload.append(&ctx, part).await.unwrap();
        }
        upload.finish(&ctx).await.unwrap()
    }

    async fn apply_file(&self, ctx: &CallCtx, id: WriteId, write: &FilesWrite) -> Result<FilesAck> {
        self.local.files().apply(ctx, id, write).await
    }
}

async fn run(steps: Vec<Step>) {
    let mut house = House::new();
    let mut model = Model::default();
    let mut latest: Option<(CallCtx, WriteId, FilesWrite, FilesAck)> = None;
    for step in steps {
        let files = house.local.files();
        let mut content = None;
        let write = match step {
            Step::Put {
                path,
                parts,
                by_upload,
                guess,
            } => {
                let spooled = house.store(&parts, by_upload).await;
                content = Some(parts.concat());
                Some(put(&model, PATHS[path], spooled, guess))
            }
            Step::Delete { path } => Some(FilesWrite::Delete {
                path: PATHS[path].to_owned(),
            }),
            Step::Purge { path } => Some(FilesWrite::Purge {
                path: PATHS[path].to_owned(),
            }),
            Step::Restore { path, back } => Some(FilesWrite::Restore {
                path: PATHS[path].to_owned(),
                version: model.back(PATHS[path], back),
            }),
            Step::Abandon { part } => {
                let ctx = scribe();
                let mut upload = files.begin_upload(&ctx).await.unwrap();
                upload.append(&ctx, &part).await.unwrap();
                None
            }
            Step::Get { path, back } => {
                let version = model.back(PATHS[path], back);
                let found = files.get_version(&scribe(), PATHS[path], version).await;
                let expected = model.find(PATHS[path], version);
                assert_eq!(found.unwrap(), expected.map(file));
                let found = files.get(&scribe(), PATHS[path]).await.unwrap();
                assert_eq!(found, model.standing(PATHS[path]).map(file));
                None
            }
            Step::Range { path, offset, len } => {
                let ctx = scribe();
                let part = files.read_range(&ctx, PATHS[path], None, offset, len).await;
                let part = part.unwrap().map(|part| (part.info, part.content));
                let expected = model.standing(PATHS[path]).map(|(version, content)| {
                    let rest = content.iter().skip(usize::try_from(offset).unwrap());
                    let part: Vec<u8> = rest.take(len as usize).copied().collect();
                    (version.info.clone(), part)
                });
                assert_eq!(part, expected);
                None
            }
            Step::List { prefix, limit } => {
                list(&house, &model, PREFIXES[prefix], limit).await;
                None
            }
            Step::Versions { path, limit } => {
                versions(&house, &model, PATHS[path], limit).await;
                None
            }
            Step::Repeat => {
                if let Some((ctx, id, write, ack)) = &latest {
                    let again = house.apply_file(ctx, *id, write).await;
                    assert_eq!(again.unwrap(), *ack);
                }
                None
            }
            Step::Advance { minutes } => {
                house.clock.advance(Duration::from_secs(60 * minutes));
                None
            }
            Step::Reopen => {
                house.reopen().await;
                None
            }
        };
        let Some(write) = write else { continue };
        let ctx = scribe();
        let id = ctx.next_write_id().unwrap();
        let result = house.apply_file(&ctx, id, &write).await;
        let given = result.as_ref().ok().and_then(|ack| ack.info.as_ref());
        let given = given.map(|info| info.version);
        let expected = model.apply(&write, content.as_deref(), given, house.clock.now());
        match expected {
            Ok(ack) => {
                assert_eq!(result.unwrap(), ack, "{write:?}");
                latest = Some((ctx, id, write, ack));
            }
            Err(kind) => assert_eq!(result.unwrap_err().kind(), kind, "{write:?}"),
        }
    }
    list(&house, &model, "", 2).await;
    for path in PATHS {
        versions(&house, &model, path, 3).await;
    }
    usage(&house, &model).await;
}

fn put(model: &Model, path: &str, spooled: Spooled, guess: Guess) -> FilesWrite {
    let actual = model
        .standing(path)
        .map(|(version, _)| version.info.version);
    FilesWrite::Put {
        path: path.to_owned(),
        sha256: spooled.sha256,
        size: spooled.size,
        content_type: "text/plain".to_owned(),
        metadata: vec![("n".to_owned(), model.last_version.to_string())],
        expected: match guess {
            Guess::Any => Expected::Any,
            Guess::Absent => Expected::Absent,
            Guess::Right => actual.map_or(Expected::Absent, Expected::Version),
            Guess::Wrong => Expected::Version(actual.unwrap_or(model.last_version) + 1),
        },
    }
}

fn file((version, content): &(FileVersion, Vec<u8>)) -> File {
    File {
        info: version.info.clone(),
        content: content.clone(),
    }
}

async fn list(house: &House, model: &Model, prefix: &str, limit: u32) {
    let (mut listed, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let files = house.local.files();
        let page = files
            .list(&scribe(), prefix, cursor.as_deref(), limit)
            .await;
        let page = page.unwrap();
        listed.extend(page.files);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    let paths = model.paths.keys().filter(|path| path.starts_with(prefix));
    let expected: Vec<FileInfo> = paths
        .filter_map(|path| model.standing(path))
        .map(|(version, _)| version.info.clone())
        .collect();
    assert_eq!(listed, expected, "listing {prefix:?}");
}

async fn versions(house: &House, model: &Model, path: &str, limit: u32) {
    let (mut listed, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let files = house.local.files();
        let page = files
            .list_versions(&scribe(), path, cursor.as_deref(), limit)
            .await;
        let page = page.unwrap();
        listed.extend(page.versions);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    let kept = model.paths.get(path).into_iter().flatten().rev();
    let expected: Vec<FileVersion> = kept.map(|(version, _)| version.clone()).collect();
    assert_eq!(listed, expected, "versions of {path:?}");
}

/// Counters say what the model holds.
async fn usage(house: &House, model: &Model) {
    let usage = house.usage().await;
    let (ended, standing): (Vec<_>, Vec<_>) = model
        .paths
        .values()
        .flatten()
        .map(|(version, _)| version)
        .partition(|version| version.ended_at.is_some());
    let bytes = |versions: &[&FileVersion]| versions.iter().map(|v| v.info.size).sum::<u64>();
    assert_eq!(usage.files_count, standing.len() as u64);
    assert_eq!(usage.files_bytes, bytes(&standing));
    assert_eq!(usage.file_versions, ended.len() as u64);
    assert_eq!(usage.file_version_bytes, bytes(&ended));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(7),
        ..ProptestConfig::default()
    })]

    #[test]
    fn files_answer_what_a_list_of_versions_answers(steps in vec(step(), 1..100)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(steps));
    }
}
