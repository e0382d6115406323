//! The backends on AWS: the same capabilities as the local ones, by the official SDKs.
//!
//! This crate knows neither the local backends nor the breaker.
