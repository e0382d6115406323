//! The contract of memory.
