//! The real host, as a component sees it: every call goes through the generated bindings, every record and error is
//! converted here and nowhere else.

use std::time::Duration;

use crate::wit::exports::stuga::agent::agent as exported;
use crate::wit::stuga::agent as host;
use crate::wit::stuga::agent::types::{Error as WitError, ErrorDetail};
use crate::{Agent, Context, Error, ErrorKind, Instance, Origin, Result};

impl From<WitError> for Error {
    fn from(error: WitError) -> Self {
        let (kind, detail) = match error {
            WitError::NotFound(detail) => (ErrorKind::NotFound, detail),
            WitError::Invalid(detail) => (ErrorKind::Invalid, detail),
            WitError::Denied(detail) => (ErrorKind::Denied, detail),
            WitError::Conflict(detail) => (ErrorKind::Conflict, detail),
            WitError::QuotaExceeded(detail) => (ErrorKind::QuotaExceeded, detail),
            WitError::RateLimited(detail) => (ErrorKind::RateLimited, detail),
            WitError::Timeout(detail) => (ErrorKind::Timeout, detail),
            WitError::Unavailable(detail) => (ErrorKind::Unavailable, detail),
            WitError::Internal(detail) => (ErrorKind::Internal, detail),
        };
        Self {
            kind,
            message: detail.message,
            retry_after: detail.retry_after_ms.map(Duration::from_millis),
            context: detail.context,
        }
    }
}

impl From<Error> for WitError {
    fn from(error: Error) -> Self {
        let detail = ErrorDetail {
            message: error.message,
            retry_after_ms: error
                .retry_after
                .map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
            context: error.context,
        };
        match error.kind {
            ErrorKind::NotFound => Self::NotFound(detail),
            ErrorKind::Invalid => Self::Invalid(detail),
            ErrorKind::Denied => Self::Denied(detail),
            ErrorKind::Conflict => Self::Conflict(detail),
            ErrorKind::QuotaExceeded => Self::QuotaExceeded(detail),
            ErrorKind::RateLimited => Self::RateLimited(detail),
            ErrorKind::Timeout => Self::Timeout(detail),
            ErrorKind::Unavailable => Self::Unavailable(detail),
            ErrorKind::Internal => Self::Internal(detail),
        }
    }
}

/// Answers the component's `describe`.
pub fn describe<A: Agent>() -> exported::Description {
    report_panics();
    let skill = |skill: &crate::agent::Skill<A>| {
        let schemas = (skill.schemas)();
        exported::Skill {
            name: skill.name.to_owned(),
            description: skill.description.to_owned(),
            input_schema: schemas.input,
            output_schema: schemas.output,
        }
    };
    exported::Description {
        name: A::NAME.to_owned(),
        version: A::VERSION.to_owned(),
        summary: A::SUMMARY.to_owned(),
        skills: A::skills().entries.iter().map(skill).collect(),
        capabilities: A::CAPABILITIES
            .iter()
            .map(|c| c.as_str().to_owned())
            .collect(),
    }
}

/// Answers the component's `invoke` with the instance in `slot`, which is made at the first call.
pub fn invoke<A: Agent>(
    slot: &mut Option<Instance<A>>,
    invocation: exported::Invocation,
) -> Result<String, WitError> {
    let instance = slot.get_or_insert_with(|| {
        report_panics();
        Instance::new()
    });
    let ctx = Context {
        id: invocation.id,
        skill: invocation.skill,
        session: invocation.session,
        origin: origin(invocation.origin),
        deadline: Duration::from_millis(invocation.deadline_ms),
        extra: invocation.context,
    };
    instance
        .dispatch(&ctx, &invocation.input)
        .map_err(WitError::from)
}

fn origin(origin: exported::Origin) -> Origin {
    match origin {
        exported::Origin::Client => Origin::Client,
        exported::Origin::Message(message) => Origin::Message {
            sender: message.sender,
            message_id: message.message_id,
            expects_reply: message.expects_reply,
        },
        exported::Origin::Job(job) => Origin::Job {
            job_id: job.job_id,
            attempt: job.attempt,
        },
    }
}

/// A panic ends in a trap that knows neither message nor place, so both go into the log before it.
fn report_panics() {
    std::panic::set_hook(Box::new(|info| {
        let message = info.payload_as_str().unwrap_or("panic without a message");
        let place = info.location().map(ToString::to_string);
        let fields: Vec<_> = place
            .into_iter()
            .map(|place| ("place".to_owned(), place))
            .collect();
        log::write(
            crate::log::Level::Error,
            &format!("panicked: {message}"),
            &fields,
        );
    }));
}

pub(crate) mod memory {
    use super::{Result, host::memory as wit};
    use crate::memory::{Item, Page, Version};

    fn item(item: wit::Item) -> Item {
        Item {
            key: item.key,
            value: item.value,
            version: item.version,
            created_at: item.created_at,
            updated_at: item.updated_at,
            expires_at: item.expires_at,
        }
    }

    pub(crate) fn get(key: &str) -> Result<Option<Item>> {
        Ok(wit::get(key)?.map(item))
    }

    pub(crate) fn put(key: &str, value: &[u8], ttl_ms: Option<u64>) -> Result<Version> {
        Ok(wit::put(key, value, ttl_ms)?)
    }

    pub(crate) fn compare_and_set(
        key: &str,
        expected: Option<Version>,
        value: &[u8],
        ttl_ms: Option<u64>,
    ) -> Result<Version> {
        Ok(wit::compare_and_set(key, expected, value, ttl_ms)?)
    }

    pub(crate) fn delete(key: &str) -> Result<bool> {
        Ok(wit::delete(key)?)
    }

    pub(crate) fn list(prefix: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
        let page = wit::list(prefix, cursor, limit)?;
        Ok(Page {
            items: page.items.into_iter().map(item).collect(),
            next_cursor: page.next_cursor,
        })
    }
}

pub(crate) mod files {
    use super::{Result, host::files as wit};
    use crate::files::{
        Expected, File, FileInfo, FileVersion, Page, Part, PutOptions, VersionPage,
    };

    fn info(info: wit::Info) -> FileInfo {
        FileInfo {
            path: info.path,
            size: info.size,
            content_type: info.content_type,
            sha256: info.sha256,
            version: info.version,
            created_at: info.created_at,
            updated_at: info.updated_at,
            metadata: info.metadata,
        }
    }

    fn file(file: wit::File) -> File {
        File {
            info: info(file.info),
            content: file.content,
        }
    }

    fn options(options: &PutOptions) -> wit::PutOptions {
        wit::PutOptions {
            content_type: options.content_type.clone(),
            metadata: options.metadata.clone(),
            expected: match options.expected {
                Expected::Any => wit::Expected::Any,
                Expected::Absent => wit::Expected::Absent,
                Expected::Version(version) => wit::Expected::Version(version),
            },
        }
    }

    pub(crate) fn put(path: &str, content: &[u8], given: &PutOptions) -> Result<FileInfo> {
        Ok(info(wit::put(path, content, &options(given))?))
    }

    /// The host's handle; dropping it ends the upload.
    #[derive(Debug)]
    pub(crate) struct Upload(wit::Upload);

    impl Upload {
        pub(crate) fn begin(path: &str) -> Result<Self> {
            Ok(Self(wit::begin_upload(path)?))
        }

        pub(crate) fn append(&self, part: &[u8]) -> Result<()> {
            Ok(self.0.append(part)?)
        }

        pub(crate) fn finish(&self, given: &PutOptions) -> Result<FileInfo> {
            Ok(info(self.0.finish(&options(given))?))
        }
    }

    pub(crate) fn get(path: &str) -> Result<Option<File>> {
        Ok(wit::get(path)?.map(file))
    }

    pub(crate) fn stat(path: &str) -> Result<Option<FileInfo>> {
        Ok(wit::stat(path)?.map(info))
    }

    pub(crate) fn list(prefix: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
        let page = wit::list(prefix, cursor, limit)?;
        Ok(Page {
            files: page.files.into_iter().map(info).collect(),
            next_cursor: page.next_cursor,
        })
    }

    pub(crate) fn delete(path: &str) -> Result<bool> {
        Ok(wit::delete(path)?)
    }

    pub(crate) fn list_versions(
        path: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<VersionPage> {
        let page = wit::list_versions(path, cursor, limit)?;
        let version = |version: wit::FileVersion| FileVersion {
            info: info(version.info),
            ended_at: version.ended_at,
        };
        Ok(VersionPage {
            versions: page.versions.into_iter().map(version).collect(),
            next_cursor: page.next_cursor,
        })
    }

    pub(crate) fn get_version(path: &str, version: u64) -> Result<Option<File>> {
        Ok(wit::get_version(path, version)?.map(file))
    }

    pub(crate) fn restore(path: &str, version: u64) -> Result<FileInfo> {
        Ok(info(wit::restore(path, version)?))
    }

    pub(crate) fn purge(path: &str) -> Result<bool> {
        Ok(wit::purge(path)?)
    }

    pub(crate) fn read_range(
        path: &str,
        version: Option<u64>,
        offset: u64,
        len: u32,
    ) -> Result<Option<Part>> {
        let part = wit::read_range(path, version, offset, len)?;
        Ok(part.map(|part| Part {
            info: info(part.info),
            content: part.content,
        }))
    }
}

pub(crate) mod sessions {
    use std::time::Duration;

    use super::{Result, host::sessions as wit};
    use crate::sessions::{Appended, CreateOptions, Event, Order, Page, Role, Session};

    fn session(session: wit::Session) -> Session {
        Session {
            actor: session.actor,
            id: session.id,
            metadata: session.metadata,
            created_at: session.created_at,
            expires_at: session.expires_at,
            closed_at: session.closed_at,
        }
    }

    /// What a later host may add is [`Role::Other`].
    fn role(name: &str) -> Role {
        [Role::User, Role::Assistant, Role::Tool]
            .into_iter()
            .find(|role| role.as_str() == name)
            .unwrap_or(Role::Other)
    }

    fn event(event: wit::Event) -> Event {
        Event {
            id: event.id,
            role: role(&event.role),
            content: event.content,
            metadata: event.metadata,
            time: event.time,
        }
    }

    pub(crate) fn create(actor: &str, options: &CreateOptions) -> Result<Session> {
        let ttl = options.ttl.as_ref().map(Duration::as_millis);
        let ttl = ttl.map(|ttl| u64::try_from(ttl).unwrap_or(u64::MAX));
        let created = wit::create(actor, options.id.as_deref(), ttl, &options.metadata)?;
        Ok(session(created))
    }

    pub(crate) fn get(actor: &str, id: &str) -> Result<Option<Session>> {
        Ok(wit::get(actor, id)?.map(session))
    }

    pub(crate) fn list(actor: &str, cursor: Option<&str>, limit: u32) -> Result<Page<Session>> {
        let page = wit::list(actor, cursor, limit)?;
        Ok(Page {
            entries: page.sessions.into_iter().map(session).collect(),
            next_cursor: page.next_cursor,
        })
    }

    pub(crate) fn append(
        actor: &str,
        session: &str,
        role: Role,
        content: &str,
        metadata: &[(String, String)],
    ) -> Result<Appended> {
        let appended = wit::append(actor, session, role.as_str(), content, metadata)?;
        Ok(Appended {
            id: appended.id,
            time: appended.time,
        })
    }

    pub(crate) fn events(
        actor: &str,
        session: &str,
        order: Order,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Event>> {
        let order = match order {
            Order::OldestFirst => wit::Order::OldestFirst,
            Order::NewestFirst => wit::Order::NewestFirst,
        };
        let page = wit::events(actor, session, order, cursor, limit)?;
        Ok(Page {
            entries: page.events.into_iter().map(event).collect(),
            next_cursor: page.next_cursor,
        })
    }

    pub(crate) fn close(actor: &str, session: &str) -> Result<bool> {
        Ok(wit::close(actor, session)?)
    }

    pub(crate) fn delete(actor: &str, session: &str) -> Result<bool> {
        Ok(wit::delete(actor, session)?)
    }
}

pub(crate) mod records {
    use super::{Result, host::records as wit};
    use crate::records::{Hit, Page, Record, Stored};

    fn record(entry: wit::Entry) -> Record {
        Record {
            namespace: entry.namespace,
            id: entry.id,
            text: entry.text,
            metadata: entry.metadata,
            version: entry.version,
            created_at: entry.created_at,
            updated_at: entry.updated_at,
        }
    }

    pub(crate) fn put(
        namespace: &str,
        id: Option<&str>,
        text: &str,
        metadata: &[(String, String)],
    ) -> Result<Stored> {
        let stored = wit::put(namespace, id, text, metadata)?;
        Ok(Stored {
            id: stored.id,
            version: stored.version,
        })
    }

    pub(crate) fn get(namespace: &str, id: &str) -> Result<Option<Record>> {
        Ok(wit::get(namespace, id)?.map(record))
    }

    pub(crate) fn delete(namespace: &str, id: &str) -> Result<bool> {
        Ok(wit::delete(namespace, id)?)
    }

    pub(crate) fn list(under: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
        let page = wit::list(under, cursor, limit)?;
        Ok(Page {
            records: page.entries.into_iter().map(record).collect(),
            next_cursor: page.next_cursor,
        })
    }

    pub(crate) fn recall(under: &str, query: &str, k: u32) -> Result<Vec<Hit>> {
        let hits = wit::recall(under, query, k)?.into_iter();
        Ok(hits
            .map(|hit| Hit {
                record: record(hit.entry),
                score: hit.score,
            })
            .collect())
    }
}

pub(crate) mod log {
    use super::host::log as wit;
    use crate::log::Level;

    pub(crate) fn write(level: Level, message: &str, fields: &[(String, String)]) {
        let level = match level {
            Level::Trace => wit::Level::Trace,
            Level::Debug => wit::Level::Debug,
            Level::Info => wit::Level::Info,
            Level::Warn => wit::Level::Warn,
            Level::Error => wit::Level::Error,
        };
        wit::write(level, message, fields);
    }
}

pub(crate) mod output {
    use super::{Result, host::output as wit};

    pub(crate) fn emit(json: &str) -> Result<()> {
        Ok(wit::emit(json)?)
    }
}

pub(crate) mod clock {
    pub(crate) use super::host::clock::{elapsed, now};
}

pub(crate) mod random {
    pub(crate) use super::host::random::{bytes, next_u64};
}

pub(crate) mod config {
    pub(crate) use super::host::config::get;
}
