//! What events hold, kept near: in this process, then in Redis, then in AgentCore. An event never changes, so nothing here
//! can be out of date; whether it still counts is what its stream's card says.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use moka::sync::Cache;
use redis::AsyncCommands;
use stuga_core::sessions::Role;
use stuga_core::{CallCtx, Result};

use super::card::Cards;
use super::redis::within;
use super::stream::{Content, Stream, damaged};

/// Bytes that this process keeps.
const PROCESS_MAX_BYTES: u64 = 64 << 20;
/// How long what is not asked for stays in this process.
const PROCESS_IDLE: Duration = Duration::from_secs(600);
/// How long it stays in Redis.
const REDIS_KEPT: Duration = Duration::from_secs(3_600);
/// Largest content that is kept in Redis; a larger one is fetched from AgentCore.
const REDIS_MAX_BYTES: usize = 256 << 10;
/// What an entry of the cache takes beside its bytes.
const OVERHEAD_BYTES: usize = 128;

/// Contents that this process keeps.
pub(crate) struct Contents(Cache<String, Bytes>);

impl Contents {
    pub(crate) fn new() -> Self {
        let weight = |key: &String, value: &Bytes| {
            u32::try_from(key.len() + value.len() + OVERHEAD_BYTES).unwrap_or(u32::MAX)
        };
        let cache = Cache::builder()
            .max_capacity(PROCESS_MAX_BYTES)
            .weigher(weight)
            .time_to_idle(PROCESS_IDLE)
            .build();
        Self(cache)
    }

    /// What is kept of an event's content.
    pub(crate) async fn find(
        &self,
        ctx: &CallCtx,
        operation: &'static str,
        cards: &Cards,
        stream: &Stream,
        event: &str,
    ) -> Result<Option<Content>> {
        let key = key(cards, stream, event);
        if let Some(bytes) = self.0.get(&key) {
            return unpack(operation, bytes).map(Some);
        }
        let mut connection = cards.connection();
        let found: Option<Vec<u8>> = within(ctx, operation, connection.get(&key)).await?;
        let Some(bytes) = found.map(Bytes::from) else {
            return Ok(None);
        };
        self.0.insert(key, bytes.clone());
        unpack(operation, bytes).map(Some)
    }

    /// Keeps an event's content. Redis may refuse, for want of room; that is logged and no error.
    pub(crate) async fn keep(
        &self,
        ctx: &CallCtx,
        operation: &'static str,
        cards: &Cards,
        stream: &Stream,
        event: &str,
        content: &Content,
    ) {
        let (key, bytes) = (key(cards, stream, event), pack(content));
        if bytes.len() <= REDIS_MAX_BYTES {
            let mut connection = cards.connection();
            let set = connection.set_ex::<_, _, ()>(&key, bytes.as_ref(), REDIS_KEPT.as_secs());
            if let Err(error) = within(ctx, operation, set).await {
                tracing::debug!(operation, %error, "a content is not kept in Redis");
            }
        }
        self.0.insert(key, bytes);
    }
}

fn key(cards: &Cards, stream: &Stream, event: &str) -> String {
    cards.key("e", &format!("{}|{event}", stream.name()))
}

/// A role, or none; the length of what was said; that; the data.
fn pack(content: &Content) -> Bytes {
    let (role, said) = match &content.said {
        Some((role, said)) => (role.as_str().bytes().next(), said.as_str()),
        None => (None, ""),
    };
    let mut bytes = BytesMut::with_capacity(5 + said.len() + content.data.len());
    bytes.put_u8(role.unwrap_or(b'-'));
    bytes.put_u32(u32::try_from(said.len()).unwrap_or(u32::MAX));
    bytes.put_slice(said.as_bytes());
    bytes.put_slice(&content.data);
    bytes.freeze()
}

fn unpack(operation: &'static str, mut bytes: Bytes) -> Result<Content> {
    let unpack = || {
        let (head, rest) = bytes.split_first_chunk::<5>()?;
        let [role, length @ ..] = *head;
        let said = rest.get(..usize::try_from(u32::from_be_bytes(length)).ok()?)?;
        let said = String::from_utf8(said.to_vec()).ok()?;
        let role = Role::ALL
            .into_iter()
            .find(|known| known.as_str().as_bytes().first() == Some(&role));
        Some((role, said))
    };
    let (role, said) = unpack().ok_or_else(|| damaged(operation))?;
    let data = bytes.split_off(5 + said.len());
    Ok(Content {
        said: role.map(|role| (role, said)),
        data,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_come_back_as_they_were_packed() {
        let data = Bytes::from_static(b"\0data");
        let said = |role| Some((role, "jag är".to_owned()));
        let mut contents: Vec<_> = Role::ALL.map(said).into();
        contents.push(None);
        for said in contents {
            for data in [Bytes::new(), data.clone()] {
                let content = Content {
                    said: said.clone(),
                    data,
                };
                assert_eq!(unpack("memory.get", pack(&content)).unwrap(), content);
            }
        }
    }

    #[test]
    fn what_is_cut_is_an_error() {
        let content = Content {
            said: Some((Role::User, "hej".to_owned())),
            data: Bytes::new(),
        };
        let whole = pack(&content);
        for length in 0..whole.len() {
            assert!(
                unpack("memory.get", whole.slice(..length)).is_err(),
                "{length}"
            );
        }
    }
}
