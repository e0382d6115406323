//! Sizes and times as people write them: `64MiB`, `10s`.

use std::time::Duration;

/// Units of a size and how many bytes each has.
const SIZES: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

/// Units of a time and how many milliseconds each has.
const TIMES: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// The bytes that a text such as `64MiB` or `1048576` means; none when it is no size or overflows.
pub fn parse_bytes(text: &str) -> Option<u64> {
    parse(text, &SIZES, Some(1))
}

/// The time that a text such as `250ms` or `10s` means; none when it is no time, lacks a unit or overflows.
pub fn parse_duration(text: &str) -> Option<Duration> {
    parse(text, &TIMES, None).map(Duration::from_millis)
}

fn parse(text: &str, units: &[(&str, u64)], bare: Option<u64>) -> Option<u64> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start();
    let factor = match unit {
        "" => bare?,
        _ => units.iter().find(|(name, _)| *name == unit)?.1,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// The size in the largest binary unit that divides it: `64MiB`.
pub fn show_bytes(bytes: u64) -> String {
    for (unit, size) in [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if bytes >= size && bytes.is_multiple_of(size) {
            return format!("{}{unit}", bytes / size);
        }
    }
    format!("{bytes}B")
}

/// The time in the largest unit that divides it: `10s`.
pub fn show_duration(time: Duration) -> String {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    for (unit, size) in TIMES.into_iter().rev() {
        if millis >= size && millis.is_multiple_of(size) {
            return format!("{}{unit}", millis / size);
        }
    }
    format!("{millis}ms")
}

/// About how large something is, for people: `412B`, `1.3KiB`, `136KiB`.
pub fn about_bytes(bytes: u64) -> String {
    let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.into_iter().find(|(_, size)| bytes >= *size) {
        // Tenths tell nothing of what has two digits.
        Some((unit, size)) if bytes / size < 10 && !bytes.is_multiple_of(size) => {
            format!("{:.1}{unit}", bytes as f64 / size as f64)
        }
        Some((unit, size)) => format!("{}{unit}", bytes / size),
        None => format!("{bytes}B"),
    }
}

/// About how long something takes, for people, in its two largest units: `250ms`, `9s`, `2m5s`, `1d3h`.
pub fn about_duration(time: Duration) -> String {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let mut units = TIMES
        .into_iter()
        .rev()
        .skip_while(|(_, size)| millis < *size);
    match (units.next(), units.next()) {
        // Milliseconds beside seconds are more than anybody reads.
        (Some((unit, size)), Some((less, part))) if part > 1 && millis % size >= part => {
            format!("{}{unit}{}{less}", millis / size, millis % size / part)
        }
        (Some((unit, size)), _) => format!("{}{unit}", millis / size),
        (None, _) => format!("{millis}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_binary_and_decimal_units() {
        assert_eq!(parse_bytes("64MiB"), Some(64 << 20));
        assert_eq!(parse_bytes("1 GB"), Some(1_000_000_000));
        assert_eq!(parse_bytes("123"), Some(123));
        for bad in ["", "MiB", "64mib", "-1", "1.5GiB", "99999999999GiB", "1 0"] {
            assert_eq!(parse_bytes(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_time_needs_its_unit() {
        assert_eq!(parse_duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse_duration("2m"), Some(Duration::from_secs(120)));
        assert_eq!(
            parse_duration("30d"),
            Some(Duration::from_secs(30 * 86_400))
        );
        assert_eq!(parse_duration("10"), None);
    }

    #[test]
    fn what_is_shown_reads_back_as_the_same() {
        for bytes in [0, 1, 1023, 1024, 1 << 20, (1 << 30) + 1] {
            assert_eq!(parse_bytes(&show_bytes(bytes)), Some(bytes));
        }
        for millis in [0, 1, 1_000, 90_000, 3_600_000, 172_800_000] {
            let time = Duration::from_millis(millis);
            assert_eq!(parse_duration(&show_duration(time)), Some(time));
        }
    }

    #[test]
    fn people_are_told_about_how_much() {
        for (bytes, words) in [
            (0, "0B"),
            (1_023, "1023B"),
            (1_024, "1KiB"),
            (1_331, "1.3KiB"),
            (138_910, "135KiB"),
            (5 << 30, "5GiB"),
            (u64::MAX, "17179869183GiB"),
        ] {
            assert_eq!(about_bytes(bytes), words);
        }
        for (millis, words) in [
            (0, "0ms"),
            (250, "250ms"),
            (9_400, "9s"),
            (60_000, "1m"),
            (125_700, "2m5s"),
            (3_600_000 + 59_000, "1h"),
            (97_200_000, "1d3h"),
            (u64::MAX, "213503982334d14h"),
        ] {
            assert_eq!(about_duration(Duration::from_millis(millis)), words);
        }
    }
}
