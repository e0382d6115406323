//! What a write needs before its transaction: vectors of its texts. Embedding takes longer than storing, and the writer
//! of a tenant is shared.

use stuga_core::search::Embedding;
use stuga_core::search::made::Made;

/// What was made for a write.
pub(super) struct Prepared {
    /// The index that it was made for.
    pub(super) index: Option<u64>,
    /// What the host embeds with.
    pub(super) embedding: Embedding,
    /// For each change the vectors that it replaces.
    pub(super) made: Vec<Vec<Made>>,
}
