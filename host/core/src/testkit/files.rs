//! The contract of files.
