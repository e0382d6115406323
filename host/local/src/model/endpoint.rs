//! An endpoint: where it is, which models it may be asked for, and one request to it.

use std::fmt;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use stuga_core::model::Silence;
use stuga_core::{Error, Result};
use tokio::time::{Instant, timeout_at};

use super::failure;

/// Where the operator gives the host's patience.
pub(super) const SETTING: &str = "model.timeout";
/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection that nobody uses is kept.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Most connections that are kept while nobody uses them.
const POOL_MAX_IDLE: usize = 16;
/// How soon a request fails on a connection that the endpoint closed while nobody used it. What takes longer may have been begun.
const STALE_WITHIN: Duration = Duration::from_millis(500);

/// An endpoint that speaks the OpenAI protocol.
#[derive(Clone)]
pub struct EndpointConfig {
    /// Its address up to and with the version, such as `http://127.0.0.1:11434/v1`.
    pub url: String,
    /// The model that is asked unless an agent chooses another one.
    pub name: String,
    /// Models that an agent may choose besides.
    pub also: Vec<String>,
    /// Sent as a bearer token. It appears in no log and no error.
    pub api_key: Option<SecretString>,
    /// Longest silence of the endpoint: before an answer begins, and between two pieces of it.
    pub patience: Duration,
}

impl fmt::Debug for EndpointConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointConfig")
            .field("url", &self.url)
            .field("name", &self.name)
            .field("also", &self.also)
            .field("api_key", &self.api_key.as_ref().map(|_| "…"))
            .field("patience", &self.patience)
            .finish()
    }
}

/// Checks an endpoint's address; the error says what is wrong with it.
pub fn check_endpoint_url(url: &str) -> Result<(), &'static str> {
    let url = Url::parse(url).map_err(|_| "it is not a URL such as http://127.0.0.1:11434/v1")?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("it does not begin with http:// or https:// and a host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it holds credentials; put the key into a file or an environment variable");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(
            "it has a query or a fragment; give it up to and with the version, such as /v1",
        );
    }
    Ok(())
}

/// An endpoint with its connections.
pub(super) struct Endpoint {
    config: EndpointConfig,
    base: String,
    authorization: Option<HeaderValue>,
    client: Client,
}

impl Endpoint {
    pub(super) fn new(config: &EndpointConfig) -> Result<Self> {
        const OPERATION: &str = "model.open";
        check_endpoint_url(&config.url).map_err(|why| {
            Error::invalid(
                OPERATION,
                format!("the endpoint of the model is wrong: {why}"),
            )
        })?;
        let authorization = config.api_key.as_ref().map(|key| {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", key.expose_secret()))
                .map_err(|_| {
                    let why = "the API key of the model holds what no header can hold, such as a line break";
                    Error::invalid(OPERATION, why)
                })?;
            value.set_sensitive(true);
            Ok::<_, Error>(value)
        });
        // Straight to the endpoint: a redirect or a proxy from the environment would carry prompts and the key elsewhere.
        let client = Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .pool_max_idle_per_host(POOL_MAX_IDLE)
            .build()
            .map_err(|e| {
                Error::internal(OPERATION, "the HTTP client cannot be made").with_source(e)
            })?;
        Ok(Self {
            base: config.url.trim_end_matches('/').to_owned(),
            authorization: authorization.transpose()?,
            config: config.clone(),
            client,
        })
    }

    /// Longest silence.
    pub(super) fn patience(&self) -> Duration {
        self.config.patience
    }

    /// The model to ask for.
    pub(super) fn choose<'a>(
        &'a self,
        operation: &'static str,
        wanted: Option<&'a str>,
    ) -> Result<&'a str> {
        let config = &self.config;
        match wanted {
            None => Ok(&config.name),
            Some(name) if config.name == name || config.also.iter().any(|also| also == name) => {
                Ok(name)
            }
            Some(name) => {
                let mut allowed = config.name.clone();
                for also in &config.also {
                    allowed.push_str(", ");
                    allowed.push_str(also);
                }
                Err(Error::invalid(
                    operation,
                    format!("the model {name:?} is not allowed here; choose {allowed}, or none"),
                ))
            }
        }
    }

    /// Posts `body` and returns an answer that is a success, its body unread.
    ///
    /// Endpoints close connections that are kept, some after each answer, and a request may be on its way just then: it is made
    /// once more. An answer that has begun is never asked for again.
    pub(super) async fn send(
        &self,
        operation: &'static str,
        path: &str,
        body: &impl Serialize,
        deadline: Instant,
    ) -> Result<Response> {
        let body = serde_json::to_vec(body)
            .map_err(|e| Error::internal(operation, "the request is no JSON").with_source(e))?;
        let mut request = self
            .client
            .post(format!("{}/{path}", self.base))
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let silence = Silence::new(deadline, self.config.patience);
        let send = async {
            let began = Instant::now();
            let again = request.try_clone();
            match (request.send().await, again) {
                (Err(e), Some(again))
                    if failure::is_stale(&e) && began.elapsed() < STALE_WITHIN =>
                {
                    again.send().await
                }
                (sent, _) => sent,
            }
        };
        let response = timeout_at(silence.until(), send)
            .await
            .map_err(|_| silence.missed(operation, SETTING))?
            .map_err(|e| failure::of_transport(operation, e))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let refused = failure::of_response(operation, response, self.config.api_key.as_ref());
        Err(timeout_at(silence.until(), refused)
            .await
            .unwrap_or_else(|_| silence.missed(operation, SETTING)))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// Waits for a request and answers it; the connection stays open.
    async fn answer(client: &mut TcpStream) {
        assert!(client.read(&mut [0; 4_096]).await.unwrap() > 0);
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        client.write_all(answer).await.unwrap();
    }

    #[tokio::test]
    async fn a_connection_that_the_endpoint_closes_unsaid_is_nobodys_trouble_and_one_after_the_other_is()
     {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut one, _) = listener.accept().await.unwrap();
            answer(&mut one).await;
            // The next request is on its way when the connection is closed.
            assert!(one.read(&mut [0; 4_096]).await.unwrap() > 0);
            drop(one);
            let (mut two, _) = listener.accept().await.unwrap();
            answer(&mut two).await;
            assert!(two.read(&mut [0; 4_096]).await.unwrap() > 0);
            drop(two);
            let (mut three, _) = listener.accept().await.unwrap();
            assert!(three.read(&mut [0; 4_096]).await.unwrap() > 0);
        });
        let endpoint = Endpoint::new(&EndpointConfig {
            url,
            patience: Duration::from_secs(60),
            ..config()
        });
        let endpoint = endpoint.unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        for _ in 0..2 {
            let answer = endpoint
                .send("model.complete", "x", &"asked", deadline)
                .await;
            // Read to its end, so that the connection is kept.
            assert_eq!(answer.unwrap().text().await.unwrap(), "{}");
        }
        let failed = endpoint
            .send("model.complete", "x", &"asked", deadline)
            .await;
        assert!(failed.unwrap_err().message().contains("broke off"));
        server.await.unwrap();
    }

    fn config() -> EndpointConfig {
        EndpointConfig {
            url: "http://127.0.0.1:1/v1/".to_owned(),
            name: "a".to_owned(),
            also: vec!["b".to_owned()],
            api_key: Some("sk-very-secret".into()),
            patience: Duration::from_secs(1),
        }
    }

    #[test]
    fn an_address_with_credentials_or_another_scheme_is_refused() {
        for bad in [
            "localhost:11434",
            "ftp://h/v1",
            "http://u:p@h/v1",
            "http://h/v1?key=x",
            "http://h/v1#x",
            "",
        ] {
            assert!(check_endpoint_url(bad).is_err(), "{bad}");
        }
        for good in ["http://127.0.0.1:11434/v1", "https://models.example/v1/"] {
            check_endpoint_url(good).unwrap();
        }
    }

    #[test]
    fn debug_output_does_not_show_the_key() {
        assert!(!format!("{:?}", config()).contains("secret"));
        let endpoint = Endpoint::new(&config()).unwrap();
        assert!(!format!("{:?}", endpoint.authorization).contains("secret"));
    }

    #[test]
    fn a_key_that_no_header_can_hold_is_refused_without_being_shown() {
        let broken = EndpointConfig {
            api_key: Some("sk-very-secret\n".into()),
            ..config()
        };
        let refused = Endpoint::new(&broken).map(drop).unwrap_err();
        assert!(!format!("{refused:?}").contains("secret"));
    }

    #[test]
    fn only_models_that_the_operator_named_can_be_chosen() {
        let endpoint = Endpoint::new(&config()).unwrap();
        let choose = |wanted| endpoint.choose("model.complete", wanted);
        assert_eq!(choose(None).unwrap(), "a");
        assert_eq!(choose(Some("b")).unwrap(), "b");
        let refused = choose(Some("c")).unwrap_err();
        assert!(refused.message().contains("choose a, b"), "{refused}");
    }
}
