//! Messages as a component sends them: what is refused before anybody is asked, and what the other side is told.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::{Value, json};
use stuga_core::a2a::delivery::{Filter, MailDesk};
use stuga_core::a2a::{Address, DEPTH_MAX, Exchange, Incoming, Message, Target};
use stuga_core::{CallCtx, Error, ErrorKind, Result, TenantId, WriteId};
use stuga_runtime::{Agent, InvokeError};
use tokio::time::Instant;

use crate::{World, call_in};

/// An exchange that lets everything pass but `nobody`, echoes, and takes down what it was asked.
#[derive(Default)]
struct Recorder(Mutex<Vec<(Address, Message, WriteId, u32)>>);

#[async_trait]
impl Exchange for Recorder {
    fn route(&self, ctx: &CallCtx, operation: &'static str, to: &Target) -> Result<Address> {
        if to.agent.as_str() == "nobody" {
            return Err(Error::denied(operation, "not to nobody"));
        }
        Ok(Address {
            tenant: to.tenant.clone().unwrap_or_else(|| ctx.tenant.clone()),
            agent: to.agent.clone(),
        })
    }

    async fn send(
        &self,
        ctx: &CallCtx,
        id: WriteId,
        to: &Address,
        message: Message,
        deadline: Instant,
    ) -> Result<String> {
        assert!(deadline <= ctx.deadline);
        let input = message.input.clone();
        let asked = (to.clone(), message, id, ctx.next_depth());
        self.0.lock().unwrap().push(asked);
        Ok(input)
    }
}

async fn agent() -> (Agent, World, Arc<Recorder>) {
    let (mut world, recorder) = (World::new(), Arc::new(Recorder::default()));
    world.capabilities = world
        .capabilities
        .clone()
        .with_exchange(Arc::clone(&recorder) as _);
    let agent = world.deploy("fixture-echo", |_| ()).await.unwrap();
    (agent, world, recorder)
}

fn letter(to: &str) -> Value {
    json!({"to": to, "skill": "note", "input": {"n": 1}})
}

/// Calls a skill as the answer to a message of that depth; 0 as a client does.
async fn call_at(agent: &Agent, depth: u32, skill: &str, input: Value) -> Result<Value> {
    let message = Incoming {
        sender: "other/agent".to_owned(),
        id: "m-1".to_owned(),
        expects_reply: false,
        depth,
    };
    let template = stuga_core::testkit::ctx("tenant", "agent");
    let ctx = template.answering((depth > 0).then_some(message));
    match call_in(agent, Arc::new(ctx), skill, input).await {
        Ok(answer) => Ok(answer),
        Err(InvokeError::Agent(error)) => Err(error),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_message_goes_where_the_exchange_says_one_deeper_than_what_it_answers() {
    let (agent, _world, recorder) = agent().await;
    let answer = call_at(&agent, 0, "send", letter("svea")).await.unwrap();
    assert_eq!(answer, json!({"n": 1}));
    call_at(&agent, 3, "send", letter("far/svea"))
        .await
        .unwrap();
    let asked = recorder.0.lock().unwrap();
    assert_eq!(
        (asked[0].0.to_string(), asked[0].3),
        ("tenant/svea".to_owned(), 1)
    );
    assert_eq!(
        (asked[1].0.to_string(), asked[1].3),
        ("far/svea".to_owned(), 4)
    );
    assert_eq!(asked[0].1.skill, "note");
    assert_ne!(asked[0].2, asked[1].2);
}

#[tokio::test]
async fn a_post_lies_in_the_mailbox_with_its_sender_and_depth() {
    let (agent, world, _) = agent().await;
    let posted = call_at(&agent, 2, "post", letter("far/svea"))
        .await
        .unwrap();
    let (far, desk) = (TenantId::new("far").unwrap(), world.local.mail());
    let (letters, _) = desk.list(&far, &Filter::default(), None, 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].id, posted["text"]);
    assert_eq!(
        (letters[0].sender.to_string(), letters[0].depth),
        ("tenant/agent".to_owned(), 3)
    );
}

#[tokio::test]
async fn what_is_refused_leaves_nothing_behind() {
    let (agent, world, recorder) = agent().await;
    let long = json!({"to": "svea", "skill": "note", "input": "x".repeat(300_000)});
    let skill = json!({"to": "svea", "skill": "Note", "input": 1});
    for operation in ["send", "post"] {
        for (depth, input, kind) in [
            (0, letter("../svea"), ErrorKind::Invalid),
            (0, long.clone(), ErrorKind::Invalid),
            (0, skill.clone(), ErrorKind::Invalid),
            (0, letter("nobody"), ErrorKind::Denied),
            (DEPTH_MAX, letter("svea"), ErrorKind::QuotaExceeded),
        ] {
            let refused = call_at(&agent, depth, operation, input).await.unwrap_err();
            assert_eq!(refused.kind(), kind, "{refused}");
        }
    }
    assert!(recorder.0.lock().unwrap().is_empty());
    let (own, desk) = (TenantId::new("tenant").unwrap(), world.local.mail());
    let (letters, _) = desk.list(&own, &Filter::default(), None, 10).await.unwrap();
    assert!(letters.is_empty());
}

#[tokio::test]
async fn the_receiver_is_told_who_wrote_and_whether_an_answer_is_awaited() {
    let (agent, _world, _) = agent().await;
    let noted = call_at(&agent, 1, "note-message", json!({"text": "hej"})).await;
    assert_eq!(noted.unwrap()["text"], "m-1 from other/agent: hej");
    let client = call_at(&agent, 0, "note-message", json!({"text": "hej"})).await;
    assert_eq!(client.unwrap_err().message(), "this is no message");
}
