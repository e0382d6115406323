//! The function of a tenant: made or brought up to date, with what its contract with the host asks for.

use std::collections::BTreeMap;

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{Environment, FunctionCode as Code, Runtime};
use stuga_core::{ErrorKind, Result, TenantId};

use super::{LambdaJobs, STEP_MAX};
use crate::call::call_until;
use crate::objects::At;

/// How long Lambda may keep an attempt before it hands it to a function: after that the host has long run it itself.
const EVENT_AGE_SECONDS: i32 = 60;

/// What a function is made of.
#[derive(Clone, Debug)]
pub struct FunctionCode {
    /// A zip archive with the executable `bootstrap`: this host's binary.
    pub zip: Vec<u8>,
    /// The ARN of the role that it runs with.
    pub role: String,
    /// Memory in MiB, 128 to 10,240.
    pub memory_mib: i32,
    /// Longest run in seconds, at most 900. Attempts that may take longer run with the host.
    pub timeout_seconds: i32,
    /// Its environment.
    pub environment: BTreeMap<String, String>,
}

impl LambdaJobs {
    /// Makes the tenant's function, or gives the one that is there other code. Lambda repeats nothing by itself: an
    /// attempt is the host's to repeat.
    ///
    /// # Errors
    /// As every call of AWS.
    pub(crate) async fn provision(&self, tenant: &TenantId, code: FunctionCode) -> Result<()> {
        let at = At::within("jobs.provision", STEP_MAX);
        let name = self.shared.scope(tenant).function()?;
        let lambda = self.shared.clients.host().lambda();
        let zip = Blob::new(code.zip);
        let environment = code.environment.into_iter().collect();
        let make = lambda
            .create_function()
            .function_name(&name)
            .runtime(Runtime::Providedal2023)
            .handler("bootstrap")
            .role(code.role)
            .memory_size(code.memory_mib)
            .timeout(code.timeout_seconds)
            .environment(
                Environment::builder()
                    .set_variables(Some(environment))
                    .build(),
            )
            .code(Code::builder().zip_file(zip.clone()).build());
        match call_until(at.deadline, at.operation, make.send()).await {
            Err(error) if error.kind() == ErrorKind::Conflict => {
                let update = lambda
                    .update_function_code()
                    .function_name(&name)
                    .zip_file(zip);
                call_until(at.deadline, at.operation, update.send()).await?;
            }
            made => drop(made?),
        }
        let once = lambda
            .put_function_event_invoke_config()
            .function_name(&name)
            .maximum_retry_attempts(0)
            .maximum_event_age_in_seconds(EVENT_AGE_SECONDS);
        call_until(at.deadline, at.operation, once.send())
            .await
            .map(drop)
    }
}
