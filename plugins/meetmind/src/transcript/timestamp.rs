//! Times as transcripts write them: `01:02:03.456`, `02:03,4`, `1:02`.

/// A time at the very start of `text` and what follows it. Minutes and seconds are below 60; hours may be any number.
pub(super) fn leading(text: &str) -> Option<(u64, &str)> {
    let (first, rest) = number(text)?;
    let (second, rest) = number(rest.strip_prefix(':')?)?;
    let (hours, minutes, seconds, rest) = match rest.strip_prefix(':').and_then(number) {
        Some((third, rest)) => (first, second, third, rest),
        None => (0, first, second, rest),
    };
    if minutes >= 60 && hours > 0 || seconds >= 60 {
        return None;
    }
    let (millis, rest) = fraction(rest);
    let ms = hours
        .checked_mul(3_600_000)?
        .checked_add(minutes.checked_mul(60_000)?)?
        .checked_add(seconds * 1_000 + millis)?;
    Some((ms, rest))
}

/// Start and end of a cue's timing line, settings after it ignored; none when either is cut or wrong.
pub(super) fn cue_times(line: &str) -> Option<(u64, u64)> {
    let (start, end) = line.split_once("-->")?;
    let (start, after_start) = leading(start.trim())?;
    let (end, settings) = leading(end.trim_start())?;
    let whole =
        after_start.is_empty() && (settings.is_empty() || settings.starts_with([' ', '\t']));
    (whole && end >= start).then_some((start, end))
}

/// Up to six digits: more is no part of a time, and fewer cannot overflow what is computed from them.
fn number(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at_checked(digits)?;
    (1..=6).contains(&digits).then_some(())?;
    Some((number.parse().ok()?, rest))
}

fn fraction(text: &str) -> (u64, &str) {
    let Some((digits, rest)) = text.strip_prefix(['.', ',']).and_then(|rest| {
        let count = rest.bytes().take_while(u8::is_ascii_digit).count();
        (count > 0).then(|| rest.split_at_checked(count)).flatten()
    }) else {
        return (0, text);
    };
    let millis = digits
        .bytes()
        .chain(std::iter::repeat(b'0'))
        .take(3)
        .fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
    (millis, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_and_fractions_may_be_left_out() {
        assert_eq!(leading("01:02:03.456 x"), Some((3_723_456, " x")));
        assert_eq!(leading("02:03,4"), Some((123_400, "")));
        assert_eq!(leading("1:02] Anna"), Some((62_000, "] Anna")));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "12", "12:", "00:61", "01:60:00", "9999999:00", "a1:00"] {
            assert_eq!(leading(text), None, "{text}");
        }
    }

    #[test]
    fn cue_times_ignore_settings_and_refuse_cut_ones() {
        assert_eq!(
            cue_times("00:01.000 --> 00:02.000 align:start"),
            Some((1_000, 2_000))
        );
        assert_eq!(cue_times("00:00:09.300 --> 00:0"), None);
        assert_eq!(cue_times("00:02.000 --> 00:01.000"), None);
    }
}
