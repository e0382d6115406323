//! What files have besides reads and writes: contents that are spooled before a write names them.
//!
//! With two sides a content goes to both at once, so that either can take the write that names it. A cloud that goes away
//! in the middle is left out: [`FileCarrier`] brings the content there when it is back. This host is left out when it cannot
//! keep the content, as on a full disk, and the cloud can.

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::{OptionFuture, join};
use serde_json::Value;
use stuga_core::files::{Contents, Files, FilesAck, FilesWrite, RANGE_MAX_BYTES, Spooled, Upload};
use stuga_core::tape::{Turn, read, taped};
use stuga_core::{CallCtx, Error, Result};

use crate::Failover;
use crate::failover::Serving;
use crate::modes::Mode;
use crate::route::{Tried, Way};
use crate::sides::{Carrier, Sides};

impl Failover<dyn Files> {
    /// Makes a content durable, so that a put can name it.
    ///
    /// # Errors
    /// As [`Failover::read`].
    pub async fn spool(&self, ctx: &CallCtx, content: &[u8]) -> Result<Spooled> {
        const OPERATION: &str = "files.spool";
        let spool = || async move {
            ctx.check_deadline(OPERATION)?;
            self.pass(ctx, OPERATION).await?;
            match self.serving() {
                Serving::One { backend, .. } => backend.spool(ctx, content).await,
                Serving::Two(sides) => {
                    let there = sides.ask_cloud(ctx, OPERATION, sides.cloud.spool(ctx, content));
                    let (here, there) = join(sides.local.spool(ctx, content), there).await;
                    both(OPERATION, Some(here), there)
                }
            }
        };
        taped(ctx, OPERATION, content, spool).await
    }

    /// Begins a content that comes in parts.
    ///
    /// # Errors
    /// As [`Failover::read`].
    pub async fn begin_upload(&self, ctx: &CallCtx) -> Result<Box<dyn Upload>> {
        const OPERATION: &str = "files.begin-upload";
        let begin = || async move {
            ctx.check_deadline(OPERATION)?;
            self.pass(ctx, OPERATION).await?;
            match self.serving() {
                Serving::One { backend, .. } => backend.begin_upload(ctx).await,
                Serving::Two(sides) => {
                    let there = sides.ask_cloud(ctx, OPERATION, sides.cloud.begin_upload(ctx));
                    let (here, there) = join(sides.local.begin_upload(ctx), there).await;
                    let cloud = there.transpose()?;
                    let local = match here {
                        Err(error) if cloud.is_some() => left_out(OPERATION, error).map(|()| None),
                        here => here.map(Some),
                    };
                    Ok(Box::new(Two {
                        local: local?,
                        cloud,
                        sides: Arc::clone(sides),
                    }) as Box<dyn Upload>)
                }
            }
        };
        let Some(tape) = &ctx.tape else {
            return begin().await;
        };
        let upload = match tape.begin(OPERATION, Value::Null.to_string()) {
            Turn::Ask(slot) => {
                let begun = begin().await;
                tape.end(slot, begun.as_ref().map(|_| Value::Null.to_string()));
                Some(begun?)
            }
            Turn::Answer(answer) => {
                read::<()>(OPERATION, answer)?;
                None
            }
            Turn::Silence => std::future::pending().await,
        };
        Ok(Box::new(Taped(upload)))
    }
}

impl Sides<dyn Files> {
    /// Has the cloud do something before a write; none when it is away or not to be asked.
    async fn ask_cloud<T>(
        &self,
        ctx: &CallCtx,
        operation: &'static str,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Option<Result<T>> {
        if self.route().mode(&ctx.tenant) != Mode::Cloud {
            return None;
        }
        match self.route().ask_for(ctx) {
            Way::Cloud(attempt) => match attempt.make(operation, call).await {
                Tried::Answered(answer) => Some(answer),
                Tried::Away(_) => None,
            },
            Way::Local(_) => None,
        }
    }
}

/// What this host answers, unless the cloud refuses; what the cloud answers when this host cannot keep the content.
fn both<T>(
    operation: &'static str,
    here: Option<Result<T>>,
    there: Option<Result<T>>,
) -> Result<T> {
    match (here, there.transpose()?) {
        (Some(Err(error)), Some(there)) => left_out(operation, error).map(|()| there),
        (Some(here), _) => here,
        (None, Some(there)) => Ok(there),
        (None, None) => Err(Error::unavailable(
            operation,
            "neither the cloud nor this host holds the whole content; send it again",
        )),
    }
}

/// Goes on without this host, whose copy then misses the content; a refusal stands.
fn left_out(operation: &'static str, error: Error) -> Result<()> {
    if !error.kind().is_outage() {
        return Err(error);
    }
    tracing::warn!(operation, %error, "this host cannot keep a content that the cloud has");
    Ok(())
}

/// An upload to both sides.
struct Two {
    /// None once it does not hold what the other side was acknowledged for. Dropped unfinished it leaves nothing there.
    local: Option<Box<dyn Upload>>,
    cloud: Option<Box<dyn Upload>>,
    sides: Arc<Sides<dyn Files>>,
}

#[async_trait]
impl Upload for Two {
    async fn append(&mut self, ctx: &CallCtx, part: &[u8]) -> Result<()> {
        const OPERATION: &str = "files.upload.append";
        let (here, there) = self
            .on_both(|upload| upload.append(ctx, part), ctx, OPERATION)
            .await;
        let took = |side: &Option<Result<()>>| side.as_ref().map(Result::is_ok);
        let (here_took, there_took) = (took(&here), took(&there));
        let appended = both(OPERATION, here, there);
        // The same parts are on all sides that go on.
        if here_took != Some(appended.is_ok()) {
            self.local = None;
        }
        if there_took != Some(appended.is_ok()) {
            self.cloud = None;
        }
        appended
    }

    async fn finish(&mut self, ctx: &CallCtx) -> Result<Spooled> {
        const OPERATION: &str = "files.upload.finish";
        let (here, there) = self
            .on_both(|upload| upload.finish(ctx), ctx, OPERATION)
            .await;
        both(OPERATION, here, there)
    }
}

impl Two {
    /// What the sides answer that take part.
    async fn on_both<'a, T, Fut>(
        &'a mut self,
        call: impl Fn(&'a mut Box<dyn Upload>) -> Fut,
        ctx: &CallCtx,
        operation: &'static str,
    ) -> (Option<Result<T>>, Option<Result<T>>)
    where
        Fut: Future<Output = Result<T>> + Send + 'a,
    {
        let sides = &self.sides;
        let here: OptionFuture<_> = self.local.as_mut().map(&call).into();
        let there: OptionFuture<_> = self
            .cloud
            .as_mut()
            .map(|cloud| sides.ask_cloud(ctx, operation, call(cloud)))
            .into();
        let (here, there) = join(here, there).await;
        (here, there.flatten())
    }
}

/// Largest content in bytes that is sent sooner than the cloud says that it is missing, which takes several requests.
const LIGHT_MAX_BYTES: u64 = 256 << 10;

/// Brings contents from this host to the cloud.
pub struct FileCarrier {
    contents: Arc<dyn Contents>,
    cloud: Arc<dyn Files>,
}

impl FileCarrier {
    /// From `contents`, which this host keeps, to `cloud`.
    pub fn new(contents: Arc<dyn Contents>, cloud: Arc<dyn Files>) -> Self {
        Self { contents, cloud }
    }
}

#[async_trait]
impl Carrier<FilesWrite> for FileCarrier {
    async fn carry(&self, ctx: &CallCtx, write: &FilesWrite, ack: Option<&FilesAck>) -> Result<()> {
        const OPERATION: &str = "files.carry";
        let info = ack.and_then(|ack| ack.info.as_ref());
        let content = match (write, info) {
            (_, Some(info)) => Spooled {
                sha256: info.sha256.clone(),
                size: info.size,
            },
            (FilesWrite::Put { sha256, size, .. }, None) => Spooled {
                sha256: sha256.clone(),
                size: *size,
            },
            _ => return Ok(()),
        };
        let mut upload = self.cloud.begin_upload(ctx).await?;
        let len = u32::try_from(RANGE_MAX_BYTES).unwrap_or(u32::MAX);
        let mut offset = 0;
        while offset < content.size {
            let part = self.contents.content(ctx, &content, offset, len).await?;
            let part = part.filter(|part| !part.is_empty()).ok_or_else(|| {
                Error::not_found(OPERATION, "the content is not kept on this host either")
            })?;
            upload.append(ctx, &part).await?;
            offset += part.len() as u64;
        }
        let carried = upload.finish(ctx).await?;
        if carried != content {
            // Such as an empty one under another digest: nothing of it had to be read.
            let message = "no content of this digest and size is kept";
            return Err(Error::not_found(OPERATION, message));
        }
        Ok(())
    }

    fn is_light(&self, write: &FilesWrite) -> bool {
        matches!(write, FilesWrite::Put { size, .. } if *size <= LIGHT_MAX_BYTES)
    }
}

/// An upload on a tape; without one behind it when the tape is played.
struct Taped(Option<Box<dyn Upload>>);

impl Taped {
    fn behind(&mut self, operation: &'static str) -> Result<&mut Box<dyn Upload>> {
        let missing = || Error::internal(operation, "the upload stands on a tape that is over");
        self.0.as_mut().ok_or_else(missing)
    }
}

#[async_trait]
impl Upload for Taped {
    async fn append(&mut self, ctx: &CallCtx, part: &[u8]) -> Result<()> {
        const OPERATION: &str = "files.upload.append";
        let append = || async move { self.behind(OPERATION)?.append(ctx, part).await };
        taped(ctx, OPERATION, part, append).await
    }

    async fn finish(&mut self, ctx: &CallCtx) -> Result<Spooled> {
        const OPERATION: &str = "files.upload.finish";
        let finish = || async move { self.behind(OPERATION)?.finish(ctx).await };
        taped(ctx, OPERATION, &(), finish).await
    }
}
