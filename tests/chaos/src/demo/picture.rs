//! Plots of a scene: latency, errors and what waits, over time.

use std::collections::HashMap;

use super::{Part, Scene, is_local};
use crate::history::Event;
use crate::plot::{Curve, Panel, Plot, Span};
use crate::report::{depths, quantile};
use crate::site::TENANTS;

/// Seconds that one point stands for.
const BUCKET: f64 = 0.5;

/// An answer that a client got.
pub(super) struct Answer {
    /// When, in microseconds.
    pub(super) at: u64,
    /// How long the operation took, tries that failed included.
    pub(super) millis: f64,
    pub(super) tenant: String,
    pub(super) local: bool,
}

/// All answers, in order.
pub(super) fn answers(history: &[Event]) -> Vec<Answer> {
    let mut begun: HashMap<u64, (u64, &str)> = HashMap::new();
    let mut answers = Vec::new();
    for event in history {
        match event {
            Event::Begin { op, at, thing, .. } => {
                begun.insert(*op, (*at, &thing.tenant));
            }
            Event::End { op, at, served, .. } => {
                if let Some((began, tenant)) = begun.remove(op) {
                    answers.push(Answer {
                        at: *at,
                        millis: at.saturating_sub(began) as f64 / 1e3,
                        tenant: tenant.to_owned(),
                        local: is_local(served.as_ref()),
                    });
                }
            }
            _ => {}
        }
    }
    answers
}

/// The plot of a scene.
pub(super) fn of(scene: Scene, parts: &[Part], history: &[Event]) -> Plot {
    let begin = parts.first().map_or(0, |part| part.from);
    let seconds = |at: u64| at.saturating_sub(begin) as f64 / 1e6;
    let answers = answers(history);
    let shown: Vec<_> = answers.iter().filter(|answer| answer.at >= begin).collect();
    let mut latency: HashMap<u64, Vec<f64>> = HashMap::new();
    for answer in &shown {
        latency
            .entry(bucket(seconds(answer.at)))
            .or_default()
            .push(answer.millis);
    }
    let mut panels = vec![Panel {
        axis: "ms to an answer".to_owned(),
        curves: [("p50", 0.5), ("p99", 0.99)]
            .map(|(name, part)| {
                let points = latency.clone().into_iter();
                let points = points.map(|(n, mut values)| (time(n), quantile(&mut values, part)));
                curve(name, points.collect())
            })
            .to_vec(),
    }];
    panels.push(Panel {
        axis: "answers by this host in a second".to_owned(),
        curves: TENANTS
            .map(|tenant| {
                let theirs = shown.iter().filter(|answer| answer.tenant == tenant);
                let points = theirs.map(|answer| (seconds(answer.at), f64::from(answer.local)));
                curve(tenant, summed(points))
            })
            .to_vec(),
    });
    let last = shown.last().map_or(begin, |answer| answer.at);
    let troubles = history.iter().filter_map(|event| match event {
        Event::Trouble { at, .. } if *at >= begin => Some((seconds(*at), 1.0)),
        _ => None,
    });
    let nothing = [(0.0, 0.0), (seconds(last), 0.0)];
    panels.push(Panel {
        axis: "errors in a second".to_owned(),
        curves: vec![curve("errors", summed(nothing.into_iter().chain(troubles)))],
    });
    let waiting = depths(history).into_iter().filter(|(at, _)| *at >= begin);
    panels.push(Panel {
        axis: "entries that wait for AWS".to_owned(),
        curves: vec![curve(
            "journals",
            waiting
                .map(|(at, depth)| (seconds(at), depth as f64))
                .collect(),
        )],
    });
    let ends = parts.iter().skip(1).map(|part| part.from);
    let spans = parts.iter().zip(ends.chain([last]));
    Plot {
        title: scene.title().to_owned(),
        panels,
        spans: spans
            .map(|(part, to)| Span {
                from: seconds(part.from),
                to: seconds(to),
                name: part.name.to_owned(),
                shaded: part.shaded,
            })
            .collect(),
    }
}

fn bucket(second: f64) -> u64 {
    // Times are small and not negative.
    (second / BUCKET) as u64
}

fn time(bucket: u64) -> f64 {
    (bucket as f64 + 0.5) * BUCKET
}

fn curve(name: &str, mut points: Vec<(f64, f64)>) -> Curve {
    points.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    Curve {
        name: name.to_owned(),
        points,
    }
}

/// How much came in each second.
fn summed(values: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    let mut sums: HashMap<u64, f64> = HashMap::new();
    for (second, value) in values {
        *sums.entry(bucket(second)).or_default() += value / BUCKET;
    }
    let (first, last) = (sums.keys().min().copied(), sums.keys().max().copied());
    let all = first.unwrap_or(1)..=last.unwrap_or(0);
    all.map(|n| (time(n), sums.get(&n).copied().unwrap_or(0.0)))
        .collect()
}
