//! The whole host on AWS, from outside: the real binary with `aws:` in its `stuga.yaml`, before SeaweedFS (S3), ministack
//! (AgentCore, SQS, Secrets Manager, KMS, Bedrock), Redis and OpenSearch.
//!
//! What the backends promise is proved in their own crate. Here: that each is reached by a guest's call over HTTP and says
//! so in the receipt, that hosts share it and tenants do not, and that neither a large file nor a call that ends early
//! costs more than it should. Jobs on Lambda have a binary of their own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod capabilities;
mod cloud;
mod commands;
mod large;
#[path = "../e2e/support.rs"]
#[allow(dead_code, reason = "shared with the tests of the whole host")]
mod support;
mod uses;
