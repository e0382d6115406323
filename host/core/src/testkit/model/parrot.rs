//! A model that says again what its user said last: what a backend is proved before.
//!
//! A pure function, so that a server of the wire protocol and a mock host answer alike. A token is a word.

use crate::model::{Answer, Ending, FinishReason, Format, Message, Options, Request, Role, Usage};

/// The name of the model that a backend chooses by itself.
pub const NAME: &str = "parrot";
/// The name of another one that the operator allows; it answers in upper case.
pub const OTHER_NAME: &str = "loud-parrot";

/// What the parrot answers, in pieces: a word with the space before it.
///
/// It keeps to max-tokens and to stop texts. Asked for JSON it answers `{"said": …}`, in one piece.
pub fn pieces(request: &Request) -> (Vec<String>, Ending) {
    let said = request.messages.iter().rev();
    let said = said.clone().find(|m| m.role == Role::User);
    let said = said.map_or("", |message| message.content.as_str());
    let name = request.options.model.as_deref().unwrap_or(NAME);
    let said = match name {
        OTHER_NAME => said.to_uppercase(),
        _ => said.to_owned(),
    };
    let mut answer = match request.options.format {
        Format::Text => said,
        Format::Json | Format::JsonSchema(_) => serde_json::json!({ "said": said }).to_string(),
    };
    let stops = request.options.stop.iter();
    if let Some(end) = stops.filter_map(|stop| answer.find(stop)).min() {
        answer.truncate(end);
    }
    let mut pieces: Vec<String> = match request.options.format {
        Format::Text => words(&answer),
        Format::Json | Format::JsonSchema(_) => vec![answer],
    };
    pieces.retain(|piece| !piece.is_empty());
    let mut reason = FinishReason::Stop;
    let max = request.options.max_tokens.unwrap_or(u32::MAX) as usize;
    if pieces.len() > max {
        pieces.truncate(max);
        reason = FinishReason::Length;
    }
    let prompt = request.messages.iter().map(tokens).sum();
    let usage = Usage {
        prompt_tokens: prompt,
        completion_tokens: u32::try_from(pieces.len()).unwrap_or(u32::MAX),
    };
    let ending = Ending {
        model: name.to_owned(),
        reason,
        usage: Some(usage),
    };
    (pieces, ending)
}

/// The whole answer of the parrot.
pub fn answer(messages: &[Message], options: &Options) -> Answer {
    let request = Request {
        messages: messages.to_vec(),
        options: options.clone(),
    };
    let (pieces, ending) = pieces(&request);
    Answer {
        text: pieces.concat(),
        ending,
    }
}

fn tokens(message: &Message) -> u32 {
    u32::try_from(words(&message.content).len()).unwrap_or(u32::MAX)
}

/// The text cut before each space.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for c in text.chars() {
        match words.last_mut() {
            Some(word) if c != ' ' => word.push(c),
            _ => words.push(c.to_string()),
        }
    }
    words
}
