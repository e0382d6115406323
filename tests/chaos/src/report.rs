//! What a run came to, in figures and in words.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::Serialize;

use crate::check::{Counted, Rule, Verdict};
use crate::history::Event;
use crate::words::{Outcome, Store};

/// Most violations that are shown.
const SHOWN_MAX: usize = 20;

/// A run's figures. Times are in milliseconds.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Report {
    /// What the run follows from.
    pub seed: u64,
    /// How long clients worked, in seconds.
    pub seconds: f64,
    /// How often the host was ended.
    pub ends: u64,
    /// How often the cloud was taken away.
    pub outages: u64,
    /// The judgement.
    pub verdict: Verdict,
    /// From the loss of the cloud to the first answer of this host, for each outage that met a healthy cloud.
    pub first_local_ms: Vec<f64>,
    /// From the loss of the cloud to the first answer that tells of an open breaker.
    pub open_ms: Vec<f64>,
    /// Longest that a client waited for an answer while the host was up.
    pub longest_ms: f64,
    /// Most entries that waited at a time, of all tenants.
    pub deepest: u64,
    /// From the end of all faults until nothing waited any longer.
    pub empty_ms: f64,
    /// Entries that waited when all faults had ended.
    pub left: u64,
    /// Entries that the cloud refused for good, as they were last seen.
    pub parked: u64,
}

impl Report {
    /// The figures of a history. `mended` is when all faults had ended and no client worked any longer, `empty` when
    /// nothing waited any longer.
    pub fn of(seed: u64, history: &[Event], verdict: Verdict, mended: u64, empty: u64) -> Self {
        let (first_local_ms, open_ms) = switches(history);
        let faults = history.iter().filter(|event| match event {
            Event::Fault { away, .. } => !away.is_empty(),
            _ => false,
        });
        let ends = history
            .iter()
            .filter(|event| matches!(event, Event::Host { up: false, .. }));
        let depths = depths(history);
        let left = depths.iter().rfind(|(at, _)| *at <= mended);
        Self {
            seed,
            seconds: mended as f64 / 1e6,
            ends: ends.count() as u64,
            outages: faults.count() as u64,
            verdict,
            first_local_ms,
            open_ms,
            longest_ms: longest(history),
            deepest: depths.iter().map(|(_, depth)| *depth).max().unwrap_or(0),
            empty_ms: millis(empty.saturating_sub(mended)),
            left: left.map_or(0, |(_, depth)| *depth),
            parked: parked(history),
        }
    }

    /// Whether every rule held, and the cloud took everything.
    pub fn is_clean(&self) -> bool {
        self.verdict.violations.is_empty() && self.parked == 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = &self.verdict.counted;
        writeln!(
            f,
            "seed {}: {} operations in {:.0} s, {} outages, the host ended {} times",
            self.seed, counted.operations, self.seconds, self.outages, self.ends
        )?;
        told(f, counted, |rule| self.verdict.count(rule))?;
        writeln!(
            f,
            "  to the first local answer {}; to Open {}; longest wait of a client {:.0} ms",
            spread(&self.first_local_ms),
            spread(&self.open_ms),
            self.longest_ms
        )?;
        writeln!(
            f,
            "  most entries waiting {}; {} were left at the end, and gone after {:.0} ms; parked {}",
            self.deepest, self.left, self.empty_ms, self.parked
        )?;
        let violations = &self.verdict.violations;
        for violation in violations.iter().take(SHOWN_MAX) {
            let thing = violation.thing.as_ref().map(ToString::to_string);
            writeln!(
                f,
                "  BROKEN {:?}: {} {} (operations {:?})",
                violation.rule,
                thing.unwrap_or_default(),
                violation.words,
                violation.ops
            )?;
        }
        if violations.len() > SHOWN_MAX {
            writeln!(f, "  and {} more", violations.len() - SHOWN_MAX)?;
        }
        Ok(())
    }
}

/// Several runs together.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Total {
    /// How many.
    pub runs: u64,
    /// How long clients worked, in seconds.
    pub seconds: f64,
    /// How often hosts were ended.
    pub ends: u64,
    /// How often the cloud was taken away.
    pub outages: u64,
    /// All that clients did.
    pub counted: Counted,
    /// How often each rule was broken that was.
    pub broken: BTreeMap<Rule, usize>,
    /// As in [`Report`], of all runs.
    pub first_local_ms: Vec<f64>,
    /// As in [`Report`], of all runs.
    pub open_ms: Vec<f64>,
    /// Most entries that waited at a time in any run.
    pub deepest: u64,
    /// Entries that the cloud refused for good.
    pub parked: u64,
}

impl Total {
    /// Takes in a run.
    pub fn add(&mut self, report: &Report) {
        self.runs += 1;
        self.seconds += report.seconds;
        self.ends += report.ends;
        self.outages += report.outages;
        self.counted.add(&report.verdict.counted);
        for violation in &report.verdict.violations {
            *self.broken.entry(violation.rule).or_default() += 1;
        }
        self.first_local_ms.extend(&report.first_local_ms);
        self.open_ms.extend(&report.open_ms);
        self.deepest = self.deepest.max(report.deepest);
        self.parked += report.parked;
    }
}

impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} runs: {} operations in {:.0} s, {} outages, hosts ended {} times",
            self.runs, self.counted.operations, self.seconds, self.outages, self.ends
        )?;
        told(f, &self.counted, |rule| {
            self.broken.get(&rule).copied().unwrap_or(0)
        })?;
        writeln!(
            f,
            "  to the first local answer {}; to Open {}; most entries waiting {}; parked {}",
            spread(&self.first_local_ms),
            spread(&self.open_ms),
            self.deepest,
            self.parked
        )
    }
}

/// What was done, and how often each rule was broken.
fn told(
    f: &mut fmt::Formatter<'_>,
    counted: &Counted,
    count: impl Fn(Rule) -> usize,
) -> fmt::Result {
    writeln!(
        f,
        "  acknowledged {}, read {}, conflicts {}, answered by this host {}, noted for the cloud {}, tried again as the rules have it {}",
        counted.acknowledged,
        counted.reads,
        counted.conflicts,
        counted.local,
        counted.pending,
        counted.retried
    )?;
    writeln!(
        f,
        "  lost {}, doubled {}, stale {}, own writes not seen {}, order {}, versions {}, compare-and-set {}, crossed {}, phantoms {}, client errors {}, not looked for {}",
        count(Rule::Lost),
        count(Rule::Doubled),
        count(Rule::Stale),
        count(Rule::OwnWrite),
        count(Rule::Order),
        count(Rule::Version),
        count(Rule::Cas) + count(Rule::FalseConflict),
        count(Rule::Crossed),
        count(Rule::Phantom),
        count(Rule::Error),
        count(Rule::Unread)
    )
}

/// How many entries waited at what time, of all tenants and hosts together.
pub fn depths(history: &[Event]) -> Vec<(u64, u64)> {
    let mut now: BTreeMap<(u32, &str), u64> = BTreeMap::new();
    let mut depths = Vec::new();
    for event in history {
        if let Event::Journal {
            at,
            host,
            tenant,
            waiting,
            ..
        } = event
        {
            now.insert((*host, tenant), *waiting);
            depths.push((*at, now.values().sum()));
        }
    }
    depths
}

/// How many entries were parked in the end, of all tenants.
fn parked(history: &[Event]) -> u64 {
    let mut now: BTreeMap<(u32, &str), u64> = BTreeMap::new();
    for event in history {
        if let Event::Journal {
            host,
            tenant,
            parked,
            ..
        } = event
        {
            now.insert((*host, tenant), *parked);
        }
    }
    now.values().sum()
}

/// The value below which `part` (0 to 1) of the values lie; 0 when there are none.
pub fn quantile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1) as f64;
    // In range: a part of the last place.
    let place = (last * part.clamp(0.0, 1.0)).round() as usize;
    values.get(place).copied().unwrap_or(0.0)
}

fn spread(values: &[f64]) -> String {
    if values.is_empty() {
        return "(not seen)".to_owned();
    }
    let mut values = values.to_vec();
    let (half, most) = (quantile(&mut values, 0.5), quantile(&mut values, 1.0));
    format!("p50 {half:.0} ms, at most {most:.0} ms of {}", values.len())
}

/// For each outage that met a healthy cloud: how long until the first answer of this host, and until an open breaker.
fn switches(history: &[Event]) -> (Vec<f64>, Vec<f64>) {
    let mut stores: HashMap<u64, Store> = HashMap::new();
    // The outage that is under way for a store: since when, and whether each of both was seen.
    let mut under_way: HashMap<Store, (u64, bool, bool)> = HashMap::new();
    let mut healthy: HashMap<Store, bool> = HashMap::new();
    let (mut local, mut open) = (Vec::new(), Vec::new());
    for event in history {
        match event {
            Event::Begin { op, thing, .. } => {
                stores.insert(*op, thing.store);
            }
            Event::Fault { at, away, .. } => {
                for store in Store::ALL {
                    if away.contains(&store) && healthy.get(&store) == Some(&true) {
                        under_way.insert(store, (*at, false, false));
                    }
                }
                if away.is_empty() {
                    under_way.clear();
                }
            }
            Event::Host { .. } => under_way.clear(),
            Event::End {
                op,
                at,
                served: Some(served),
                ..
            } => {
                let Some(store) = stores.get(op) else {
                    continue;
                };
                let is_open = served.breaker.as_deref() == Some("open");
                healthy.insert(*store, !served.local && !is_open);
                if let Some((since, seen_local, seen_open)) = under_way.get_mut(store) {
                    let after = millis(at.saturating_sub(*since));
                    if served.local && !*seen_local {
                        *seen_local = true;
                        local.push(after);
                    }
                    if is_open && !*seen_open {
                        *seen_open = true;
                        open.push(after);
                    }
                }
            }
            _ => {}
        }
    }
    (local, open)
}

/// The longest that an operation took which met no trouble, in milliseconds.
fn longest(history: &[Event]) -> f64 {
    let waits = history.iter().filter_map(|event| match event {
        Event::End {
            at, began, outcome, ..
        } if !matches!(outcome, Outcome::Unknown(_)) => Some(at.saturating_sub(*began)),
        _ => None,
    });
    millis(waits.max().unwrap_or(0))
}

fn millis(micros: u64) -> f64 {
    micros as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_in_the_middle_is_the_median() {
        let mut values = vec![9.0, 1.0, 5.0];
        assert!((quantile(&mut values, 0.5) - 5.0).abs() < 1e-9);
        assert!((quantile(&mut values, 1.0) - 9.0).abs() < 1e-9);
        assert!(quantile(&mut [], 0.5).abs() < 1e-9);
    }

    #[test]
    fn depths_are_summed_over_tenants() {
        let journal = |at, tenant: &str, waiting| Event::Journal {
            at,
            host: 0,
            tenant: tenant.to_owned(),
            waiting,
            parked: 0,
        };
        let history = [journal(1, "a", 3), journal(2, "b", 4), journal(3, "a", 0)];
        assert_eq!(depths(&history), [(1, 3), (2, 7), (3, 4)]);
    }
}
