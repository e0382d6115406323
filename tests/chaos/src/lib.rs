//! Whether what the host acknowledges survives everything that goes wrong.
//!
//! Clients of several tenants work through a real host, whose servers stand behind fault proxies. A seeded [`nemesis`]
//! breaks proxies, servers and the host itself. Whatever clients ask and get goes into a [`history`]. When all is healed
//! and nothing waits for the cloud any longer, a second host without a past reads the cloud, and [`check`] judges the
//! history by the rules of docs/failover.md.
//!
//! The crate knows the host as its clients and operators do: by the binary, its HTTP API and its files. So it can be
//! run against any build.

pub mod admin;
pub mod bench;
pub mod check;
pub mod client;
pub mod demo;
pub mod history;
pub mod host;
pub mod load;
pub mod nemesis;
pub mod plot;
pub mod report;
pub mod run;
pub mod seeded;
pub mod site;
pub mod stage;
pub mod words;
