//! `model` of the mock host that is running on this thread.

use super::{current, with};
use crate::Result;
use crate::mock::model as store;
use crate::model::{Answer, Embeddings, Ending, Message, Options};

pub(crate) fn complete(messages: &[Message], options: &Options) -> Result<Answer> {
    let (pieces, ending) = answer("model.complete", messages, options)?;
    Ok(Answer {
        text: pieces.concat(),
        ending,
    })
}

/// Asks the test's model. The host is not held meanwhile, so that the model may use it.
fn answer(
    operation: &'static str,
    messages: &[Message],
    options: &Options,
) -> Result<(Vec<String>, Ending)> {
    let model = with(|state| store::admit(state, operation, messages, options))?;
    store::pieces(&*model, messages, options)
}

/// The number of a completion of the running host.
#[derive(Debug)]
pub(crate) struct Completion(u64);

impl Completion {
    pub(crate) fn start(messages: &[Message], options: &Options) -> Result<Self> {
        with(|state| store::check_room(state))?;
        let (pieces, ending) = answer("model.start", messages, options)?;
        Ok(Self(with(|state| store::open(state, pieces, ending))))
    }

    pub(crate) fn next(&self) -> Result<Option<String>> {
        with(|state| store::next(state, self.0))
    }

    pub(crate) fn ending(&self) -> Option<Ending> {
        with(|state| store::ending(state, self.0))
    }
}

impl Drop for Completion {
    /// Without a host there is nothing left to end.
    fn drop(&mut self) {
        if let Some(host) = current() {
            store::close(&mut host.state(), self.0);
        }
    }
}

pub(crate) fn embed(texts: &[&str]) -> Result<Embeddings> {
    with(|state| store::embed(state, texts))
}
