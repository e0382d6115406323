//! A summary as Markdown, with headings in the language of the meeting. What was said is escaped: it is text, never markup.

use std::fmt::Write;

use crate::language::Language;
use crate::summary::{Place, Summary};

struct Words {
    summary: &'static str,
    decisions: &'static str,
    actions: &'static str,
    questions: &'static str,
    topics: &'static str,
    speaking: &'static str,
    header: &'static str,
    notes: &'static str,
    none: &'static str,
    nobody: &'static str,
    due: &'static str,
}

const EN: Words = Words {
    summary: "Summary",
    decisions: "Decisions",
    actions: "Action items",
    questions: "Open questions",
    topics: "Topics",
    speaking: "Speaking time",
    header: "| Speaker | Time | Share | Turns |",
    notes: "Notes",
    none: "None found.",
    nobody: "nobody named",
    due: "due",
};

const SV: Words = Words {
    summary: "Sammanfattning",
    decisions: "Beslut",
    actions: "Att göra",
    questions: "Öppna frågor",
    topics: "Ämnen",
    speaking: "Taltid",
    header: "| Talare | Tid | Andel | Inlägg |",
    notes: "Anmärkningar",
    none: "Inga funna.",
    nobody: "ingen nämnd",
    due: "senast",
};

/// Renders everything but the markdown field itself.
pub(crate) fn markdown(summary: &Summary) -> String {
    let words = match summary.language {
        Language::En => &EN,
        Language::Sv => &SV,
    };
    let mut page = Page {
        text: String::new(),
    };
    page.line(&format!("# {}", escaped(&summary.title)));
    if let Some(date) = &summary.date {
        page.line("");
        page.line(&escaped(date));
    }
    page.section(words.summary, &said(summary), words.none);
    page.section(words.decisions, &decisions(summary), words.none);
    page.section(words.actions, &actions(summary, words), words.none);
    page.section(words.questions, &questions(summary), words.none);
    page.section(words.topics, &topics(summary), words.none);
    speaking(&mut page, summary, words);
    if !summary.warnings.is_empty() {
        let warnings: Vec<String> = summary
            .warnings
            .iter()
            .map(|warning| escaped(warning))
            .collect();
        page.section(words.notes, &warnings, words.none);
    }
    page.text
}

struct Page {
    text: String,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn section(&mut self, heading: &str, items: &[String], none: &str) {
        self.line(&format!("\n## {heading}\n"));
        if items.is_empty() {
            self.line(none);
        }
        for item in items {
            self.line(&format!("- {item}"));
        }
    }
}

fn said(summary: &Summary) -> Vec<String> {
    let sentence = |text: &str, place: &Place| format!("{}{}", who(place), escaped(text));
    summary
        .summary
        .iter()
        .map(|statement| sentence(&statement.text, &statement.place))
        .collect()
}

fn decisions(summary: &Summary) -> Vec<String> {
    let item = |decision: &crate::summary::Decision| {
        let context = decision
            .context
            .as_deref()
            .map(|context| format!("{} ", escaped(context)))
            .unwrap_or_default();
        format!(
            "{context}{}{}",
            escaped(&decision.text),
            by(&decision.place)
        )
    };
    summary.decisions.iter().map(item).collect()
}

fn actions(summary: &Summary, words: &Words) -> Vec<String> {
    let item = |action: &crate::summary::ActionItem| {
        let owner = action
            .owner
            .as_deref()
            .map_or_else(|| words.nobody.to_owned(), escaped);
        let mut line = format!("[ ] **{owner}**: {}", escaped(&action.task));
        if let Some(date) = action.due_date.as_deref().or(action.due.as_deref()) {
            // Writing to a String cannot fail.
            let _ = write!(line, " ({} {})", words.due, escaped(date));
        }
        line
    };
    summary.action_items.iter().map(item).collect()
}

fn questions(summary: &Summary) -> Vec<String> {
    let item = |question: &crate::summary::OpenQuestion| {
        let reply = question
            .reply
            .as_deref()
            .map(|reply| format!(" – {}", escaped(reply)))
            .unwrap_or_default();
        format!("{}{}{reply}", escaped(&question.text), by(&question.place))
    };
    summary.open_questions.iter().map(item).collect()
}

fn topics(summary: &Summary) -> Vec<String> {
    let item = |topic: &crate::summary::Topic| {
        let time = topic
            .start_ms
            .map(|ms| format!("[{}] ", clock(ms / 1_000)))
            .unwrap_or_default();
        format!(
            "{}{}",
            escaped_time(&time),
            escaped(&topic.key_phrases.join(", "))
        )
    };
    summary.topics.iter().map(item).collect()
}

fn speaking(page: &mut Page, summary: &Summary, words: &Words) {
    if summary.speaking_time.is_empty() {
        return;
    }
    page.line(&format!(
        "\n## {}\n\n{}\n| --- | ---: | ---: | ---: |",
        words.speaking, words.header
    ));
    for time in &summary.speaking_time {
        let about = if time.estimated { "≈ " } else { "" };
        let seconds = clock(time.seconds.round() as u64);
        let share = time.share * 100.0;
        page.line(&format!(
            "| {} | {about}{seconds} | {share:.0} % | {} |",
            escaped(&time.speaker),
            time.turns
        ));
    }
}

fn who(place: &Place) -> String {
    let time = place
        .start_ms
        .map(|ms| format!("[{}] ", clock(ms / 1_000)))
        .unwrap_or_default();
    let speaker = place
        .speaker
        .as_deref()
        .map(|speaker| format!("**{}**: ", escaped(speaker)))
        .unwrap_or_default();
    format!("{}{speaker}", escaped_time(&time))
}

fn by(place: &Place) -> String {
    place
        .speaker
        .as_deref()
        .map(|speaker| format!(" ({})", escaped(speaker)))
        .unwrap_or_default()
}

/// `[1:02]` would read as a link or a checkbox in some viewers.
fn escaped_time(time: &str) -> String {
    time.replace('[', "\\[").replace(']', "\\]")
}

fn clock(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// Text that Markdown shows as it is, on one line.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '~' => {
                escaped.push('\\');
                escaped.push(character);
            }
            character if character.is_control() => escaped.push(' '),
            character => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_cannot_become_markup() {
        assert_eq!(escaped("<script>\n# [x](y)"), "\\<script\\> \\# \\[x\\](y)");
    }

    #[test]
    fn times_read_like_a_clock() {
        assert_eq!(clock(62), "1:02");
        assert_eq!(clock(3_723), "1:02:03");
    }
}
