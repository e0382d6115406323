//! What each service's refusals become, with the SDK's own error types.

use std::io;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_bedrockagentcore::operation::list_events::ListEventsError;
use aws_sdk_bedrockagentcorecontrol::operation::get_memory::GetMemoryError;
use aws_sdk_bedrockruntime::operation::converse::ConverseError;
use aws_sdk_bedrockruntime::types::error::{
    ConverseStreamOutputError, InternalServerException, ModelStreamErrorException,
    ThrottlingException, ValidationException,
};
use aws_sdk_eventbridge::operation::put_events::PutEventsError;
use aws_sdk_kms::operation::decrypt::DecryptError;
use aws_sdk_lambda::operation::invoke::InvokeError;
use aws_sdk_opensearch::operation::describe_domain::DescribeDomainError;
use aws_sdk_s3::operation::put_object::PutObjectError;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use aws_sdk_sqs::operation::send_message::SendMessageError;
use aws_sdk_sts::operation::get_caller_identity::GetCallerIdentityError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::error::ErrorMetadata;
use stuga_core::ErrorKind::{self, *};

use super::*;

const OPERATION: &str = "test.call";

fn answer(status: u16, body: &str) -> HttpResponse {
    HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(body))
}

fn meta(code: &str) -> ErrorMetadata {
    let meta = ErrorMetadata::builder()
        .code(code)
        .message("in AWS's words");
    meta.custom("aws_request_id", "R-1").build()
}

/// What a service makes of a code and a status, by the error of one of its operations.
type Service = fn(&str, u16) -> Error;

macro_rules! service {
    ($error:ty) => {
        |code, status| {
            let error = <$error>::generic(meta(code));
            classify(
                OPERATION,
                SdkError::service_error(error, answer(status, "")),
            )
        }
    };
}

/// Codes with their HTTP status and what they mean.
type Codes = &'static [(&'static str, u16, ErrorKind)];

/// Every service with the codes that it documents.
const TABLE: &[(&str, Service, Codes)] = &[
    (
        "s3",
        service!(PutObjectError),
        &[
            ("NoSuchKey", 404, NotFound),
            ("NotFound", 404, NotFound),
            ("NoSuchVersion", 404, NotFound),
            ("NoSuchUpload", 404, NotFound),
            ("NoSuchBucket", 404, Unavailable),
            ("PreconditionFailed", 412, Conflict),
            ("ConditionalRequestConflict", 409, Conflict),
            ("SlowDown", 503, Unavailable),
            ("InternalError", 500, Unavailable),
            ("ServiceUnavailable", 503, Unavailable),
            ("RequestTimeout", 400, Timeout),
            ("AccessDenied", 403, Unavailable),
            ("InvalidAccessKeyId", 403, Unavailable),
            ("SignatureDoesNotMatch", 403, Unavailable),
            ("ExpiredToken", 400, Unavailable),
            ("RequestTimeTooSkewed", 403, Unavailable),
            ("KMS.DisabledException", 400, Unavailable),
            ("BadDigest", 400, Unavailable),
            ("EntityTooSmall", 400, Internal),
            ("InvalidArgument", 400, Internal),
        ],
    ),
    (
        "sqs",
        service!(SendMessageError),
        &[
            ("QueueDoesNotExist", 400, Unavailable),
            ("AWS.SimpleQueueService.NonExistentQueue", 400, Unavailable),
            ("com.amazonaws.sqs#QueueDoesNotExist", 400, Unavailable),
            ("ReceiptHandleIsInvalid", 400, Conflict),
            ("MessageNotInflight", 400, Conflict),
            ("OverLimit", 403, Unavailable),
            ("RequestThrottled", 403, Unavailable),
            ("AccessDeniedException", 400, Unavailable),
            ("InvalidMessageContents", 400, Internal),
        ],
    ),
    (
        "secretsmanager",
        service!(GetSecretValueError),
        &[
            ("ResourceNotFoundException", 400, NotFound),
            ("ResourceExistsException", 400, Conflict),
            ("InvalidRequestException", 400, Conflict),
            ("DecryptionFailure", 400, Unavailable),
            ("LimitExceededException", 400, Unavailable),
            ("InternalServiceError", 500, Unavailable),
            ("ThrottlingException", 400, Unavailable),
            ("InvalidParameterException", 400, Internal),
        ],
    ),
    (
        "kms",
        service!(DecryptError),
        &[
            ("NotFoundException", 400, Unavailable),
            ("DisabledException", 409, Unavailable),
            ("KMSInvalidStateException", 409, Unavailable),
            ("KeyUnavailableException", 500, Unavailable),
            ("DependencyTimeoutException", 503, Timeout),
            ("InvalidCiphertextException", 400, Internal),
            ("IncorrectKeyException", 400, Internal),
            ("AccessDeniedException", 400, Unavailable),
        ],
    ),
    (
        "sts",
        service!(GetCallerIdentityError),
        &[
            ("InvalidClientTokenId", 403, Unavailable),
            ("ExpiredTokenException", 403, Unavailable),
        ],
    ),
    (
        "lambda",
        service!(InvokeError),
        &[
            ("ResourceNotFoundException", 404, Unavailable),
            ("TooManyRequestsException", 429, Unavailable),
            ("ServiceException", 500, Unavailable),
            ("ResourceNotReadyException", 502, Unavailable),
            ("ResourceConflictException", 409, Conflict),
            ("RequestTooLargeException", 413, Internal),
            ("InvalidRequestContentException", 400, Internal),
        ],
    ),
    (
        "bedrock",
        service!(ConverseError),
        &[
            ("ThrottlingException", 429, Unavailable),
            ("ServiceQuotaExceededException", 400, Unavailable),
            ("ModelTimeoutException", 408, Timeout),
            ("ModelNotReadyException", 429, Unavailable),
            ("ModelErrorException", 424, Unavailable),
            ("ResourceNotFoundException", 404, Unavailable),
            ("ServiceUnavailableException", 503, Unavailable),
            ("ValidationException", 400, Invalid),
            ("AccessDeniedException", 403, Unavailable),
        ],
    ),
    (
        "bedrock-agentcore",
        service!(ListEventsError),
        &[
            ("ResourceNotFoundException", 404, NotFound),
            ("ConflictException", 409, Conflict),
            ("ServiceException", 500, Unavailable),
            ("ThrottledException", 429, Unavailable),
            ("ServiceQuotaExceededException", 402, Unavailable),
            ("ValidationException", 400, Internal),
        ],
    ),
    (
        "bedrock-agentcore control",
        service!(GetMemoryError),
        &[
            ("ResourceNotFoundException", 404, NotFound),
            ("AccessDeniedException", 403, Unavailable),
        ],
    ),
    (
        "events",
        service!(PutEventsError),
        &[
            ("InternalException", 500, Unavailable),
            ("ResourceNotFoundException", 400, Unavailable),
            ("ThrottlingException", 400, Unavailable),
        ],
    ),
    (
        "es",
        service!(DescribeDomainError),
        &[
            ("ResourceNotFoundException", 409, Unavailable),
            ("BaseException", 400, Unavailable),
            ("InternalException", 500, Unavailable),
            ("ValidationException", 400, Internal),
        ],
    ),
];

#[test]
fn each_service_has_its_codes_classified() {
    let mut wrong = Vec::new();
    for (service, of, codes) in TABLE {
        for (code, status, kind) in *codes {
            let error = of(code, *status);
            if error.kind() != *kind {
                wrong.push(format!("{service} {code}: {} and not {kind}", error.kind()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_code_that_nobody_knows_is_judged_by_its_status() {
    for (status, kind) in [
        (400, Internal),
        (401, Unavailable),
        (403, Unavailable),
        (404, NotFound),
        (408, Timeout),
        (409, Conflict),
        (412, Conflict),
        (413, Internal),
        (429, Unavailable),
        (500, Unavailable),
        (503, Unavailable),
        (504, Timeout),
    ] {
        for (service, of, _) in TABLE {
            assert_eq!(of("NewIn2031", status).kind(), kind, "{service} {status}");
        }
    }
}

#[test]
fn throttling_says_when_to_try_again() {
    let throttled = |after: Option<&'static str>| {
        let mut raw = answer(503, "");
        if let Some(after) = after {
            raw.headers_mut().insert("retry-after", after);
        }
        let error = PutObjectError::generic(meta("SlowDown"));
        classify(OPERATION, SdkError::service_error(error, raw))
    };
    for (told, waits) in [
        (None, THROTTLED_RETRY_AFTER),
        (Some("7"), Duration::from_secs(7)),
        (Some("soon"), THROTTLED_RETRY_AFTER),
        (Some("99999999999"), RETRY_AFTER_MAX),
    ] {
        let error = throttled(told);
        assert_eq!(
            (error.kind(), error.retry_after()),
            (Unavailable, Some(waits))
        );
    }
}

#[test]
fn what_happens_before_an_answer_is_classified_by_its_cause() {
    type Sdk = SdkError<PutObjectError, HttpResponse>;
    let no_credentials = || CredentialsError::not_loaded("no environment, no role");
    let reset = || io::Error::from(io::ErrorKind::ConnectionReset).into();
    let failures: [(Sdk, ErrorKind, &str); 7] = [
        (Sdk::timeout_error("attempt"), Timeout, "in time"),
        (
            Sdk::construction_failure("no bucket"),
            Internal,
            "the host's request",
        ),
        (
            Sdk::construction_failure(no_credentials()),
            Unavailable,
            "credentials",
        ),
        (
            Sdk::dispatch_failure(ConnectorError::other(no_credentials().into(), None)),
            Unavailable,
            "credentials",
        ),
        (
            Sdk::dispatch_failure(ConnectorError::io(reset())),
            Unavailable,
            "reached",
        ),
        (
            Sdk::dispatch_failure(ConnectorError::timeout(reset())),
            Timeout,
            "in time",
        ),
        (
            Sdk::dispatch_failure(ConnectorError::user(reset())),
            Internal,
            "the host's request",
        ),
    ];
    for (failure, kind, words) in failures {
        let error = classify(OPERATION, failure);
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(words), "{error}");
        assert!(
            error.causes().contains("s3:PutObject"),
            "{}",
            error.causes()
        );
    }
}

#[test]
fn an_answer_that_was_cut_is_an_outage_and_is_not_kept() {
    for (status, kind) in [(200, Unavailable), (404, Unavailable), (503, Unavailable)] {
        let raw = answer(status, "what a guest stored");
        let cut = SdkError::<GetSecretValueError, _>::response_error("cut", raw);
        let error = classify(OPERATION, cut);
        assert_eq!(error.kind(), kind);
        assert!(!format!("{error:?}").contains("guest"), "{error:?}");
    }
}

#[test]
fn a_missing_permission_is_named_in_the_log_and_not_to_the_guest() {
    let error = GetSecretValueError::generic(meta("AccessDeniedException"));
    let error = classify(OPERATION, SdkError::service_error(error, answer(400, "")));
    let causes = error.causes();
    assert!(
        causes.contains("secretsmanager:GetSecretValue") && causes.contains("R-1"),
        "{causes}"
    );
    assert!(!error.to_string().contains("AWS's words"), "{error}");
    assert!(error.message().contains("stuga check aws"), "{error}");
}

#[test]
fn a_stream_that_fails_is_classified_like_its_beginning() {
    let failures: [(ConverseStreamOutputError, ErrorKind); 4] = [
        (
            ConverseStreamOutputError::ThrottlingException(ThrottlingException::builder().build()),
            Unavailable,
        ),
        (
            ConverseStreamOutputError::ModelStreamErrorException(
                ModelStreamErrorException::builder().build(),
            ),
            Unavailable,
        ),
        (
            ConverseStreamOutputError::InternalServerException(
                InternalServerException::builder().build(),
            ),
            Unavailable,
        ),
        (
            ConverseStreamOutputError::ValidationException(ValidationException::builder().build()),
            Invalid,
        ),
    ];
    for (failure, kind) in failures {
        let raw = RawMessage::invalid(None);
        let error = classify(OPERATION, SdkError::service_error(failure, raw));
        assert_eq!(error.kind(), kind, "{}", error.causes());
    }
}

#[test]
fn only_what_is_absent_becomes_none() {
    assert!(
        absent::<()>(Err(Error::not_found(OPERATION, "x")))
            .unwrap()
            .is_none()
    );
    assert!(absent::<()>(Err(Error::unavailable(OPERATION, "x"))).is_err());
    assert_eq!(absent(Ok(7)).unwrap(), Some(7));
}
