//! Days that people name: `by Friday`, `senast den 15 mars`, `in two weeks`, resolved against the day of the meeting.

use jiff::ToSpan;
use jiff::civil::{Date, ISOWeekDate, Weekday};

use crate::language::Language;

/// A due date as found in words: which words, and the day when it can be told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Due {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) date: Option<Date>,
}

/// The first valid `YYYY-MM-DD` in the text.
pub(crate) fn iso_date_in(text: &str) -> Option<Date> {
    let is_separator = |c: char| !(c.is_ascii_digit() || c == '-');
    text.split(is_separator).find_map(iso_date)
}

/// The UTC day of a moment in milliseconds since 1970-01-01, as `YYYY-MM-DD`; the last day there is for moments beyond.
pub(crate) fn day_of_millis(millis: u64) -> String {
    let days = i32::try_from(millis / 86_400_000).unwrap_or(i32::MAX);
    let day = Date::constant(1970, 1, 1).checked_add(days.days());
    day.unwrap_or(Date::MAX).to_string()
}

fn iso_date(word: &str) -> Option<Date> {
    let mut parts = word.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let whole = year.len() == 4 && month.len() == 2 && day.len() == 2 && parts.next().is_none();
    whole
        .then(|| Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok())
        .flatten()
}

/// The first due date in lowercase words without punctuation.
///
/// A weekday is the next one after the meeting; `next Friday` is the Friday of the following week; a week is its Friday; a day and
/// month without a year is the next such day. Without the day of the meeting the words are found but not resolved.
pub(crate) fn due(words: &[&str], meeting: Option<Date>, language: Language) -> Option<Due> {
    let names = match language {
        Language::En => &EN,
        Language::Sv => &SV,
    };
    (0..words.len()).find_map(|at| {
        let (length, day) = names.expression(words.get(at..)?)?;
        let date = meeting
            .and_then(|meeting| day.resolve(meeting))
            .or(match day {
                Day::Exactly(date) => Some(date),
                _ => None,
            });
        let lead = names.lead(words.get(..at)?);
        Some(Due {
            start: at - lead,
            end: at + length,
            date,
        })
    })
}

/// A day relative to the meeting.
#[derive(Clone, Copy, Debug)]
enum Day {
    Exactly(Date),
    InDays(i32),
    InMonths(i32),
    Next(Weekday),
    InFollowingWeek(Weekday),
    ThisWeek(Weekday),
    EndOfMonth,
    EndOfYear,
    IsoWeek(i8),
    OfMonth(i8, i8),
    /// A time that is no calendar day, such as the next meeting.
    Unresolved,
}

impl Day {
    fn resolve(self, meeting: Date) -> Option<Date> {
        match self {
            Self::Exactly(date) => Some(date),
            Self::InDays(days) => meeting.checked_add(days.days()).ok(),
            Self::InMonths(months) => meeting.checked_add(months.months()).ok(),
            Self::Next(weekday) => meeting.nth_weekday(1, weekday).ok(),
            Self::ThisWeek(weekday) => Self::of_week(meeting, weekday),
            Self::InFollowingWeek(weekday) => {
                Self::of_week(meeting.checked_add(7.days()).ok()?, weekday)
            }
            Self::EndOfMonth => Some(meeting.last_of_month()),
            Self::EndOfYear => Some(meeting.last_of_year()),
            Self::IsoWeek(week) => {
                let year = meeting.iso_week_date().year();
                let friday =
                    |year| Some(ISOWeekDate::new(year, week, Weekday::Friday).ok()?.date());
                friday(year)
                    .filter(|date| *date >= meeting)
                    .or_else(|| friday(year + 1))
            }
            Self::OfMonth(day, month) => {
                let of_year = |year| Date::new(year, month, day).ok();
                of_year(meeting.year())
                    .filter(|date| *date >= meeting)
                    .or_else(|| of_year(meeting.year() + 1))
            }
            Self::Unresolved => None,
        }
    }

    fn of_week(date: Date, weekday: Weekday) -> Option<Date> {
        let week = date.iso_week_date();
        Some(
            ISOWeekDate::new(week.year(), week.week(), weekday)
                .ok()?
                .date(),
        )
    }
}

/// How a language names days.
struct Names {
    weekdays: [&'static [&'static str]; 7],
    months: [&'static [&'static str]; 12],
    numbers: [&'static str; 12],
    /// Words in front that belong to the date, such as `by the`.
    leads: &'static [&'static str],
    /// Whole expressions of fixed words.
    fixed: &'static [(&'static str, Day)],
    next: &'static [&'static str],
    day_units: &'static [(&'static str, i32)],
    month_units: &'static [&'static str],
    within: &'static [&'static str],
    week: Option<&'static str>,
}

impl Names {
    /// An expression at the start of the words and how many words it takes.
    fn expression(&self, words: &[&str]) -> Option<(usize, Day)> {
        let first = *words.first()?;
        if let Some(found) = self.fixed_expression(words) {
            return Some(found);
        }
        if let Some(date) = iso_date(first) {
            return Some((1, Day::Exactly(date)));
        }
        if self.next.contains(&first)
            && let Some(weekday) = words.get(1).and_then(|word| self.weekday(word))
        {
            return Some((2, Day::InFollowingWeek(weekday)));
        }
        if let Some(weekday) = self.weekday(first) {
            return Some((1, Day::Next(weekday)));
        }
        if self.within.contains(&first) {
            return self.span(words);
        }
        if self.week == Some(first) {
            let week = words
                .get(1)?
                .parse()
                .ok()
                .filter(|week| (1..=53).contains(week))?;
            return Some((2, Day::IsoWeek(week)));
        }
        self.day_and_month(words)
    }

    fn fixed_expression(&self, words: &[&str]) -> Option<(usize, Day)> {
        self.fixed.iter().find_map(|(phrase, day)| {
            let mut count = 0;
            let fits = phrase.split(' ').all(|word| {
                count += 1;
                words.get(count - 1) == Some(&word)
            });
            fits.then_some((count, *day))
        })
    }

    /// `in two weeks`, `om 3 dagar`.
    fn span(&self, words: &[&str]) -> Option<(usize, Day)> {
        let (number, unit) = (words.get(1)?, words.get(2)?);
        let count = self
            .numbers
            .iter()
            .position(|name| name == number)
            .and_then(|at| i32::try_from(at + 1).ok())
            .or_else(|| {
                if matches!(*number, "a" | "an" | "ett") {
                    Some(1)
                } else {
                    number.parse().ok()
                }
            })
            .filter(|count| (1..=99).contains(count))?;
        if self.month_units.contains(unit) {
            return Some((3, Day::InMonths(count)));
        }
        let (_, days) = self.day_units.iter().find(|(name, _)| name == unit)?;
        Some((3, Day::InDays(count * days)))
    }

    /// `march 15`, `15 mars`, `15/3`, with an optional year.
    fn day_and_month(&self, words: &[&str]) -> Option<(usize, Day)> {
        let first = *words.first()?;
        if let Some((day, month)) = first.split_once('/') {
            let (day, month) = (day.parse().ok()?, month.parse().ok()?);
            let is_day_first =
                self.week.is_some() && (1..=12).contains(&month) && (1..=31).contains(&day);
            return is_day_first.then_some((1, Day::OfMonth(day, month)));
        }
        let (first, at) = if first == "the" || first == "den" {
            (*words.get(1)?, 2)
        } else {
            (first, 1)
        };
        let (day, month, mut length) = if let Some(month) = self.month(first) {
            (ordinal(words.get(at)?)?, month, at + 1)
        } else {
            let day = ordinal(first)?;
            let skip = usize::from(words.get(at) == Some(&"of"));
            (day, self.month(words.get(at + skip)?)?, at + skip + 1)
        };
        let year = words
            .get(length)
            .and_then(|word| word.parse::<i16>().ok())
            .filter(|year| (1900..=2200).contains(year));
        let day = match year {
            Some(year) => {
                length += 1;
                Day::Exactly(Date::new(year, month, day).ok()?)
            }
            None => Day::OfMonth(day, month),
        };
        Some((length, day))
    }

    fn weekday(&self, word: &str) -> Option<Weekday> {
        let offset = self
            .weekdays
            .iter()
            .position(|names| names.contains(&word))?;
        Weekday::from_monday_zero_offset(i8::try_from(offset).ok()?).ok()
    }

    fn month(&self, word: &str) -> Option<i8> {
        let offset = self.months.iter().position(|names| names.contains(&word))?;
        i8::try_from(offset + 1).ok()
    }

    /// How many words before the expression belong to it.
    fn lead(&self, before: &[&str]) -> usize {
        before
            .iter()
            .rev()
            .take(3)
            .take_while(|word| self.leads.contains(word))
            .count()
    }
}

/// `15`, `15th`, `15:e`, as a day of a month.
fn ordinal(word: &str) -> Option<i8> {
    let digits = word.trim_end_matches(|c: char| !c.is_ascii_digit());
    let ending = word.get(digits.len()..)?;
    let known = matches!(
        ending,
        "" | "st" | "nd" | "rd" | "th" | ":e" | ":a" | "e" | "a"
    );
    digits
        .parse()
        .ok()
        .filter(|day| known && (1..=31).contains(day))
}

const EN: Names = Names {
    weekdays: [
        &["monday"],
        &["tuesday"],
        &["wednesday"],
        &["thursday"],
        &["friday"],
        &["saturday"],
        &["sunday"],
    ],
    months: [
        &["january", "jan"],
        &["february", "feb"],
        &["march"],
        &["april", "apr"],
        &["may"],
        &["june"],
        &["july"],
        &["august", "aug"],
        &["september", "sept"],
        &["october", "oct"],
        &["november", "nov"],
        &["december", "dec"],
    ],
    numbers: [
        "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
        "twelve",
    ],
    leads: &[
        "by", "before", "until", "till", "on", "due", "the", "this", "no", "later", "than", "for",
        "at",
    ],
    fixed: &[
        ("tomorrow morning", Day::InDays(1)),
        ("tomorrow", Day::InDays(1)),
        ("today", Day::InDays(0)),
        ("tonight", Day::InDays(0)),
        ("end of the day", Day::InDays(0)),
        ("end of day", Day::InDays(0)),
        ("end of next week", Day::InFollowingWeek(Weekday::Friday)),
        ("end of the week", Day::ThisWeek(Weekday::Friday)),
        ("end of this week", Day::ThisWeek(Weekday::Friday)),
        ("end of week", Day::ThisWeek(Weekday::Friday)),
        ("end of the month", Day::EndOfMonth),
        ("end of this month", Day::EndOfMonth),
        ("end of month", Day::EndOfMonth),
        ("end of the year", Day::EndOfYear),
        ("end of this year", Day::EndOfYear),
        ("later this week", Day::ThisWeek(Weekday::Friday)),
        ("this week", Day::ThisWeek(Weekday::Friday)),
        ("next week", Day::InFollowingWeek(Weekday::Friday)),
        ("next month", Day::InMonths(1)),
        ("the next meeting", Day::Unresolved),
        ("our next meeting", Day::Unresolved),
        ("next meeting", Day::Unresolved),
    ],
    next: &["next"],
    day_units: &[("day", 1), ("days", 1), ("week", 7), ("weeks", 7)],
    month_units: &["month", "months"],
    within: &["in", "within"],
    week: None,
};

const SV: Names = Names {
    weekdays: [
        &["måndag", "måndagen"],
        &["tisdag", "tisdagen"],
        &["onsdag", "onsdagen"],
        &["torsdag", "torsdagen"],
        &["fredag", "fredagen"],
        &["lördag", "lördagen"],
        &["söndag", "söndagen"],
    ],
    months: [
        &["januari", "jan"],
        &["februari", "feb"],
        &["mars"],
        &["april"],
        &["maj"],
        &["juni"],
        &["juli"],
        &["augusti", "aug"],
        &["september", "sept"],
        &["oktober", "okt"],
        &["november", "nov"],
        &["december", "dec"],
    ],
    numbers: [
        "en", "två", "tre", "fyra", "fem", "sex", "sju", "åtta", "nio", "tio", "elva", "tolv",
    ],
    leads: &[
        "senast", "till", "före", "innan", "på", "den", "nu", "under", "i",
    ],
    fixed: &[
        ("i morgon", Day::InDays(1)),
        ("imorgon", Day::InDays(1)),
        ("i övermorgon", Day::InDays(2)),
        ("idag", Day::InDays(0)),
        ("i dag", Day::InDays(0)),
        ("ikväll", Day::InDays(0)),
        ("i kväll", Day::InDays(0)),
        (
            "slutet av nästa vecka",
            Day::InFollowingWeek(Weekday::Friday),
        ),
        ("slutet av veckan", Day::ThisWeek(Weekday::Friday)),
        ("slutet på veckan", Day::ThisWeek(Weekday::Friday)),
        ("slutet av månaden", Day::EndOfMonth),
        ("månadsskiftet", Day::EndOfMonth),
        ("slutet av året", Day::EndOfYear),
        ("årsskiftet", Day::EndOfYear),
        ("nästa vecka", Day::InFollowingWeek(Weekday::Friday)),
        ("nästa månad", Day::InMonths(1)),
        ("den här veckan", Day::ThisWeek(Weekday::Friday)),
        ("denna vecka", Day::ThisWeek(Weekday::Friday)),
        ("veckan ut", Day::ThisWeek(Weekday::Friday)),
        ("nästa möte", Day::Unresolved),
        ("nästa sammanträde", Day::Unresolved),
    ],
    next: &["nästa"],
    day_units: &[("dag", 1), ("dagar", 1), ("vecka", 7), ("veckor", 7)],
    month_units: &["månad", "månader"],
    within: &["om", "inom"],
    week: Some("vecka"),
};

#[cfg(test)]
mod tests {
    use super::*;

    /// Wednesday 18 March 2026.
    fn resolved(text: &str, language: Language) -> Option<(String, Option<String>)> {
        let words: Vec<&str> = text.split(' ').collect();
        let due = due(&words, iso_date("2026-03-18"), language)?;
        Some((
            words[due.start..due.end].join(" "),
            due.date.map(|date| date.to_string()),
        ))
    }

    #[test]
    fn english_days_resolve_against_the_meeting() {
        for (text, said, date) in [
            ("send it by friday please", "by friday", "2026-03-20"),
            ("by next friday", "by next friday", "2026-03-27"),
            ("on wednesday", "on wednesday", "2026-03-25"),
            ("i will do it tomorrow", "tomorrow", "2026-03-19"),
            (
                "before the end of the month",
                "before the end of the month",
                "2026-03-31",
            ),
            ("in two weeks", "in two weeks", "2026-04-01"),
            ("by march 3rd", "by march 3rd", "2027-03-03"),
            (
                "by the 15th of april 2026",
                "by the 15th of april 2026",
                "2026-04-15",
            ),
            ("before 2026-05-01", "before 2026-05-01", "2026-05-01"),
        ] {
            assert_eq!(
                resolved(text, Language::En),
                Some((said.to_owned(), Some(date.to_owned()))),
                "{text}"
            );
        }
    }

    #[test]
    fn swedish_days_resolve_against_the_meeting() {
        for (text, said, date) in [
            (
                "skicka det senast på fredag",
                "senast på fredag",
                "2026-03-20",
            ),
            ("till den 15 april", "till den 15 april", "2026-04-15"),
            ("vecka 14", "vecka 14", "2026-04-03"),
            ("senast 2/4", "senast 2/4", "2026-04-02"),
            ("om tre dagar", "om tre dagar", "2026-03-21"),
            ("i slutet av månaden", "i slutet av månaden", "2026-03-31"),
        ] {
            assert_eq!(
                resolved(text, Language::Sv),
                Some((said.to_owned(), Some(date.to_owned()))),
                "{text}"
            );
        }
    }

    #[test]
    fn the_next_meeting_is_said_but_no_day() {
        assert_eq!(
            resolved("by the next meeting", Language::En),
            Some(("by the next meeting".to_owned(), None))
        );
    }

    #[test]
    fn impossible_days_are_no_dates() {
        assert_eq!(iso_date_in("Update 2020-27-02"), None);
        assert_eq!(resolved("by february 45", Language::En), None);
        assert_eq!(resolved("vecka 77", Language::Sv), None);
    }
}
