//! What goes wrong and when: a plan that follows from its seed alone.
//!
//! Each place breaks and mends by its own stream of chance, one fault at a time, so that several places are broken at
//! once now and then. The host is killed at moments that depend on nothing else, and often soon after something has
//! mended: while the journals drain.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use stuga_fault_proxy::{Fault, Side};

use crate::seeded::Seeded;
use crate::words::Store;

/// Where a fault can be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Place {
    /// The way to AgentCore.
    AgentCore,
    /// The way to S3.
    S3,
    /// The way to Redis.
    Redis,
    /// All ways at once, as when a region is lost.
    Everything,
}

impl Place {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::AgentCore, Self::S3, Self::Redis, Self::Everything];
}

/// Streams of chance that one host takes.
const HOST_STREAMS: u64 = 10;
/// The stream for what all hosts share.
const FREEZE_STREAM: u64 = 0;

/// What is done at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Act {
    /// A host's ways to a place get this fault; [`Fault::None`] mends them.
    Way(u32, Place, Fault),
    /// The server of AgentCore and S3 stops answering without closing anything.
    Freeze,
    /// It goes on.
    Thaw,
    /// Redis is killed and starts again without what it knew.
    LoseRedis,
    /// A host is killed without a word and starts again.
    KillHost(u32),
    /// A host is asked to stop and starts again.
    RestartHost(u32),
}

impl Act {
    /// The stores whose cloud cannot be reached because of it.
    pub fn away(&self) -> &'static [Store] {
        use Store::{Files, Memory, Records, Sessions};
        match self {
            Self::Freeze => &Store::ALL,
            Self::Way(
                _,
                place,
                Fault::Refuse | Fault::BlackHole | Fault::Status { code: 500.., .. },
            ) => match place {
                Place::AgentCore => &[Memory, Records, Sessions],
                Place::S3 => &[Files],
                // Without Redis single things can still be read.
                Place::Redis => &[],
                Place::Everything => &Store::ALL,
            },
            _ => &[],
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Way(host, place, Fault::None) => {
                write!(f, "host {host}: {place:?} is mended")
            }
            Self::Way(host, place, fault) => {
                write!(f, "host {host}: {place:?} {}", told(fault))
            }
            Self::Freeze => f.write_str("the cloud's server freezes"),
            Self::Thaw => f.write_str("the cloud's server goes on"),
            Self::LoseRedis => f.write_str("Redis is killed and forgets everything"),
            Self::KillHost(host) => write!(f, "host {host} is killed"),
            Self::RestartHost(host) => write!(f, "host {host} is restarted"),
        }
    }
}

fn told(fault: &Fault) -> String {
    match fault {
        Fault::None => "no fault".to_owned(),
        Fault::Refuse => "refuses".to_owned(),
        Fault::BlackHole => "is a black hole".to_owned(),
        Fault::Delay(by) => format!("is late by {} ms", by.as_millis()),
        Fault::Cut { from, after } => format!("cuts what the {from:?} says after {after} bytes"),
        Fault::Stall { from, after } => {
            format!("holds back what the {from:?} says after {after} bytes")
        }
        Fault::Rate(bytes) => format!("passes {bytes} bytes a second"),
        Fault::Status { code, .. } => format!("answers {code}"),
    }
}

/// One act and its moment, counted from the beginning.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// When.
    pub at: Duration,
    /// What.
    pub act: Act,
}

/// How eager a nemesis is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Temper {
    /// Shortest and longest time in which a place is whole.
    pub whole: (Duration, Duration),
    /// Shortest and longest time in which it is broken.
    pub broken: (Duration, Duration),
    /// Shortest and longest time between two ends of the host; none to leave it alone.
    pub host: Option<(Duration, Duration)>,
}

/// How long after the cloud is back a host is ended, so that it is while it drains.
const DRAINING: Duration = Duration::from_secs(4);

impl Default for Temper {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            whole: (seconds(2), seconds(12)),
            broken: (Duration::from_millis(300), seconds(8)),
            host: Some((seconds(6), seconds(25))),
        }
    }
}

/// Everything that goes wrong within `length` around so many hosts, in order. All is mended at its end.
pub fn plan(seed: u64, length: Duration, temper: &Temper, hosts: u32) -> Vec<Step> {
    let mut steps = Vec::new();
    freeze(&mut steps, Seeded::new(seed, FREEZE_STREAM), length, temper);
    for host in 0..hosts {
        let mut streams = (0..HOST_STREAMS).map(|n| {
            let stream = 1 + u64::from(host) * HOST_STREAMS + n;
            Seeded::new(seed, stream)
        });
        for (place, seeded) in Place::ALL.into_iter().zip(&mut streams) {
            let way = (host, place);
            break_and_mend(&mut steps, seeded, way, length, temper);
        }
        if let (Some(between), Some(seeded)) = (temper.host, streams.next()) {
            end_host(&mut steps, seeded, host, length, between);
        }
    }
    steps.sort_by_key(|step| step.at);
    let mended = (0..hosts).map(|host| Act::Way(host, Place::Everything, Fault::None));
    for act in mended.chain([Act::Thaw]) {
        steps.push(Step { at: length, act });
    }
    steps
}

/// One place by itself: whole for a while, then broken in some way.
fn break_and_mend(
    steps: &mut Vec<Step>,
    mut seeded: Seeded,
    (host, place): (u32, Place),
    length: Duration,
    temper: &Temper,
) {
    // A whole region is lost less often than one service.
    let rarer = if place == Place::Everything { 3 } else { 1 };
    let mut at = Duration::ZERO;
    loop {
        at += seeded.time(temper.whole.0, temper.whole.1 * rarer);
        let end = at + seeded.time(temper.broken.0, temper.broken.1);
        if end >= length {
            return;
        }
        if place == Place::Redis && seeded.chance(15) {
            steps.push(Step {
                at,
                act: Act::LoseRedis,
            });
            continue;
        }
        if seeded.chance(15) {
            flap(steps, &mut seeded, (host, place), at..end);
        } else {
            let act = Act::Way(host, place, fault(&mut seeded));
            steps.push(Step { at, act });
        }
        let act = Act::Way(host, place, Fault::None);
        steps.push(Step { at: end, act });
        at = end;
    }
}

/// A fault of any kind.
fn fault(seeded: &mut Seeded) -> Fault {
    let from = if seeded.chance(50) {
        Side::Client
    } else {
        Side::Server
    };
    let choices = [
        (20, Fault::Refuse),
        (20, Fault::BlackHole),
        (
            10,
            Fault::Delay(Duration::from_millis(20 + seeded.below(400))),
        ),
        (
            5,
            Fault::Delay(Duration::from_millis(1_000 + seeded.below(4_000))),
        ),
        (
            15,
            Fault::Cut {
                from,
                after: seeded.below(4_000),
            },
        ),
        (
            10,
            Fault::Rate(u32::try_from(200 + seeded.below(20_000)).unwrap_or(1_000)),
        ),
        (8, status(503, None)),
        (4, status(500, None)),
        (4, status(429, Some(1))),
    ];
    seeded.pick(&choices).cloned().unwrap_or_default()
}

fn status(code: u16, retry_after: Option<u32>) -> Fault {
    Fault::Status {
        code,
        retry_after,
        body: String::new(),
    }
}

/// Broken and whole in quick turns.
fn flap(
    steps: &mut Vec<Step>,
    seeded: &mut Seeded,
    (host, place): (u32, Place),
    Range { start, end }: Range<Duration>,
) {
    let mut at = start;
    let fault = if seeded.chance(50) {
        Fault::Refuse
    } else {
        Fault::BlackHole
    };
    let mut broken = false;
    while at < end {
        broken = !broken;
        let now = if broken { fault.clone() } else { Fault::None };
        let act = Act::Way(host, place, now);
        steps.push(Step { at, act });
        at += seeded.time(Duration::from_millis(50), Duration::from_millis(1_500));
    }
}

fn freeze(steps: &mut Vec<Step>, mut seeded: Seeded, length: Duration, temper: &Temper) {
    let mut at = Duration::ZERO;
    loop {
        at += seeded.time(temper.whole.1, temper.whole.1 * 5);
        let end = at + seeded.time(temper.broken.0, temper.broken.1);
        if end >= length {
            return;
        }
        let act = Act::Freeze;
        steps.push(Step { at, act });
        let act = Act::Thaw;
        steps.push(Step { at: end, act });
        at = end;
    }
}

fn end_host(
    steps: &mut Vec<Step>,
    mut seeded: Seeded,
    host: u32,
    length: Duration,
    between: (Duration, Duration),
) {
    let mut mends: Vec<Duration> = steps
        .iter()
        .filter(|step| matches!(step.act, Act::Way(_, _, Fault::None) | Act::Thaw))
        .map(|step| step.at)
        .collect();
    mends.sort_unstable();
    let mut at = Duration::ZERO;
    loop {
        at += seeded.time(between.0, between.1);
        let near = |mend: &&Duration| (at..at + between.1).contains(*mend);
        if seeded.chance(50)
            && let Some(mend) = mends.iter().find(near)
        {
            // The journals begin to drain about a second after the cloud is back.
            at = *mend + seeded.time(Duration::ZERO, DRAINING.min(between.1));
        }
        if at >= length {
            return;
        }
        let act = if seeded.chance(75) {
            Act::KillHost(host)
        } else {
            Act::RestartHost(host)
        };
        steps.push(Step { at, act });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_secs(600);

    #[test]
    fn a_seed_gives_the_same_plan_and_another_seed_another() {
        let temper = Temper::default();
        assert_eq!(plan(1, LENGTH, &temper, 1), plan(1, LENGTH, &temper, 1));
        assert_ne!(plan(1, LENGTH, &temper, 1), plan(2, LENGTH, &temper, 1));
    }

    #[test]
    fn a_plan_is_in_order_and_mends_everything_at_its_end() {
        let steps = plan(3, LENGTH, &Temper::default(), 2);
        assert!(steps.is_sorted_by_key(|step| step.at));
        let last = |act: Act| steps.iter().rposition(|step| step.act == act);
        for host in 0..2 {
            let mended = last(Act::Way(host, Place::Everything, Fault::None)).unwrap();
            let broken = steps.iter().rposition(|step| match &step.act {
                Act::Way(other, _, fault) => *other == host && *fault != Fault::None,
                _ => false,
            });
            assert!(broken.unwrap() < mended);
        }
        assert!(last(Act::Freeze) < last(Act::Thaw));
        assert_eq!(steps.last().map(|step| step.at), Some(LENGTH));
    }

    #[test]
    fn one_host_meets_the_same_whether_there_is_another_or_not() {
        let of_first = |hosts| {
            let steps = plan(3, LENGTH, &Temper::default(), hosts);
            let of_first = steps.into_iter().filter(|step| match step.act {
                Act::Way(host, ..) => host == 0,
                _ => false,
            });
            of_first.collect::<Vec<_>>()
        };
        assert_eq!(of_first(1), of_first(2));
    }

    #[test]
    fn every_kind_of_harm_comes_up() {
        let acts: Vec<String> = (0..20)
            .flat_map(|seed| plan(seed, LENGTH, &Temper::default(), 2))
            .map(|step| step.act.to_string())
            .collect();
        for harm in [
            "refuses",
            "black hole",
            "late by",
            "cuts what the Client",
            "cuts what the Server",
            "bytes a second",
            "answers 503",
            "answers 429",
            "freezes",
            "Redis is killed",
            "host 1 is killed",
            "host 0 is restarted",
            "Everything",
        ] {
            assert!(acts.iter().any(|act| act.contains(harm)), "{harm}");
        }
    }

    /// How often a host is ended in [`LENGTH`].
    fn ends(host: Option<(Duration, Duration)>) -> usize {
        let temper = Temper {
            host,
            ..Temper::default()
        };
        let ended = |step: &&Step| matches!(step.act, Act::KillHost(_) | Act::RestartHost(_));
        plan(5, LENGTH, &temper, 1).iter().filter(ended).count()
    }

    #[test]
    fn a_host_that_is_to_be_left_alone_is() {
        assert_eq!(ends(None), 0);
    }

    #[test]
    fn a_host_lives_about_as_long_as_it_is_to() {
        let short = (Duration::from_millis(500), Duration::from_millis(1_500));
        let lives = ends(Some(short));
        assert!((300..=600).contains(&lives), "{lives} lives of a second");
    }
}
