//! The contract of models.
//!
//! Every sentence of `wit/model.wit` and of [`crate::model`] that a backend must keep is a case here. A backend is proved
//! before a [`parrot`]: a model whose answers can be told beforehand.

mod bounds;
mod completing;
mod embedding;
pub mod parrot;

use super::ctx as ctx_of;
use super::suite::{Case, Fixture};
use crate::model::{Answer, Completion, Message, Model, Options, Request, Role};
use crate::{CallCtx, Result};

/// All cases, for a backend whose own choice of a model is [`parrot::NAME`] and that allows [`parrot::OTHER_NAME`] as well.
pub fn cases() -> Vec<Case<dyn Model>> {
    let mut all = completing::cases();
    all.extend(bounds::cases());
    all.extend(embedding::cases());
    all
}

type Cages = Fixture<dyn Model>;

fn ctx() -> CallCtx {
    ctx_of("acme", "scribe")
}

/// What a user says, to be said again.
fn say(text: &str) -> Request {
    say_with(text, Options::default())
}

fn say_with(text: &str, options: Options) -> Request {
    let messages = vec![message(Role::System, "Repeat."), message(Role::User, text)];
    Request { messages, options }
}

fn message(role: Role, content: &str) -> Message {
    Message {
        role,
        content: content.to_owned(),
    }
}

impl Cages {
    async fn try_complete(&self, request: &Request) -> Result<Answer> {
        self.backend.complete(&ctx(), request).await
    }

    async fn complete(&self, request: &Request) -> Answer {
        self.try_complete(request).await.unwrap()
    }

    async fn start(&self, request: &Request) -> Box<dyn Completion> {
        self.backend.start(&ctx(), request).await.unwrap()
    }
}

/// All that is left of a completion.
async fn rest(completion: &mut Box<dyn Completion>) -> Vec<String> {
    let ctx = ctx();
    let mut pieces = Vec::new();
    while let Some(piece) = completion.next(&ctx).await.unwrap() {
        assert!(!piece.is_empty(), "an empty piece");
        assert_eq!(completion.ending(), None, "an ending before the end");
        pieces.push(piece);
    }
    pieces
}
