//! What a schema cannot say of a scenario.

use std::path::Path;

use stuga_core::a2a::Target;
use stuga_core::secrets::{VALUE_MAX_BYTES, check_name};
use stuga_core::{CapabilityName, TenantId};
use stuga_yaml::{Node, Report};

use super::{escape, help, place, shown};
use crate::operations::operations;
use crate::redact::VALUE_MIN_BYTES;
use crate::scenario::{Call, Content, Scenario, Secret, besides};

/// Reports every mistake that a schema cannot see.
pub(super) fn check(node: &Node, report: &mut Report, scenario: &Scenario) {
    Meaning { node, report }.check(scenario);
}

struct Meaning<'r> {
    node: &'r Node,
    report: &'r mut Report,
}

impl Meaning<'_> {
    fn add(&mut self, pointer: &str, message: impl Into<String>, help: impl Into<String>) {
        self.report.add(place(self.node, pointer), message, help);
    }

    fn check(&mut self, scenario: &Scenario) {
        if scenario.is_recording() {
            for key in besides(self.node) {
                let message = format!("the recording says itself what `{key}` says");
                let help = "remove it, or write a scenario without `recording`";
                self.add(&format!("/{}", escape(key)), message, help);
            }
        } else if scenario.calls.is_empty() {
            let help = "add `calls: [{skill: ...}]`, or `recording: FILE` that `stuga record` made";
            self.add("", "the scenario has no `calls`", help);
        }
        if let Some(tenant) = &scenario.tenant
            && let Err(error) = TenantId::new(tenant)
        {
            self.add("/tenant", error.message().to_owned(), "");
        }
        for (at, fault) in scenario.faults.iter().enumerate() {
            self.operation(&format!("/faults/{at}/on"), &fault.on);
        }
        for (at, call) in scenario.calls.iter().enumerate() {
            self.step(&format!("/calls/{at}"), call);
            let expect = format!("/calls/{at}/expect");
            if call.expect.error.is_some()
                && (call.expect.output.is_some() || call.expect.contains.is_some())
            {
                self.add(&expect, "a call has either an output or an error", "");
            }
            self.pointers(&format!("{expect}/at"), call.expect.at.keys());
            self.pointers(&format!("{expect}/matches"), call.expect.matches.keys());
            self.pointers(&format!("{expect}/absent"), call.expect.absent.iter());
            for (pointer, pattern) in &call.expect.matches {
                self.pattern(&format!("{expect}/matches/{}", escape(pointer)), pattern);
            }
            for name in call.expect.receipt.keys() {
                self.capability(&format!("{expect}/receipt"), name);
            }
        }
        for (at, answer) in scenario.model.iter().enumerate() {
            let pointer = format!("/model/{at}");
            if answer.text.is_some() == answer.json.is_some() {
                let shown = shown(&pointer);
                let message = format!("{shown} has not exactly one of text and json");
                self.add(&pointer, message, "give one of them");
            }
        }
        for (at, other) in scenario.agents.iter().enumerate() {
            let pointer = format!("/agents/{at}");
            self.address(&format!("{pointer}/agent"), &other.agent);
            if other.answer.is_some() && other.error.is_some() {
                let shown = shown(&pointer);
                let message = format!("{shown} has both an answer and an error");
                self.add(&pointer, message, "give one of them");
            }
        }
        for (name, secret) in &scenario.secrets {
            self.secret(&format!("/secrets/{}", escape(name)), name, secret);
        }
        for (way, messages) in [
            ("sent", &scenario.expect.sent),
            ("posted", &scenario.expect.posted),
        ] {
            for (at, message) in messages.iter().flatten().enumerate() {
                self.address(&format!("/expect/{way}/{at}/to"), &message.to);
            }
        }
        let folder = scenario.file.parent().unwrap_or(Path::new(""));
        for (at, item) in scenario.state.memory.iter().enumerate() {
            self.content(
                &format!("/state/memory/{at}"),
                &item.content(),
                folder,
                true,
            );
        }
        for (at, file) in scenario.state.files.iter().enumerate() {
            self.content(&format!("/state/files/{at}"), &file.content(), folder, true);
        }
        for (at, item) in scenario.expect.memory.iter().enumerate() {
            let pointer = format!("/expect/memory/{at}");
            self.kept(&pointer, &item.kept(), folder);
        }
        for (at, file) in scenario.expect.files.iter().enumerate() {
            let pointer = format!("/expect/files/{at}");
            self.kept(&pointer, &file.kept(), folder);
        }
    }

    /// Checks that a step is a call or time for jobs, and not a bit of both.
    fn step(&mut self, pointer: &str, call: &Call) {
        let is_call = call.skill.is_some();
        if is_call && call.run_jobs.is_some() {
            let message = format!("{} has both `skill` and `run_jobs`", shown(pointer));
            self.add(pointer, message, "make two steps of them");
        }
        let of_calls = [
            ("input", call.input.is_some()),
            ("input_files", !call.input_files.is_empty()),
            ("session", call.session.is_some()),
            ("message", call.message.is_some()),
            ("idempotency_key", call.idempotency_key.is_some()),
            ("deadline", call.deadline.is_some()),
        ];
        for (field, _) in of_calls.iter().filter(|(_, given)| *given && !is_call) {
            let message = format!("{} has `{field}` and calls no skill", shown(pointer));
            self.add(&format!("{pointer}/{field}"), message, "take it away");
        }
        if let Some(letter) = &call.message {
            self.address(&format!("{pointer}/message/from"), &letter.from);
        }
    }

    fn address(&mut self, pointer: &str, address: &str) {
        if let Err(error) = Target::parse("mock.load", address) {
            self.add(pointer, format!("{address:?}: {}", error.message()), "");
        }
    }

    fn secret(&mut self, pointer: &str, name: &str, secret: &Secret) {
        if let Err(error) = check_name("mock.load", name) {
            self.add(pointer, format!("{name:?}: {}", error.message()), "");
        }
        let bytes = secret.value().len();
        if !(VALUE_MIN_BYTES..=VALUE_MAX_BYTES).contains(&bytes) {
            let message = format!("the secret {name:?} has {bytes} bytes");
            let help = format!(
                "give it {VALUE_MIN_BYTES} to {VALUE_MAX_BYTES}: shorter ones cannot be told from other text, and would stand in reports"
            );
            self.add(pointer, message, help);
        }
    }

    fn kept(&mut self, pointer: &str, kept: &crate::scenario::Kept<'_>, folder: &Path) {
        self.content(pointer, &kept.whole, folder, false);
        self.pointers(&format!("{pointer}/at"), kept.at.keys());
        if let Some(pattern) = kept.matches {
            self.pattern(&format!("{pointer}/matches"), pattern);
        }
    }

    fn content(&mut self, pointer: &str, content: &Content<'_>, folder: &Path, needed: bool) {
        let given = content.given();
        if given > 1 || (needed && given == 0) {
            let shown = shown(pointer);
            self.add(
                pointer,
                format!("{shown} has {given} of json, text, base64 and file"),
                "give exactly one of them",
            );
        } else if given == 1
            && let Err(error) = content.bytes(folder)
        {
            self.add(pointer, error, "");
        }
    }

    fn pointers<'p>(&mut self, pointer: &str, pointers: impl Iterator<Item = &'p String>) {
        for wrong in pointers.filter(|p| !p.is_empty() && !p.starts_with('/')) {
            self.add(
                pointer,
                format!("{wrong:?} is no JSON pointer"),
                format!("begin it with a slash: \"/{}\"", wrong.replace('.', "/")),
            );
        }
    }

    fn pattern(&mut self, pointer: &str, pattern: &str) {
        if let Err(error) = regex::Regex::new(pattern) {
            let error = error.to_string();
            let last = error.lines().last().unwrap_or_default().to_owned();
            self.add(
                pointer,
                format!("this is no regular expression: {last}"),
                "",
            );
        }
    }

    fn capability(&mut self, pointer: &str, name: &str) {
        if CapabilityName::from_name(name).is_none() {
            let known: Vec<String> = CapabilityName::ALL
                .iter()
                .map(|c| c.as_str().to_owned())
                .collect();
            self.add(
                pointer,
                format!("there is no capability {name:?}"),
                help(name, &known),
            );
        }
    }

    /// Checks a capability or one of its operations.
    fn operation(&mut self, pointer: &str, on: &str) {
        let (name, rest) = on.split_once('.').map_or((on, None), |(n, r)| (n, Some(r)));
        let Some(capability) = CapabilityName::from_name(name) else {
            return self.capability(pointer, name);
        };
        let known: Vec<String> = operations(capability)
            .iter()
            .map(|o| (*o).to_owned())
            .collect();
        if known.is_empty() {
            let message = format!("the mock host has no faults for {name}");
            self.add(pointer, message, "");
        } else if rest.is_some() && !known.iter().any(|o| o == on) {
            let message = format!("{name} has no operation {on:?}");
            self.add(pointer, message, help(on, &known));
        }
    }
}
