//! Mailboxes on SQS and S3: SQS says which pair is next and parts the hosts, S3 remembers what has become of each message.
//!
//! A message is a *letter*, one object of S3 that is changed by comparing and swapping ([`letter`], [`shelf`]); for as
//! long as it waits or is held, an empty object tells its *place* in the order of its pair ([`names`]). A *token* in the
//! tenant's FIFO queue says that there is something for a pair ([`queue`]); whoever receives it takes the first letter of
//! that pair. A *mark* says that a tenant has letters ([`marks`]). The letter is the truth, everything else is derived
//! from it and may be there twice or late: ADR 0033.
//!
//! | operation | calls of AWS |
//! | --- | --- |
//! | post | S3 put (letter), put (place), put (mark), SQS send |
//! | take | SQS receive, S3 list (1), get, put; for each message, and one receive that finds nothing |
//! | prolong | S3 put, SQS change visibility |
//! | settle | S3 put, delete (place), SQS delete |
//! | pending | one S3 list for 1,000 tenants |
//!
//! What is read is what was written last. Posts of one pair through two hosts are ordered by these hosts' clocks.

mod desk;
mod held;
mod letter;
mod marks;
mod names;
mod queue;
mod shelf;
mod take;
mod usage;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use moka::future::Cache;
use sha2::{Digest, Sha256};
use stuga_core::a2a::{Address, Mailbox, MailboxAck, MailboxWrite};
use stuga_core::{
    CallCtx, Capability, Error, ErrorKind, Result, TenantId, Timestamp, Write, WriteId,
    next_version,
};

use self::held::Held;
use self::letter::{Letter, Phase, Posted};
use self::marks::Bell;
use self::names::{Pair, Place};
use self::queue::{Queue, Token, is_missing};
use self::shelf::Shelf;
use crate::Shared;
use crate::error::may_have_landed;
use crate::objects::At;
use crate::quota::meter::{Held as Stored, Meter};

/// What the limits of mailboxes are called; bytes have none here.
const LIMITS: [&str; 2] = ["mailbox_messages", "mailbox_bytes"];
/// Longest time of what the runner or the operator asks, all its requests together.
const OPERATION_MAX: Duration = Duration::from_secs(30);
/// Tenants whose queue's address is remembered.
const QUEUES_MAX: u64 = 10_000;

/// What no invocation asked for.
fn asked(operation: &'static str) -> At {
    At::within(operation, OPERATION_MAX)
}

/// The mailboxes of all tenants: as agents post into them, as their runner empties them, and as the operator sees them.
pub struct SqsMail {
    shared: Arc<Shared>,
    held: Held,
    bell: Bell,
    queues: Cache<TenantId, Arc<Queue>>,
    last_place: AtomicU64,
    meter: Meter,
}

/// Makes the queues of a tenant as they must be; that they are there already is no error.
pub(crate) async fn provision(shared: &Shared, tenant: &TenantId) -> Result<()> {
    queue::provision(shared, asked("aws.provision"), tenant).await
}

impl SqsMail {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            meter: Meter::new(usage::Places(Arc::clone(&shared)), LIMITS),
            shared,
            held: Held::default(),
            bell: Bell::default(),
            queues: Cache::new(QUEUES_MAX),
            last_place: AtomicU64::new(0),
        }
    }

    fn now(&self) -> Timestamp {
        self.shared.now()
    }

    fn shelf(&self, tenant: &TenantId) -> Result<Shelf> {
        Shelf::of(&self.shared, tenant)
    }

    async fn queue(&self, at: At, tenant: &TenantId) -> Result<Arc<Queue>> {
        if let Some(known) = self.queues.get(tenant).await {
            return Ok(known);
        }
        let queue = Arc::new(Queue::of(&self.shared, at, tenant).await?);
        self.queues.insert(tenant.clone(), Arc::clone(&queue)).await;
        Ok(queue)
    }

    /// A place behind all that this process gave. Places grow as versions do.
    fn next_place(&self) -> u64 {
        let now = self.now();
        let next = |last: u64| next_version(last, now);
        next(
            self.last_place
                .update(Ordering::Relaxed, Ordering::Relaxed, next),
        )
    }

    /// Holds the receiver to its quota. Tenants who write to another one have half of its room among them.
    ///
    /// # Errors
    /// `QuotaExceeded`; a stranger is not told how much there is.
    async fn admit(&self, ctx: &CallCtx, at: At, to: &TenantId) -> Result<()> {
        let is_stranger = ctx.tenant != *to;
        let mut limit = self.shared.quotas.of(to).mailbox();
        if is_stranger && limit.count != u64::MAX {
            limit.count /= 2;
        }
        let more = Stored { count: 1, bytes: 0 };
        let admitted = self
            .meter
            .admit(at.operation, to, more, limit, at.deadline)
            .await;
        match admitted {
            Err(error) if is_stranger && error.kind() == ErrorKind::QuotaExceeded => {
                Err(Error::quota_exceeded(
                    at.operation,
                    "the other tenant's mailbox takes no more messages now",
                ))
            }
            admitted => admitted,
        }
    }

    /// Makes known that a letter waits: its place, the tenant's mark and a token. Repeating it does no harm.
    async fn announce(&self, at: At, to: &TenantId, letter: &Letter, nonce: &str) -> Result<()> {
        let (shelf, queue) = (self.shelf(to)?, self.queue(at, to).await?);
        let place = place_of(letter);
        shelf.note(at, &place.open()).await?;
        let content = format!("{} {nonce}", letter.id);
        marks::set(&self.shared, at, to, content).await?;
        let token = Token {
            agent: letter.agent.clone(),
            sender: letter.sender.clone(),
            id: letter.id.clone(),
        };
        queue.send(at, &token, nonce).await
    }
}

#[async_trait]
impl Capability for SqsMail {
    type Write = MailboxWrite;

    /// Four requests, the letter first: a repetition finds it and does the rest again. Ids are remembered for as long as
    /// the letter's object is kept, which the bucket's lifecycle rules say: never less than 25 hours after its end.
    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &MailboxWrite) -> Result<MailboxAck> {
        let to = write.check()?;
        let at = At {
            operation: write.operation(),
            deadline: ctx.deadline,
        };
        let MailboxWrite::Post { message, depth, .. } = write;
        let posted = Posted {
            id,
            sender: Address::of(ctx),
            to: to.clone(),
            digest: digest(ctx, write)?,
            message: message.clone(),
            depth: *depth,
        };
        // The receiver's objects and queue, not the sender's: this is the one call of this crate that crosses.
        let shelf = self.shelf(&to.tenant)?;
        let new = Letter::new(posted, self.next_place(), self.now());
        let kept = match self.admit(ctx, at, &to.tenant).await {
            Ok(()) => shelf.add(at, &new).await?,
            // One that is there already takes no room.
            Err(full) => match shelf.read(at, &new.id, &new.sender).await? {
                None => return Err(full),
                kept => kept,
            },
        };
        let letter = match kept {
            None => new,
            Some(kept) if kept.value.digest == new.digest => kept.value,
            Some(_) => return Err(used(at.operation)),
        };
        let ack = MailboxAck {
            id: letter.id.clone(),
        };
        if matches!(letter.phase, Phase::Waiting | Phase::Running) {
            // The letter lies there: whoever looks into the mailbox finds it.
            let announced = self.announce(at, &to.tenant, &letter, "").await;
            announced.map_err(|error| unannounced(at.operation, error))?;
            self.bell.ring(&to.tenant);
        }
        Ok(ack)
    }
}

impl Mailbox for SqsMail {}

fn used(operation: &'static str) -> Error {
    Error::conflict(operation, "another write was made under this id")
}

/// The error of a message whose letter lies there and was not announced.
fn unannounced(operation: &'static str, error: Error) -> Error {
    if !is_missing(&error) {
        return may_have_landed(operation, error);
    }
    let message = format!(
        "the message is kept and nobody takes it yet: {}",
        error.message()
    );
    Error::timeout(operation, message).with_source(error)
}

fn place_of(letter: &Letter) -> Place {
    Place {
        pair: Pair {
            agent: letter.agent.clone(),
            sender: letter.sender.clone(),
        },
        seq: letter.seq,
        id: letter.id.clone(),
    }
}

/// Tells this write from any other under its id, of whatever tenant.
fn digest(ctx: &CallCtx, write: &MailboxWrite) -> Result<String> {
    let whole = serde_json::to_vec(&(Address::of(ctx), write)).map_err(|e| {
        Error::internal(write.operation(), "the message cannot be written").with_source(e)
    })?;
    Ok(hex::encode(Sha256::digest(whole)))
}
