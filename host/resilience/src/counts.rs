//! What is counted of a capability on this host, since its start.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// A number that only grows.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// The counters while they count.
        #[derive(Default)]
        pub(crate) struct Counts {
            $(pub(crate) $name: Counter,)*
        }

        /// What was counted.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
        pub struct Counted {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counts {
            pub(crate) fn read(&self) -> Counted {
                Counted { $($name: self.$name.0.load(Ordering::Relaxed),)* }
            }
        }

        impl Counted {
            /// The counters with their names.
            pub fn named(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)*]
            }
        }
    };
}

counts! {
    /// Calls that the cloud answered, refusals included.
    cloud_answered,
    /// Calls that the cloud did not answer, or said that it cannot.
    cloud_failed,
    /// Answers of the cloud's models that broke off after their caller had a part of them.
    broken_off,
    /// Calls that the breaker did not let through.
    not_permitted,
    /// Reads that this host answered.
    local_reads,
    /// Writes that this host took and noted for the cloud.
    noted,
    /// Writes to the cloud that this host's copy did not get.
    copies_missed,
    /// Writes to the cloud for which this host's copy learned what they belong to, which another host made.
    copies_taught,
    /// Entries of the journal that the cloud took over.
    replayed,
    /// Entries of the journal that lost against a later write.
    superseded,
    /// Entries of the journal that the cloud refused, and that stay.
    refused,
    /// Entries of the journal that were parked.
    parked,
}
