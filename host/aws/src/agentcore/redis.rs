//! The connection to Redis: one for all tenants, made when it is first needed and again after it broke.

use std::future::Future;
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, IntoConnectionInfo, RedisError, RedisResult, TlsCertificates};
use secrecy::ExposeSecret;
use stuga_core::{CallCtx, Error, Result};
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout_at};

use crate::config::MemoryConfig;
use crate::error::{CLOUD, UNREACHABLE, is_asking};

/// Longest wait for a connection and for an answer. Redis answers within a millisecond or is not well.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Attempts to connect before a call says that it cannot.
const CONNECT_RETRIES: usize = 1;

/// Redis, as the hosts share it.
pub(crate) struct Redis {
    client: Client,
    manager: OnceCell<ConnectionManager>,
}

impl Redis {
    /// The Redis of the configuration. The password and the certificates are read now; nothing is connected before the first
    /// command.
    ///
    /// # Errors
    /// `Invalid` naming the setting that is wrong.
    pub(crate) fn open(config: &MemoryConfig) -> Result<Self> {
        let wrong = |setting: &'static str, what: &'static str| {
            move |error: RedisError| {
                Error::invalid("aws.open", format!("`{setting}` must be {what}"))
                    .with_context("setting", setting)
                    .with_source(error)
            }
        };
        let login = config.redis_access.read()?;
        let address = config.redis.as_str().into_connection_info();
        let what =
            "redis:// or rediss:// and a host, with a port and a number of a database if need be";
        let address = address.map_err(wrong("aws.memory.redis", what))?;
        let mut settings = address.redis_settings().clone();
        if let Some(user) = login.user {
            settings = settings.set_username(user);
        }
        if let Some(password) = login.password {
            settings = settings.set_password(password.expose_secret());
        }
        let address = address.set_redis_settings(settings);
        let client = match login.ca {
            None => Client::open(address),
            Some(ca) => Client::build_with_tls(
                address,
                TlsCertificates {
                    client_tls: None,
                    root_cert: Some(ca),
                },
            ),
        };
        let what = "a file with certificates in PEM";
        Ok(Self {
            client: client.map_err(wrong("aws.memory.redis_access.ca_file", what))?,
            manager: OnceCell::new(),
        })
    }

    /// A connection that many share; its commands go out in the order in which they are made.
    ///
    /// # Errors
    /// `Unavailable` when Redis cannot be reached, `Timeout` when it does not answer or the call's time is up.
    pub(crate) async fn connection(
        &self,
        ctx: &CallCtx,
        operation: &'static str,
    ) -> Result<ConnectionManager> {
        self.connection_until(ctx.deadline, operation).await
    }

    /// The same for what no invocation asked for.
    ///
    /// # Errors
    /// As [`Redis::connection`].
    pub(crate) async fn connection_until(
        &self,
        deadline: Instant,
        operation: &'static str,
    ) -> Result<ConnectionManager> {
        let connect = async {
            let config = ConnectionManagerConfig::new()
                .set_number_of_retries(CONNECT_RETRIES)
                .set_connection_timeout(Some(TIMEOUT))
                .set_response_timeout(Some(TIMEOUT));
            ConnectionManager::new_with_config(self.client.clone(), config).await
        };
        let manager = self.manager.get_or_try_init(|| connect);
        until(deadline, operation, manager).await.cloned()
    }

    /// Asks whether Redis serves; changes and reads nothing.
    ///
    /// # Errors
    /// As [`Redis::connection`].
    pub(crate) async fn ping(&self, deadline: Instant, operation: &'static str) -> Result<()> {
        let mut connection = self.connection_until(deadline, operation).await?;
        let ping = redis::cmd("PING");
        let answer = ping.query_async::<String>(&mut connection);
        until(deadline, operation, answer).await.map(drop)
    }

    /// Removes all keys that match a pattern of Redis's, looking at `count` of all there are at a time. Those that are made
    /// meanwhile may stay.
    ///
    /// # Errors
    /// As [`Redis::connection`]; what was removed until then is gone.
    pub(crate) async fn remove_matching(
        &self,
        pattern: &str,
        count: usize,
        operation: &'static str,
    ) -> Result<()> {
        let soon = || Instant::now() + TIMEOUT;
        let mut connection = self.connection_until(soon() + TIMEOUT, operation).await?;
        let mut cursor: u64 = 0;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(pattern);
            scan.arg("COUNT").arg(count);
            let scanned = scan.query_async::<(u64, Vec<Vec<u8>>)>(&mut connection);
            let (next, keys) = until(soon(), operation, scanned).await?;
            if !keys.is_empty() {
                let mut unlink = redis::cmd("UNLINK");
                unlink.arg(keys);
                let unlinked = unlink.query_async::<u64>(&mut connection);
                until(soon(), operation, unlinked).await?;
            }
            cursor = next;
            if cursor == 0 {
                return Ok(());
            }
        }
    }
}

/// Waits for an answer of Redis, at most until the call's deadline.
///
/// # Errors
/// As [`Redis::connection`]; `Internal` when Redis refuses a command of this host.
pub(crate) async fn within<T>(
    ctx: &CallCtx,
    operation: &'static str,
    answer: impl Future<Output = RedisResult<T>>,
) -> Result<T> {
    until(ctx.deadline, operation, answer).await
}

/// The same for what no invocation asked for.
///
/// # Errors
/// As [`within`].
pub(crate) async fn until<T>(
    deadline: Instant,
    operation: &'static str,
    answer: impl Future<Output = RedisResult<T>>,
) -> Result<T> {
    if Instant::now() >= deadline {
        return Err(crate::error::deadline_passed(operation));
    }
    timeout_at(deadline, answer)
        .await
        .map_err(|_| crate::error::deadline_passed(operation))?
        .map_err(|error| classify(operation, error))
}

/// Whether Redis, and not AgentCore, is what an operation failed for.
pub(crate) fn is_cause(error: &Error) -> bool {
    error.kind().is_outage()
        && std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<RedisError>)
}

fn classify(operation: &'static str, error: RedisError) -> Error {
    use redis::{ErrorKind, ServerErrorKind};
    if error.is_timeout() {
        return Error::timeout(operation, "the cache of the hosts did not answer in time")
            .with_source(error);
    }
    // Of who has shown no password Redis does not even read a command of more than ten arguments, and says so in other words.
    let is_unread = error
        .detail()
        .is_some_and(|words| words.contains("unauthenticated"));
    let is_shut_out = error.kind() == ErrorKind::AuthenticationFailed
        || matches!(error.code(), Some("NOAUTH" | "WRONGPASS"));
    if is_shut_out || is_unread {
        tracing::warn!(operation, %error, fix = "check `aws.memory.redis_access`", "Redis does not let this host in");
        return Error::unavailable(
            operation,
            "the cache of the hosts does not accept this host's password; the operator checks `aws.memory.redis_access`",
        )
        .with_source(error);
    }
    let wrong = matches!(
        error.kind(),
        ErrorKind::Client
            | ErrorKind::InvalidClientConfig
            | ErrorKind::UnexpectedReturnType
            | ErrorKind::Server(
                ServerErrorKind::ResponseError
                    | ServerErrorKind::NoScript
                    | ServerErrorKind::CrossSlot
                    | ServerErrorKind::NoPerm
            )
    );
    if wrong {
        tracing::error!(operation, %error, "Redis refuses a command of this host");
        return Error::internal(operation, "the cache of the hosts refused a command")
            .with_source(error);
    }
    // Out of reach, out of memory, in the middle of a failover.
    if !is_asking(operation) {
        tracing::warn!(operation, %error, "Redis cannot serve");
    }
    let away = Error::unavailable(operation, "the cache of the hosts cannot serve");
    match error.is_io_error() || error.is_connection_dropped() {
        true => away.with_context(CLOUD, UNREACHABLE),
        false => away,
    }
    .with_source(error)
}
