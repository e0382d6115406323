//! `failover:` of `stuga.yaml`: when AWS is given up, for how long, and how what this host took in its place goes back.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Serialize, Serializer};
use stuga_core::CapabilityName;
use stuga_resilience::{BreakerSettings, BudgetSettings, HealthSettings, ReplaySettings};

use crate::yaml::{Fields, Node, Report};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// How this host stands in for AWS.
#[derive(Clone, PartialEq, Debug)]
pub struct FailoverSettings {
    /// How the cloud is watched.
    pub health: HealthSettings,
    capabilities: BTreeMap<CapabilityName, CapabilitySettings>,
}

/// The same of one capability.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct CapabilitySettings {
    /// When the cloud is given up, and when it is asked again.
    pub breaker: BreakerSettings,
    /// How long a call may take there.
    pub budget: BudgetSettings,
    /// How the journal goes back.
    pub replay: ReplaySettings,
}

impl Default for FailoverSettings {
    fn default() -> Self {
        let all = CapabilityName::ALL.into_iter();
        Self {
            health: HealthSettings::default(),
            capabilities: all
                .map(|name| (name, CapabilitySettings::of(name)))
                .collect(),
        }
    }
}

impl CapabilitySettings {
    /// The defaults of a capability: what takes longer than a key-value store must not look like an outage.
    fn of(capability: CapabilityName) -> Self {
        let mut settings = Self::default();
        let Self {
            breaker,
            budget,
            replay,
        } = &mut settings;
        match capability {
            // Contents of up to 16 MiB go in one call, and a replay carries contents of any size. What is carried is heard of.
            CapabilityName::Files => {
                budget.silence = Some(3 * SECOND);
                (budget.call, breaker.slow_call) = (15 * SECOND, 10 * SECOND);
                replay.entry = 15 * MINUTE;
            }
            CapabilityName::Search => {
                (budget.call, breaker.slow_call) = (5 * SECOND, 4 * SECOND);
            }
            // A model writes for as long as the answer is; a caller waits for it, or nothing would be won. One that is at work is
            // heard of: it may think for a while, and what it reads first is excused.
            CapabilityName::Model => {
                budget.silence = Some(15 * SECOND);
                (budget.call, budget.suspect, budget.share) = (MINUTE, 5 * SECOND, 0.8);
                breaker.slow_call = 45 * SECOND;
            }
            // How long an attempt runs says nothing of Lambda.
            CapabilityName::Jobs => breaker.slow_call = DAY,
            _ => {}
        }
        settings
    }
}

impl FailoverSettings {
    /// The settings of a capability.
    pub fn of(&self, capability: CapabilityName) -> CapabilitySettings {
        let known = self.capabilities.get(&capability);
        known.map_or_else(|| CapabilitySettings::of(capability), Clone::clone)
    }

    /// Reads `failover:`. A setting of a capability is its own, else the general one, else the capability's default.
    pub(super) fn read(node: &Node, report: &mut Report) -> Self {
        let mut all = Self::default();
        let Some(mut fields) = report.fields(node, "failover") else {
            return all;
        };
        if let Some(node) = fields.optional("health") {
            health(&mut all.health, node, report);
        }
        let general = Sections::of(&mut fields);
        // Once for the mistakes, then for each capability.
        general.apply(&mut CapabilitySettings::default(), report);
        let mut silent = Report::new(std::path::Path::new(""));
        for settings in all.capabilities.values_mut() {
            general.apply(settings, &mut silent);
        }
        if let Some(node) = fields.optional("capabilities")
            && let Some(mut named) = report.fields(node, "failover.capabilities")
        {
            for capability in CapabilityName::ALL {
                let Some(node) = named.optional(capability.as_str()) else {
                    continue;
                };
                let Some(mut fields) =
                    report.fields(node, format!("failover.capabilities.{capability}"))
                else {
                    continue;
                };
                let own = Sections::of(&mut fields);
                if let Some(settings) = all.capabilities.get_mut(&capability) {
                    own.apply(settings, report);
                }
                fields.finish(report);
            }
            named.finish(report);
        }
        fields.finish(report);
        all
    }
}

/// The sections of one capability, or of all.
struct Sections<'n> {
    breaker: Option<&'n Node>,
    budget: Option<&'n Node>,
    replay: Option<&'n Node>,
}

impl<'n> Sections<'n> {
    fn of(fields: &mut Fields<'n>) -> Self {
        Self {
            breaker: fields.optional("breaker"),
            budget: fields.optional("budget"),
            replay: fields.optional("replay"),
        }
    }

    fn apply(&self, settings: &mut CapabilitySettings, report: &mut Report) {
        if let Some(node) = self.breaker {
            breaker(&mut settings.breaker, node, report);
        }
        if let Some(node) = self.budget {
            budget(&mut settings.budget, node, report);
        }
        if let Some(node) = self.replay {
            replay(&mut settings.replay, node, report);
        }
    }
}

/// Sets what a mapping holds, each name once.
struct Setting<'r, 'n> {
    fields: Fields<'n>,
    report: &'r mut Report,
}

impl<'r, 'n> Setting<'r, 'n> {
    fn new(node: &'n Node, what: &str, report: &'r mut Report) -> Option<Self> {
        let fields = report.fields(node, what)?;
        Some(Self { fields, report })
    }

    fn time(&mut self, name: &'static str, to: &mut Duration, range: RangeInclusive<Duration>) {
        if let Some(node) = self.fields.optional(name)
            && let Some(value) = self.report.duration(node, name, range)
        {
            *to = value;
        }
    }

    fn count(&mut self, name: &'static str, to: &mut u32, range: RangeInclusive<u64>) {
        if let Some(node) = self.fields.optional(name)
            && let Some(value) = self.report.integer(node, name, range)
        {
            *to = u32::try_from(value).unwrap_or(u32::MAX);
        }
    }

    fn number(&mut self, name: &'static str, to: &mut f64, range: RangeInclusive<f64>) {
        if let Some(node) = self.fields.optional(name)
            && let Some(value) = self.report.number(node, name, range)
        {
            *to = value;
        }
    }

    fn finish(self) {
        self.fields.finish(self.report);
    }
}

fn breaker(to: &mut BreakerSettings, node: &Node, report: &mut Report) {
    let Some(mut read) = Setting::new(node, "breaker", report) else {
        return;
    };
    read.time("window", &mut to.window, SECOND..=10 * MINUTE);
    read.count("minimum_calls", &mut to.minimum_calls, 1..=100_000);
    read.number("failure_rate", &mut to.failure_rate, 0.01..=1.0);
    read.time("slow_call", &mut to.slow_call, MS..=DAY);
    read.number("slow_rate", &mut to.slow_rate, 0.01..=1.0);
    let in_a_row = &mut to.consecutive_failures;
    read.count("consecutive_failures", in_a_row, 1..=100_000);
    read.time("open_for", &mut to.open_for, 10 * MS..=HOUR);
    read.number("open_growth", &mut to.open_growth, 1.0..=100.0);
    read.time("open_for_max", &mut to.open_for_max, 10 * MS..=DAY);
    read.time("calm_after", &mut to.calm_after, Duration::ZERO..=DAY);
    read.number("jitter", &mut to.jitter, 0.0..=1.0);
    read.count("probes", &mut to.probes, 1..=100);
    if let Some(node) = read.fields.optional("metrics_only")
        && let Some(value) = read.report.boolean(node, "metrics_only")
    {
        to.metrics_only = value;
    }
    read.finish();
}

fn budget(to: &mut BudgetSettings, node: &Node, report: &mut Report) {
    let Some(mut read) = Setting::new(node, "budget", report) else {
        return;
    };
    read.time("call", &mut to.call, 10 * MS..=HOUR);
    let mut silence = to.silence.unwrap_or_default();
    read.time("silence", &mut silence, 10 * MS..=HOUR);
    to.silence = Some(silence).filter(|silence| !silence.is_zero());
    read.time("suspect", &mut to.suspect, MS..=HOUR);
    read.number("patience", &mut to.patience, 1.0..=100.0);
    read.number("share", &mut to.share, 0.05..=1.0);
    read.finish();
}

fn replay(to: &mut ReplaySettings, node: &Node, report: &mut Report) {
    let Some(mut read) = Setting::new(node, "replay", report) else {
        return;
    };
    read.time("hold_down", &mut to.hold_down, Duration::ZERO..=HOUR);
    let mut keys = u32::try_from(to.keys).unwrap_or(u32::MAX);
    read.count("keys", &mut keys, 1..=1_024);
    to.keys = usize::try_from(keys).unwrap_or(usize::MAX);
    read.count("per_second", &mut to.per_second, 1..=1_000_000);
    read.time("entry", &mut to.entry, 100 * MS..=HOUR);
    read.count("refusals_max", &mut to.refusals_max, 1..=1_000);
    read.time("backoff", &mut to.backoff, MS..=HOUR);
    read.time("backoff_max", &mut to.backoff_max, MS..=DAY);
    read.time("look_every", &mut to.look_every, 10 * MS..=HOUR);
    read.finish();
}

fn health(to: &mut HealthSettings, node: &Node, report: &mut Report) {
    let Some(mut read) = Setting::new(node, "health", report) else {
        return;
    };
    read.time("every", &mut to.every, 100 * MS..=HOUR);
    read.time("suspect_every", &mut to.suspect_every, 10 * MS..=HOUR);
    read.time("timeout", &mut to.timeout, 10 * MS..=MINUTE);
    read.finish();
}

/// What differs from the defaults, for the log.
impl Serialize for FailoverSettings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let own = self.capabilities.iter();
        let own = own.filter(|(name, settings)| **settings != CapabilitySettings::of(**name));
        let mut shown: BTreeMap<&str, String> = own
            .map(|(name, settings)| (name.as_str(), format!("{settings:?}")))
            .collect();
        if self.health != HealthSettings::default() {
            shown.insert("health", format!("{:?}", self.health));
        }
        serializer.collect_map(shown)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use CapabilityName::{Files, Memory, Model};

    use super::*;

    fn read_text(text: &str) -> Result<FailoverSettings, Vec<String>> {
        let mut report = Report::new(Path::new("stuga.yaml"));
        let node = report.parse(text).unwrap();
        let settings = FailoverSettings::read(&node, &mut report);
        if report.is_empty() {
            return Ok(settings);
        }
        let found = report.into_diagnostics();
        Err(found.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_capability_goes_by_its_own_word_then_the_general_one_then_its_default() {
        let text = "breaker: {open_for: 500ms, failure_rate: 0.25}\n\
            budget: {call: 1s}\n\
            capabilities:\n  files: {budget: {call: 30s}, replay: {entry: 1h}}\n\
            health: {every: 1s}\n";
        let settings = read_text(text).unwrap();
        let (files, memory) = (settings.of(Files), settings.of(Memory));
        assert_eq!(
            (files.budget.call, memory.budget.call),
            (30 * SECOND, SECOND)
        );
        assert_eq!(files.breaker.open_for, 500 * MS);
        assert_eq!(
            (files.breaker.failure_rate, memory.breaker.probes),
            (0.25, 3)
        );
        assert_eq!(
            (files.replay.entry, memory.replay.entry),
            (HOUR, 30 * SECOND)
        );
        assert_eq!(settings.health.every, SECOND);
        let silent = FailoverSettings::default().of(Files);
        assert_eq!(
            (silent.budget.call, silent.budget.silence),
            (15 * SECOND, Some(3 * SECOND))
        );
        assert_eq!(silent.replay.entry, 15 * MINUTE);
        let thoughtful = FailoverSettings::default().of(Model).budget;
        assert_eq!(
            (thoughtful.call, thoughtful.silence),
            (MINUTE, Some(15 * SECOND))
        );
    }

    #[test]
    fn every_mistake_is_told_once_and_at_its_place() {
        let text = "breaker: {failure_rate: 2, opn_for: 1s}\n\
            budgets: {}\n\
            capabilities:\n  memry: {}\n  files: {replay: {keys: 0}, breaker: {metrics_only: 1}}\n";
        let found = read_text(text).unwrap_err();
        let expected = [
            "stuga.yaml:1:25: failure_rate is 2; write a number from 0.01 to 1",
            "stuga.yaml:1:28: unknown key \"opn_for\" in breaker; did you mean \"open_for\"?",
            "stuga.yaml:2:1: unknown key \"budgets\" in failover; did you mean \"budget\"?",
            "stuga.yaml:4:3: unknown key \"memry\" in failover.capabilities; did you mean \"memory\"?",
            "stuga.yaml:5:26: keys is 0; write a whole number from 1 to 1024",
            "stuga.yaml:5:54: metrics_only is 1; write true or false",
        ];
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{found}\nshould be {expected}");
        }
    }

    #[test]
    fn the_log_says_what_differs_from_the_defaults() {
        let shown = |settings| serde_json::to_value(settings).unwrap();
        assert_eq!(shown(FailoverSettings::default()), serde_json::json!({}));
        let other = read_text("capabilities: {memory: {budget: {call: 1s}}}\n").unwrap();
        let other = shown(other);
        assert!(
            other["memory"].as_str().unwrap().contains("call: 1s"),
            "{other}"
        );
        assert!(other.get("files").is_none(), "{other}");
    }
}
