//! The rules that a run must have kept, judged from what clients saw and what the stores keep in the end.

use std::collections::{BTreeMap, HashMap, HashSet};

use stuga_core::WriteId;
use stuga_core::journal::EntryState;

use crate::history::{Operation, What};
use crate::store::{Place, id, is_thread};
use crate::world::{World, tenant};

pub(crate) fn check(world: &World, history: &[Operation]) {
    every_acknowledged_write_is_in_the_cloud_or_shown(world, history);
    no_write_is_made_twice(world);
    let mut places: BTreeMap<&Place, Vec<&Operation>> = BTreeMap::new();
    for operation in history {
        places.entry(&operation.place).or_default().push(operation);
    }
    for (place, operations) in places {
        the_later_version_stands(world, place, &operations);
        if is_thread(&place.2) && !world.plan.set_back {
            a_host_finds_what_was_written_through_it(world, &operations);
        }
        let hosts: HashSet<_> = operations
            .iter()
            .filter(|operation| !matches!(operation.what, What::Get(_)))
            .map(|operation| operation.host)
            .collect();
        // What two hosts write, clocks that are set back, and what the cloud refuses for good have weaker promises.
        if hosts.len() < 2 && !world.plan.set_back && !world.is_cursed(&place.2) {
            reads_follow_writes(world, &operations, &hosts);
            no_version_is_replaced_twice(world, &operations);
            versions_are_those_acknowledged(world, &operations);
            nothing_is_overtaken(world, place, &operations, &hosts);
        }
    }
}

fn every_acknowledged_write_is_in_the_cloud_or_shown(world: &World, history: &[Operation]) {
    let cloud = world.cloud.store.lock();
    for write in history.iter().filter(|o| !matches!(o.what, What::Get(_))) {
        if !write.is_acknowledged() || cloud.ids.contains_key(&id(write.number)) {
            continue;
        }
        let host = world.hosts[write.host].store.lock();
        let states = [EntryState::Parked, EntryState::Superseded];
        let tenant = &write.place.0;
        let shown = states
            .into_iter()
            .flat_map(|state| host.of(tenant, state))
            .any(|entry| entry.info.id == id(write.number));
        if !shown {
            world.broken(format!("an acknowledged write is lost: {write:?}"));
        }
    }
    if world.plan.curse.is_none() {
        for (number, host) in world.hosts.iter().enumerate() {
            let store = host.store.lock();
            let tenants = (0..world.plan.tenants).map(tenant);
            for tenant in tenants {
                for parked in store.of(&tenant, EntryState::Parked) {
                    world.broken(format!("host {number} parked {:?}", parked.info));
                }
            }
        }
    }
}

/// A write that was followed by another one never comes back.
fn no_write_is_made_twice(world: &World) {
    let cloud = world.cloud.store.lock();
    let mut latest: HashMap<&Place, WriteId> = HashMap::new();
    let mut gone: HashSet<(&Place, WriteId)> = HashSet::new();
    for (place, by) in &cloud.effects {
        if gone.contains(&(place, *by)) {
            world.broken(format!("{by} came back at {place:?}"));
        }
        if let Some(before) = latest.insert(place, *by)
            && before != *by
        {
            gone.insert((place, before));
        }
    }
}

/// By the rule for two hosts: the largest version stands. What landed unheard stands where it landed, and what was removed
/// from a cloud that forgets holds back no earlier write of another host.
fn the_later_version_stands(world: &World, place: &Place, operations: &[&Operation]) {
    let removes = |operation: &&Operation| matches!(operation.what, What::Delete);
    if world.plan.forgets && operations.iter().any(removes) {
        return;
    }
    let cloud = world.cloud.store.lock();
    let stands = cloud.rows.get(place).map_or(0, |row| row.stamp);
    for write in operations {
        if let What::Put {
            version: Some(version),
            ..
        } = write.what
            && version > stands
            && cloud.ids.get(&id(write.number)).is_some_and(|k| k.adopted)
        {
            world.broken(format!("{stands} stands over a later write: {write:?}"));
        }
    }
}

/// Whatever other hosts write: what was acknowledged through a host is found through it, or what is later, or was not yet
/// acknowledged when it was written. Nothing is removed there.
fn a_host_finds_what_was_written_through_it(world: &World, operations: &[&Operation]) {
    for write in operations {
        let What::Put {
            version: Some(version),
            ..
        } = write.what
        else {
            continue;
        };
        // An answer that says that the copy misses the write promises less.
        if write.degraded {
            continue;
        }
        let reads = operations.iter().filter(|read| read.host == write.host);
        for read in reads.filter(|read| write.is_before(read) && read.is_acknowledged()) {
            let What::Get(found) = read.what else {
                continue;
            };
            let is_stale = found.is_none_or(|(number, found)| {
                let writer = operations.iter().find(|o| o.number == number);
                found < version && writer.is_some_and(|writer| writer.is_before(write))
            });
            if is_stale {
                world.broken(format!(
                    "a host does not find what it took: {write:?} {read:?}"
                ));
            }
        }
    }
}

/// A read finds a write that is not followed by another acknowledged one before the read began: it never finds what was
/// overwritten, nor misses what was acknowledged. So each session reads its own writes.
fn reads_follow_writes(world: &World, operations: &[&Operation], hosts: &HashSet<usize>) {
    let writes: Vec<_> = operations
        .iter()
        .filter(|operation| !matches!(operation.what, What::Get(_)))
        .collect();
    let is_last = |candidate: Option<&Operation>, read: &Operation| {
        let follows = |write: &Operation| candidate.is_none_or(|first| first.is_before(write));
        !writes
            .iter()
            .any(|write| write.is_acknowledged() && follows(write) && write.is_before(read))
    };
    for read in operations {
        // Another host learns of writes only from the cloud.
        if !hosts.contains(&read.host) || !read.is_acknowledged() {
            continue;
        }
        let What::Get(found) = read.what else {
            continue;
        };
        let explained = match found {
            Some((number, _)) => writes
                .iter()
                .any(|write| write.number == number && is_last(Some(write), read)),
            None => {
                let deletes = writes.iter().filter(|w| matches!(w.what, What::Delete));
                is_last(None, read)
                    || deletes
                        .filter(|delete| delete.began < read.ended.unwrap_or(0))
                        .any(|delete| is_last(Some(delete), read))
            }
        };
        if !explained {
            let writes = writes.iter().map(|w| format!("\n    {w:?}"));
            let writes: String = writes.collect();
            world.broken(format!("a read found what it must not: {read:?}{writes}"));
        }
    }
}

/// What one host writes goes to the cloud in order: no entry meets a later write of the same host.
///
/// A write whose caller went away before it was acknowledged may land as late as it likes. Where it does, it is the later one.
fn nothing_is_overtaken(
    world: &World,
    place: &Place,
    operations: &[&Operation],
    hosts: &HashSet<usize>,
) {
    let left: Vec<_> = operations
        .iter()
        .filter(|o| o.interrupted && !matches!(o.what, What::Get(_)))
        .collect();
    for host in hosts {
        let store = world.hosts[*host].store.lock();
        let superseded = store.of(&place.0, EntryState::Superseded);
        for entry in superseded.filter(|entry| entry.info.key == place.2) {
            let wrote = operations.iter().find(|o| id(o.number) == entry.info.id);
            if !wrote.is_some_and(|wrote| left.iter().any(|left| left.began < wrote.began)) {
                world.broken(format!("an entry was overtaken: {:?}", entry.info));
            }
        }
    }
}

/// Of two compare-and-sets on one version at most one is acknowledged.
fn no_version_is_replaced_twice(world: &World, operations: &[&Operation]) {
    if operations.iter().any(|operation| operation.interrupted) {
        return;
    }
    let mut replaced = HashSet::new();
    for write in operations {
        if let What::Put {
            expected: Some(expected),
            version: Some(_),
        } = write.what
            && !replaced.insert(expected)
        {
            world.broken(format!("a version was replaced twice: {write:?}"));
        }
    }
}

/// What a read says of a write's version is what its writer was told.
fn versions_are_those_acknowledged(world: &World, operations: &[&Operation]) {
    let versions: HashMap<u64, u64> = operations
        .iter()
        .filter_map(|operation| match operation.what {
            What::Put { version, .. } => Some((operation.number, version?)),
            _ => None,
        })
        .collect();
    for read in operations {
        if let What::Get(Some((number, version))) = read.what
            && let Some(told) = versions.get(&number)
            && *told != version
        {
            let writer = operations.iter().find(|o| o.number == number);
            // A write that landed unheard shows the version at which it landed: until its writer is told, and on other hosts
            // until it is replayed.
            if writer.is_some_and(|writer| writer.host == read.host && writer.is_before(read)) {
                world.broken(format!(
                    "{told} was acknowledged, {version} is read: {read:?}"
                ));
            }
        }
    }
}
