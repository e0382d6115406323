//! The two languages that MeetMind understands, and what it knows of each: stems and words that carry no topic.

use std::collections::HashSet;

use rust_stemmers::{Algorithm, Stemmer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use whatlang::{Detector, Lang};

/// Bytes from the start of a meeting that its language is told from.
const SAMPLE_BYTES: usize = 4_000;
/// Below this a sample is too short to call it a third language.
const FOREIGN_SAMPLE_MIN_BYTES: usize = 400;

/// A language of meetings.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Swedish.
    Sv,
}

/// The language, and a warning when the text looks like neither.
pub(crate) struct Guess {
    pub(crate) language: Language,
    pub(crate) warning: Option<String>,
}

/// Tells the language from the start of what is said.
pub(crate) fn detect<'a>(texts: impl Iterator<Item = &'a str>) -> Guess {
    let mut sample = String::with_capacity(SAMPLE_BYTES);
    for text in texts {
        let room = SAMPLE_BYTES.saturating_sub(sample.len());
        if room == 0 {
            break;
        }
        let end = (0..=room.min(text.len()))
            .rev()
            .find(|at| text.is_char_boundary(*at));
        sample.push_str(text.get(..end.unwrap_or(0)).unwrap_or_default());
        sample.push(' ');
    }
    let known = Detector::with_allowlist(vec![Lang::Eng, Lang::Swe]);
    let language = match known.detect_lang(&sample) {
        Some(Lang::Swe) => Language::Sv,
        _ => Language::En,
    };
    let foreign = whatlang::detect(&sample).filter(|info| {
        sample.len() >= FOREIGN_SAMPLE_MIN_BYTES
            && info.is_reliable()
            && !matches!(info.lang(), Lang::Eng | Lang::Swe)
    });
    let warning = foreign.map(|info| {
        format!(
            "the meeting seems to be in {}; only English and Swedish are understood, so {} rules were used",
            info.lang().eng_name(),
            language.name()
        )
    });
    Guess { language, warning }
}

impl Language {
    /// The name in English.
    pub fn name(self) -> &'static str {
        match self {
            Self::En => "English",
            Self::Sv => "Swedish",
        }
    }

    pub(crate) fn stemmer(self) -> Stemmer {
        Stemmer::create(match self {
            Self::En => Algorithm::English,
            Self::Sv => Algorithm::Swedish,
        })
    }

    /// Words that say nothing about the topic: the usual list, and what people say while they think.
    pub(crate) fn stop_words(self) -> HashSet<&'static str> {
        let (code, spoken) = match self {
            Self::En => ("en", SPOKEN_EN),
            Self::Sv => ("sv", SPOKEN_SV),
        };
        let usual = stop_words::lookup(code).unwrap_or_default();
        usual
            .iter()
            .copied()
            .chain(spoken.split_whitespace())
            .collect()
    }
}

const SPOKEN_EN: &str = "
    actually ago ah alright also always another anything anyway around aye back basically better big bit
    bye can't cause chair colleague come could couple course cuz definitely different done dunno else
    enough even every everybody everyone everything exactly feel fine first gentleman get gets getting
    give go goes going gone gonna good got gotta great guess guy guys happen hear hello hey hi hon
    honestly honourable huh i'd i'll i'm i've idea instead isn't it'd it'll just kay keep kind kinda
    know lady last least let let's like little long look looking lot lots madam made make makes making
    many matter may maybe mean means member members might minister minute mm-hmm mr mrs ms much must
    need never next nice nothing obviously often oh ok okay one ones ooh ought part people perhaps place
    please point pretty probably put question quite rather read really reason right said saw say saying
    says second see seem seems seen shall show since sir somebody someone something sometimes somewhere
    soon sorry sort sound sounds speaker start started still stuff suppose supposed sure take taken talk
    talked talking tell thank thanks that'd that's there'll there's thing things think thinking though
    thought three time times today together told totally tried try trying turn two uh-huh understand us
    use used using usually wanna want wanted wants way we'd we'll we're we've week well went what's
    whatever whether whole without won't wonder word work working would wow yeah year years yep yes
    yesterday yet
";

const SPOKEN_SV: &str = "
    aldrig alla allt alltid alltså andra andre annan annat arbete att bara behöva behöver bland blev
    blevo bli blivit bra bör böra del dels denna detsamma dock du där därför därmed då eftersom
    egentligen emellertid enligt ens eventuellt faktiskt fall fanns fel fick finna finnes finns fler
    flera fram framför fru fråga frågan frågor från fråntill få får fått föra före förra första förste
    ganska ge genom ger gett gick gjorde gjort gällde gäller gärna gå gång gånger går gått gör göra
    göres ha hade haft hej hela helt herr herrar hit hos hur här höra ibland icke igen in inga ingen
    ingenting inget innan inom inte ja jaha jo ju just kanske knappast kom komma kommer kommit kunde
    kunna kunnat känner lika likaså lilla lite liten litet låta man med medan mellan men mena menar mer
    mera mest mot mycket många måste möjligen möjligt naturligtvis nej ni nog nu nämligen när nästa
    någon något några och ock också okej om oss precis punkt redan runt rätt sade sagt samma samt sedan
    senaste ser sett sida sidan sig sin sista sitt själv självklart ska skall skola skulle slag snart
    som stor stora stort ställa står säga säger säkert sätt så sådan sådana sådant ta tack tacka taga
    tagit talman talmannen tar tid tiden till tillbaka tog tre tro tror två tycker tyckte typ under
    ungefär upp ur ut utan vad var vara varit varje vars vet veta vi vid vidare vilja vilka vilken
    vilket vill ville visst voro väl väldigt vår våra vårt än ändå ännu är äro även åt över övrigt
";

#[cfg(test)]
mod tests {
    use super::*;

    fn language(text: &str) -> Language {
        detect(std::iter::once(text)).language
    }

    #[test]
    fn english_and_swedish_are_told_apart() {
        assert_eq!(
            language("We have to finish the report before the next meeting."),
            Language::En
        );
        assert_eq!(
            language("Vi måste bli klara med rapporten före nästa möte."),
            Language::Sv
        );
    }

    #[test]
    fn another_language_is_warned_of() {
        let text = "Wir müssen den Bericht vor der nächsten Sitzung fertigstellen und an alle Mitglieder verschicken. ".repeat(6);
        let warning = detect(std::iter::once(text.as_str())).warning.unwrap();
        assert!(warning.contains("German"), "{warning}");
    }

    #[test]
    fn a_sample_never_cuts_a_character() {
        detect(std::iter::once("å".repeat(3_000).as_str()));
    }
}
