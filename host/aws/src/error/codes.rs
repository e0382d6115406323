//! The error codes of the services, and what each means to this host.

use crate::action::Service;

/// What a refusal means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Meaning {
    /// The thing does not exist.
    Absent,
    /// The thing is not in the expected state.
    Taken,
    /// Too many requests.
    Busy,
    /// The service failed.
    Down,
    /// No connection to the service.
    Unreachable,
    /// No answer in time.
    Late,
    /// Credentials are missing, expired or not accepted.
    Credentials,
    /// The role may not do this.
    Forbidden,
    /// A resource that provisioning makes is not there, or is switched off.
    Missing,
    /// A limit of the account is reached.
    Limited,
    /// What the guest asked for is refused.
    Refused,
    /// What is stored is not what was stored.
    Damaged,
    /// The host's request is wrong.
    Wrong,
}

impl Meaning {
    /// One line for the caller.
    pub(super) const fn message(self) -> &'static str {
        match self {
            Self::Absent => "the cloud does not have it",
            Self::Taken => "it is not in the expected state in the cloud",
            Self::Busy => "the cloud has too much to do; try again later",
            Self::Down => "the cloud's service failed; try again later",
            Self::Unreachable => "the cloud's service cannot be reached; try again later",
            Self::Late => "the cloud did not answer in time",
            Self::Credentials => {
                "the cloud does not accept the host's credentials; the operator runs `stuga check aws`"
            }
            Self::Forbidden => {
                "the cloud does not allow this to the host; the operator runs `stuga check aws`"
            }
            Self::Missing => {
                "something of this tenant's is missing in the cloud; the operator runs `stuga check aws`"
            }
            Self::Limited => {
                "a limit of the cloud account is reached; the operator raises it or makes room"
            }
            Self::Refused => "the model refuses the request",
            Self::Damaged => "what the cloud keeps is not what was stored",
            Self::Wrong => "the cloud refuses the host's request; the log says why",
        }
    }

    /// What the operator does about it.
    pub(super) const fn fix(self) -> &'static str {
        match self {
            Self::Credentials => {
                "give the host credentials that are valid, and check `aws.role_arn`"
            }
            Self::Forbidden => "allow the action to the host's or the tenant's role",
            Self::Missing => "run `stuga tenant provision TENANT --plan`",
            Self::Limited => "ask AWS for a higher quota, or remove what is not used",
            _ => "none",
        }
    }
}

/// What `code` of `service` means; by the status when there is no code or nobody knows it.
pub(super) fn of(service: Service, code: Option<&str>, status: Option<u16>) -> Meaning {
    // Some come as `AWS.SimpleQueueService.NonExistentQueue` or `com.amazonaws.sqs#QueueDoesNotExist:…`.
    let code = code.unwrap_or_default();
    let code = code.rsplit('#').next().unwrap_or_default();
    let code = code.split(':').next().unwrap_or_default();
    let code = code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(code);
    of_service(service, code)
        .or_else(|| of_any(code))
        .or_else(|| status.map(of_status))
        .unwrap_or(Meaning::Down)
}

/// What is meant by a code of this service in another way than elsewhere.
fn of_service(service: Service, code: &str) -> Option<Meaning> {
    use Meaning::{Absent, Busy, Damaged, Down, Late, Missing, Refused, Taken, Wrong};
    Some(match (service, code) {
        (Service::S3, "NoSuchKey" | "NoSuchVersion" | "NoSuchUpload" | "NotFound") => Absent,
        (Service::S3, "NoSuchBucket") => Missing,
        (Service::S3, "NoSuchLifecycleConfiguration") => Absent,
        (Service::S3, "NoSuchPublicAccessBlockConfiguration") => Absent,
        (Service::S3, "ServerSideEncryptionConfigurationNotFoundError") => Absent,
        (Service::S3, "BadDigest" | "XAmzContentChecksumMismatch" | "IncompleteBody") => Down,
        (
            Service::S3,
            "KMS.NotFoundException" | "KMS.DisabledException" | "KMS.KMSInvalidStateException",
        ) => Missing,

        (Service::Sqs, "QueueDoesNotExist" | "NonExistentQueue") => Missing,
        (Service::Sqs, "ReceiptHandleIsInvalid" | "MessageNotInflight") => Taken,
        (Service::Sqs, "QueueNameExists" | "QueueAlreadyExists") => Taken,
        (Service::Sqs, "OverLimit" | "QueueDeletedRecently" | "PurgeQueueInProgress") => Busy,

        (Service::Secrets, "ResourceNotFoundException") => Absent,
        (Service::Secrets, "ResourceExistsException" | "InvalidRequestException") => Taken,
        (Service::Secrets, "EncryptionFailure" | "DecryptionFailure") => Missing,
        (Service::Secrets, "PreconditionNotMetException") => Taken,

        (Service::Kms, "NotFoundException" | "DisabledException") => Missing,
        (Service::Kms, "KMSInvalidStateException" | "InvalidKeyUsageException") => Missing,
        (Service::Kms, "KeyUnavailableException") => Down,
        (Service::Kms, "DependencyTimeoutException") => Late,
        (Service::Kms, "InvalidCiphertextException" | "IncorrectKeyException") => Damaged,
        (Service::Kms, "AlreadyExistsException") => Taken,

        (Service::Lambda, "ResourceNotFoundException") => Missing,
        (Service::Lambda, "ResourceNotReadyException" | "EFSMountTimeoutException") => Down,
        (Service::Lambda, "KMSDisabledException" | "KMSNotFoundException") => Missing,
        (Service::Lambda, "KMSInvalidStateException" | "SubnetIPAddressLimitReachedException") => {
            Missing
        }
        (Service::Lambda, "EC2ThrottledException") => Busy,
        (
            Service::Lambda,
            "ServiceException" | "EC2UnexpectedException" | "ENILimitReachedException",
        ) => Down,

        (Service::Bedrock, "ValidationException") => Refused,
        (Service::Bedrock, "ResourceNotFoundException") => Missing,
        (Service::Bedrock, "ModelTimeoutException") => Late,
        (Service::Bedrock, "ModelErrorException" | "ModelStreamErrorException") => Down,
        (Service::Bedrock, "ModelNotReadyException") => Busy,
        // On-demand throughput is a rate: what other services call throttling.
        (Service::Bedrock, "ServiceQuotaExceededException") => Busy,

        (Service::AgentCore, "ResourceNotFoundException") => Absent,
        (Service::AgentCore, "ServiceException") => Down,
        (Service::AgentCore, "ConflictException") => Taken,
        // Its clients are told in one word that they are too fast or too many.
        (Service::AgentCore, "RetryableConflictException") => Busy,

        (Service::Events, "ResourceNotFoundException") => Missing,
        (Service::Events, "ResourceAlreadyExistsException") => Taken,
        (Service::Events, "ConcurrentModificationException") => Taken,

        (Service::OpenSearch, "ResourceNotFoundException") => Missing,
        (Service::OpenSearch, "BaseException") => Down,
        (Service::OpenSearch, "DisabledOperationException") => Wrong,
        _ => return None,
    })
}

/// What a code means wherever it comes from.
fn of_any(code: &str) -> Option<Meaning> {
    Some(match code {
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "RequestLimitExceeded"
        | "TooManyRequestsException"
        | "BandwidthLimitExceeded"
        | "ProvisionedThroughputExceededException"
        | "PriorRequestNotComplete"
        | "SlowDown" => Meaning::Busy,

        "InternalError"
        | "InternalErrorException"
        | "InternalFailure"
        | "InternalServerError"
        | "InternalServerException"
        | "InternalException"
        | "InternalServiceError"
        | "InternalServiceException"
        | "KMSInternalException"
        | "ServiceFailure"
        | "ServiceUnavailable"
        | "ServiceUnavailableException" => Meaning::Down,

        "RequestTimeout" | "RequestTimeoutException" => Meaning::Late,

        "AuthFailure"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "IncompleteSignature"
        | "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "InvalidToken"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "RequestExpired"
        | "RequestTimeTooSkewed"
        | "SignatureDoesNotMatch"
        | "TokenRefreshRequired"
        | "UnrecognizedClientException" => Meaning::Credentials,

        "AccessDenied"
        | "AccessDeniedException"
        | "AccountProblem"
        | "AllAccessDisabled"
        | "AuthorizationError"
        | "Forbidden"
        | "InvalidSecurity"
        | "KMSAccessDeniedException"
        | "NotAuthorized"
        | "OptInRequired"
        | "UnauthorizedException"
        | "UnauthorizedOperation" => Meaning::Forbidden,

        "CodeStorageExceededException"
        | "LimitExceeded"
        | "LimitExceededException"
        | "ServiceQuotaExceededException"
        | "TooManyBuckets" => Meaning::Limited,

        "PreconditionFailed"
        | "ConditionalRequestConflict"
        | "ConflictException"
        | "OperationAborted"
        | "ResourceConflictException"
        | "ResourceExistsException"
        | "ResourceAlreadyExistsException"
        | "BucketAlreadyExists"
        | "BucketAlreadyOwnedByYou"
        | "ResourceInUseException" => Meaning::Taken,

        _ => return None,
    })
}

/// What is left to say when only the status is known.
pub(super) fn of_status(status: u16) -> Meaning {
    match status {
        401 | 403 => Meaning::Forbidden,
        404 | 410 => Meaning::Absent,
        408 | 504 => Meaning::Late,
        409 | 412 => Meaning::Taken,
        429 => Meaning::Busy,
        400..=499 => Meaning::Wrong,
        _ => Meaning::Down,
    }
}
