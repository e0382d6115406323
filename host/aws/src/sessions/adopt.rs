//! What becomes of writes to sessions that another side has acknowledged.
//!
//! A session is one by its id, whichever side began it: what both sides said in it is in it, each event at its own place. The
//! later beginning says its metadata, time to live and place in listings. It is gone when it was deleted after its latest
//! beginning, with all that was said, and closed from the first close on. An event of the other side that is not in it by then
//! comes too late.

use bytes::Bytes;
use stuga_core::sessions::{SessionAck, SessionWrite};
use stuga_core::standby::Made;
use stuga_core::{Result, Timestamp};

use super::absent;
use super::rules::within;
use crate::adopted::mismatched;
use crate::agentcore::draft::{Draft, Seen, Verdict};
use crate::agentcore::entry::{Entry, Kind};
use crate::agentcore::stream::Content;

/// A write that another side has acknowledged.
pub(super) struct Taken<'t> {
    pub(super) operation: &'static str,
    pub(super) write: &'t SessionWrite,
    /// The session's id.
    pub(super) name: String,
    pub(super) made: &'t Made<SessionAck>,
    /// Where it stands among all writes.
    pub(super) stamp: u64,
    /// Where what was begun or said stands in listings.
    pub(super) place: u64,
    pub(super) now: Timestamp,
}

impl Taken<'_> {
    /// Decides by the end of the session's stream.
    ///
    /// # Errors
    /// `NotFound` when there never was such a session; `Invalid` when the answer is another write's.
    pub(super) fn judge(&self, seen: &Seen<'_>, data: Bytes) -> Result<Verdict> {
        let live = seen.head.filter(|head| head.is_live(self.now));
        // What belongs to a session of that name before this one does not count.
        let current = seen.head.map(|head| head.incarnation);
        let found = seen
            .found
            .filter(|found| Some(found.incarnation) == current && found.kind != Kind::Delete);
        match (self.write, &self.made.ack) {
            (SessionWrite::Create { .. }, SessionAck::Created { at, expires_at, .. }) => {
                let content = Content { said: None, data };
                Ok(self.create(seen.head, live, found, *at, *expires_at, content))
            }
            (SessionWrite::Append { role, content, .. }, SessionAck::Appended { at, .. }) => {
                let content = Content {
                    said: Some((*role, content.clone())),
                    data,
                };
                self.append(seen.head, live, found, *at, content)
            }
            (SessionWrite::Close { .. }, SessionAck::Closed { was_open }) => {
                self.close(seen.head, live, found, *was_open)
            }
            (SessionWrite::Delete { .. }, SessionAck::Deleted { existed }) => {
                Ok(self.delete(seen.head, seen.found.is_none(), *existed))
            }
            _ => Err(mismatched(self.operation)),
        }
    }

    fn create(
        &self,
        head: Option<&Entry>,
        live: Option<&Entry>,
        found: Option<&Entry>,
        at: Timestamp,
        expires_at: Option<Timestamp>,
        content: Content,
    ) -> Verdict {
        let begin = Draft {
            stamp: Some(self.stamp.max(head.map_or(0, |head| head.stamp))),
            shown: Some(self.place),
            place: Some(self.place),
            created_at: at,
            expires_at,
            content,
            ..Draft::alone(Kind::Create, &self.name, at)
        };
        let Some(live) = live else {
            return match (head, found) {
                // It was here, and its time is up.
                (_, Some(found)) => Verdict::Stands(found.clone()),
                // It was deleted later, or another one began later, whose time is up.
                (Some(head), None) if head.place > self.place => Verdict::Superseded(begin),
                _ => Verdict::Make(begin),
            };
        };
        let is_so =
            live.place == self.place && live.created_at == at && live.expires_at == expires_at;
        let closed_at = match found {
            Some(found) if is_so => return Verdict::Stands(found.clone()),
            Some(_) => live.closed_at,
            None if self.place <= live.place => return Verdict::Superseded(begin),
            // What closed it was before this beginning.
            None if self.stamp > live.stamp => None,
            None => live.closed_at,
        };
        Verdict::Make(Draft {
            incarnation: Some(live.incarnation),
            at: at.max(live.at),
            closed_at,
            ..begin
        })
    }

    fn append(
        &self,
        head: Option<&Entry>,
        live: Option<&Entry>,
        found: Option<&Entry>,
        at: Timestamp,
        content: Content,
    ) -> Result<Verdict> {
        let head = head.ok_or_else(|| absent(self.operation))?;
        let draft = Draft {
            stamp: Some(self.stamp.max(head.stamp)),
            shown: Some(self.place),
            content,
            ..within(Kind::Append, &self.name, head, at)
        };
        Ok(match (live, found) {
            (None, _) => Verdict::Superseded(draft),
            (Some(_), Some(found)) if found.shown == self.place && found.at == at => {
                Verdict::Stands(found.clone())
            }
            (Some(live), None) if live.closed_at.is_some() => Verdict::Superseded(draft),
            (Some(_), _) => Verdict::Make(draft),
        })
    }

    fn close(
        &self,
        head: Option<&Entry>,
        live: Option<&Entry>,
        found: Option<&Entry>,
        was_open: bool,
    ) -> Result<Verdict> {
        let head = head.ok_or_else(|| absent(self.operation))?;
        let at = self.made.at;
        // The first close is the one that counts; when it was this one, it was at the moment that was said.
        let closed_at = match (head.closed_at, found) {
            (Some(_), Some(found)) if was_open && found.existed => at,
            (Some(closed_at), _) if was_open => closed_at.min(at),
            (Some(closed_at), _) => closed_at,
            (None, _) => at,
        };
        let draft = Draft {
            existed: was_open,
            stamp: Some(self.stamp.max(head.stamp)),
            shown: Some(self.stamp),
            closed_at: Some(closed_at),
            ..within(Kind::Close, &self.name, head, at.max(head.at))
        };
        Ok(match live {
            None => Verdict::Superseded(draft),
            Some(live) if found.is_none() && live.place > self.stamp => Verdict::Superseded(draft),
            Some(live) if live.closed_at != Some(closed_at) => Verdict::Make(draft),
            Some(_) => match found {
                Some(found) => Verdict::Stands(found.clone()),
                None => Verdict::Already(draft),
            },
        })
    }

    fn delete(&self, head: Option<&Entry>, is_new: bool, existed: bool) -> Verdict {
        let at = self.made.at;
        let draft = match head {
            Some(head) => within(Kind::Delete, &self.name, head, at),
            None => Draft {
                incarnation: Some(0),
                ..Draft::alone(Kind::Delete, &self.name, at)
            },
        };
        let last = head.map_or(0, |head| head.stamp);
        let place = head.map_or(0, |head| head.place);
        let draft = Draft {
            existed,
            stamp: Some(self.stamp.max(last)),
            place: Some(self.stamp.max(place)),
            ..draft
        };
        match head {
            Some(head) if head.place < self.stamp => Verdict::Make(draft),
            None => Verdict::Make(draft),
            Some(head) if head.kind == Kind::Delete => Verdict::Already(draft),
            // It was begun no later, whatever version that was given, for clocks differ; but not when the delete was made
            // here before: then it was begun after that.
            Some(head) if is_new && head.created_at <= at => Verdict::Make(draft),
            Some(_) => Verdict::Superseded(draft),
        }
    }
}
