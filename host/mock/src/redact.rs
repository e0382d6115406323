//! Keeps the values of a scenario's secrets out of everything that a run reports.
//!
//! A host replaces what a call revealed in its own records; a report is such a record, so all of it is cleaned: outputs
//! and parts as well, which a host hands to the caller as they are.

use serde_json::Value;
use stuga_core::receipt::CapabilityUse;

use crate::report::{Called, Ended, Ran};
use crate::scenario::Secret;

/// Shortest value of a secret in a scenario, in bytes: what is shorter a host does not look for either.
pub(crate) const VALUE_MIN_BYTES: usize = 8;

/// What is replaced by what.
#[derive(Default)]
pub(crate) struct Redaction(Vec<(String, String)>);

impl Redaction {
    /// Of these secrets, by name.
    pub(crate) fn of<'s>(secrets: impl Iterator<Item = (&'s String, &'s Secret)>) -> Self {
        let mut forms = Vec::new();
        for (name, secret) in secrets {
            let label = format!("[secret {name}]");
            // As it stands in a text, in JSON and in what `Debug` writes.
            let json = Value::from(secret.value()).to_string();
            let debug = format!("{:?}", secret.value());
            let inner = |quoted: &str| {
                quoted
                    .get(1..quoted.len() - 1)
                    .unwrap_or_default()
                    .to_owned()
            };
            for form in [secret.value().to_owned(), inner(&json), inner(&debug)] {
                forms.push((form, label.clone()));
            }
        }
        // The longest first: one value may stand in another.
        forms.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.cmp(b)));
        forms.dedup();
        Self(forms)
    }

    /// A text without them.
    pub(crate) fn text(&self, text: &mut String) {
        for (form, label) in &self.0 {
            if text.contains(form.as_str()) {
                *text = text.replace(form.as_str(), label);
            }
        }
    }

    fn value(&self, value: &mut Value) {
        match value {
            Value::String(text) => self.text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(fields) => {
                let named = std::mem::take(fields).into_iter();
                *fields = named
                    .map(|(mut name, mut value)| {
                        self.text(&mut name);
                        self.value(&mut value);
                        (name, value)
                    })
                    .collect();
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn ended(&self, ended: &mut Ended) {
        match ended {
            Ended::Output(output) => self.value(output),
            Ended::Failed {
                message, context, ..
            } => {
                self.text(message);
                for (name, value) in context {
                    self.text(name);
                    self.text(value);
                }
            }
        }
    }

    fn receipt(&self, uses: &mut [CapabilityUse]) {
        for reason in uses.iter_mut().filter_map(|used| used.degraded.as_mut()) {
            self.text(reason);
        }
    }

    /// A call without them.
    pub(crate) fn called(&self, called: &mut Called) {
        if self.0.is_empty() {
            return;
        }
        self.ended(&mut called.ended);
        called.parts.iter_mut().for_each(|part| self.value(part));
        for line in &mut called.logs {
            self.text(&mut line.message);
            self.text(&mut line.fields);
        }
        self.receipt(&mut called.receipt);
        for Ran { ended, receipt, .. } in &mut called.jobs {
            self.ended(ended);
            self.receipt(receipt);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_is_replaced_in_every_shape_in_which_a_report_could_show_it() {
        let value = "a\"b\\c\nåäö-hemligt";
        let secrets = [("token".to_owned(), Secret::new(value))];
        let redaction = Redaction::of(secrets.iter().map(|(name, secret)| (name, secret)));
        let shapes = [
            format!("<{value}>"),
            json!({ "k": format!("<{value}>") }).to_string(),
            format!("{:?}", format!("<{value}>")),
        ];
        for mut shape in shapes {
            redaction.text(&mut shape);
            assert!(
                shape.contains("[secret token]") && !shape.contains("hemligt"),
                "{shape}"
            );
        }
        let mut output = json!({ value: [value, { "deep": format!("x{value}x") }] });
        redaction.value(&mut output);
        let expected = json!({"[secret token]": ["[secret token]", {"deep": "x[secret token]x"}]});
        assert_eq!(output, expected);
    }
}
