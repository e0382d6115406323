//! What a seed decides before a run begins.

use stuga_core::ErrorKind;
use stuga_core::testkit::Dice;

use crate::cloud::Curse;

/// What a run is made of.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) hosts: u64,
    pub(crate) tenants: u64,
    /// Sessions of each tenant.
    pub(crate) sessions: u64,
    /// Operations of each session.
    pub(crate) operations: u64,
    /// Longest pause of a session between two operations in milliseconds.
    pub(crate) pause: u64,
    /// Changes of the weather and other misfortunes.
    pub(crate) events: u64,
    pub(crate) crashes: bool,
    /// Clocks jump ahead.
    pub(crate) jumps: bool,
    /// Clocks are set back, and the cloud goes by another one.
    pub(crate) set_back: bool,
    /// Callers go away in the middle of a call.
    pub(crate) cancels: bool,
    /// Some callers have no time.
    pub(crate) hurried: bool,
    pub(crate) drills: bool,
    /// What clients share must be begun before anybody can go on with it, as sessions must.
    pub(crate) threads: bool,
    /// The cloud remembers nothing of keys that were removed.
    pub(crate) forgets: bool,
    pub(crate) cap: Option<usize>,
    pub(crate) curse: Option<Curse>,
}

impl Plan {
    pub(crate) fn of(seed: u64, dice: &Dice) -> Self {
        let kinds = [
            (ErrorKind::Invalid, false),
            (ErrorKind::Conflict, false),
            (ErrorKind::Denied, false),
            (ErrorKind::Internal, true),
            (ErrorKind::QuotaExceeded, true),
            (ErrorKind::Unavailable, true),
            (ErrorKind::RateLimited, true),
        ];
        let (kind, ends) = *dice.pick(&kinds);
        let curse = Curse {
            key: "shared-0".to_owned(),
            kind,
            after: None,
            ends,
        };
        Self {
            hosts: 1 + u64::from(dice.percent(30)),
            tenants: 2,
            sessions: 2 + dice.below(2),
            operations: 12 + dice.below(14),
            pause: *dice.pick(&[15, 120, 900, 900]),
            events: 3 + dice.below(8),
            crashes: dice.percent(50),
            jumps: dice.percent(20),
            set_back: dice.percent(10),
            cancels: dice.percent(30),
            hurried: dice.percent(30),
            drills: dice.percent(25),
            cap: dice.percent(8).then_some(4),
            curse: dice.percent(15).then_some(curse),
            forgets: dice.percent(50),
            // By a die of its own: what a seed was before there were threads it still is.
            threads: Dice::new(!seed).percent(35),
        }
    }
}
