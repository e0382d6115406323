//! WebVTT and SRT: blocks of timed cues. One lenient reader for both, since SRT in the wild borrows from WebVTT.
//!
//! Written here because recovery is the point: the crate for the format (fasrt) hands out cues without their line, and
//! a caller with a damaged file needs "cue at line 12". The grammar that is left is small.

use super::Transcript;
use super::markup;
use super::speaker::Labels;
use super::timestamp;

/// Damaged cues named one by one; the rest is counted.
const WARNINGS_MAX: usize = 5;

/// A cue as it stands in the file.
struct Cue<'a> {
    line: usize,
    times: Option<(u64, u64)>,
    payload: Vec<&'a str>,
}

/// Reads all cues that can be read and warns of each that cannot, by line.
pub(super) fn parse(text: &str) -> Transcript {
    let mut reader = Reader::default();
    let separator = if text.contains('\n') { '\n' } else { '\r' };
    for (index, line) in text.split(separator).enumerate() {
        reader.line(index + 1, line.trim_end_matches('\r'));
    }
    let last_line = text.split(separator).count();
    reader.finish(last_line)
}

#[derive(Default)]
struct Reader<'a> {
    cues: Vec<Cue<'a>>,
    /// Whether the last of `cues` still takes payload lines.
    open: bool,
    /// Inside NOTE, STYLE, REGION or the header, up to the next blank line.
    skipping: bool,
    /// A line that may turn out to be the identifier of the next cue.
    pending: Option<(usize, &'a str)>,
    stray: Vec<usize>,
}

impl<'a> Reader<'a> {
    fn line(&mut self, number: usize, line: &'a str) {
        if line.trim().is_empty() {
            self.open = false;
            self.skipping = false;
            self.settle_pending();
        } else if line.contains("-->") {
            self.take_back_identifier();
            self.pending = None;
            self.skipping = false;
            self.open = true;
            self.cues.push(Cue {
                line: number,
                times: timestamp::cue_times(line),
                payload: Vec::new(),
            });
        } else if self.skipping {
        } else if self.open {
            if let Some(cue) = self.cues.last_mut() {
                cue.payload.push(line);
            }
        } else if self.pending.is_none() && is_block_to_skip(line) {
            self.skipping = true;
        } else {
            self.settle_pending();
            self.pending = Some((number, line));
        }
    }

    /// SRT without blank lines: the number before a timing line was taken for the end of the cue before.
    fn take_back_identifier(&mut self) {
        if self.open
            && let Some(cue) = self.cues.last_mut()
            && cue.payload.len() > 1
            && cue
                .payload
                .last()
                .is_some_and(|line| line.trim().bytes().all(|byte| byte.is_ascii_digit()))
        {
            cue.payload.pop();
        }
    }

    fn settle_pending(&mut self) {
        self.stray.extend(self.pending.take().map(|(line, _)| line));
    }

    fn finish(mut self, last_line: usize) -> Transcript {
        // A file that ends in an identifier or half a timing line was cut there.
        let cut_before_arrow = self.pending.take().filter(|(_, line)| {
            line.bytes()
                .all(|byte| byte.is_ascii_digit() || b":.,- ".contains(&byte))
        });
        let mut transcript = Transcript::default();
        let labels = Labels::learn(
            self.cues
                .iter()
                .filter_map(|cue| cue.payload.first().copied()),
        );
        let mut damaged = Vec::new();
        let mut whole = 0_usize;
        let count = self.cues.len();
        for (index, cue) in self.cues.iter().enumerate() {
            let payload = cue.payload.join(" ");
            let is_last = index + 1 == count && cue.line + cue.payload.len() >= last_line;
            if is_last && (cue.times.is_none() || markup::is_cut(&payload)) {
                damaged.push(format!("cue at line {} is cut off", cue.line));
            } else if cue.times.is_none() {
                damaged.push(format!("cue at line {} has no readable time", cue.line));
            } else {
                whole += 1;
            }
            push_payload(&mut transcript, &labels, &payload, cue.times);
        }
        if let Some((line, _)) = cut_before_arrow {
            damaged.push(format!("cue at line {line} is cut off"));
        }
        warn(&mut transcript.warnings, damaged, whole, &self.stray);
        transcript
    }
}

fn push_payload(
    transcript: &mut Transcript,
    labels: &Labels,
    payload: &str,
    times: Option<(u64, u64)>,
) {
    let voices = markup::voices(payload);
    let bytes: usize = voices.iter().map(|voice| voice.text.len()).sum();
    let mut start = times.map(|(start, _)| start);
    for voice in &voices {
        // Two voices in one cue share its time by the length of what they say.
        let part = times.zip(start).map(|((from, to), start)| {
            let share = (to - from) * voice.text.len() as u64 / bytes.max(1) as u64;
            (start, (start + share).min(to))
        });
        start = part.map(|(_, end)| end);
        match voice.speaker.as_deref() {
            Some(speaker) => transcript.push_cue(Some(speaker), &voice.text, part),
            None => {
                let (speaker, text) = labels.split(voice.text.trim());
                transcript.push_cue(speaker, text, part);
            }
        }
    }
}

fn warn(warnings: &mut Vec<String>, damaged: Vec<String>, whole: usize, stray: &[usize]) {
    let more = damaged.len().saturating_sub(WARNINGS_MAX);
    let cues = if whole == 1 { "cue" } else { "cues" };
    warnings.extend(
        damaged
            .into_iter()
            .take(WARNINGS_MAX)
            .map(|problem| format!("{problem}; {whole} whole {cues} used")),
    );
    if more > 0 {
        warnings.push(format!("{more} more damaged cues"));
    }
    if let Some(first) = stray.first() {
        warnings.push(format!(
            "{} line(s) outside of cues were left out, the first at line {first}",
            stray.len()
        ));
    }
}

fn is_block_to_skip(line: &str) -> bool {
    ["WEBVTT", "NOTE", "STYLE", "REGION"].iter().any(|keyword| {
        line.strip_prefix(keyword)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', ':']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(transcript: &Transcript) -> Vec<(Option<&str>, &str)> {
        transcript
            .turns
            .iter()
            .map(|turn| (turn.speaker.as_deref(), turn.text.as_str()))
            .collect()
    }

    #[test]
    fn header_notes_styles_and_settings_are_no_speech() {
        let transcript = parse(
            "WEBVTT - title\nKind: captions\n\nNOTE a\nb\n\nSTYLE\n::cue { color: red }\n\nid\n00:01.000 --> 00:02.000 align:start\n<v Anna>Hej\nalla.\n",
        );
        assert_eq!(said(&transcript), [(Some("Anna"), "Hej alla.")]);
        assert_eq!(transcript.turns[0].marks[0].start_ms, 1_000);
        assert_eq!(transcript.turns[0].spoken_ms, Some(1_000));
        assert!(transcript.warnings.is_empty(), "{:?}", transcript.warnings);
    }

    #[test]
    fn consecutive_cues_of_a_speaker_are_one_turn_with_both_times() {
        let transcript = parse(
            "WEBVTT\n\n00:01.000 --> 00:02.000\n<v A>We sent\n\n00:02.100 --> 00:03.000\n<v A>the report.\n\n00:20.000 --> 00:21.000\n<v A>Later.",
        );
        assert_eq!(
            said(&transcript),
            [(Some("A"), "We sent the report."), (Some("A"), "Later.")]
        );
        assert_eq!(transcript.turns[0].time_at(3), Some(1_000));
        assert_eq!(transcript.turns[0].time_at(8), Some(2_100));
    }

    #[test]
    fn a_cue_that_is_cut_off_is_named_by_its_line() {
        let transcript = parse(
            "WEBVTT\n\n1\n00:00:01.000 --> 00:00:04.500\n<v A>One.\n\n2\n00:00:04.800 --> 00:00:09.000\n<v B>Two.\n\n3\n00:00:09.300 --> 00:0",
        );
        assert_eq!(transcript.turns.len(), 2);
        assert_eq!(
            transcript.warnings,
            ["cue at line 12 is cut off; 2 whole cues used"]
        );
    }

    #[test]
    fn a_file_cut_before_the_arrow_is_noticed_too() {
        let transcript = parse("WEBVTT\n\n00:01.000 --> 00:02.000\nOne.\n\n00:00:0");
        assert_eq!(
            transcript.warnings,
            ["cue at line 6 is cut off; 1 whole cue used"]
        );
    }

    #[test]
    fn srt_with_crlf_and_without_blank_lines_is_read() {
        let transcript = parse(
            "1\r\n00:00:01,000 --> 00:00:02,000\r\nAnna: Hej.\r\n2\r\n00:00:02,500 --> 00:00:03,000\r\nBo: Hej hej.\r\n",
        );
        assert_eq!(
            said(&transcript),
            [(Some("Anna"), "Hej."), (Some("Bo"), "Hej hej.")]
        );
    }

    #[test]
    fn a_wrong_time_in_the_middle_keeps_the_words() {
        let transcript = parse(
            "1\n00:00:xx --> 00:00:02,000\nKept.\n\n2\n00:00:02,500 --> 00:00:03,000\nAlso.\n",
        );
        assert!(transcript.turns[0].text.contains("Kept."));
        assert_eq!(
            transcript.warnings,
            ["cue at line 2 has no readable time; 1 whole cue used"]
        );
    }
}
