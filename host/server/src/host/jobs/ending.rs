//! Why an attempt failed, in the words that are kept with the job and shown to the tenant.

use stuga_core::ErrorKind;
use stuga_core::lease::Failure;
use stuga_runtime::InvokeError;

/// The failure of an attempt, wherever it ran. What only the operator may know goes into the log here.
pub(crate) fn failure_of(error: InvokeError) -> Failure {
    let failure = match error {
        InvokeError::Agent(error) => {
            let failure = Failure::new(error.kind(), error.message());
            match error.kind() {
                // The same input is refused again.
                ErrorKind::Invalid | ErrorKind::Denied | ErrorKind::NotFound => failure.finally(),
                _ => failure,
            }
        }
        InvokeError::Deadline => Failure::new(
            ErrorKind::Timeout,
            "the attempt was stopped at its deadline",
        ),
        InvokeError::Trapped { reason } => {
            tracing::warn!(reason, "a job stopped abnormally");
            Failure::new(ErrorKind::Internal, "the agent stopped abnormally")
        }
        InvokeError::Internal(error) => {
            tracing::error!(%error, causes = error.causes(), "a job failed");
            Failure::new(ErrorKind::Internal, "the host failed; its log says more")
        }
        InvokeError::Busy { .. } => {
            Failure::new(ErrorKind::Unavailable, "there was no instance for the job")
        }
        error @ (InvokeError::TooLarge { .. } | InvokeError::NotJson { .. }) => {
            Failure::new(ErrorKind::Internal, error.to_string())
        }
    };
    tracing::info!(
        kind = failure.kind.as_str(),
        error = failure.message,
        "an attempt of a job failed"
    );
    failure
}
