//! The backends on this host: what serves a tenant when there is no cloud, and while there is none.
//!
//! Each tenant has a directory of its own: `tenants/<id>/state.db` (SQLite) and `tenants/<id>/files/` (contents by
//! digest). An answer to a write means that it is fsynced. Several processes may open the same data directory, such as
//! the command line beside the server. This crate knows nothing of breakers or rights; it sees a call's context and does
//! what it says: makes a write, makes it and notes it for the cloud, or takes over what the cloud made of it.

mod applied;
mod call;
mod connection;
mod content;
mod cuts;
mod durability;
mod effects;
mod ended;
mod error;
mod expiry;
mod files;
mod invocations;
mod jobs;
mod journal;
mod lease;
mod mailbox;
mod marks;
mod memory;
mod model;
mod number;
mod quotas;
mod records;
mod registry;
mod retention;
mod room;
mod schema;
mod scope;
mod search;
mod secrets;
mod sessions;
mod sweep;
mod tally;
mod tenant;
mod tx;
mod vectors;
mod wal;
mod writer;

pub use cuts::Cut;
pub use durability::Durability;
pub use files::LocalFiles;
pub use mailbox::LocalMail;
pub use memory::LocalMemory;
pub use model::{EndpointConfig, EndpointEmbedder, ModelLimits, Models, check_endpoint_url};
pub use records::LocalRecords;
pub use registry::{Local, LocalConfig};
pub use retention::{Keep, Retention};
pub use search::LocalSearch;
pub use secrets::{CopiedSecrets, KeyAtRest, LocalSecrets, SecretCopies};
pub use sessions::LocalSessions;
pub use tally::{Quotas, Usage};
