//! The contract of a side that takes over what another one acknowledged: [`crate::standby::Replica`].
//!
//! Generic over the sides: any backend may acknowledge, any replica may take over, so that the same cases prove a local copy
//! that follows the cloud and a cloud that catches up with this host. Both sides live by the fixture's clock. There is a
//! module of cases for each capability.

pub mod files;
pub mod memory;
pub mod records;
pub mod search;
pub mod sessions;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::suite::Fixture;
use crate::standby::{Adopted, Made, Replica};
use crate::{CallCtx, Capability, Clock, Result, Write, WriteId, next_version};

/// Two sides of a capability: one that acknowledges, one that takes over.
pub struct Sides<C: ?Sized, W: Write> {
    /// The side that acknowledges.
    pub from: Arc<C>,
    /// The side that takes over: what it reads, and what it writes itself later.
    pub to: Arc<C>,
    /// The side that takes over, taking over.
    pub adopts: Arc<dyn Replica<W>>,
    last_stamp: AtomicU64,
}

impl<C: ?Sized, W: Write> Sides<C, W> {
    /// Two sides, both empty. `to` and `adopts` are the same one.
    pub fn new(from: Arc<C>, to: Arc<C>, adopts: Arc<dyn Replica<W>>) -> Self {
        Self {
            from,
            to,
            adopts,
            last_stamp: AtomicU64::new(0),
        }
    }
}

/// A write with what the one side made of it.
struct Acknowledged<W: Write> {
    ctx: CallCtx,
    id: WriteId,
    write: W,
    made: Made<W::Ack>,
}

/// A new invocation of the tenant and agent that a case uses when it does not matter which.
fn ctx() -> CallCtx {
    super::ctx("acme", "scribe")
}

impl<C, W> Fixture<Sides<C, W>>
where
    C: ?Sized + Capability<Write = W>,
    W: Write,
{
    /// Has the one side acknowledge a write, in an invocation of its own and a millisecond of its own.
    async fn make(&self, write: W) -> Acknowledged<W> {
        self.make_as(ctx(), write).await
    }

    async fn make_as(&self, ctx: CallCtx, write: W) -> Acknowledged<W> {
        let id = ctx.next_write_id().unwrap();
        self.make_under(ctx, id, write).await
    }

    /// The same under an id that the other side may know already.
    async fn make_under(&self, ctx: CallCtx, id: WriteId, write: W) -> Acknowledged<W> {
        self.tick();
        let ack = self.backend.from.apply(&ctx, id, &write).await.unwrap();
        let at = self.clock.now();
        let last = self.backend.last_stamp.load(Ordering::SeqCst);
        let stamp = next_version(last.max(W::version(&ack)), at);
        self.backend.last_stamp.store(stamp, Ordering::SeqCst);
        let made = Made { ack, stamp, at };
        Acknowledged {
            ctx,
            id,
            write,
            made,
        }
    }

    async fn try_adopt(&self, done: &Acknowledged<W>) -> Result<Adopted> {
        let Acknowledged {
            ctx,
            id,
            write,
            made,
        } = done;
        self.backend.adopts.adopt(ctx, *id, write, made).await
    }

    /// Has the other side take over what was acknowledged.
    async fn adopt(&self, done: &Acknowledged<W>) -> Adopted {
        self.try_adopt(done).await.unwrap()
    }

    /// Has the other side take over a write that stands there afterwards.
    async fn stands(&self, done: &Acknowledged<W>) {
        assert_eq!(self.adopt(done).await, Adopted::Stands, "{:?}", done.write);
    }

    /// Has the one side acknowledge a write and the other take it over.
    async fn follow(&self, write: W) -> Acknowledged<W> {
        let done = self.make(write).await;
        self.stands(&done).await;
        done
    }

    /// Has the side that takes over make a write of its own.
    async fn make_there(&self, write: W) -> W::Ack {
        let ctx = ctx();
        let id = ctx.next_write_id().unwrap();
        self.backend.to.apply(&ctx, id, &write).await.unwrap()
    }

    fn tick(&self) {
        self.clock.advance(Duration::from_millis(1));
    }
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    /// A number below `sides`.
    fn roll(&mut self, sides: usize) -> usize {
        // The generator of Knuth's MMIX; its upper bits are the good ones.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    /// Brings `things` into another order.
    fn shuffle<T>(&mut self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            things.swap(last, self.roll(last + 1));
        }
    }
}
