//! What everybody does with `a2a`: posts to an agent of the own tenant. Who may write across tenants the exchange of a
//! host decides; the e2e tests ask a real one.

use stuga_core::a2a::delivery::{Filter, MailDesk};
use stuga_core::a2a::{Address, Exchange, MailboxWrite, Message, NoExchange, Target};
use stuga_core::{CallCtx, Capability};

use super::{Heard, Stage, mark};

fn post(ctx: &CallCtx) -> MailboxWrite {
    MailboxWrite::Post {
        to: format!("{}/svea", ctx.tenant),
        message: Message {
            skill: "note".to_owned(),
            input: format!("{:?}", mark(ctx)),
            session: None,
        },
        depth: 1,
    }
}

impl Stage {
    pub(super) async fn furnish_mail(&self, ctx: &CallCtx) {
        let (mail, id) = (self.local.mail(), ctx.next_write_id().unwrap());
        mail.apply(ctx, id, &post(ctx)).await.unwrap();
    }

    /// What the agent posted, in its tenant's mailboxes.
    pub(super) async fn mail_of(&self, owner: &CallCtx) -> Vec<String> {
        let mail = self.local.mail();
        let all = Filter::default();
        let page = mail.list(&owner.tenant, &all, None, 1_000).await;
        let (letters, _) = page.unwrap();
        let own = letters
            .into_iter()
            .filter(|letter| letter.sender == Address::of(owner));
        own.map(|letter| format!("{letter:?}")).collect()
    }

    pub(super) async fn use_a2a(&self, ctx: &CallCtx, heard: &mut Heard) {
        let (mail, id) = (self.local.mail(), ctx.next_write_id().unwrap());
        let posted = mail.apply(ctx, id, &post(ctx)).await;
        let letter = posted.as_ref().ok().map(|ack| ack.id.clone());
        heard.hear("a2a.post", posted.map(drop));
        // The operator of the tenant takes it back.
        if let Some(letter) = letter {
            let write = ctx.next_write_id().unwrap();
            let gone = mail.discard(&ctx.tenant, write, &letter).await;
            assert!(gone.unwrap());
        }
        let target = Target::parse("a2a.send", "svea").unwrap();
        heard.hear("a2a.send", NoExchange.route(ctx, "a2a.send", &target));
    }
}
