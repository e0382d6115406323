//! What everybody does with `model`. Nothing is kept, so what could leak are answers that get mixed up, and limits.

use stuga_core::CallCtx;
use stuga_core::model::{Message, Options, Request, Role};

use super::{Heard, Stage, mark};

impl Stage {
    pub(super) async fn use_model(&self, ctx: &CallCtx, heard: &mut Heard) {
        let model = self.local.model();
        let request = Request {
            messages: vec![Message {
                role: Role::User,
                content: mark(ctx),
            }],
            options: Options::default(),
        };
        let answer = model.complete(ctx, &request).await;
        assert!(answer.as_ref().is_ok_and(|answer| answer.text == mark(ctx)));
        heard.hear("model.complete", answer.map(|answer| answer.text));
        let started = model.start(ctx, &request).await;
        heard.hear("model.start", started.as_ref().map(|_| ()).map_err(copy));
        if let Ok(mut completion) = started {
            heard.hear("model.next", completion.next(ctx).await);
            heard.hear("model.ending", Ok(completion.ending().cloned()));
        }
        let made = model.embed(ctx, &[&mark(ctx)]).await;
        heard.hear("model.embed", made.map(|made| made.vectors));
    }
}

/// What an error says, as another one.
fn copy(error: &stuga_core::Error) -> stuga_core::Error {
    stuga_core::Error::new(error.kind(), error.operation(), error.message().to_owned())
}
