//! The contract of posting alone: what a sender may count on, also before a backend that delivers nothing.

use async_trait::async_trait;

use super::{MailBackend, ctx_of, post};
use crate::a2a::delivery::{Filter, MailDesk, PAGE_MAX_MESSAGES};
use crate::a2a::{Address, INPUT_MAX_BYTES, Mailbox, MailboxWrite, Message, SESSION_MAX_BYTES};
use crate::testkit::suite::{Case, Fixture, cases};
use crate::{CallCtx, ErrorKind, Result};

/// A message as it lies in a mailbox.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lying {
    /// Its id.
    pub id: String,
    /// Who wrote it.
    pub sender: Address,
    /// What is said.
    pub message: Message,
}

/// Mailboxes that can be looked into.
#[async_trait]
pub trait Postbox: Mailbox {
    /// What lies there for an agent, in the order in which it was posted.
    async fn lying(&self, to: &Address) -> Result<Vec<Lying>>;
}

#[async_trait]
impl<T: MailBackend> Postbox for T {
    async fn lying(&self, to: &Address) -> Result<Vec<Lying>> {
        let filter = Filter {
            agent: Some(to.agent.clone()),
            state: None,
        };
        let listed = MailDesk::list(self, &to.tenant, &filter, None, PAGE_MAX_MESSAGES);
        let (letters, _) = listed.await?;
        let lying = letters.into_iter().map(|letter| Lying {
            id: letter.id,
            sender: letter.sender,
            message: letter.message,
        });
        Ok(lying.collect())
    }
}

/// All cases.
pub fn cases() -> Vec<Case<dyn Postbox>> {
    cases![
        what_is_posted_lies_there_as_it_was_posted,
        a_repeated_post_lies_there_once,
        another_post_under_a_used_id_is_a_conflict,
        what_is_no_message_is_refused,
        each_mailbox_has_its_own_messages,
    ]
}

type Boxes = Fixture<dyn Postbox>;

fn ctx() -> CallCtx {
    ctx_of("acme", "scribe")
}

fn svea() -> Address {
    "acme/svea".parse().unwrap()
}

impl Boxes {
    async fn post(&self, ctx: &CallCtx, write: &MailboxWrite) -> Result<String> {
        let id = ctx.next_write_id()?;
        Ok(self.backend.apply(ctx, id, write).await?.id)
    }

    async fn inputs(&self, to: &Address) -> Vec<String> {
        let lying = self.backend.lying(to).await.unwrap().into_iter();
        lying.map(|lying| lying.message.input).collect()
    }
}

async fn what_is_posted_lies_there_as_it_was_posted(mail: Boxes) {
    let ctx = ctx();
    let ids = [
        mail.post(&ctx, &post("acme/svea", r#"{"n":1}"#))
            .await
            .unwrap(),
        mail.post(&ctx, &post("acme/svea", "2")).await.unwrap(),
    ];
    assert_ne!(ids[0], ids[1]);
    let lying = mail.backend.lying(&svea()).await.unwrap();
    let expected = [(&ids[0], r#"{"n":1}"#), (&ids[1], "2")].map(|(id, input)| {
        let MailboxWrite::Post { message, .. } = post("acme/svea", input);
        Lying {
            id: id.clone(),
            sender: Address::of(&ctx),
            message,
        }
    });
    assert_eq!(lying, expected);
}

async fn a_repeated_post_lies_there_once(mail: Boxes) {
    let ctx = ctx();
    let id = ctx.next_write_id().unwrap();
    let said = post("acme/svea", "1");
    let first = mail.backend.apply(&ctx, id, &said).await.unwrap();
    for _ in 0..2 {
        assert_eq!(mail.backend.apply(&ctx, id, &said).await.unwrap(), first);
    }
    assert_eq!(mail.inputs(&svea()).await, ["1"]);
}

async fn another_post_under_a_used_id_is_a_conflict(mail: Boxes) {
    let ctx = ctx();
    let id = ctx.next_write_id().unwrap();
    let said = post("acme/svea", "1");
    mail.backend.apply(&ctx, id, &said).await.unwrap();
    for other in [post("acme/svea", "2"), post("acme/other", "1")] {
        let refused = mail.backend.apply(&ctx, id, &other).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict);
    }
    assert_eq!(mail.inputs(&svea()).await, ["1"]);
}

async fn what_is_no_message_is_refused(mail: Boxes) {
    let ctx = ctx();
    let with = |change: fn(&mut Message)| {
        let MailboxWrite::Post {
            to,
            mut message,
            depth,
        } = post("acme/svea", "1");
        change(&mut message);
        MailboxWrite::Post { to, message, depth }
    };
    let long = format!("\"{}\"", "x".repeat(INPUT_MAX_BYTES));
    for bad in [
        post("../x/svea", "1"),
        post("acme/Svea", "1"),
        post("acme/svea", &long),
        with(|message| message.skill = "Note".to_owned()),
        with(|message| message.session = Some("s".repeat(SESSION_MAX_BYTES + 1))),
    ] {
        let refused = mail.post(&ctx, &bad).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    }
    let most = with(|message| message.session = Some("s".repeat(SESSION_MAX_BYTES)));
    mail.post(&ctx, &most).await.unwrap();
    assert_eq!(mail.inputs(&svea()).await, ["1"]);
}

async fn each_mailbox_has_its_own_messages(mail: Boxes) {
    for (tenant, sender, to, input) in [
        ("acme", "scribe", "acme/svea", "1"),
        ("acme", "other", "acme/svea", "2"),
        ("acme", "scribe", "acme/other", "3"),
        ("acme", "scribe", "globex/svea", "4"),
    ] {
        let ctx = ctx_of(tenant, sender);
        mail.post(&ctx, &post(to, input)).await.unwrap();
    }
    let mut of_svea = mail.inputs(&svea()).await;
    of_svea.sort();
    assert_eq!(of_svea, ["1", "2"]);
    assert_eq!(mail.inputs(&"acme/other".parse().unwrap()).await, ["3"]);
    assert_eq!(mail.inputs(&"globex/svea".parse().unwrap()).await, ["4"]);
    assert!(
        mail.inputs(&"globex/other".parse().unwrap())
            .await
            .is_empty()
    );
}
