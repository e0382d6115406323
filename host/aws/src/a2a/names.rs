//! Where the mailboxes of a tenant lie: names of objects, of queues and of groups, and back.
//!
//! Everything here is about one tenant's objects, relative to the root that [`crate::scope`] gives it.

use sha2::{Digest, Sha256};
use stuga_core::AgentName;
use stuga_core::a2a::Address;

/// Digits of a place in a name, so that names sort as places do.
const PLACE_DIGITS: usize = 16;

/// A mailbox as one sender sees it: what keeps its order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Pair {
    pub(super) agent: AgentName,
    pub(super) sender: Address,
}

impl Pair {
    /// The message group of the pair: names are too long for one.
    pub(super) fn group(&self) -> String {
        hex::encode(Sha256::digest(format!("{}/{}", self.agent, self.sender)))
    }

    /// What the names of its letters' places begin with.
    pub(super) fn places(&self) -> String {
        format!("{}{}/", agent_places(&self.agent), self.sender)
    }
}

/// Where a letter stands: in which pair, in which order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) pair: Pair,
    pub(super) seq: u64,
    pub(super) id: String,
}

impl Place {
    /// The name of an empty object that says so, as long as the letter waits or is held.
    pub(super) fn open(&self) -> String {
        let seq = format!("{:0PLACE_DIGITS$x}", self.seq);
        format!("{}{seq}/{}", self.pair.places(), self.id)
    }

    /// The name of an empty object that says so when the letter is dead.
    pub(super) fn dead(&self) -> String {
        self.open().replacen(OPEN, DEAD, 1)
    }

    /// Reads either name; none when this host did not make it.
    pub(super) fn read(name: &str) -> Option<Self> {
        let rest = name
            .strip_prefix(OPEN)
            .or_else(|| name.strip_prefix(DEAD))?;
        let mut parts = rest.split('/');
        let (agent, tenant, sender) = (parts.next()?, parts.next()?, parts.next()?);
        let (seq, id) = (parts.next()?, parts.next()?);
        let is_whole = parts.next().is_none() && seq.len() == PLACE_DIGITS && is_id(id);
        is_whole.then_some(())?;
        Some(Self {
            pair: Pair {
                agent: AgentName::new(agent).ok()?,
                sender: format!("{tenant}/{sender}").parse().ok()?,
            },
            seq: u64::from_str_radix(seq, 16).ok()?,
            id: id.to_owned(),
        })
    }
}

/// Places of letters that wait or are held.
pub(super) const OPEN: &str = "mail/open/";
/// Places of letters that are dead.
pub(super) const DEAD: &str = "mail/dead/";
/// Letters.
const LETTERS: &str = "mail/letters/";

/// What the names of an agent's places begin with.
pub(super) fn agent_places(agent: &AgentName) -> String {
    format!("{OPEN}{agent}/")
}

/// The name of a letter's object.
pub(super) fn letter(id: &str, sender: &Address) -> String {
    format!("{}{sender}", letters(id))
}

/// What the names of letters of that id begin with. Senders may not share one, but an id is looked up without its sender.
pub(super) fn letters(id: &str) -> String {
    format!("{LETTERS}{id}/")
}

/// Whether that can be a message's id: what [`stuga_core::WriteId::to_name`] makes is.
pub(super) fn is_id(id: &str) -> bool {
    const ID_MAX_BYTES: usize = 64;
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=ID_MAX_BYTES).contains(&id.len()) && id.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(seq: u64) -> Place {
        Place {
            pair: Pair {
                agent: AgentName::new("svea").unwrap(),
                sender: "acme/scribe".parse().unwrap(),
            },
            seq,
            id: "0a-7".to_owned(),
        }
    }

    #[test]
    fn a_place_is_read_from_its_name_and_names_sort_as_places_do() {
        for seq in [0, 9, 10, u64::MAX] {
            assert_eq!(Place::read(&place(seq).open()), Some(place(seq)));
            assert_eq!(Place::read(&place(seq).dead()), Some(place(seq)));
        }
        assert!(place(9).open() < place(10).open());
        assert!(place(0xff).open() < place(0x100).open());
    }

    #[test]
    fn what_this_host_did_not_name_is_not_read() {
        for bad in [
            "",
            "mail/open/",
            "mail/open/svea/acme/scribe/1/0a-7",
            "mail/open/svea/acme/scribe/0000000000000001/../x",
            "mail/open/svea/../scribe/0000000000000001/0a-7",
            "mail/open/svea/acme/scribe/0000000000000001/0a-7/x",
            "mail/letters/0a-7/acme/scribe",
        ] {
            assert_eq!(Place::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn pairs_whose_names_run_into_each_other_are_two_groups() {
        let pair = |agent: &str, sender: &str| Pair {
            agent: AgentName::new(agent).unwrap(),
            sender: sender.parse().unwrap(),
        };
        let (one, other) = (pair("a", "b/c-d"), pair("a", "b/c"));
        assert_ne!(one.group(), other.group());
        assert!(one.group().len() <= 128);
        assert!(!one.places().starts_with(&other.places()));
    }
}
