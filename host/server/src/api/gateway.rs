//! A gateway in front of this host: what it says of a request counts when it proves itself, and is removed otherwise.
//!
//! The proof is a secret in a header that the gateway adds to every request. Without it a request is one of a client that came
//! past the gateway: it may still show a key, and the headers that are the gateway's are gone before anybody reads them.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::http::{HeaderMap, HeaderName};
use secrecy::{ExposeSecret, SecretString};
use stuga_core::{RequestId, Result};

use crate::config::GatewaySettings;

const OPERATION: &str = "http.gateway";
/// Shortest secret in bytes: nobody guesses one that was made by chance.
const SECRET_MIN_BYTES: usize = 32;
/// Most secrets at a time: the one that counts and those that it replaces.
const SECRETS_MAX: usize = 4;
/// Longest name by which a gateway knows a client, in bytes.
pub(crate) const IDENTITY_MAX_BYTES: usize = 256;

/// A gateway that is configured.
#[derive(Debug)]
pub struct Gateway {
    secret_header: HeaderName,
    secrets: Vec<SecretString>,
    request_id_header: Option<HeaderName>,
    identity_header: Option<HeaderName>,
}

impl Gateway {
    /// The gateway of the configuration. Its secrets are read now: one a line, each of which proves it.
    ///
    /// # Errors
    /// `Invalid` naming the setting whose file or variable holds no secret; never what it holds.
    pub fn open(settings: &GatewaySettings) -> Result<Self> {
        let text = settings.secret.read(OPERATION)?;
        let lines = text.expose_secret().lines().map(str::trim);
        let secrets = lines.filter(|line| !line.is_empty());
        let secrets: Vec<SecretString> = secrets.map(SecretString::from).collect();
        let fits = |secret: &SecretString| secret.expose_secret().len() >= SECRET_MIN_BYTES;
        if !(1..=SECRETS_MAX).contains(&secrets.len()) || !secrets.iter().all(fits) {
            let what = "must hold 1 to 4 lines of at least 32 characters, as `openssl rand -hex 32` makes them";
            return Err(settings.secret.wrong(OPERATION, what));
        }
        Ok(Self {
            secret_header: settings.secret_header.clone(),
            secrets,
            request_id_header: settings.request_id_header.clone(),
            identity_header: settings.identity_header.clone(),
        })
    }

    /// Looks whether the gateway sent a request, and leaves what it says of it only then. The secret goes no further. Returns the
    /// gateway's id of the request.
    pub(super) fn admit(&self, headers: &mut HeaderMap) -> Option<RequestId> {
        let is_proven = self.is_proven(headers);
        headers.remove(&self.secret_header);
        if !is_proven {
            for header in self.request_id_header.iter().chain(&self.identity_header) {
                headers.remove(header);
            }
            return None;
        }
        let id = headers.get(self.request_id_header.as_ref()?)?;
        RequestId::from_client(id.to_str().ok()?)
    }

    /// Who calls, as the gateway says of a request that [`Gateway::admit`] has seen; none when it says nothing.
    ///
    /// # Errors
    /// When it says two things, or one that is no name.
    pub(super) fn identity<'h>(
        &self,
        headers: &'h HeaderMap,
    ) -> std::result::Result<Option<&'h str>, Unclear> {
        let Some(header) = &self.identity_header else {
            return Ok(None);
        };
        let mut values = headers.get_all(header).iter();
        let value = match (values.next(), values.next()) {
            (None, _) => return Ok(None),
            (Some(value), None) => value.to_str().map_err(|_| Unclear)?,
            (Some(_), Some(_)) => return Err(Unclear),
        };
        match is_identity(value) {
            true => Ok(Some(value)),
            false => Err(Unclear),
        }
    }

    fn is_proven(&self, headers: &HeaderMap) -> bool {
        let mut shown = headers.get_all(&self.secret_header).iter();
        let (Some(shown), None) = (shown.next(), shown.next()) else {
            return false;
        };
        // All of them, so that the time tells nothing of which it was.
        let is_it = |secret: &SecretString| {
            verify_slices_are_equal(secret.expose_secret().as_bytes(), shown.as_bytes()).is_ok()
        };
        self.secrets.iter().filter(|secret| is_it(secret)).count() > 0
    }
}

/// What the gateway says of who calls is nothing that can be meant.
#[derive(Debug)]
pub(super) struct Unclear;

/// Whether a gateway can know a client by this name: 1 to [`IDENTITY_MAX_BYTES`] visible characters of ASCII.
pub(crate) fn is_identity(name: &str) -> bool {
    (1..=IDENTITY_MAX_BYTES).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::config::SecretPlace;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn gateway(content: &str) -> Result<Gateway> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        Gateway::open(&GatewaySettings {
            secret_header: HeaderName::from_static("x-secret"),
            secret: SecretPlace::file("http.gateway.secret_file", file.path()),
            request_id_header: Some(HeaderName::from_static("x-amzn-requestid")),
            identity_header: Some(HeaderName::from_static("x-identity")),
        })
    }

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in all {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.append(*name, value);
        }
        headers
    }

    #[test]
    fn a_gateway_is_believed_with_its_secret_and_the_secret_goes_no_further() {
        let gateway = gateway(&format!("{SECRET}\n{SECRET}-older\n")).unwrap();
        for secret in [SECRET.to_owned(), format!("{SECRET}-older")] {
            let mut sent = headers(&[
                ("x-secret", &secret),
                ("x-amzn-requestid", "req-1"),
                ("x-identity", "client-1"),
            ]);
            let id = gateway.admit(&mut sent).unwrap();
            assert_eq!(id.as_str(), "req-1");
            assert_eq!(gateway.identity(&sent).unwrap(), Some("client-1"));
            assert!(!sent.contains_key("x-secret"));
        }
        assert!(!format!("{gateway:?}").contains(SECRET));
    }

    #[test]
    fn without_the_secret_nothing_of_the_gateways_is_left() {
        let gateway = gateway(SECRET).unwrap();
        let said = [("x-amzn-requestid", "req-1"), ("x-identity", "client-1")];
        for proof in [
            vec![],
            vec![("x-secret", "")],
            vec![("x-secret", &SECRET[1..])],
            vec![("x-secret", SECRET), ("x-secret", SECRET)],
        ] {
            let mut sent = headers(&[&said[..], &proof[..]].concat());
            assert!(gateway.admit(&mut sent).is_none());
            assert!(sent.is_empty(), "{sent:?}");
            assert_eq!(gateway.identity(&sent).unwrap(), None);
        }
    }

    #[test]
    fn who_calls_is_said_once_or_not_at_all() {
        let gateway = gateway(SECRET).unwrap();
        for unclear in [
            vec![("x-identity", "a"), ("x-identity", "a")],
            vec![("x-identity", "")],
            vec![("x-identity", "a b")],
            vec![("x-identity", "é")],
        ] {
            gateway.identity(&headers(&unclear)).unwrap_err();
        }
    }

    #[test]
    fn a_secret_that_can_be_guessed_is_refused_without_being_told() {
        for bad in [
            "",
            "short-secret",
            &format!("{SECRET}\nshort-secret"),
            &format!("{SECRET}\n").repeat(5),
        ] {
            let refused = gateway(bad).unwrap_err();
            assert!(refused.message().contains("openssl rand"), "{refused}");
            assert!(!refused.to_string().contains("secret-"), "{refused}");
            assert!(!refused.to_string().contains(SECRET), "{refused}");
        }
    }
}
