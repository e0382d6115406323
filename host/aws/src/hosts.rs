//! What hosts that share a cloud tell each other: over Redis's publish and subscribe, in the moment and without memory.
//!
//! Whoever listens hears it, this host as well; nothing is kept, repeated or confirmed. It carries words and does not know
//! what they mean.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use redis::aio::{ConnectionManager, ConnectionManagerConfig, PubSubSink, PubSubStream};
use redis::{Client, Msg, RedisError};
use stuga_core::{Error, Result};
use tokio::sync::OnceCell;
use tokio::time::timeout;

const TELL: &str = "hosts.tell";
const LISTEN: &str = "hosts.listen";
/// Longest word in bytes. What is longer is not told, and not heard.
pub const WORD_MAX_BYTES: usize = 1_024;
/// Longest wait for a connection and for an answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// After so much silence the connection is asked whether it still stands.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// The hosts that share a Redis and a region.
pub struct Hosts {
    url: String,
    channel: String,
    /// For telling; who listens has a connection of its own.
    manager: OnceCell<ConnectionManager>,
}

/// A connection that listens.
struct Ear {
    channel: PubSubStream,
    asks: PubSubSink,
}

impl Hosts {
    /// The hosts at the Redis of `url` that use the clouds of `region`. Nothing is connected before it is needed.
    pub(crate) fn new(url: String, region: &str) -> Self {
        Self {
            url,
            channel: format!("stuga:hosts:{region}"),
            manager: OnceCell::new(),
        }
    }

    /// Tells all hosts that listen now.
    ///
    /// # Errors
    /// `Invalid` when it is longer than [`WORD_MAX_BYTES`]; `Unavailable` or `Timeout` when Redis does not serve, and then
    /// some may have heard it.
    pub async fn tell(&self, word: &[u8]) -> Result<()> {
        if word.len() > WORD_MAX_BYTES {
            let error = Error::invalid(TELL, "the word is too long");
            return Err(error.with_context("limit", WORD_MAX_BYTES));
        }
        let tell = async {
            let connect = async {
                let config = ConnectionManagerConfig::new()
                    .set_number_of_retries(1)
                    .set_connection_timeout(Some(PATIENCE))
                    .set_response_timeout(Some(PATIENCE));
                ConnectionManager::new_with_config(Client::open(self.url.as_str())?, config).await
            };
            let mut manager = self.manager.get_or_try_init(|| connect).await?.clone();
            let publish = redis::cmd("PUBLISH")
                .arg(&self.channel)
                .arg(word)
                .to_owned();
            let _heard: u64 = publish.query_async(&mut manager).await?;
            Ok(())
        };
        match timeout(2 * PATIENCE, tell).await {
            Ok(told) => told.map_err(|error| away(TELL, error)),
            Err(_) => Err(Error::timeout(
                TELL,
                "the cache of the hosts did not answer in time",
            )),
        }
    }

    /// What hosts tell from now on. It ends when the connection does.
    ///
    /// # Errors
    /// `Unavailable` or `Timeout` when Redis does not serve.
    pub async fn listen(&self) -> Result<BoxStream<'static, Vec<u8>>> {
        let connect = async {
            let (mut asks, channel) = Client::open(self.url.as_str())?
                .get_async_pubsub()
                .await?
                .split();
            asks.subscribe(&self.channel).await?;
            Ok(Ear { channel, asks })
        };
        let ear = match timeout(PATIENCE, connect).await {
            Ok(ear) => ear.map_err(|error| away(LISTEN, error))?,
            Err(_) => {
                let message = "the cache of the hosts did not answer in time";
                return Err(Error::timeout(LISTEN, message));
            }
        };
        let words = stream::unfold(ear, |mut ear| async move {
            let word = ear.next().await?;
            Some((word, ear))
        });
        Ok(words.boxed())
    }
}

impl Ear {
    /// The next word; none when the connection is gone.
    async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            match timeout(SILENCE_MAX, self.channel.next()).await {
                Ok(message) => {
                    let message: Msg = message?;
                    let word = message.get_payload_bytes();
                    if word.len() <= WORD_MAX_BYTES {
                        return Some(word.to_vec());
                    }
                }
                // A peer that vanished without a word would be listened to for ever.
                Err(_) => {
                    let asked = timeout(PATIENCE, self.asks.ping::<redis::Value>()).await;
                    asked.ok()?.ok()?;
                }
            }
        }
    }
}

fn away(operation: &'static str, error: RedisError) -> Error {
    if error.is_timeout() {
        let message = "the cache of the hosts did not answer in time";
        return Error::timeout(operation, message).with_source(error);
    }
    Error::unavailable(operation, "the cache of the hosts cannot serve").with_source(error)
}

#[cfg(test)]
mod tests {
    use stuga_core::ErrorKind;
    use stuga_test_servers::Redis;

    use super::*;

    /// Listens, and what is heard until `last` comes.
    async fn heard_until(words: &mut BoxStream<'static, Vec<u8>>, last: &[u8]) -> Vec<Vec<u8>> {
        let mut heard = Vec::new();
        while let Some(word) = words.next().await {
            if word == last {
                break;
            }
            heard.push(word);
        }
        heard
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_a_host_tells_is_heard_by_all_of_its_region_and_by_no_other() {
        let redis = Redis::shared().await;
        let north = || Hosts::new(redis.url(), "eu-north-1");
        let (one, two, far) = (north(), north(), Hosts::new(redis.url(), "us-east-1"));
        let mut here = one.listen().await.unwrap();
        let mut there = two.listen().await.unwrap();
        let mut elsewhere = far.listen().await.unwrap();
        one.tell(b"open").await.unwrap();
        two.tell(&[0, 255, b'\n']).await.unwrap();
        two.tell(b"end").await.unwrap();
        far.tell(b"end").await.unwrap();
        let told: [&[u8]; 2] = [b"open", &[0, 255, b'\n']];
        assert_eq!(heard_until(&mut here, b"end").await, told);
        assert_eq!(heard_until(&mut there, b"end").await, told);
        assert!(heard_until(&mut elsewhere, b"end").await.is_empty());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_too_long_is_neither_told_nor_heard() {
        let redis = Redis::shared().await;
        let hosts = Hosts::new(redis.url(), "long");
        let long = [b'x'; WORD_MAX_BYTES + 1];
        let refused = hosts.tell(&long).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
        let mut words = hosts.listen().await.unwrap();
        let text = "x".repeat(WORD_MAX_BYTES + 1);
        redis
            .command(&format!("PUBLISH stuga:hosts:long {text}"))
            .unwrap();
        hosts.tell(b"end").await.unwrap();
        assert!(heard_until(&mut words, b"end").await.is_empty());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn listening_ends_with_redis_and_without_it_nothing_is_told() {
        let redis = Redis::start().unwrap();
        let hosts = Hosts::new(redis.url(), "lost");
        let mut words = hosts.listen().await.unwrap();
        hosts.tell(b"here").await.unwrap();
        assert_eq!(words.next().await.as_deref(), Some(b"here".as_slice()));
        drop(redis);
        assert_eq!(words.next().await, None);
        assert!(hosts.tell(b"gone").await.unwrap_err().kind().is_outage());
        let refused = hosts.listen().await.err().unwrap();
        assert!(refused.kind().is_outage());
    }
}
