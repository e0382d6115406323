//! What a host need not find: a session into which, as far as its clients were told, only other hosts wrote. The cloud has it,
//! and while the cloud is away this host says that there is none (docs/adr/0042). With one host there is no such session.

use std::collections::HashMap;

use crate::history::Event;
use crate::words::{Action, Outcome, Store, Thing};

/// The problem that tells that there is no such thing.
pub(super) const NOT_FOUND: &str = "not-found";
/// What a host says of a session that it looked for in its own store. The cloud has other words for it.
const LOOKED_HERE: &str = "the actor has no session of that id, or it has expired; create it first";

/// An append: through which host, when it was begun, and when it was acknowledged, if it was.
type Append = (u32, u64, Option<u64>);

/// Who wrote into which session.
pub(super) struct Apart<'h> {
    /// Through which host an operation went, and of what it was.
    ops: HashMap<u64, (u32, &'h Thing)>,
    appends: HashMap<&'h Thing, Vec<Append>>,
}

impl<'h> Apart<'h> {
    pub(super) fn of(history: &'h [Event]) -> Self {
        let acked = |event: &Event| match event {
            Event::End {
                op,
                at,
                outcome: Outcome::Written(_),
                ..
            } => Some((*op, *at)),
            _ => None,
        };
        let acked: HashMap<u64, u64> = history.iter().filter_map(acked).collect();
        let mut ops = HashMap::new();
        let mut appends: HashMap<&Thing, Vec<_>> = HashMap::new();
        for event in history {
            if let Event::Begin {
                op,
                at,
                host,
                thing,
                action,
                ..
            } = event
            {
                ops.insert(*op, (*host, thing));
                if matches!(action, Action::Append { .. }) {
                    let append = (*host, *at, acked.get(op).copied());
                    appends.entry(thing).or_default().push(append);
                }
            }
        }
        Self { ops, appends }
    }

    /// Whether an attempt failed because its host looked in its own store for a session that another host may have begun, and
    /// into which nobody was told, before the attempt was begun, to have written through this one.
    pub(super) fn explains(&self, event: &Event) -> bool {
        let Event::Trouble {
            op,
            began,
            at,
            why,
            detail,
            ..
        } = event
        else {
            return false;
        };
        let Some((host, thing)) = self.ops.get(op) else {
            return false;
        };
        let told = why == NOT_FOUND && detail.contains(LOOKED_HERE);
        if !told || thing.store != Store::Sessions {
            return false;
        }
        let appends = self.appends.get(thing).map_or(&[][..], Vec::as_slice);
        let elsewhere = |(by, begun, _): &(u32, u64, Option<u64>)| by != host && begun < at;
        let here = |(by, _, acked): &(u32, u64, Option<u64>)| {
            by == host && acked.is_some_and(|acked| acked < *began)
        };
        appends.iter().any(elsewhere) && !appends.iter().any(here)
    }
}
