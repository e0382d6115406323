//! What memory, sessions and records share on AWS: streams of events in AgentCore, which are the truth, and cards in Redis,
//! which say who may write next and where a stream ends. ADR 0031 has the reasons.
//!
//! | module | what it knows |
//! |---|---|
//! | `home` | which memory of AgentCore is a tenant's |
//! | `stream` | the requests to AgentCore about events |
//! | `entry`, `fold` | what stands beside an event, and which events of a stream count |
//! | `card`, `redis` | the cards and indexes in Redis, whose scripts lie in `card/` |
//! | `reach`, `ledger`, `draft`, `write` | reading without Redis and with it; what a write makes; writing once |
//! | `adopt` | writes that another side has acknowledged |
//! | `content` | what events hold, kept in this process and in Redis |
//! | `index`, `shelf` | what there is, in an order; things by key |
//! | `tend` | what removes and renews |

pub(crate) mod adopt;
pub(crate) mod card;
mod content;
pub(crate) mod digest;
pub(crate) mod draft;
pub(crate) mod entry;
pub(crate) mod fold;
pub(crate) mod home;
pub(crate) mod index;
pub(crate) mod ledger;
pub(crate) mod reach;
pub(crate) mod redis;
pub(crate) mod shelf;
pub(crate) mod stream;
pub(crate) mod tend;
pub(crate) mod vector;
pub(crate) mod write;
