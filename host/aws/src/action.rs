//! Every call that this crate makes to AWS, with the IAM action that it needs: the one list of what the host's role must
//! allow.
//!
//! An operation that does not stand here cannot be called: [`crate::call::call`] and [`crate::error::classify`] take the
//! errors of these alone. Signed requests to the data plane of OpenSearch need `es:ESHttp*` (`aoss:APIAccessAll` of a
//! serverless collection) and have an error path of their own.

use std::error::Error as StdError;
use std::fmt;

use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// A service of AWS, named as its IAM actions are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Service {
    /// Simple Storage Service.
    S3,
    /// Simple Queue Service.
    Sqs,
    /// Secrets Manager.
    Secrets,
    /// Key Management Service.
    Kms,
    /// Security Token Service.
    Sts,
    /// Lambda.
    Lambda,
    /// Bedrock: its runtime.
    Bedrock,
    /// Bedrock AgentCore: both its planes.
    AgentCore,
    /// EventBridge.
    Events,
    /// OpenSearch Service: its control plane, and its data plane, whose errors are its own.
    OpenSearch,
    /// ElastiCache, which is reached by Redis's protocol.
    ElastiCache,
}

impl Service {
    /// The prefix of its IAM actions.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Sqs => "sqs",
            Self::Secrets => "secretsmanager",
            Self::Kms => "kms",
            Self::Sts => "sts",
            Self::Lambda => "lambda",
            Self::Bedrock => "bedrock",
            Self::AgentCore => "bedrock-agentcore",
            Self::Events => "events",
            Self::OpenSearch => "es",
            Self::ElastiCache => "elasticache",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The error of one operation of AWS, which says what was called.
pub(crate) trait Action: ProvideErrorMetadata + StdError + Send + Sync + 'static {
    /// Whose operation it is.
    const SERVICE: Service;
    /// The IAM action that allows it, such as `s3:PutObject`.
    const IAM: &'static str;

    /// Whether it changes something, so that it matters whether it was done when no answer comes.
    const CHANGES: bool;

    /// The service's code for what is wrong; none when it says nothing that could be one.
    fn reason(&self) -> Option<&str> {
        self.meta().code()
    }
}

macro_rules! actions {
    ($($service:ident, $crate_name:ident { $($module:ident::$error:ident $effect:ident $iam:literal),* $(,)? })*) => {
        $($(
            impl Action for $crate_name::operation::$module::$error {
                const SERVICE: Service = Service::$service;
                const IAM: &'static str = $iam;
                const CHANGES: bool = changes!($effect);
            }
        )*)*

        /// The IAM actions of all operations, by service, in the order of the list.
        pub const IAM_ACTIONS: &[(Service, &str)] = &[$($((Service::$service, $iam)),*),*];
    };
}

macro_rules! changes {
    (changes) => {
        true
    };
    (reads) => {
        false
    };
}

actions! {
    S3, aws_sdk_s3 {
        abort_multipart_upload::AbortMultipartUploadError changes "s3:AbortMultipartUpload",
        complete_multipart_upload::CompleteMultipartUploadError changes "s3:PutObject",
        copy_object::CopyObjectError changes "s3:PutObject",
        create_bucket::CreateBucketError changes "s3:CreateBucket",
        create_multipart_upload::CreateMultipartUploadError changes "s3:PutObject",
        delete_bucket::DeleteBucketError changes "s3:DeleteBucket",
        delete_object::DeleteObjectError changes "s3:DeleteObject",
        delete_objects::DeleteObjectsError changes "s3:DeleteObject",
        get_bucket_encryption::GetBucketEncryptionError reads "s3:GetEncryptionConfiguration",
        get_bucket_lifecycle_configuration::GetBucketLifecycleConfigurationError reads "s3:GetLifecycleConfiguration",
        get_bucket_versioning::GetBucketVersioningError reads "s3:GetBucketVersioning",
        get_object::GetObjectError reads "s3:GetObject",
        get_object_attributes::GetObjectAttributesError reads "s3:GetObjectAttributes",
        get_public_access_block::GetPublicAccessBlockError reads "s3:GetBucketPublicAccessBlock",
        head_bucket::HeadBucketError reads "s3:ListBucket",
        head_object::HeadObjectError reads "s3:GetObject",
        list_multipart_uploads::ListMultipartUploadsError reads "s3:ListBucketMultipartUploads",
        list_object_versions::ListObjectVersionsError reads "s3:ListBucketVersions",
        list_objects_v2::ListObjectsV2Error reads "s3:ListBucket",
        list_parts::ListPartsError reads "s3:ListMultipartUploadParts",
        put_bucket_encryption::PutBucketEncryptionError changes "s3:PutEncryptionConfiguration",
        put_bucket_lifecycle_configuration::PutBucketLifecycleConfigurationError changes "s3:PutLifecycleConfiguration",
        put_bucket_versioning::PutBucketVersioningError changes "s3:PutBucketVersioning",
        put_object::PutObjectError changes "s3:PutObject",
        put_public_access_block::PutPublicAccessBlockError changes "s3:PutBucketPublicAccessBlock",
        upload_part::UploadPartError changes "s3:PutObject",
        upload_part_copy::UploadPartCopyError changes "s3:PutObject",
    }
    Sqs, aws_sdk_sqs {
        change_message_visibility::ChangeMessageVisibilityError changes "sqs:ChangeMessageVisibility",
        change_message_visibility_batch::ChangeMessageVisibilityBatchError changes "sqs:ChangeMessageVisibility",
        create_queue::CreateQueueError changes "sqs:CreateQueue",
        delete_message::DeleteMessageError changes "sqs:DeleteMessage",
        delete_message_batch::DeleteMessageBatchError changes "sqs:DeleteMessage",
        delete_queue::DeleteQueueError changes "sqs:DeleteQueue",
        get_queue_attributes::GetQueueAttributesError reads "sqs:GetQueueAttributes",
        get_queue_url::GetQueueUrlError reads "sqs:GetQueueUrl",
        list_queues::ListQueuesError reads "sqs:ListQueues",
        purge_queue::PurgeQueueError changes "sqs:PurgeQueue",
        receive_message::ReceiveMessageError changes "sqs:ReceiveMessage",
        send_message::SendMessageError changes "sqs:SendMessage",
        send_message_batch::SendMessageBatchError changes "sqs:SendMessage",
        set_queue_attributes::SetQueueAttributesError changes "sqs:SetQueueAttributes",
        start_message_move_task::StartMessageMoveTaskError changes "sqs:StartMessageMoveTask",
    }
    Secrets, aws_sdk_secretsmanager {
        create_secret::CreateSecretError changes "secretsmanager:CreateSecret",
        delete_secret::DeleteSecretError changes "secretsmanager:DeleteSecret",
        describe_secret::DescribeSecretError reads "secretsmanager:DescribeSecret",
        get_secret_value::GetSecretValueError reads "secretsmanager:GetSecretValue",
        list_secret_version_ids::ListSecretVersionIdsError reads "secretsmanager:ListSecretVersionIds",
        list_secrets::ListSecretsError reads "secretsmanager:ListSecrets",
        put_secret_value::PutSecretValueError changes "secretsmanager:PutSecretValue",
        update_secret::UpdateSecretError changes "secretsmanager:UpdateSecret",
        update_secret_version_stage::UpdateSecretVersionStageError changes "secretsmanager:UpdateSecretVersionStage",
    }
    Kms, aws_sdk_kms {
        create_alias::CreateAliasError changes "kms:CreateAlias",
        create_key::CreateKeyError changes "kms:CreateKey",
        decrypt::DecryptError reads "kms:Decrypt",
        delete_alias::DeleteAliasError changes "kms:DeleteAlias",
        describe_key::DescribeKeyError reads "kms:DescribeKey",
        generate_data_key::GenerateDataKeyError reads "kms:GenerateDataKey",
        schedule_key_deletion::ScheduleKeyDeletionError changes "kms:ScheduleKeyDeletion",
    }
    Sts, aws_sdk_sts {
        get_caller_identity::GetCallerIdentityError reads "sts:GetCallerIdentity",
    }
    Lambda, aws_sdk_lambda {
        create_function::CreateFunctionError changes "lambda:CreateFunction",
        delete_function::DeleteFunctionError changes "lambda:DeleteFunction",
        get_function_configuration::GetFunctionConfigurationError reads "lambda:GetFunctionConfiguration",
        invoke::InvokeError changes "lambda:InvokeFunction",
        put_function_concurrency::PutFunctionConcurrencyError changes "lambda:PutFunctionConcurrency",
        put_function_event_invoke_config::PutFunctionEventInvokeConfigError changes "lambda:PutFunctionEventInvokeConfig",
        update_function_code::UpdateFunctionCodeError changes "lambda:UpdateFunctionCode",
        update_function_configuration::UpdateFunctionConfigurationError changes "lambda:UpdateFunctionConfiguration",
    }
    Bedrock, aws_sdk_bedrockruntime {
        converse::ConverseError reads "bedrock:InvokeModel",
        converse_stream::ConverseStreamError reads "bedrock:InvokeModelWithResponseStream",
        invoke_model::InvokeModelError reads "bedrock:InvokeModel",
    }
    AgentCore, aws_sdk_bedrockagentcore {
        batch_create_memory_records::BatchCreateMemoryRecordsError changes "bedrock-agentcore:BatchCreateMemoryRecords",
        batch_delete_memory_records::BatchDeleteMemoryRecordsError changes "bedrock-agentcore:BatchDeleteMemoryRecords",
        batch_update_memory_records::BatchUpdateMemoryRecordsError changes "bedrock-agentcore:BatchUpdateMemoryRecords",
        create_event::CreateEventError changes "bedrock-agentcore:CreateEvent",
        delete_event::DeleteEventError changes "bedrock-agentcore:DeleteEvent",
        delete_memory_record::DeleteMemoryRecordError changes "bedrock-agentcore:DeleteMemoryRecord",
        get_event::GetEventError reads "bedrock-agentcore:GetEvent",
        get_memory_record::GetMemoryRecordError reads "bedrock-agentcore:GetMemoryRecord",
        list_actors::ListActorsError reads "bedrock-agentcore:ListActors",
        list_events::ListEventsError reads "bedrock-agentcore:ListEvents",
        list_memory_records::ListMemoryRecordsError reads "bedrock-agentcore:ListMemoryRecords",
        list_sessions::ListSessionsError reads "bedrock-agentcore:ListSessions",
        retrieve_memory_records::RetrieveMemoryRecordsError reads "bedrock-agentcore:RetrieveMemoryRecords",
    }
    AgentCore, aws_sdk_bedrockagentcorecontrol {
        create_memory::CreateMemoryError changes "bedrock-agentcore:CreateMemory",
        delete_memory::DeleteMemoryError changes "bedrock-agentcore:DeleteMemory",
        get_memory::GetMemoryError reads "bedrock-agentcore:GetMemory",
        list_memories::ListMemoriesError reads "bedrock-agentcore:ListMemories",
        update_memory::UpdateMemoryError changes "bedrock-agentcore:UpdateMemory",
    }
    Events, aws_sdk_eventbridge {
        create_event_bus::CreateEventBusError changes "events:CreateEventBus",
        describe_event_bus::DescribeEventBusError reads "events:DescribeEventBus",
        put_events::PutEventsError changes "events:PutEvents",
    }
    OpenSearch, aws_sdk_opensearch {
        describe_domain::DescribeDomainError reads "es:DescribeDomain",
        describe_domain_health::DescribeDomainHealthError reads "es:DescribeDomainHealth",
    }
}

// What goes wrong in the middle of a stream is an error of its own: an event whose name is the code, and not an answer.
impl Action for aws_sdk_bedrockruntime::types::error::ConverseStreamOutputError {
    const SERVICE: Service = Service::Bedrock;
    const IAM: &'static str = "bedrock:InvokeModelWithResponseStream";
    const CHANGES: bool = false;

    fn reason(&self) -> Option<&str> {
        match self {
            Self::InternalServerException(_) => Some("InternalServerException"),
            Self::ModelStreamErrorException(_) => Some("ModelStreamErrorException"),
            Self::ServiceUnavailableException(_) => Some("ServiceUnavailableException"),
            Self::ThrottlingException(_) => Some("ThrottlingException"),
            Self::ValidationException(_) => Some("ValidationException"),
            _ => self.meta().code(),
        }
    }
}
