//! Where credentials come from: nobody is asked for them before the first request needs them.

use std::fmt;

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::provider_config::ProviderConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::future::ProvideCredentials as Provided;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use secrecy::{ExposeSecret, SecretString};
use stuga_core::TenantId;
use tokio::sync::OnceCell;

/// Longest name of a session that STS takes, in bytes.
const SESSION_NAME_MAX_BYTES: usize = 64;

/// An access key given by hand, for tests and for hosts that hold their credentials in another way than the SDK knows.
#[derive(Clone, Debug)]
pub struct AccessKeys {
    /// The key's id.
    pub id: String,
    /// The key itself. It appears in no log and no error.
    pub secret: SecretString,
    /// What belongs to a key that lives for a while only.
    pub session_token: Option<SecretString>,
}

impl AccessKeys {
    pub(super) fn into_provider(self) -> SharedCredentialsProvider {
        let token = self.session_token.as_ref();
        SharedCredentialsProvider::new(Credentials::new(
            self.id,
            self.secret.expose_secret(),
            token.map(|token| token.expose_secret().to_owned()),
            None,
            "AccessKeys",
        ))
    }
}

/// The host's own credentials, by the SDK's default chain.
pub(super) struct HostChain {
    region: Region,
    http: SharedHttpClient,
    chain: OnceCell<DefaultCredentialsChain>,
}

impl HostChain {
    pub(super) fn new(region: Region, http: SharedHttpClient) -> Self {
        Self {
            region,
            http,
            chain: OnceCell::new(),
        }
    }

    /// The chain, made of environment and files as they were at first use.
    async fn chain(&self) -> &DefaultCredentialsChain {
        let make = || async {
            let config = ProviderConfig::without_region()
                .with_region(Some(self.region.clone()))
                .with_http_client(self.http.clone());
            DefaultCredentialsChain::builder()
                .region(self.region.clone())
                .configure(config)
                .build()
                .await
        };
        self.chain.get_or_init(make).await
    }
}

impl fmt::Debug for HostChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostChain")
    }
}

impl ProvideCredentials for HostChain {
    fn provide_credentials<'a>(&'a self) -> Provided<'a>
    where
        Self: 'a,
    {
        Provided::new(async move { self.chain().await.provide_credentials().await })
    }
}

/// Credentials of a tenant's role, which the host's own assume.
pub(super) struct TenantRole {
    sts: SdkConfig,
    role: String,
    external_id: Option<String>,
    session: String,
    provider: OnceCell<AssumeRoleProvider>,
}

impl TenantRole {
    /// `sts` has the host's credentials and the address of STS.
    pub(super) fn new(
        sts: SdkConfig,
        role: String,
        external_id: Option<String>,
        tenant: &TenantId,
    ) -> Self {
        Self {
            sts,
            role,
            external_id,
            session: session_name(tenant),
            provider: OnceCell::new(),
        }
    }

    async fn provider(&self) -> &AssumeRoleProvider {
        let make = || async {
            let mut provider = AssumeRoleProvider::builder(&self.role)
                .configure(&self.sts)
                .session_name(&self.session);
            if let Some(id) = &self.external_id {
                provider = provider.external_id(id);
            }
            provider.build().await
        };
        self.provider.get_or_init(make).await
    }
}

impl fmt::Debug for TenantRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantRole")
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

impl ProvideCredentials for TenantRole {
    fn provide_credentials<'a>(&'a self) -> Provided<'a>
    where
        Self: 'a,
    {
        Provided::new(async move { self.provider().await.provide_credentials().await })
    }
}

/// What CloudTrail shows of a tenant's calls: `acme@stuga`, of a long name as much as fits.
fn session_name(tenant: &TenantId) -> String {
    let mut name = format!("{tenant}@stuga");
    name.truncate(SESSION_NAME_MAX_BYTES);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_named_after_its_tenant_within_the_bounds_of_sts() {
        for name in ["a", "acme", &"a".repeat(63)] {
            let session = session_name(&TenantId::new(name).unwrap());
            assert!(session.starts_with(name));
            assert!((2..=SESSION_NAME_MAX_BYTES).contains(&session.len()));
        }
    }

    #[test]
    fn keys_are_not_printed() {
        let keys = AccessKeys {
            id: "AKIA".to_owned(),
            secret: "hunter2".into(),
            session_token: Some("hunter3".into()),
        };
        assert!(!format!("{keys:?}").contains("hunter"));
        assert!(!format!("{:?}", keys.into_provider()).contains("hunter"));
    }
}
