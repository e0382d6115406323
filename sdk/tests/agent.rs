//! What an author can rely on when an agent is called, seen through the mock host.

#![cfg(not(target_family = "wasm"))]

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stuga_sdk::log::Level;
use stuga_sdk::mock::{Call, Host, describe, invoke};
use stuga_sdk::{
    Agent, Capability, Context, Error, ErrorKind, Instance, Result, Skills, clock, config, files,
    log, memory, output, random,
};

#[derive(Default)]
struct Probe {
    calls: u32,
}

#[derive(Deserialize, JsonSchema)]
struct Count {
    #[schemars(range(min = 1, max = 10))]
    n: u32,
}

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

#[derive(Serialize, JsonSchema, PartialEq, Debug)]
struct Answer {
    n: u32,
}

impl Agent for Probe {
    const NAME: &str = "probe";
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &str = "Probes the SDK.";
    const CAPABILITIES: &[Capability] = &[Capability::Memory];

    fn skills() -> Skills<Self> {
        Skills::new()
            .skill("double", "Doubles a number.", Self::double)
            .skill("calls", "Counts calls.", Self::calls)
            .skill("store", "Counts in memory.", Self::store)
            .skill("file", "Uses what is not declared.", Self::file)
            .skill("told", "Tells what it was told.", Self::told)
            .raw_skill("raw", "No JSON.", "true", "true", |_, _, _| {
                Ok("no JSON".into())
            })
    }
}

impl Probe {
    fn double(&self, _: &Context, input: Count) -> Result<Answer> {
        Ok(Answer { n: input.n * 2 })
    }

    fn calls(&mut self, _: &Context, _: Nothing) -> Result<Answer> {
        self.calls += 1;
        Ok(Answer { n: self.calls })
    }

    fn store(&self, _: &Context, _: Nothing) -> Result<Answer> {
        let n = memory::update_json("n", |n: Option<u32>| Ok(n.unwrap_or(0) + 1))?;
        Ok(Answer { n })
    }

    fn file(&self, _: &Context, _: Nothing) -> Result<Answer> {
        files::put("a", b"")?;
        Ok(Answer { n: 0 })
    }

    fn told(&self, ctx: &Context, _: Nothing) -> Result<Value> {
        Ok(json!({
            "session": ctx.session(),
            "random": random::next_u64(),
            "now": clock::now(),
            "remaining": ctx.remaining() <= Duration::from_secs(1),
        }))
    }
}

stuga_sdk::export!(Probe);

#[test]
fn an_unknown_skill_is_not_found_and_the_known_ones_are_named() {
    let error = invoke::<Probe>("dubble", json!({})).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("double, calls, store"), "{error}");
}

#[test]
fn an_input_that_does_not_fit_the_schema_is_invalid_at_its_path() {
    for (input, path) in [
        (json!({"n": 11}), "/n"),
        (json!({"n": "1"}), "/n"),
        (json!({}), ""),
    ] {
        let error = invoke::<Probe>("double", input).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(error.context_value("path"), Some(path), "{error}");
    }
    assert_eq!(
        invoke::<Probe>("double", json!({"n": 2})).unwrap(),
        json!({"n": 4})
    );
}

#[test]
fn an_answer_that_is_no_json_is_the_agents_fault() {
    let error = invoke::<Probe>("raw", json!(null)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
}

#[test]
fn the_struct_lives_as_long_as_its_instance_and_memory_longer() {
    Host::new().run(|| {
        let mut warm = Instance::<Probe>::new();
        for n in 1..=3 {
            let call = Call::new("calls", json!({}));
            assert_eq!(call.on(&mut warm).unwrap(), json!({"n": n}));
            assert_eq!(
                invoke::<Probe>("calls", json!({})).unwrap(),
                json!({"n": 1})
            );
            assert_eq!(
                invoke::<Probe>("store", json!({})).unwrap(),
                json!({"n": n})
            );
        }
    });
}

#[test]
fn two_hosts_share_nothing() {
    let (a, b) = (Host::new(), Host::new());
    a.run(|| memory::put("k", b"a")).unwrap();
    assert_eq!(b.run(|| memory::get("k")).unwrap(), None);
    assert!(a.run(|| memory::get("k")).unwrap().is_some());
}

#[test]
fn a_capability_that_the_agent_does_not_declare_is_denied() {
    let error = invoke::<Probe>("file", json!({})).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.message().contains("Capability::Files"), "{error}");
}

#[test]
fn time_and_randomness_are_what_the_test_sets() {
    let told = |seed| {
        let host = Host::new().clock(1_000).seed(seed);
        host.advance(Duration::from_secs(2));
        let call = Call::new("told", json!({}))
            .session("s")
            .deadline(Duration::from_secs(1));
        host.run(|| call.on(&mut Instance::<Probe>::new())).unwrap()
    };
    assert_eq!(told(7), told(7));
    assert_ne!(told(7)["random"], told(8)["random"]);
    assert_eq!(told(7)["now"], 3_000);
    assert_eq!(told(7)["session"], "s");
    assert_eq!(told(7)["remaining"], true);
}

#[test]
fn a_description_holds_schemas_of_draft_2020_12_and_the_wanted_capabilities() {
    let description = describe::<Probe>().unwrap();
    assert_eq!(description.name, "probe");
    assert_eq!(description.capabilities, ["memory"]);
    let double = &description.skills[0];
    assert_eq!(
        double.input_schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    assert_eq!(double.input_schema["properties"]["n"]["maximum"], 10);
    assert_eq!(double.output_schema["required"], json!(["n"]));
}

#[test]
fn lines_and_parts_are_kept_in_order_and_bounded() {
    let host = Host::new();
    host.run(|| {
        log::info!(answer = 42, "the answer is {}", 42);
        log::debug!("{}", "å".repeat(8_192));
        output::emit(&json!({"part": 1})).unwrap();
        assert_eq!(
            output::emit_raw("{").unwrap_err().kind(),
            ErrorKind::Invalid
        );
        let large = "x".repeat(256 << 10);
        assert_eq!(output::emit(&large).unwrap_err().kind(), ErrorKind::Invalid);
        for _ in 0..2_000 {
            log::trace!("flood");
        }
    });
    let logs = host.logs();
    assert_eq!(logs[0].level, Level::Info);
    assert_eq!(logs[0].message, "the answer is 42");
    assert_eq!(logs[0].fields, [("answer".to_owned(), "42".to_owned())]);
    assert_eq!(logs[1].message.len(), 8_192);
    assert_eq!(logs.len(), 1_000);
    assert_eq!(host.outputs(), [json!({"part": 1})]);
}

#[test]
fn a_configured_value_is_typed_and_a_wrong_one_names_its_key() {
    Host::new().config("length", "short").run(|| {
        assert_eq!(
            config::get::<String>("length").unwrap().as_deref(),
            Some("short")
        );
        assert_eq!(config::get::<u32>("absent").unwrap(), None);
        let error = config::get::<u32>("length").unwrap_err();
        assert_eq!(error.context_value("config"), Some("length"));
    });
}

#[test]
fn an_update_that_meets_another_writer_runs_again() {
    Host::new().run(|| {
        let mut others = 3;
        let n = memory::update_json("n", |n: Option<u32>| {
            let n = n.unwrap_or(0);
            if others > 0 {
                others -= 1;
                memory::put_json("n", &(n + 10))?;
            }
            Ok(n + 1)
        });
        assert_eq!(n.unwrap(), 31);
    });
}

#[test]
fn an_iterator_reads_all_pages_and_ends_after_an_error() {
    let host = Host::new();
    host.run(|| {
        for n in 0..450 {
            memory::put(&format!("k/{n:03}"), b"").unwrap();
        }
        let keys: Vec<_> = memory::list_all("k/")
            .map(|item| item.unwrap().key)
            .collect();
        assert_eq!(keys.len(), 450);
        assert!(keys.is_sorted());
    });
    host.fail("memory.list", Error::unavailable("down"));
    let read: Vec<_> = host.run(|| memory::list_all("k/").collect());
    assert_eq!(read.len(), 1);
}
