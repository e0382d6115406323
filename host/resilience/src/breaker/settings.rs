//! When a breaker trips and how it comes back.

use std::time::Duration;

/// The settings of a breaker. The defaults suit a service that answers within some hundred milliseconds.
#[derive(Clone, PartialEq, Debug)]
pub struct BreakerSettings {
    /// How far back calls are counted.
    pub window: Duration,
    /// Fewer calls than this in the window never trip it by a rate.
    pub minimum_calls: u32,
    /// Trips when this share of the calls in the window failed, 0 to 1.
    pub failure_rate: f64,
    /// A call that takes at least this long is slow.
    pub slow_call: Duration,
    /// Trips when this share of the calls in the window was slow, 0 to 1.
    pub slow_rate: f64,
    /// Trips after this many failures in a row, however few calls the window holds.
    pub consecutive_failures: u32,
    /// How long it stays open after the first trip.
    pub open_for: Duration,
    /// By what the open time grows with each trip that follows without a recovery between them.
    pub open_growth: f64,
    /// Longest open time, before jitter.
    pub open_for_max: Duration,
    /// How long it must have stayed closed before the open time begins small again: a cloud that flaps is asked less and
    /// less often.
    pub calm_after: Duration,
    /// Share of the open time that is added or taken at random, so that many hosts do not probe at once; 0 to 1.
    pub jitter: f64,
    /// Calls that are let through as probes when the open time is over, and how many of them must succeed.
    pub probes: u32,
    /// Counts and tells, but lets every call through: to find settings before they matter.
    pub metrics_only: bool,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(30),
            minimum_calls: 20,
            failure_rate: 0.5,
            slow_call: Duration::from_secs(2),
            slow_rate: 0.8,
            consecutive_failures: 5,
            open_for: Duration::from_secs(2),
            open_growth: 2.0,
            open_for_max: Duration::from_secs(60),
            calm_after: Duration::from_secs(60),
            jitter: 0.2,
            probes: 3,
            metrics_only: false,
        }
    }
}

impl BreakerSettings {
    /// The open time of the trip number `trips` in a row, from 1, with `random` between 0 and 1.
    pub(super) fn open_time(&self, trips: u32, random: f64) -> Duration {
        let growth = self.open_growth.max(1.0);
        // Above 2^64 any growth has met the cap.
        let exponent = i32::try_from(trips.saturating_sub(1).min(64)).unwrap_or(64);
        let cap = self.open_for_max.as_secs_f64();
        let grown = (self.open_for.as_secs_f64() * growth.powi(exponent)).min(cap);
        let jitter = 1.0 + self.jitter.clamp(0.0, 1.0) * (2.0 * random.clamp(0.0, 1.0) - 1.0);
        Duration::try_from_secs_f64(grown * jitter).unwrap_or(self.open_for_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_open_time_grows_to_its_cap_and_jitter_stays_in_its_share() {
        let settings = BreakerSettings::default();
        let plain = |trips| settings.open_time(trips, 0.5).as_secs_f64();
        assert_eq!(
            [plain(1), plain(2), plain(3), plain(4)],
            [2.0, 4.0, 8.0, 16.0]
        );
        assert_eq!(plain(1_000), 60.0);
        assert_eq!(settings.open_time(1, 0.0), Duration::from_millis(1_600));
        assert_eq!(settings.open_time(1, 1.0), Duration::from_millis(2_400));
    }

    #[test]
    fn senseless_settings_do_not_panic() {
        let settings = BreakerSettings {
            open_growth: f64::INFINITY,
            jitter: 9.0,
            open_for_max: Duration::MAX,
            ..BreakerSettings::default()
        };
        settings.open_time(u32::MAX, f64::NAN);
    }
}
