//! When a schedule makes its next job. Pure: the rules of time zones are compiled in, the time comes from the caller.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;

use crate::{Error, Result, Timestamp};

/// Longest cron expression in bytes.
pub const CRON_MAX_BYTES: usize = 256;
/// Longest name of a time zone in bytes.
pub const TIME_ZONE_MAX_BYTES: usize = 64;

/// Times that come again and again.
#[derive(Clone, Debug)]
pub struct Rule {
    cron: Cron,
    zone: TimeZone,
}

impl Rule {
    /// Reads a cron expression of five fields and the name of a time zone.
    ///
    /// # Errors
    /// `Invalid`, saying which of the two is wrong and what would be right.
    pub fn parse(operation: &'static str, cron: &str, time_zone: &str) -> Result<Self> {
        let wrong_cron = |why: String| {
            Error::invalid(
                operation,
                format!("the cron expression is not five fields such as `30 6 * * MON-FRI`: {why}"),
            )
        };
        if cron.len() > CRON_MAX_BYTES || !cron.is_ascii() {
            return Err(wrong_cron("it is over 256 bytes or not ASCII".to_owned()));
        }
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        let cron = parser.parse(cron).map_err(|e| wrong_cron(e.to_string()))?;
        let zone = Some(time_zone)
            .filter(|name| (1..=TIME_ZONE_MAX_BYTES).contains(&name.len()))
            .and_then(|name| TimeZone::get(name).ok())
            .ok_or_else(|| {
                Error::invalid(
                    operation,
                    "the time zone is not a name of the IANA database such as Europe/Stockholm or UTC",
                )
            })?;
        Ok(Self { cron, zone })
    }

    /// The first time after `now`.
    ///
    /// # Errors
    /// `Invalid` when none comes, as on 30 February.
    pub fn next_after(&self, operation: &'static str, now: Timestamp) -> Result<Timestamp> {
        let none = || {
            Error::invalid(
                operation,
                "the cron expression names a time that never comes",
            )
        };
        let millis = i64::try_from(now.as_millis()).map_err(|_| none())?;
        let now = jiff::Timestamp::from_millisecond(millis).map_err(|_| none())?;
        let next = self
            .cron
            .find_next_occurrence(&now.to_zoned(self.zone.clone()), false)
            .map_err(|_| none())?;
        u64::try_from(next.timestamp().as_millisecond())
            .map(Timestamp::from_millis)
            .map_err(|_| none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(time: &str) -> Timestamp {
        let time: jiff::Timestamp = time.parse().unwrap();
        Timestamp::from_millis(u64::try_from(time.as_millisecond()).unwrap())
    }

    /// The times after `from`, in UTC.
    fn times(cron: &str, from: &str, count: usize) -> Vec<String> {
        let rule = Rule::parse("x", cron, "Europe/Stockholm").unwrap();
        let mut now = millis(from);
        (0..count)
            .map(|_| {
                now = rule.next_after("x", now).unwrap();
                let at = i64::try_from(now.as_millis()).unwrap();
                jiff::Timestamp::from_millisecond(at).unwrap().to_string()
            })
            .collect()
    }

    #[test]
    fn in_spring_a_time_that_is_skipped_comes_right_after_the_gap() {
        // On 29 March 2026 the clocks in Stockholm go from 02:00 to 03:00, which is 01:00 UTC.
        assert_eq!(
            times("30 2 * * *", "2026-03-27T12:00:00Z", 3),
            [
                "2026-03-28T01:30:00Z",
                "2026-03-29T01:00:00Z",
                "2026-03-30T00:30:00Z"
            ]
        );
        assert_eq!(
            times("*/30 * * * *", "2026-03-29T00:00:00Z", 4),
            [
                "2026-03-29T00:30:00Z",
                "2026-03-29T01:00:00Z",
                "2026-03-29T01:30:00Z",
                "2026-03-29T02:00:00Z"
            ]
        );
    }

    #[test]
    fn in_autumn_a_time_that_is_repeated_comes_once() {
        // On 25 October 2026 the clocks go from 03:00 back to 02:00, which is 01:00 UTC.
        assert_eq!(
            times("30 2 * * *", "2026-10-24T12:00:00Z", 2),
            ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
        );
        assert_eq!(
            times("*/30 * * * *", "2026-10-25T00:00:00Z", 4),
            [
                "2026-10-25T00:30:00Z",
                "2026-10-25T01:00:00Z",
                "2026-10-25T01:30:00Z",
                "2026-10-25T02:00:00Z"
            ]
        );
    }

    #[test]
    fn what_is_no_schedule_is_refused_with_what_would_be() {
        for cron in [
            "",
            "* * * *",
            "61 * * * *",
            "0 30 6 * * *",
            "hourly",
            "å * * * *",
            &"*".repeat(300),
        ] {
            let error = Rule::parse("x", cron, "UTC").unwrap_err();
            assert!(error.message().contains("five fields"), "{cron}: {error}");
        }
        for zone in ["", "Europe/Atlantis", "../etc/passwd", &"x".repeat(100)] {
            let error = Rule::parse("x", "@daily", zone).unwrap_err();
            assert!(error.message().contains("Europe/Stockholm"), "{error}");
        }
        let never = Rule::parse("x", "0 0 30 2 *", "UTC").unwrap();
        assert!(
            never
                .next_after("x", millis("2026-01-01T00:00:00Z"))
                .is_err()
        );
    }
}
