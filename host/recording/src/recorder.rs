//! Taking down an invocation while it runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use stuga_core::a2a::Incoming;
use stuga_core::secrets::SecretValue;
use stuga_core::tape::{Tape, Turn};
use stuga_core::{AgentName, CapabilityName, Error, InvocationId, Result, Timestamp};

use crate::recording::{FORMAT, RECORDING_MAX_BYTES};
use crate::secret::Secrets;
use crate::{Failure, Fault, Json, LimitsTaken, Line, Recording, Redact, TapedCall, pack};

/// Most calls, parts and lines of one recording.
const ENTRIES_MAX: usize = 20_000;
/// What a call takes beside its texts, in bytes.
const CALL_BYTES: usize = 64;

/// Records one run of an invocation.
#[derive(Default)]
pub struct Recorder(Mutex<Taken>);

#[derive(Default)]
struct Taken {
    calls: Vec<TapedCall>,
    parts: Vec<Json>,
    logs: Vec<Line>,
    deadline_ms: u64,
    random_seed: Option<[u8; 32]>,
    secrets: Secrets,
    bytes: usize,
    /// Whether it became too large: then nothing more is taken down.
    is_full: bool,
}

/// What is known of an invocation before it runs.
#[derive(Clone, Debug)]
pub struct Heading {
    /// Which agent.
    pub agent: AgentName,
    /// Its version.
    pub version: String,
    /// SHA-256 of its component in hexadecimal digits.
    pub component: String,
    /// Which invocation.
    pub invocation: InvocationId,
    /// When it was accepted first.
    pub accepted_at: Timestamp,
    /// What it may take.
    pub limits: LimitsTaken,
    /// What the tenant grants it.
    pub grants: Vec<CapabilityName>,
    /// What its configuration answers: name to JSON text.
    pub config: BTreeMap<String, String>,
    /// Names of the secrets that it may ask for.
    pub secrets: BTreeSet<String>,
    /// Which skill.
    pub skill: String,
    /// JSON text.
    pub input: String,
    /// The session that the caller named.
    pub session: Option<String>,
    /// The message that it answers.
    pub message: Option<Incoming>,
}

/// How an invocation ended.
#[derive(Clone, Debug)]
pub enum Ended {
    /// With this answer, JSON text.
    Output(String),
    /// Without one.
    Failed(Failure),
}

impl Recorder {
    /// Makes the recording once the invocation has ended: without values of secrets, and without the fields that `redact`
    /// names.
    ///
    /// # Errors
    /// In one sentence, why this invocation has no recording: it is too large, a secret could not be left out for
    /// certain, or a field could not be redacted.
    pub fn finish(
        &self,
        heading: Heading,
        ended: Ended,
        redact: &Redact,
    ) -> Result<Recording, String> {
        let taken = std::mem::take(&mut *self.taken());
        let too_large = || {
            format!("it would have more than {RECORDING_MAX_BYTES} bytes or {ENTRIES_MAX} entries")
        };
        if taken.is_full {
            return Err(too_large());
        }
        let (output, failure) = match ended {
            Ended::Output(output) => (Some(Json::new(output)), None),
            Ended::Failed(failure) => (None, Some(failure)),
        };
        let config = heading.config.into_iter();
        let mut recording = Recording {
            format: FORMAT,
            agent: heading.agent,
            version: heading.version,
            component: heading.component,
            invocation: heading.invocation,
            accepted_at: heading.accepted_at,
            deadline_ms: taken.deadline_ms,
            limits: heading.limits,
            grants: heading.grants,
            config: config.map(|(name, json)| (name, Json::new(json))).collect(),
            secrets: heading.secrets,
            random_seed: taken.random_seed.map(hex::encode),
            skill: heading.skill,
            input: Json::new(heading.input),
            session: heading.session,
            message: heading.message,
            calls: taken.calls,
            parts: taken.parts,
            logs: taken.logs,
            output,
            failure,
            redacted: Vec::new(),
        };
        taken.secrets.remove(&mut recording)?;
        let redacted = redact.apply(&mut recording).map(drop);
        redacted.map_err(|error| error.message().to_owned())?;
        if recording.write().len() > RECORDING_MAX_BYTES {
            return Err(too_large());
        }
        Ok(recording)
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Whether there is room for one more entry of that size; without it, all is given up.
    fn has_room(&mut self, bytes: usize) -> bool {
        self.bytes = self.bytes.saturating_add(bytes);
        let entries = self.calls.len() + self.parts.len() + self.logs.len();
        if !self.is_full && (self.bytes > RECORDING_MAX_BYTES || entries >= ENTRIES_MAX) {
            self.is_full = true;
            self.calls = Vec::new();
            self.parts = Vec::new();
            self.logs = Vec::new();
        }
        !self.is_full
    }
}

impl Tape for Recorder {
    fn begin(&self, operation: &'static str, asked: String) -> Turn {
        let asked = Json::new(pack::pack(&asked));
        let mut taken = self.taken();
        if !taken.has_room(asked.get().len() + CALL_BYTES) {
            return Turn::Ask(usize::MAX);
        }
        taken.calls.push(TapedCall {
            operation: operation.to_owned(),
            asked,
            answer: None,
            error: None,
        });
        Turn::Ask(taken.calls.len() - 1)
    }

    fn end(&self, slot: usize, answer: Result<String, &Error>) {
        let (answer, error) = match answer {
            Ok(answer) => (Some(Json::new(pack::pack(&answer))), None),
            Err(error) => (None, Some(Fault::of(error))),
        };
        let bytes = answer.as_ref().map_or(CALL_BYTES, |json| json.get().len());
        let mut taken = self.taken();
        if taken.has_room(bytes)
            && let Some(call) = taken.calls.get_mut(slot)
        {
            call.answer = answer;
            call.error = error;
        }
    }

    fn hide(&self, name: &str, value: &SecretValue) {
        self.taken().secrets.add(name, value);
    }

    fn part(&self, json: &str) {
        let mut taken = self.taken();
        if taken.has_room(json.len()) {
            taken.parts.push(Json::new(json.to_owned()));
        }
    }

    fn line(&self, level: &'static str, message: &str, fields: &str) {
        let mut taken = self.taken();
        if taken.has_room(message.len() + fields.len() + CALL_BYTES) {
            taken.logs.push(Line {
                level: level.to_owned(),
                message: message.to_owned(),
                fields: fields.to_owned(),
            });
        }
    }

    fn deadline_ms(&self, actual: u64) -> u64 {
        self.taken().deadline_ms = actual;
        actual
    }

    fn random_seed(&self, derived: [u8; 32]) -> [u8; 32] {
        self.taken().random_seed = Some(derived);
        derived
    }

    fn differs(&self) -> bool {
        false
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recorder(..)")
    }
}

#[cfg(test)]
mod tests {
    use stuga_core::secrets::placeholder;
    use uuid::Uuid;

    use super::*;

    fn heading(input: &str) -> Heading {
        Heading {
            agent: AgentName::new("a").unwrap(),
            version: "0.1.0".to_owned(),
            component: "00".repeat(32),
            invocation: InvocationId::from_uuid(Uuid::nil()),
            accepted_at: Timestamp::default(),
            limits: LimitsTaken {
                memory_bytes: 1,
                output_bytes: 1,
            },
            grants: Vec::new(),
            config: BTreeMap::new(),
            secrets: BTreeSet::new(),
            skill: "s".to_owned(),
            input: input.to_owned(),
            session: None,
            message: None,
        }
    }

    fn call(recorder: &Recorder, operation: &'static str, asked: &str, answer: &str) {
        let Turn::Ask(slot) = recorder.begin(operation, asked.to_owned()) else {
            unreachable!("a recorder lets everything through")
        };
        recorder.end(slot, Ok(answer.to_owned()));
    }

    fn output() -> Ended {
        Ended::Output(r#"{ "b":1, "a":2.0 }"#.to_owned())
    }

    #[test]
    fn a_recording_is_written_and_read_to_the_byte() {
        let recorder = Recorder::default();
        call(&recorder, "memory.get", r#""k""#, "null");
        call(&recorder, "memory.put", r#"{"value":[104,105]}"#, "1");
        recorder.part(" [1] ");
        let made = recorder.finish(
            heading("{\"z\": 1,\n \"a\":[]}"),
            output(),
            &Redact::default(),
        );
        let text = made.unwrap().write();
        let back = Recording::read(&text).unwrap();
        assert_eq!(back.write(), text);
        assert_eq!(back.input.get(), "{\"z\": 1,\n \"a\":[]}");
        assert_eq!(back.output.unwrap().get(), r#"{ "b":1, "a":2.0 }"#);
        assert_eq!(back.calls[0].answer.as_ref().unwrap().get(), "null");
        assert_eq!(back.calls[1].asked.get(), r#"{"value":{"$text":"hi"}}"#);
    }

    #[test]
    fn the_value_of_a_secret_and_its_digest_stand_nowhere() {
        const VALUE: &str = "correct horse battery";
        let recorder = Recorder::default();
        let value = SecretValue::new(VALUE.into()).unwrap();
        call(&recorder, "memory.get", &format!("\"{VALUE}\""), "null");
        recorder.hide("token", &value);
        let digest = {
            use sha2::Digest as _;
            hex::encode(sha2::Sha256::digest(VALUE))
        };
        let bytes: Vec<String> = VALUE.bytes().map(|b| b.to_string()).collect();
        let asked = format!("[{}]", bytes.join(","));
        call(
            &recorder,
            "files.spool",
            &asked,
            &format!(r#"{{"sha256":"{digest}"}}"#),
        );
        recorder.line("info", &placeholder("token"), "");
        let made = recorder.finish(
            heading(&format!("[\"{VALUE}\"]")),
            output(),
            &Redact::default(),
        );
        let text = made.unwrap().write();
        assert!(!text.contains("horse") && !text.contains(&digest), "{text}");
        assert_eq!(text.matches("[secret token]").count(), 4, "{text}");
    }

    #[test]
    fn a_secret_that_cannot_be_left_out_for_certain_is_not_recorded() {
        for (value, said) in [
            ("short", "anything"),
            ("correct horse battery", "Y29ycmVjdCBob3JzZSBiYXR0ZXJ5"),
            ("correct horse battery", "correct%20horse%20battery"),
            (
                "correct horse battery",
                "636f727265637420686f7273652062617474657279",
            ),
        ] {
            let recorder = Recorder::default();
            recorder.hide("token", &SecretValue::new(value.into()).unwrap());
            recorder.line("info", said, "");
            let made = recorder.finish(heading("{}"), output(), &Redact::default());
            assert!(made.unwrap_err().contains("`token`"), "{value}: {said}");
        }
        let recorder = Recorder::default();
        let value = SecretValue::new(b"correct horse battery".to_vec()).unwrap();
        recorder.hide("token", &value);
        for piece in ["correct ho", "rse battery"] {
            let answer = format!(r#"{{"text":"{piece}","ending":null}}"#);
            call(&recorder, "model.completion.next", "null", &answer);
        }
        let made = recorder.finish(heading("{}"), output(), &Redact::default());
        assert!(made.unwrap_err().contains("in pieces"));
    }

    #[test]
    fn what_is_too_large_is_given_up() {
        let recorder = Recorder::default();
        recorder.part(&format!("\"{}\"", "x".repeat(RECORDING_MAX_BYTES)));
        recorder.part("1");
        let made = recorder.finish(heading("{}"), output(), &Redact::default());
        assert!(made.unwrap_err().contains("more than"));
    }

    #[test]
    fn a_redacted_text_has_one_placeholder_wherever_it_stands() {
        let recorder = Recorder::default();
        call(&recorder, "memory.get", r#""people/Astrid""#, "null");
        let mut redact = Redact::default();
        redact.add("input.people[].name").unwrap();
        redact.add("input.nothing").unwrap();
        let input = r#"{"people":[{"name":"Astrid"},{"name":"Bosse"},{"name":"Astrid"}]}"#;
        let mut made = recorder.finish(heading(input), output(), &redact).unwrap();
        assert_eq!(
            made.input.get(),
            r#"{"people":[{"name":"[redacted 1]"},{"name":"[redacted 2]"},{"name":"[redacted 1]"}]}"#
        );
        assert_eq!(made.calls[0].asked.get(), r#""people/[redacted 1]""#);
        assert_eq!(made.redacted, ["input.people[].name", "input.nothing"]);
        // Once more changes nothing, and says what was not there.
        let text = made.write();
        assert_eq!(redact.apply(&mut made).unwrap(), ["input.nothing"]);
        assert_eq!(made.write(), text);
    }
}
