//! Ids that follow from the seed, so that a run can be repeated to the byte.

use sha2::{Digest, Sha256};
use stuga_core::{InvocationId, Timestamp};

/// Makes the ids of invocations. The guest's random numbers derive from them, as on every host.
#[derive(Debug)]
pub(crate) struct Ids {
    seed: u64,
    next: u64,
}

impl Ids {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, next: 0 }
    }

    /// The next id: of version 7, so that it looks like a real one.
    pub(crate) fn invocation(&mut self, now: Timestamp) -> InvocationId {
        let mut hash = Sha256::new();
        hash.update(self.seed.to_be_bytes());
        hash.update(self.next.to_be_bytes());
        self.next = self.next.wrapping_add(1);
        let mut bits = [0; 10];
        for (bit, byte) in bits.iter_mut().zip(hash.finalize()) {
            *bit = byte;
        }
        let id = uuid::Builder::from_unix_timestamp_millis(now.as_millis(), &bits).into_uuid();
        InvocationId::from_uuid(id)
    }
}
