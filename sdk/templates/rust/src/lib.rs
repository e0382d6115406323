//! {{name}}: what it does, in one sentence.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stuga_sdk::{Agent, Capability, Context, Result, Skills, log, memory};

/// The agent. What it keeps in itself is a cache; what must last goes into `memory`.
#[derive(Default)]
struct {{type}};

/// What `greet` takes. The comments become part of the skill's schema.
#[derive(Deserialize, JsonSchema)]
struct Guest {
    /// Who comes in.
    name: String,
}

/// What `greet` answers.
#[derive(Serialize, JsonSchema)]
struct Greeting {
    text: String,
    /// How often this guest came in.
    visits: u32,
}

/// What `echo` takes and answers.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Text {
    text: String,
}

impl Agent for {{type}} {
    const NAME: &str = env!("CARGO_PKG_NAME");
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &str = "Greets guests and remembers them.";
    const CAPABILITIES: &[Capability] = &[Capability::Memory];

    fn skills() -> Skills<Self> {
        Skills::new()
            .skill("echo", "Answers what it is told.", Self::echo)
            .skill("greet", "Greets a guest by name and counts the visits.", Self::greet)
    }
}

impl {{type}} {
    fn echo(&self, _: &Context, input: Text) -> Result<Text> {
        Ok(input)
    }

    fn greet(&self, _: &Context, guest: Guest) -> Result<Greeting> {
        let key = format!("visits/{}", guest.name);
        let visits = memory::update_json(&key, |n: Option<u32>| Ok(n.unwrap_or(0) + 1))?;
        log::info!(visits = visits, "greeted");
        Ok(Greeting { text: format!("Hej {}!", guest.name), visits })
    }
}

stuga_sdk::export!({{type}});

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use stuga_sdk::mock;

    #[test]
    fn a_guest_who_comes_back_is_remembered() {
        mock::Host::new().run(|| {
            let guest = json!({"name": "Astrid"});
            mock::invoke::<{{type}}>("greet", guest.clone()).unwrap();
            let second = mock::invoke::<{{type}}>("greet", guest).unwrap();
            assert_eq!(second, json!({"text": "Hej Astrid!", "visits": 2}));
        });
    }
}
