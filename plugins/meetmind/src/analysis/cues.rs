//! The phrases by which people mark decisions, tasks and what they do not know, in both languages.
//!
//! Tuned for precision: a list of tasks that nobody took on is worse than a missed one.

use super::pattern::Phrases;
use crate::language::Language;

/// What a phrase means when it is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cue {
    /// Something was settled.
    Decision,
    /// The speaker takes a task on; a verb follows.
    IWill,
    /// The speaker asks somebody to do something; a verb follows.
    YouDo,
    /// The group has to do something; a verb follows.
    WeMust,
    /// Somebody not named has to do something; a verb follows.
    SomebodyMust,
    /// What came before is not known, or postponed.
    Unknown,
    /// A word that gives a task when a name stands before it.
    AfterName,
}

/// Phrases, verbs and labels of one language.
pub(crate) struct Cues {
    pub(crate) phrases: Phrases<Cue>,
    words: &'static Words,
}

struct Words {
    /// Verbs that name work after the meeting.
    tasks: &'static [&'static str],
    /// Verbs that may as well mean something done at once; they need a date or an object.
    vague_tasks: &'static [&'static str],
    /// Present tense, where the language promises in it: `jag skickar`.
    promises: &'static [&'static str],
    future: &'static [&'static str],
    /// A sentence with one of these in front of a phrase does not assert it.
    hedges: &'static [&'static str],
    decision_labels: &'static [&'static str],
    action_labels: &'static [&'static str],
    question_labels: &'static [&'static str],
    yes: &'static [&'static str],
}

impl Cues {
    pub(crate) fn new(language: Language) -> Self {
        let (lists, words) = match language {
            Language::En => (EN_PHRASES, &EN),
            Language::Sv => (SV_PHRASES, &SV),
        };
        let mut lists = lists.to_vec();
        lists.extend(
            [words.future, words.promises, &["responsible"]].map(|list| (Cue::AfterName, list)),
        );
        Self {
            phrases: Phrases::new(&lists),
            words,
        }
    }

    pub(crate) fn is_task(&self, verb: &str) -> bool {
        self.words.tasks.contains(&verb)
    }

    pub(crate) fn is_vague_task(&self, verb: &str) -> bool {
        self.words.vague_tasks.contains(&verb)
    }

    /// Whether `verb`, followed by `rest`, promises work: `tar` only does so with something to take on.
    pub(crate) fn is_promise(&self, verb: &str, rest: &[&str]) -> bool {
        let taken = |word: &&str| TAKEN.contains(word);
        self.words.promises.contains(&verb) && (verb != "tar" || rest.iter().take(3).any(taken))
    }

    /// `will`, `ska`: makes a verb after a name a task of that person.
    pub(crate) fn is_future(&self, word: &str) -> bool {
        self.words.future.contains(&word)
    }

    pub(crate) fn is_hedge(&self, word: &str) -> bool {
        self.words.hedges.contains(&word) || word.ends_with("n't")
    }

    pub(crate) fn is_yes(&self, word: &str) -> bool {
        self.words.yes.contains(&word)
    }

    pub(crate) fn after_decision_label<'a>(&self, text: &'a str) -> Option<&'a str> {
        after_label(text, self.words.decision_labels)
    }

    pub(crate) fn after_action_label<'a>(&self, text: &'a str) -> Option<&'a str> {
        after_label(text, self.words.action_labels)
    }

    pub(crate) fn after_question_label<'a>(&self, text: &'a str) -> Option<&'a str> {
        after_label(text, self.words.question_labels)
    }

    pub(crate) fn is_action_heading(&self, heading: &str) -> bool {
        is_heading(heading, self.words.action_labels)
    }

    pub(crate) fn is_decision_heading(&self, heading: &str) -> bool {
        is_heading(heading, self.words.decision_labels)
    }

    pub(crate) fn is_question_heading(&self, heading: &str) -> bool {
        is_heading(heading, self.words.question_labels)
    }
}

/// What follows `label:` or `label -` at the start of the text.
fn after_label<'a>(text: &'a str, labels: &[&str]) -> Option<&'a str> {
    let (label, rest) = text.split_once([':', '–', '—'])?;
    let known = label.len() <= 24 && labels.contains(&label.trim().to_lowercase().as_str());
    known.then(|| rest.trim()).filter(|rest| !rest.is_empty())
}

fn is_heading(heading: &str, labels: &[&str]) -> bool {
    let bare = heading.trim().trim_end_matches(':').to_lowercase();
    labels.contains(&bare.as_str())
}

const EN_PHRASES: &[(Cue, &[&str])] = &[
    (
        Cue::Decision,
        &[
            "we|they|committee|council|board|team|group|meeting have|has|had|all|also|just|already|basically|then|finally? decided|resolved|settled to|that|on|not|against|we|for",
            "we've|we'd decided|agreed|settled to|that|on|not|against|we|for",
            "we|committee|council|board|team|group have|has|had|all|also|just|already? agreed that|to|on|upon",
            "we|we've .. more or less agreed that|to|on",
            "because|so we decided",
            "it was|is|has|has been|been decided|agreed|resolved to|that|not",
            "let's|lets go|stick|proceed with",
            "let us go|stick|proceed with",
            "we'll go|stick|proceed with",
            "we will go|stick|proceed with",
            "we're|we are going|sticking|proceeding with",
            "we're|we are going to|gonna go|stick with",
            "let's|we'll drop|skip|postpone|defer|cancel|adopt|scrap",
            "the|our|final decision is|was",
            "the|our? consensus is|was|seems",
            "the|our? consensus .. was|is that|our",
            "motion|amendment|resolution|proposal is|was|has|been .. carried|passed|adopted|agreed|approved|defeated|rejected",
            "is|was|are|were hereby? adopted|carried",
            "that's decided|settled|agreed",
            "it's|that is decided|settled that|then",
        ],
    ),
    (
        Cue::IWill,
        &[
            "i'll|i'd also|then|just|definitely|certainly|try?",
            "i will|shall also|then|certainly|definitely?",
            "i can also|certainly?",
            "i'm going to",
            "i'm|i gonna",
            "i am going to",
            "i'm happy to",
            "i'd be happy to",
        ],
    ),
    (
        Cue::YouDo,
        &[
            "can|could|would|will you please|also|maybe?",
            "please",
            "you'll|you should|must also?",
            "you will|should|must|need|have to|also?",
            "i want|need|ask you to",
            "i'd like you to",
            "would you mind",
        ],
    ),
    (
        Cue::WeMust,
        &[
            "we|we'll|we've need|must|should|have|got to?",
            "we'll|we will",
            "let's",
        ],
    ),
    (
        Cue::SomebodyMust,
        &[
            "somebody|someone needs|should|must|has to?",
            "it needs to be",
        ],
    ),
    (
        Cue::Unknown,
        &[
            "i|we don't|dunno know",
            "i dunno",
            "i|we do not know",
            "no idea",
            "i'm|we're not sure",
            "i have no idea",
            "good question",
            "have|has to be decided",
            "remains to be seen",
            "we'll|let's|we will|can get|come back to",
            "let's take that|this offline",
            "let's park",
            "we'll see",
            "still an? open",
            "i'll|i|can get|come|find back|out",
            "will have to get back",
        ],
    ),
];

const EN: Words = Words {
    tasks: &[
        "announce",
        "arrange",
        "book",
        "buy",
        "check",
        "circulate",
        "clarify",
        "collect",
        "comment",
        "compile",
        "confirm",
        "contact",
        "coordinate",
        "deliver",
        "discuss",
        "distribute",
        "document",
        "draft",
        "email",
        "e-mail",
        "file",
        "finalise",
        "finalize",
        "finish",
        "fix",
        "follow",
        "forward",
        "implement",
        "inform",
        "invite",
        "investigate",
        "mail",
        "merge",
        "nominate",
        "notify",
        "order",
        "organise",
        "organize",
        "ping",
        "post",
        "prepare",
        "print",
        "produce",
        "propose",
        "publish",
        "reach",
        "record",
        "remind",
        "report",
        "reply",
        "request",
        "research",
        "resend",
        "respond",
        "review",
        "revise",
        "schedule",
        "send",
        "share",
        "submit",
        "summarise",
        "summarize",
        "translate",
        "transcribe",
        "update",
        "upload",
        "verify",
        "write",
    ],
    vague_tasks: &[
        "add", "ask", "bring", "build", "call", "change", "complete", "create", "design", "do",
        "evaluate", "find", "get", "give", "handle", "install", "leave", "look", "make", "open",
        "present", "provide", "put", "read", "run", "set", "sort", "speak", "take", "talk", "test",
        "try", "work",
    ],
    promises: &[],
    future: &["will", "'ll", "shall"],
    hedges: &[
        "if", "whether", "not", "never", "should", "could", "would", "might", "unless", "until",
        "when", "once", "before", "how", "why", "what", "remember", "wish", "hope", "suppose",
        "can", "did", "do", "does", "have", "without", "may",
    ],
    decision_labels: &[
        "decision",
        "decisions",
        "decided",
        "agreed",
        "resolved",
        "resolution",
        "consensus",
        "conclusion",
        "outcome",
    ],
    action_labels: &[
        "action",
        "actions",
        "action item",
        "action items",
        "action point",
        "action points",
        "todo",
        "to do",
        "to-do",
        "next step",
        "next steps",
        "follow-up",
        "follow-ups",
        "task",
        "tasks",
    ],
    question_labels: &[
        "open question",
        "open questions",
        "open issue",
        "open issues",
        "unresolved questions",
        "unresolved question",
        "unresolved",
    ],
    yes: &[
        "yes",
        "yeah",
        "yep",
        "sure",
        "ok",
        "okay",
        "i'll",
        "will",
        "absolutely",
        "certainly",
        "alright",
        "no",
        "nope",
        "right",
        "exactly",
        "mm-hmm",
        "uh-huh",
        "true",
        "correct",
        "agreed",
        "definitely",
    ],
};

/// What one takes when one takes a task: `tar hand om`, `tar fram`, `tar kontakt`, `tar protokollet`.
const TAKEN: &[&str] = &[
    "ansvar",
    "fram",
    "hand",
    "kontakt",
    "mig",
    "protokollet",
    "upp",
];

const SV_PHRASES: &[(Cue, &[&str])] = &[
    (
        Cue::Decision,
        &[
            "vi|mötet|styrelsen|kammaren|nämnden|gruppen|föreningen|årsmötet|kommunstyrelsen|kommunfullmäktige|fullmäktige har|hade|då|också? beslutar|beslutade|beslutat|beslöt|bestämde|bestämt|enades|enats",
            "mötet|styrelsen|kammaren|nämnden|årsmötet|kommunstyrelsen|kommunfullmäktige|fullmäktige biföll|avslog|godkände|godkänner|fastställde|fastställer|bordlade|återremitterade|antog|valde",
            "beslutade|beslöt|biföll|avslog|godkände|fastställde|bordlade|återremitterade|antog mötet|styrelsen|kammaren|nämnden|årsmötet|fullmäktige",
            "beslutades|beslöts|bestämdes att",
            "bifölls|avslogs|godkändes|bordlades|fastställdes|bifallen",
            "då|vi bestämmer vi? att|oss|det",
            "vi är|var överens om",
            "vi är|var överens att",
            "vi|då kör|går vi? på|med|vidare",
            "då kör|gör vi så|det",
            "då säger|gör|kör vi så|det",
            "då|det är|blev|blir det? bestämt|beslutat|klubbat",
            "vi väljer|valde att",
            "vi skjuter|sköt på|upp",
        ],
    ),
    (
        Cue::IWill,
        &[
            "jag ska|skall|kan|kommer också|då|att?",
            "ska|skall|kan jag också?",
            "jag lovar|tänker att",
        ],
    ),
    (
        Cue::YouDo,
        &[
            "kan|kunde|vill|skulle du|ni också|kunna|snälla?",
            "du|ni får|måste|ska|skall|behöver|kan gärna|också|då?",
            "var snäll och",
        ],
    ),
    (
        Cue::WeMust,
        &[
            "vi måste|behöver|ska|skall|får|bör också|då?",
            "då ska|måste|får vi",
        ],
    ),
    (Cue::SomebodyMust, &["någon måste|behöver|får|ska|bör"]),
    (
        Cue::Unknown,
        &[
            "vet jag|vi inte|ej|icke",
            "jag|vi vet inte|ej|icke",
            "ingen aning",
            "bra fråga",
            "osäker på",
            "får|måste|kan vi|jag .. återkomma",
            "jag|vi återkommer",
            "vi får se",
            "återstår att se",
            "kan jag|vi inte|icke svara",
            "det är oklart|oklar",
        ],
    ),
];

const SV: Words = Words {
    tasks: &[
        "anmäla",
        "anmäler",
        "bekräfta",
        "beställa",
        "bjuda",
        "boka",
        "dela",
        "fixa",
        "följa",
        "förbereda",
        "granska",
        "informera",
        "kalla",
        "kolla",
        "kontakta",
        "köpa",
        "leverera",
        "maila",
        "mejla",
        "ordna",
        "planera",
        "publicera",
        "påminna",
        "rapportera",
        "ringa",
        "samla",
        "samordna",
        "sammanställa",
        "sammankalla",
        "sända",
        "skicka",
        "skriva",
        "svara",
        "testa",
        "undersöka",
        "uppdatera",
        "utreda",
        "översätta",
        "återkomma",
        "återkoppla",
        "lämna",
    ],
    vague_tasks: &[
        "be",
        "bygga",
        "fråga",
        "ge",
        "göra",
        "hitta",
        "hjälpa",
        "hålla",
        "installera",
        "kontrollera",
        "läsa",
        "lägga",
        "prata",
        "presentera",
        "prova",
        "se",
        "sätta",
        "ta",
        "tala",
        "titta",
    ],
    promises: &[
        "beställer",
        "bjuder",
        "bokar",
        "fixar",
        "förbereder",
        "granskar",
        "kallar",
        "kollar",
        "kontaktar",
        "köper",
        "levererar",
        "lämnar",
        "mailar",
        "mejlar",
        "ordnar",
        "påminner",
        "rapporterar",
        "ringer",
        "samlar",
        "sammanställer",
        "skickar",
        "skriver",
        "tar",
        "undersöker",
        "uppdaterar",
        "utreder",
        "återkommer",
        "återkopplar",
        "ansvarar",
        "testar",
        "publicerar",
    ],
    future: &["ska", "skall", "kommer", "får"],
    hedges: &[
        "om", "inte", "ej", "icke", "aldrig", "borde", "skulle", "kunde", "ifall", "när", "innan",
        "hur", "varför", "vad", "huruvida", "tills", "kanske",
    ],
    decision_labels: &["beslut", "beslutat", "beslutades", "slutsats", "resultat"],
    action_labels: &[
        "åtgärd",
        "åtgärder",
        "att göra",
        "uppgift",
        "uppgifter",
        "nästa steg",
        "uppföljning",
        "todo",
        "action",
        "aktivitet",
        "aktiviteter",
    ],
    question_labels: &[
        "öppen fråga",
        "öppna frågor",
        "olöst fråga",
        "olösta frågor",
        "kvarstående frågor",
    ],
    yes: &[
        "ja",
        "jo",
        "jajamän",
        "absolut",
        "visst",
        "okej",
        "ok",
        "nej",
        "självklart",
        "gärna",
        "det",
        "precis",
        "japp",
        "jag",
        "stämmer",
        "javisst",
    ],
};
