//! What a manifest makes of versions and removals that another side has acknowledged: each comes where its number says,
//! whatever was written meanwhile, and whatever comes in which order.

use stuga_core::Timestamp;
use stuga_core::files::EARLIER_VERSIONS_MAX;
use stuga_core::standby::Adopted;

use super::{Earlier, Made, Manifest, Version};

/// A removal that another side has acknowledged.
#[derive(Clone, Copy, Debug)]
pub(in crate::files) struct Removal {
    /// Where it stands among all writes: versions below are from before it.
    pub(in crate::files) stamp: u64,
    /// When it was made. What was written no later is from before it as well, whatever number it was given: clocks differ.
    pub(in crate::files) at: Timestamp,
    /// Whether nothing is to be left.
    pub(in crate::files) purges: bool,
    /// Whether it was never made here: otherwise only its stamp counts, for what stands was written after it.
    pub(in crate::files) is_new: bool,
}

impl Manifest {
    /// Hears of what another side has come to: versions that are given next are greater.
    pub(in crate::files) fn reach(&mut self, stamp: u64) {
        self.last = self.last.max(stamp);
    }

    /// Whether a version is from before everything was purged.
    pub(in crate::files) fn is_purged(&self, version: u64) -> bool {
        version <= self.purged
    }

    /// Whether a version stands, or is an earlier one or none at all.
    pub(in crate::files) fn standing_of(&self, version: u64) -> Adopted {
        let stands = self.standing.as_ref();
        match stands.is_some_and(|standing| standing.version == version) {
            true => Adopted::Stands,
            false => Adopted::Superseded,
        }
    }

    /// Puts a version in its place, whose number no other one has: to stand when it is the greatest and nothing was removed
    /// since, among the earlier ones otherwise.
    pub(in crate::files) fn take(&mut self, version: Version) -> Adopted {
        let number = version.version;
        self.reach(number);
        if self.is_purged(number) {
            self.discard(version.content);
            return Adopted::Superseded;
        }
        let is_latest = |standing: &Version| standing.version < number;
        if number > self.removed && self.standing.as_ref().is_none_or(is_latest) {
            self.end(version.updated_at);
            self.standing = Some(version);
            return Adopted::Stands;
        }
        let place = self
            .earlier
            .partition_point(|earlier| earlier.version.version > number);
        // It ended when the next one began; when nothing did, the path was removed, which was not noted for it.
        let above = place
            .checked_sub(1)
            .and_then(|above| self.earlier.get(above));
        let next = match above {
            Some(earlier) => Some(earlier.version.updated_at),
            None => match &self.standing {
                Some(standing) => Some(standing.updated_at),
                None => self.earlier.first().map(|earlier| earlier.ended_at),
            },
        };
        let ended_at = next.unwrap_or_default().max(version.updated_at);
        self.earlier.insert(place, Earlier { ended_at, version });
        let over = self.earlier.len().min(EARLIER_VERSIONS_MAX);
        for earlier in self.earlier.split_off(over) {
            self.discard(earlier.version.content);
        }
        Adopted::Superseded
    }

    /// Gives a version that is here the number and the times that another side has answered. None when it is not here, or
    /// when another one has that number.
    pub(in crate::files) fn renumber(&mut self, from: u64, made: Made) -> Option<Adopted> {
        if from != made.version && self.find(made.version).is_some() {
            return None;
        }
        let place = |earlier: &Earlier| earlier.version.version == from;
        let version = match self.standing.take_if(|standing| standing.version == from) {
            Some(version) => {
                // Nobody has acknowledged the number under which it stood: a greater one is the later write.
                let is_later =
                    |earlier: &Earlier| earlier.version.version > made.version.max(self.removed);
                if self.earlier.first().is_some_and(is_later) {
                    self.standing = Some(self.earlier.remove(0).version);
                }
                version
            }
            None => {
                let at = self.earlier.iter().position(place)?;
                self.earlier.remove(at).version
            }
        };
        Some(self.take(Version {
            version: made.version,
            created_at: made.created_at,
            updated_at: made.updated_at,
            ..version
        }))
    }

    /// Removes what is from before a removal: what stands becomes an earlier version, or with a purge nothing is left.
    pub(in crate::files) fn take_removal(&mut self, removal: Removal) -> Adopted {
        let Removal {
            stamp,
            at,
            purges,
            is_new,
        } = removal;
        let is_before =
            |version: &Version| version.version < stamp || (is_new && version.updated_at <= at);
        // What it removes does not come back.
        let taken = self.versions().filter(|version| is_before(version));
        let stamp = taken.map(|version| version.version).fold(stamp, u64::max);
        self.reach(stamp);
        self.removed = self.removed.max(stamp);
        if purges {
            self.purged = self.purged.max(stamp);
            let (gone, kept): (Vec<Earlier>, _) = std::mem::take(&mut self.earlier)
                .into_iter()
                .partition(|earlier| is_before(&earlier.version));
            self.earlier = kept;
            let gone = gone.into_iter().map(|earlier| earlier.version);
            let stood = self.standing.take_if(|standing| is_before(standing));
            for version in stood.into_iter().chain(gone) {
                self.discard(version.content);
            }
        } else if self.standing.as_ref().is_some_and(is_before) {
            self.end(at);
        }
        match self.standing {
            Some(_) => Adopted::Superseded,
            None => Adopted::Stands,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::super::Versions;
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn version(number: u64) -> Version {
        let at = Timestamp::from_millis(number);
        Version {
            content: Uuid::from_u128(u128::from(number)),
            size: 1,
            content_type: "text/plain".to_owned(),
            sha256: "0".repeat(64),
            version: number,
            created_at: at,
            updated_at: at,
            metadata: Vec::new(),
        }
    }

    fn removal(stamp: u64, millis: u64) -> Removal {
        Removal {
            stamp,
            at: Timestamp::from_millis(millis),
            purges: false,
            is_new: true,
        }
    }

    fn numbers(manifest: &Manifest) -> (Option<u64>, Vec<u64>) {
        let standing = manifest.standing.as_ref().map(|version| version.version);
        let earlier = manifest.earlier.iter();
        (
            standing,
            earlier.map(|earlier| earlier.version.version).collect(),
        )
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Version(u64),
        Removal(u64),
        Purge(u64),
    }

    fn after(steps: &[Step]) -> Manifest {
        let mut manifest = Manifest::new("f", NOW);
        for step in steps {
            let _ = match *step {
                Step::Version(number) => manifest.take(version(number)),
                Step::Removal(stamp) => manifest.take_removal(removal(stamp, stamp)),
                Step::Purge(stamp) => manifest.take_removal(Removal {
                    purges: true,
                    ..removal(stamp, stamp)
                }),
            };
        }
        manifest
    }

    /// All orders of five things: Heap's algorithm.
    fn orders(steps: &mut Vec<Step>, k: usize, each: &mut impl FnMut(&[Step])) {
        if k <= 1 {
            return each(steps);
        }
        for n in 0..k {
            orders(steps, k - 1, each);
            let with = if k.is_multiple_of(2) { n } else { 0 };
            steps.swap(with, k - 1);
        }
    }

    #[test]
    fn whatever_comes_in_whatever_order_the_same_stands_and_is_kept() {
        use Step::{Purge, Removal, Version};
        for steps in [
            [Version(1), Version(2), Removal(3), Version(4), Version(5)],
            [Version(1), Removal(2), Version(3), Version(4), Removal(5)],
            [Version(1), Version(2), Purge(3), Version(4), Version(5)],
            [Version(1), Purge(2), Version(3), Removal(4), Version(5)],
            [Version(1), Version(2), Removal(3), Version(4), Purge(5)],
        ] {
            let expected = after(&steps);
            orders(&mut steps.to_vec(), steps.len(), &mut |steps| {
                let manifest = after(steps);
                assert_eq!(numbers(&manifest), numbers(&expected), "{steps:?}");
                assert_eq!(manifest.last, 5);
            });
        }
    }

    #[test]
    fn a_removal_takes_what_was_written_no_later_and_it_does_not_come_back() {
        let mut manifest = after(&[Step::Version(9)]);
        let again = Removal {
            is_new: false,
            ..removal(5, 9)
        };
        assert_eq!(manifest.take_removal(removal(5, 8)), Adopted::Superseded);
        assert_eq!(manifest.take_removal(again), Adopted::Superseded);
        assert_eq!(manifest.take_removal(removal(5, 9)), Adopted::Stands);
        assert_eq!(numbers(&manifest), (None, vec![9]));
        assert_eq!(manifest.take(version(8)), Adopted::Superseded);
        assert_eq!(manifest.take(version(10)), Adopted::Stands);
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many_in_whatever_order_they_come() {
        let mut manifest = Manifest::new("f", NOW);
        let most = EARLIER_VERSIONS_MAX as u64;
        for number in (1..=most + 3).rev() {
            manifest.take(version(number));
        }
        let (standing, earlier) = numbers(&manifest);
        assert_eq!(standing, Some(most + 3));
        assert!(earlier.into_iter().eq((3..=most + 2).rev()));
        let trash: Vec<_> = manifest.trash.iter().map(Uuid::as_u128).collect();
        assert_eq!(trash, [2, 1]);
    }

    #[test]
    fn a_version_that_landed_gets_the_number_that_was_answered() {
        let made = |number: u64| Made {
            version: number,
            created_at: NOW,
            updated_at: NOW,
        };
        let begun = after(&[Step::Version(3), Step::Version(5), Step::Version(9)]);
        for (from, to, expected) in [
            (9, 10, (Some(10), vec![5, 3])),
            (9, 7, (Some(7), vec![5, 3])),
            (9, 4, (Some(5), vec![4, 3])),
            (5, 6, (Some(9), vec![6, 3])),
            (5, 12, (Some(12), vec![9, 3])),
            (9, 9, (Some(9), vec![5, 3])),
        ] {
            let mut manifest = begun.clone();
            let adopted = manifest.renumber(from, made(to)).unwrap();
            assert_eq!(adopted, manifest.standing_of(to), "{from} {to}");
            assert_eq!(numbers(&manifest), expected, "{from} {to}");
            assert!(manifest.trash.is_empty());
        }
        assert_eq!(begun.clone().renumber(4, made(10)), None, "there is none");
        assert_eq!(begun.clone().renumber(9, made(5)), None, "it is taken");
    }

    #[test]
    fn what_is_given_next_is_greater_than_all_that_was_heard_of() {
        let later = NOW.saturating_add(Duration::from_secs(60)).as_millis() << 10;
        let mut manifest = after(&[Step::Version(later), Step::Removal(later + 7)]);
        let draft = super::super::Draft {
            content: Uuid::from_u128(1),
            size: 1,
            content_type: "text/plain".to_owned(),
            sha256: "0".repeat(64),
            metadata: Vec::new(),
        };
        let made = manifest.stand(draft, NOW, &Versions::default());
        assert_eq!(made.version, later + 8);
    }
}
