//! How a write comes to its stream that another side has acknowledged: with the version and the times that were said there,
//! and not judged again.
//!
//! It takes the lease and the steps of every other write ([`super::write`]), so that what is true of those is true of it. Its
//! event gets a version of its own like every event, for that says in which order events count; what callers see (`shown`)
//! and what later writes are compared by (`stamp`) is the other side's.

use std::time::Duration;

use stuga_core::standby::Adopted;
use stuga_core::{Result, Timestamp};

use super::card::Change;
use super::draft::{Draft, Fresh, Judge, Seen, Verdict, Writing};
use super::entry::{Entry, Kind};
use super::ledger::{Ledger, Rules};

/// By how much the clocks of hosts and of Redis may differ where it is looked for what landed at about some moment.
const CLOCKS_APART: Duration = Duration::from_secs(3_600);

/// What is known of a write that another side has acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Adopting {
    /// Where it stands among all writes.
    pub(crate) stamp: u64,
    /// Since when an event of the write may be in its stream; none when only the end of the stream matters.
    pub(crate) since: Option<Timestamp>,
}

impl Adopting {
    /// From which moment of the shared clock on events of the write are looked for, in milliseconds.
    pub(super) fn earliest(&self) -> Option<u64> {
        let since = self.since?.saturating_sub(CLOCKS_APART);
        Some(since.as_millis())
    }
}

impl Ledger<'_> {
    /// Makes a write stand that another side has acknowledged, once: `judge` says what it makes of the end of the stream.
    /// Whatever comes of it, the write's id then answers what was acknowledged.
    ///
    /// AgentCore: `CreateEvent` unless nothing is to be changed, `ListEvents` when the card is lost.
    ///
    /// # Errors
    /// What `judge` says; `Conflict` when another write was made under the id; `Timeout` when it may have landed.
    pub(crate) async fn adopt(
        &self,
        writing: &Writing<'_>,
        rules: &dyn Rules,
        judge: &Judge<'_>,
        follow: &(dyn Fn(&Entry, Fresh) -> Vec<Change> + Sync),
    ) -> Result<Adopted> {
        let (_, adopted) = self.take_turns(writing, rules, judge, follow).await?;
        Ok(adopted)
    }
}

/// What another side made of a thing by key.
pub(crate) struct Thing<'t> {
    /// The write's id, as [`stuga_core::WriteId::to_name`] has it.
    pub(crate) write: &'t str,
    pub(crate) stamp: u64,
    /// The version that was answered.
    pub(crate) version: u64,
    /// Whether it was removed.
    pub(crate) is_removed: bool,
    pub(crate) existed: bool,
    pub(crate) at: Timestamp,
}

impl Thing<'_> {
    /// Decides by what stands at the key: what is not from before this write stays. `draft` is complete but for what is set
    /// here.
    pub(crate) fn judge(&self, seen: &Seen<'_>, draft: Draft) -> Verdict {
        let head = seen.head;
        // A removal answers with the version of what it removed, and what it removes does not come back.
        // One that was made here before has removed what it removes: what stands now was written after it.
        let is_new = seen.found.is_none();
        let removes = head.filter(|head| is_new && self.removes(head));
        let place = match self.is_removed {
            true => self.stamp.max(removes.map_or(0, |head| head.place)),
            false => self.version,
        };
        let draft = Draft {
            existed: self.existed,
            shown: Some(self.version),
            stamp: Some(self.stamp.max(head.map_or(0, |head| head.stamp))),
            place: Some(place),
            at: self.at,
            created_at: self.created_at(head),
            ..draft
        };
        let Some(head) = head else {
            return Verdict::Make(draft);
        };
        if head.write != self.write {
            return match head.place >= place && removes.is_none() {
                true => Verdict::Superseded(draft),
                false => Verdict::Make(draft),
            };
        }
        let is_so = head.shown == self.version
            && head.stamp >= self.stamp
            && head.place >= place
            && head.existed == draft.existed
            && head.at == draft.at
            && head.created_at == draft.created_at
            && head.expires_at == draft.expires_at;
        match is_so {
            true => Verdict::Stands(head.clone()),
            // It landed here before, and was answered elsewhere. Others may have seen where it stood.
            false => Verdict::Make(Draft {
                place: Some(place.max(head.place)),
                ..draft
            }),
        }
    }

    /// Whether it removes something that was written no later, whatever version that was given: clocks differ.
    fn removes(&self, head: &Entry) -> bool {
        self.is_removed && head.kind != Kind::Delete && head.at <= self.at
    }

    /// Since when there is something at the key.
    fn created_at(&self, head: Option<&Entry>) -> Timestamp {
        let was_there = |head: &&Entry| match head.write == self.write {
            true => head.existed,
            false => head.kind != Kind::Delete && head.expires_at.is_none_or(|at| at > self.at),
        };
        head.filter(was_there)
            .filter(|_| self.existed)
            .map_or(self.at, |head| head.created_at.min(self.at))
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::entry;
    use super::*;

    fn draft() -> Draft {
        Draft {
            incarnation: Some(0),
            ..Draft::alone(Kind::Put, "k", Timestamp::default())
        }
    }

    fn thing(write: &str, version: u64) -> Thing<'_> {
        Thing {
            write,
            stamp: version,
            version,
            is_removed: false,
            existed: true,
            at: Timestamp::from_millis(9),
        }
    }

    fn judged(head: Option<&Entry>, thing: &Thing<'_>) -> Verdict {
        let seen = Seen { head, found: None };
        thing.judge(&seen, draft())
    }

    #[test]
    fn the_later_write_stands_and_of_two_in_one_place_the_one_that_is_there() {
        let head = entry(50, 40, "m");
        assert!(matches!(judged(None, &thing("a", 7)), Verdict::Make(_)));
        for (write, version, stands) in [("z", 49, false), ("a", 51, true), ("z", 50, false)] {
            let verdict = judged(Some(&head), &thing(write, version));
            let made = matches!(verdict, Verdict::Make(_));
            let lost = matches!(verdict, Verdict::Superseded(_));
            assert_eq!((made, lost), (stands, !stands), "{write} {version}");
        }
    }

    #[test]
    fn a_write_that_landed_gets_the_version_that_was_answered_and_keeps_its_place() {
        let landed = entry(50, 40, "m");
        let Verdict::Make(draft) = judged(Some(&landed), &thing("m", 45)) else {
            panic!("what landed stays as it was");
        };
        assert_eq!((draft.shown, draft.place), (Some(45), Some(50)));
        assert_eq!(draft.created_at, landed.created_at);
        let adopted = Entry {
            shown: 45,
            existed: true,
            at: Timestamp::from_millis(9),
            ..landed
        };
        let again = judged(Some(&adopted), &thing("m", 45));
        assert!(matches!(again, Verdict::Stands(_)), "it is made twice");
    }

    #[test]
    fn a_removal_takes_what_is_from_before_it_whatever_version_it_answered() {
        let head = entry(50, 40, "m");
        // By its stamp, or by when it was made: the item was written at 5.
        for (stamp, at, stands) in [(51, 4, true), (50, 4, false), (49, 4, false), (49, 5, true)] {
            let removal = Thing {
                stamp,
                is_removed: true,
                at: Timestamp::from_millis(at),
                ..thing("a", 7)
            };
            let verdict = judged(Some(&head), &removal);
            assert_eq!(matches!(verdict, Verdict::Make(_)), stands, "{stamp} {at}");
            if let Verdict::Make(draft) = verdict {
                assert!(draft.place >= Some(50), "what was removed comes back");
            }
        }
        let removal = Thing {
            is_removed: true,
            ..thing("a", 7)
        };
        let before = entry(40, 0, "a");
        let again = removal.judge(
            &Seen {
                head: Some(&head),
                found: Some(&before),
            },
            draft(),
        );
        assert!(matches!(again, Verdict::Superseded(_)), "it is made twice");
        let gone = Entry {
            kind: Kind::Delete,
            ..head
        };
        let verdict = judged(Some(&gone), &removal);
        assert!(
            matches!(verdict, Verdict::Superseded(_)),
            "it is gone already"
        );
    }

    #[test]
    fn a_key_that_was_empty_is_there_since_the_write() {
        let mut head = entry(50, 40, "m");
        let created = |head: &Entry, existed| {
            let thing = Thing {
                existed,
                ..thing("a", 60)
            };
            thing.created_at(Some(head)).as_millis()
        };
        assert_eq!(created(&head, true), 4);
        assert_eq!(created(&head, false), 9);
        head.expires_at = Some(Timestamp::from_millis(8));
        assert_eq!(created(&head, true), 9);
        head.expires_at = None;
        head.kind = Kind::Delete;
        assert_eq!(created(&head, true), 9);
    }
}
