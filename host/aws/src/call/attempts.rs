//! What became of the attempts of one request: the SDK tells of the last one alone, and an earlier one may have been carried
//! out without an answer.
//!
//! Every client has [`Attempts`] among its interceptors, which tells [`watch`]. What the clients ask of others on the way, such
//! as credentials, is asked by clients that have it not.

use std::cell::Cell;
use std::future::Future;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    Error, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::orchestrator::OrchestratorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

use crate::error::is_unsent;

tokio::task_local! {
    /// Whether an attempt of the request under way was sent, or may have been, and nobody knows what came of it.
    static IN_DOUBT: Cell<bool>;
}

/// Waits for a request, and says beside its answer whether an attempt that failed may have been carried out.
pub(super) async fn watch<T>(request: impl Future<Output = T>) -> (T, bool) {
    let watched = async {
        let answer = request.await;
        (answer, IN_DOUBT.with(Cell::get))
    };
    IN_DOUBT.scope(Cell::new(false), watched).await
}

/// Looks at each attempt when it is over.
#[derive(Debug)]
pub(crate) struct Attempts;

impl Intercept for Attempts {
    fn name(&self) -> &'static str {
        "Attempts"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let status = context
            .response()
            .map(|response| response.status().as_u16());
        if let Some(Err(error)) = context.output_or_error()
            && is_in_doubt(error, status)
        {
            // Nobody watches what is not asked on behalf of a call.
            IN_DOUBT.try_with(|doubt| doubt.set(true)).ok();
        }
        Ok(())
    }
}

/// Whether an attempt that ended so may have been carried out.
fn is_in_doubt(error: &OrchestratorError<Error>, status: Option<u16>) -> bool {
    if let Some(error) = error.as_connector_error() {
        return !is_unsent(error);
    }
    if error.is_response_error() || error.is_operation_error() {
        return status.is_none_or(may_be_done);
    }
    // Everything else goes wrong before anything is sent.
    error.is_timeout_error()
}

/// Whether a server that answers so may have done what was asked: it says neither that the request is wrong, nor that there
/// are too many. Some operations begin their answer before they are done, so that a good status says nothing.
fn may_be_done(status: u16) -> bool {
    !matches!(status, 400..=407 | 409..=499 | 503)
}

#[cfg(test)]
mod tests;
