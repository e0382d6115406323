//! `http:` of the configuration: what stands in front of this host.

use axum::http::HeaderName;
use serde::Serialize;

use super::SecretPlace;
use crate::yaml::{Node, Report};

/// How the API is reached.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct HttpSettings {
    /// A gateway whose word is taken; none when clients come as they are.
    pub gateway: Option<GatewaySettings>,
}

/// A gateway in front of this host, such as API Gateway. Its headers count only beside the secret that it shares with this host.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct GatewaySettings {
    /// The header with the shared secret.
    #[serde(serialize_with = "as_name")]
    pub secret_header: HeaderName,
    /// Where the secret is.
    #[serde(flatten)]
    pub secret: SecretPlace,
    /// The header with the request's id; none to take it from clients.
    #[serde(serialize_with = "as_optional_name")]
    pub request_id_header: Option<HeaderName>,
    /// The header that says who calls, as the gateway has found; none when keys alone say so.
    #[serde(serialize_with = "as_optional_name")]
    pub identity_header: Option<HeaderName>,
}

impl HttpSettings {
    /// Reads `http:`. What is wrong is reported and left out.
    pub(super) fn read(node: &Node, report: &mut Report) -> Self {
        let mut settings = Self::default();
        if let Some(mut fields) = report.fields(node, "http") {
            if let Some(node) = fields.optional("gateway") {
                settings.gateway = GatewaySettings::read(node, report);
            }
            fields.finish(report);
        }
        settings
    }
}

impl GatewaySettings {
    fn read(node: &Node, report: &mut Report) -> Option<Self> {
        let mut fields = report.fields(node, "http.gateway")?;
        let secret_header = fields
            .required("secret_header", report)
            .and_then(|node| header(report, node, "http.gateway.secret_header"));
        let secret = SecretPlace::find(
            &mut fields,
            report,
            ["http.gateway.secret_file", "http.gateway.secret_env"],
        );
        let (request_id, identity) = (
            fields.optional("request_id_header"),
            fields.optional("identity_header"),
        );
        let request_id_header =
            request_id.and_then(|node| header(report, node, "http.gateway.request_id_header"));
        let identity_header =
            identity.and_then(|node| header(report, node, "http.gateway.identity_header"));
        fields.finish(report);
        if secret.is_none() {
            let fix =
                "add `secret_file:` or `secret_env:`, where the secret is that the gateway sends";
            report.add(node.at, "http.gateway has no secret", fix);
        }
        if request_id.or(identity).is_none() {
            let fix = "add `request_id_header:` or `identity_header:`, or remove the section";
            report.add(node.at, "http.gateway takes nothing of the gateway", fix);
        }
        let settings = Self {
            secret_header: secret_header?,
            secret: secret?,
            request_id_header,
            identity_header,
        };
        if settings.has_a_header_twice() {
            let what = "http.gateway names one header twice";
            report.add(node.at, what, "give each its own header");
        }
        Some(settings)
    }

    fn has_a_header_twice(&self) -> bool {
        let named = [&self.request_id_header, &self.identity_header];
        let is_secret = |header: &&HeaderName| **header == self.secret_header;
        let twice =
            self.identity_header.is_some() && self.identity_header == self.request_id_header;
        twice || named.into_iter().flatten().any(|header| is_secret(&header))
    }
}

/// A header of the gateway's own: none that clients and this host speak with each other.
fn header(report: &mut Report, node: &Node, what: &str) -> Option<HeaderName> {
    const TAKEN: [&str; 8] = [
        "accept",
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "host",
        "idempotency-key",
        "transfer-encoding",
    ];
    report.parsed(node, what, |text| {
        let name = text.to_ascii_lowercase();
        if TAKEN.contains(&name.as_str()) {
            return Err("it is a header of the protocol; choose one of the gateway's own");
        }
        HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| "it is not a name of a header, such as x-amzn-requestid")
    })
}

fn as_name<S: serde::Serializer>(name: &HeaderName, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(name.as_str())
}

fn as_optional_name<S: serde::Serializer>(
    name: &Option<HeaderName>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    name.as_ref().map(HeaderName::as_str).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(text: &str) -> Result<HttpSettings, Vec<String>> {
        let mut report = Report::new(Path::new("stuga.yaml"));
        let node = report.parse(text).unwrap();
        let settings = HttpSettings::read(&node, &mut report);
        if report.is_empty() {
            return Ok(settings);
        }
        let found = report.into_diagnostics();
        Err(found.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_gateway_is_read_with_its_headers() {
        let text = "gateway: {secret_header: X-Stuga-Gateway, secret_file: /run/gateway, request_id_header: x-amzn-requestid, identity_header: x-stuga-identity}\n";
        let gateway = read(text).unwrap().gateway.unwrap();
        assert_eq!(gateway.secret_header, "x-stuga-gateway");
        assert_eq!(
            gateway.secret,
            SecretPlace::file("http.gateway.secret_file", "/run/gateway")
        );
        let shown = serde_json::to_value(&gateway).unwrap();
        assert_eq!(shown["secret_file"], "/run/gateway");
        assert_eq!(shown["identity_header"], "x-stuga-identity");
    }

    #[test]
    fn a_gateway_whose_word_would_be_nobodys_is_refused() {
        for (text, told) in [
            (
                "gateway: {secret_header: x-g, identity_header: x-i}\n",
                "has no secret",
            ),
            (
                "gateway: {secret_env: G, identity_header: x-i}\n",
                "has no `secret_header`",
            ),
            (
                "gateway: {secret_header: x-g, secret_env: G}\n",
                "takes nothing of the gateway",
            ),
            (
                "gateway: {secret_header: x-g, secret_env: G, secret_file: f, identity_header: x-i}\n",
                "keep one of them",
            ),
            (
                "gateway: {secret_header: x-g, secret_env: G, identity_header: authorization}\n",
                "it is a header of the protocol",
            ),
            (
                "gateway: {secret_header: x-g, secret_env: G, identity_header: 'a b'}\n",
                "it is not a name of a header",
            ),
            (
                "gateway: {secret_header: x-g, secret_env: G, identity_header: X-G}\n",
                "names one header twice",
            ),
            (
                "gateway: {secret_header: x-g, secret_env: G, identity_header: x-i, request_id_header: x-i}\n",
                "names one header twice",
            ),
            ("gateway: {trusted: yes}\n", "unknown key \"trusted\""),
        ] {
            let mistakes = read(text).unwrap_err();
            let is_told = mistakes.iter().any(|mistake| mistake.contains(told));
            assert!(is_told, "{text}: {mistakes:?}");
        }
    }
}
