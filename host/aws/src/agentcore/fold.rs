//! What a stream says: its end, and which of its writes count.
//!
//! One writer at a time has the lease of a card, and each event names the version on which it builds. A writer that was
//! slower than its lease, or that Redis forgot, can land an event beside one of another writer. What counts is the chain
//! from the event of the highest version down, each to what it builds on. Versions are handed out with leases, so whoever
//! was late has the lower one, was not acknowledged, and finds here that it does not count. Who finds its event in the
//! chain after it lost its lease does not know that it stays there, for another late one may land above it; so it
//! writes another event on top before it answers (see [`super::ledger`]).

use super::entry::Entry;

/// What was read of a stream, from its end to some point before.
pub(crate) struct Fold {
    /// In the order of their versions.
    entries: Vec<Entry>,
}

impl Fold {
    /// The order in which entries were read does not matter, nor that one was read twice.
    pub(crate) fn of(mut entries: Vec<Entry>) -> Self {
        entries.sort_unstable_by_key(|entry| entry.version);
        entries.dedup_by_key(|entry| entry.version);
        Self { entries }
    }

    /// The end of the stream. Nothing has a higher version, so it counts.
    pub(crate) fn head(&self) -> Option<&Entry> {
        self.entries.last()
    }

    /// The entries that count, the newest first.
    pub(crate) fn counting(&self) -> impl Iterator<Item = &Entry> {
        let mut bound = u64::MAX;
        self.entries.iter().rev().filter(move |entry| {
            // What it built on may have been removed since; then what is next below it.
            let counts = entry.version <= bound;
            if counts {
                bound = entry.base;
            }
            counts
        })
    }

    /// All that was read, whether it counts or not, the oldest first.
    pub(crate) fn all(&self) -> &[Entry] {
        &self.entries
    }

    /// The entries of a write that do not count: another one came between.
    pub(crate) fn voids(&self, write: &str) -> usize {
        let of_write = |entry: &&Entry| entry.write == write;
        let all = self.entries.iter().filter(of_write).count();
        all.saturating_sub(self.counting().filter(of_write).count())
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::entry;
    use super::*;

    fn counting(entries: &[Entry]) -> Vec<u64> {
        let fold = Fold::of(entries.to_vec());
        fold.counting().map(|entry| entry.version).collect()
    }

    #[test]
    fn a_chain_counts_as_a_whole_in_whatever_order_it_is_read() {
        let mut chain = [entry(1, 0, "a"), entry(5, 1, "b"), entry(9, 5, "c")];
        assert_eq!(counting(&chain), [9, 5, 1]);
        chain.reverse();
        assert_eq!(counting(&chain), [9, 5, 1]);
        assert_eq!(Fold::of(chain.to_vec()).head().unwrap().version, 9);
        assert!(Fold::of(Vec::new()).head().is_none());
    }

    #[test]
    fn of_two_that_build_on_the_same_the_higher_counts() {
        let fold = Fold::of(vec![
            entry(1, 0, "a"),
            entry(4, 1, "late"),
            entry(5, 1, "b"),
            entry(9, 5, "c"),
        ]);
        let versions: Vec<_> = fold.counting().map(|entry| entry.version).collect();
        assert_eq!(versions, [9, 5, 1]);
        assert_eq!(
            (fold.voids("late"), fold.voids("b"), fold.voids("x")),
            (1, 0, 0)
        );
    }

    #[test]
    fn a_late_one_between_two_that_build_on_each_other_does_not_count() {
        let chain = [
            entry(1, 0, "a"),
            entry(3, 1, "b"),
            entry(4, 1, "late"),
            entry(6, 3, "c"),
        ];
        assert_eq!(counting(&chain), [6, 3, 1]);
        let chain = [
            entry(1, 0, "a"),
            entry(3, 1, "b"),
            entry(4, 1, "c"),
            entry(5, 1, "d"),
        ];
        assert_eq!(counting(&chain), [5, 1]);
        // What built on a late one counts with it.
        assert_eq!(
            counting(&[entry(1, 0, "a"), entry(3, 1, "b"), entry(4, 3, "c")]),
            [4, 3, 1]
        );
    }

    #[test]
    fn what_was_trimmed_away_is_not_missed() {
        assert_eq!(counting(&[entry(7, 6, "x"), entry(9, 7, "y")]), [9, 7]);
        assert_eq!(counting(&[entry(3, 0, "x"), entry(9, 7, "y")]), [9, 3]);
    }
}
