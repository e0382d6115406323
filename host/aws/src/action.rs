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

    /// The service's code for what is wrong; none when it says nothing that could be one.
    fn reason(&self) -> Option<&str> {
        self.meta().code()
    }
}

macro_rules! actions {
    ($($service:ident, $crate_name:ident { $($module:ident::$error:ident => $iam:literal),* $(,)? })*) => {
        $($(
            impl Action for $crate_name::operation::$module::$error {
                const SERVICE: Service = Service::$service;
                const IAM: &'static str = $iam;
            }
        )*)*

        /// The IAM actions of all operations, by service, in the order of the list.
        pub const IAM_ACTIONS: &[(Service, &str)] = &[$($((Service::$service, $iam)),*),*];
    };
}

actions! {
    S3, aws_sdk_s3 {
        abort_multipart_upload::AbortMultipartUploadError => "s3:AbortMultipartUpload",
        complete_multipart_upload::CompleteMultipartUploadError => "s3:PutObject",
        copy_object::CopyObjectError => "s3:PutObject",
        create_bucket::CreateBucketError => "s3:CreateBucket",
        create_multipart_upload::CreateMultipartUploadError => "s3:PutObject",
        delete_bucket::DeleteBucketError => "s3:DeleteBucket",
        delete_object::DeleteObjectError => "s3:DeleteObject",
        delete_objects::DeleteObjectsError => "s3:DeleteObject",
        get_bucket_encryption::GetBucketEncryptionError => "s3:GetEncryptionConfiguration",
        get_bucket_lifecycle_configuration::GetBucketLifecycleConfigurationError => "s3:GetLifecycleConfiguration",
        get_bucket_versioning::GetBucketVersioningError => "s3:GetBucketVersioning",
        get_object::GetObjectError => "s3:GetObject",
        get_object_attributes::GetObjectAttributesError => "s3:GetObjectAttributes",
        head_bucket::HeadBucketError => "s3:ListBucket",
        head_object::HeadObjectError => "s3:GetObject",
        list_multipart_uploads::ListMultipartUploadsError => "s3:ListBucketMultipartUploads",
        list_object_versions::ListObjectVersionsError => "s3:ListBucketVersions",
        list_objects_v2::ListObjectsV2Error => "s3:ListBucket",
        list_parts::ListPartsError => "s3:ListMultipartUploadParts",
        put_bucket_encryption::PutBucketEncryptionError => "s3:PutEncryptionConfiguration",
        put_bucket_lifecycle_configuration::PutBucketLifecycleConfigurationError => "s3:PutLifecycleConfiguration",
        put_bucket_versioning::PutBucketVersioningError => "s3:PutBucketVersioning",
        put_object::PutObjectError => "s3:PutObject",
        put_public_access_block::PutPublicAccessBlockError => "s3:PutBucketPublicAccessBlock",
        upload_part::UploadPartError => "s3:PutObject",
        upload_part_copy::UploadPartCopyError => "s3:PutObject",
    }
    Sqs, aws_sdk_sqs {
        change_message_visibility::ChangeMessageVisibilityError => "sqs:ChangeMessageVisibility",
        change_message_visibility_batch::ChangeMessageVisibilityBatchError => "sqs:ChangeMessageVisibility",
        create_queue::CreateQueueError => "sqs:CreateQueue",
        delete_message::DeleteMessageError => "sqs:DeleteMessage",
        delete_message_batch::DeleteMessageBatchError => "sqs:DeleteMessage",
        delete_queue::DeleteQueueError => "sqs:DeleteQueue",
        get_queue_attributes::GetQueueAttributesError => "sqs:GetQueueAttributes",
        get_queue_url::GetQueueUrlError => "sqs:GetQueueUrl",
        list_queues::ListQueuesError => "sqs:ListQueues",
        purge_queue::PurgeQueueError => "sqs:PurgeQueue",
        receive_message::ReceiveMessageError => "sqs:ReceiveMessage",
        send_message::SendMessageError => "sqs:SendMessage",
        send_message_batch::SendMessageBatchError => "sqs:SendMessage",
        set_queue_attributes::SetQueueAttributesError => "sqs:SetQueueAttributes",
        start_message_move_task::StartMessageMoveTaskError => "sqs:StartMessageMoveTask",
    }
    Secrets, aws_sdk_secretsmanager {
        create_secret::CreateSecretError => "secretsmanager:CreateSecret",
        delete_secret::DeleteSecretError => "secretsmanager:DeleteSecret",
        describe_secret::DescribeSecretError => "secretsmanager:DescribeSecret",
        get_secret_value::GetSecretValueError => "secretsmanager:GetSecretValue",
        list_secret_version_ids::ListSecretVersionIdsError => "secretsmanager:ListSecretVersionIds",
        list_secrets::ListSecretsError => "secretsmanager:ListSecrets",
        put_secret_value::PutSecretValueError => "secretsmanager:PutSecretValue",
        update_secret::UpdateSecretError => "secretsmanager:UpdateSecret",
        update_secret_version_stage::UpdateSecretVersionStageError => "secretsmanager:UpdateSecretVersionStage",
    }
    Kms, aws_sdk_kms {
        create_alias::CreateAliasError => "kms:CreateAlias",
        create_key::CreateKeyError => "kms:CreateKey",
        decrypt::DecryptError => "kms:Decrypt",
        delete_alias::DeleteAliasError => "kms:DeleteAlias",
        describe_key::DescribeKeyError => "kms:DescribeKey",
        generate_data_key::GenerateDataKeyError => "kms:GenerateDataKey",
        schedule_key_deletion::ScheduleKeyDeletionError => "kms:ScheduleKeyDeletion",
    }
    Sts, aws_sdk_sts {
        get_caller_identity::GetCallerIdentityError => "sts:GetCallerIdentity",
    }
    Lambda, aws_sdk_lambda {
        create_function::CreateFunctionError => "lambda:CreateFunction",
        delete_function::DeleteFunctionError => "lambda:DeleteFunction",
        get_function_configuration::GetFunctionConfigurationError => "lambda:GetFunctionConfiguration",
        invoke::InvokeError => "lambda:InvokeFunction",
        put_function_concurrency::PutFunctionConcurrencyError => "lambda:PutFunctionConcurrency",
        put_function_event_invoke_config::PutFunctionEventInvokeConfigError => "lambda:PutFunctionEventInvokeConfig",
        update_function_code::UpdateFunctionCodeError => "lambda:UpdateFunctionCode",
        update_function_configuration::UpdateFunctionConfigurationError => "lambda:UpdateFunctionConfiguration",
    }
    Bedrock, aws_sdk_bedrockruntime {
        converse::ConverseError => "bedrock:InvokeModel",
        converse_stream::ConverseStreamError => "bedrock:InvokeModelWithResponseStream",
        invoke_model::InvokeModelError => "bedrock:InvokeModel",
    }
    AgentCore, aws_sdk_bedrockagentcore {
        batch_create_memory_records::BatchCreateMemoryRecordsError => "bedrock-agentcore:BatchCreateMemoryRecords",
        batch_delete_memory_records::BatchDeleteMemoryRecordsError => "bedrock-agentcore:BatchDeleteMemoryRecords",
        batch_update_memory_records::BatchUpdateMemoryRecordsError => "bedrock-agentcore:BatchUpdateMemoryRecords",
        create_event::CreateEventError => "bedrock-agentcore:CreateEvent",
        delete_event::DeleteEventError => "bedrock-agentcore:DeleteEvent",
        delete_memory_record::DeleteMemoryRecordError => "bedrock-agentcore:DeleteMemoryRecord",
        get_event::GetEventError => "bedrock-agentcore:GetEvent",
        get_memory_record::GetMemoryRecordError => "bedrock-agentcore:GetMemoryRecord",
        list_actors::ListActorsError => "bedrock-agentcore:ListActors",
        list_events::ListEventsError => "bedrock-agentcore:ListEvents",
        list_memory_records::ListMemoryRecordsError => "bedrock-agentcore:ListMemoryRecords",
        list_sessions::ListSessionsError => "bedrock-agentcore:ListSessions",
        retrieve_memory_records::RetrieveMemoryRecordsError => "bedrock-agentcore:RetrieveMemoryRecords",
    }
    AgentCore, aws_sdk_bedrockagentcorecontrol {
        create_memory::CreateMemoryError => "bedrock-agentcore:CreateMemory",
        delete_memory::DeleteMemoryError => "bedrock-agentcore:DeleteMemory",
        get_memory::GetMemoryError => "bedrock-agentcore:GetMemory",
        list_memories::ListMemoriesError => "bedrock-agentcore:ListMemories",
        update_memory::UpdateMemoryError => "bedrock-agentcore:UpdateMemory",
    }
    Events, aws_sdk_eventbridge {
        create_event_bus::CreateEventBusError => "events:CreateEventBus",
        describe_event_bus::DescribeEventBusError => "events:DescribeEventBus",
        put_events::PutEventsError => "events:PutEvents",
    }
    OpenSearch, aws_sdk_opensearch {
        describe_domain::DescribeDomainError => "es:DescribeDomain",
        describe_domain_health::DescribeDomainHealthError => "es:DescribeDomainHealth",
    }
}

// What goes wrong in the middle of a stream is an error of its own: an event whose name is the code, and not an answer.
impl Action for aws_sdk_bedrockruntime::types::error::ConverseStreamOutputError {
    const SERVICE: Service = Service::Bedrock;
    const IAM: &'static str = "bedrock:InvokeModelWithResponseStream";

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
