//! The checker catches every fault that is planted, and none where there is none.

use super::*;
use crate::words::Served;

/// Builds a history by hand: every operation takes from `at` to `at + 9`.
struct Story {
    events: Vec<Event>,
    next: u64,
}

fn thing(store: Store) -> Thing {
    Thing {
        tenant: "acme".to_owned(),
        store,
        key: "k".to_owned(),
    }
}

impl Story {
    fn new() -> Self {
        Self {
            events: Vec::new(),
            next: 0,
        }
    }

    /// An operation of client 1 from `from` to `to`.
    fn spans(mut self, store: Store, action: Action, from: u64, to: u64, outcome: Outcome) -> Self {
        self.next += 1;
        self.events.push(Event::Begin {
            op: self.next,
            at: from,
            client: 1,
            host: 0,
            thing: thing(store),
            action,
        });
        self.events.push(Event::End {
            op: self.next,
            at: to,
            began: from,
            outcome,
            served: Some(Served::default()),
        });
        self
    }

    fn op(self, store: Store, action: Action, outcome: Outcome) -> Self {
        let at = (self.next + 1) * 10;
        self.spans(store, action, at, at + 9, outcome)
    }

    fn write(self, store: Store, version: u64) -> Self {
        let value = value(self.next + 1);
        self.op(
            store,
            Action::Write {
                value,
                expected: None,
            },
            Outcome::Written(version),
        )
    }

    fn swap(self, expected: u64, outcome: Outcome) -> Self {
        let action = Action::Write {
            value: value(self.next + 1),
            expected: Some(expected),
        };
        self.op(Store::Memory, action, outcome)
    }

    fn delete(self) -> Self {
        let outcome = Outcome::Deleted { existed: true };
        self.op(Store::Memory, Action::Delete, outcome)
    }

    fn read(self, store: Store, found: Outcome) -> Self {
        self.op(store, Action::Read, found)
    }

    fn append(self) -> Self {
        let value = value(self.next + 1);
        self.op(
            Store::Sessions,
            Action::Append { value },
            Outcome::Written(1),
        )
    }

    fn last(self, store: Store, outcome: Outcome) -> Self {
        self.versions(store, outcome, Vec::new())
    }

    fn versions(mut self, store: Store, outcome: Outcome, versions: Vec<(u64, String)>) -> Self {
        self.events.push(Event::Final {
            thing: thing(store),
            outcome,
            versions,
            unreadable: Vec::new(),
        });
        self
    }

    /// The rules that are broken.
    fn broken(self) -> Vec<Rule> {
        let verdict = check(&self.events);
        verdict.violations.iter().map(|v| v.rule).collect()
    }
}

/// The value of operation `number`.
fn value(number: u64) -> String {
    Mark {
        tenant: "acme".to_owned(),
        client: 1,
        number,
    }
    .value(0)
}

fn found(number: u64, version: u64) -> Outcome {
    Outcome::Found {
        value: Some(value(number)),
        version: Some(version),
    }
}

const NOTHING: Outcome = Outcome::Found {
    value: None,
    version: None,
};

fn heard(numbers: &[u64]) -> Outcome {
    Outcome::Heard(numbers.iter().map(|number| value(*number)).collect())
}

#[test]
fn a_history_without_a_fault_is_clean() {
    let broken = Story::new()
        .write(Store::Memory, 5)
        .read(Store::Memory, found(1, 5))
        .swap(5, Outcome::Written(7))
        .swap(5, Outcome::Conflict)
        .delete()
        .read(Store::Memory, NOTHING)
        .write(Store::Memory, 9)
        .last(Store::Memory, found(7, 9))
        .broken();
    assert_eq!(broken, []);
    let broken = Story::new()
        .append()
        .append()
        .read(Store::Sessions, heard(&[1, 2]))
        .last(Store::Sessions, heard(&[1, 2]))
        .broken();
    assert_eq!(broken, []);
}

#[test]
fn a_lost_write_is_caught() {
    let lost = Story::new().write(Store::Memory, 5);
    assert_eq!(lost.last(Store::Memory, NOTHING).broken(), [Rule::Lost]);
    let old = Story::new()
        .write(Store::Memory, 5)
        .write(Store::Memory, 7)
        .last(Store::Memory, found(1, 5));
    assert_eq!(old.broken(), [Rule::Lost]);
    let append = Story::new().append().append();
    let append = append.last(Store::Sessions, heard(&[2]));
    assert_eq!(append.broken(), [Rule::Lost]);
}

#[test]
fn a_removal_that_is_undone_is_caught() {
    let story = Story::new().write(Store::Memory, 5).delete();
    assert_eq!(
        story.last(Store::Memory, found(1, 5)).broken(),
        [Rule::Lost]
    );
}

#[test]
fn what_nobody_looked_for_is_told() {
    assert_eq!(Story::new().append().broken(), [Rule::Unread]);
}

#[test]
fn a_doubled_append_is_caught() {
    let story = Story::new().append().append();
    let broken = story.last(Store::Sessions, heard(&[1, 2, 1])).broken();
    assert_eq!(broken, [Rule::Doubled]);
}

#[test]
fn appends_that_changed_places_are_caught() {
    let story = Story::new().append().append();
    let broken = story.last(Store::Sessions, heard(&[2, 1])).broken();
    assert_eq!(broken, [Rule::Order]);
}

#[test]
fn appends_that_overlapped_may_stand_in_any_order() {
    let append = |number| Action::Append {
        value: value(number),
    };
    let story = Story::new()
        .spans(Store::Sessions, append(1), 10, 30, Outcome::Written(1))
        .spans(Store::Sessions, append(2), 20, 40, Outcome::Written(1))
        .last(Store::Sessions, heard(&[2, 1]));
    assert_eq!(story.broken(), []);
}

#[test]
fn a_stale_read_is_caught_and_told_from_the_loss_of_ones_own_write() {
    let story = Story::new()
        .write(Store::Memory, 5)
        .write(Store::Memory, 7)
        .read(Store::Memory, found(1, 5))
        .last(Store::Memory, found(2, 7));
    let mut events = story.events.clone();
    assert_eq!(story.broken(), [Rule::OwnWrite]);
    for event in &mut events {
        if let Event::Begin { op: 3, client, .. } = event {
            *client = 2;
        }
    }
    let verdict = check(&events);
    assert_eq!(verdict.count(Rule::Stale), 1);
    assert_eq!(verdict.violations[0].ops, [3, 1, 2]);
}

#[test]
fn an_append_that_its_client_does_not_hear_is_caught() {
    let story = Story::new().append().read(Store::Sessions, heard(&[]));
    let broken = story.last(Store::Sessions, heard(&[1])).broken();
    assert_eq!(broken, [Rule::OwnWrite]);
}

#[test]
fn what_is_another_tenants_is_caught_wherever_it_shows() {
    let theirs = Mark {
        tenant: "globex".to_owned(),
        client: 1,
        number: 9,
    };
    let theirs = theirs.value(4);
    let read = Outcome::Found {
        value: Some(theirs.clone()),
        version: Some(1),
    };
    let broken = Story::new().read(Store::Records, read).broken();
    assert_eq!(broken, [Rule::Crossed]);
    let story = Story::new().read(Store::Sessions, Outcome::Heard(vec![theirs]));
    assert_eq!(story.broken(), [Rule::Crossed]);
}

#[test]
fn what_nobody_wrote_is_caught() {
    let story = Story::new().read(Store::Memory, found(99, 1));
    assert_eq!(story.broken(), [Rule::Phantom]);
    let refused = Story::new()
        .write(Store::Memory, 5)
        .write(Store::Memory, 6)
        .swap(5, Outcome::Conflict)
        .last(Store::Memory, found(3, 7));
    assert_eq!(refused.broken(), [Rule::Phantom]);
}

#[test]
fn versions_that_go_back_or_change_are_caught() {
    let back = Story::new().write(Store::Memory, 5).write(Store::Memory, 4);
    let broken = back.last(Store::Memory, found(1, 5)).broken();
    assert_eq!(broken, [Rule::Version]);
    let changed = Story::new().write(Store::Memory, 5);
    let broken = changed.last(Store::Memory, found(1, 6)).broken();
    assert_eq!(broken, [Rule::Version]);
}

#[test]
fn a_compare_and_set_that_replaced_something_else_is_caught() {
    let broken = Story::new()
        .write(Store::Memory, 5)
        .write(Store::Memory, 6)
        .swap(5, Outcome::Written(7))
        .last(Store::Memory, found(3, 7))
        .broken();
    assert_eq!(broken, [Rule::Cas]);
}

#[test]
fn a_compare_and_set_that_is_refused_for_nothing_is_caught() {
    let broken = Story::new()
        .write(Store::Memory, 5)
        .swap(5, Outcome::Conflict)
        .last(Store::Memory, found(1, 5))
        .broken();
    assert_eq!(broken, [Rule::FalseConflict]);
}

#[test]
fn a_file_that_stands_twice_or_has_lost_a_version_is_caught() {
    let story = || {
        let story = Story::new().write(Store::Files, 5);
        story.write(Store::Files, 7)
    };
    let last = |versions| {
        let story = story();
        let last = story.versions(Store::Files, found(2, 7), versions);
        last.broken()
    };
    let both = vec![(5, value(1)), (7, value(2))];
    assert_eq!(last(both.clone()), []);
    let twice = [both, vec![(6, value(1))]].concat();
    assert_eq!(last(twice), [Rule::Doubled]);
    assert_eq!(last(vec![(7, value(2))]), [Rule::Lost]);
}

#[test]
fn what_was_not_acknowledged_may_stand_or_not() {
    let unknown = || Outcome::Unknown("gone".to_owned());
    for last in [found(1, 5), found(2, 9)] {
        let story = Story::new().write(Store::Memory, 5);
        let action = Action::Write {
            value: value(2),
            expected: None,
        };
        let story = story.op(Store::Memory, action, unknown());
        // The client was told nothing, which is an error of its own.
        assert_eq!(story.last(Store::Memory, last).broken(), [Rule::Error]);
    }
}

fn trouble(op: u64, began: u64, at: u64, status: Option<u16>, why: &str) -> Event {
    Event::Trouble {
        op,
        began,
        at,
        status,
        why: why.to_owned(),
        detail: String::new(),
    }
}

#[test]
fn an_error_is_forgiven_only_while_the_host_is_down() {
    let down = |at| Event::Host {
        at,
        host: 0,
        up: false,
    };
    let up = |at| Event::Host {
        at,
        host: 0,
        up: true,
    };
    let history = [
        trouble(1, 1, 9, Some(503), "unavailable"),
        down(10),
        trouble(2, 5, 11, None, "reset"),
        trouble(3, 12, 13, None, "refused"),
        up(20),
        trouble(
            2,
            21,
            22,
            Some(409),
            "urn:stuga:problem:idempotency-in-progress",
        ),
        trouble(4, 21, 22, None, "reset"),
    ];
    let verdict = check(&history);
    let forbidden: Vec<_> = verdict.violations.iter().map(|v| v.ops[0]).collect();
    assert_eq!(forbidden, [1, 4]);
    assert_eq!(verdict.counted.retried, 3);
}

/// The same history, with operation `op` made through another host by another client.
fn elsewhere(mut events: Vec<Event>, moved: u64) -> Vec<Event> {
    for event in &mut events {
        if let Event::Begin {
            op, client, host, ..
        } = event
            && *op == moved
        {
            (*client, *host) = (2, 1);
        }
    }
    events
}

#[test]
fn what_another_host_wrote_may_show_later_and_is_still_not_lost() {
    let story = || {
        let story = Story::new().write(Store::Memory, 5).write(Store::Memory, 7);
        story.read(Store::Memory, found(1, 5))
    };
    let read = story().last(Store::Memory, found(2, 7));
    assert_eq!(check(&elsewhere(read.events, 2)).violations, []);
    let lost = story().last(Store::Memory, found(1, 5));
    let verdict = check(&elsewhere(lost.events, 2));
    assert_eq!(verdict.count(Rule::Lost), 1);
    assert_eq!(verdict.violations.len(), 1);
}

#[test]
fn another_host_may_see_a_write_under_the_version_that_it_landed_with() {
    let story = || {
        let story = Story::new().write(Store::Memory, 7);
        story.read(Store::Memory, found(1, 5))
    };
    let drained = story().last(Store::Memory, found(1, 7));
    assert_eq!(check(&elsewhere(drained.events, 2)).violations, []);
    let kept = story().last(Store::Memory, found(1, 5));
    assert_eq!(
        check(&elsewhere(kept.events, 2)).count(Rule::Version),
        1,
        "in the end it must be the version that was acknowledged"
    );
    let here = story().last(Store::Memory, found(1, 7));
    assert_eq!(here.broken(), [Rule::Version]);
}

#[test]
fn of_one_version_that_two_hosts_gave_apart_one_write_is_kept() {
    let story = || {
        let story = Story::new().write(Store::Files, 5).write(Store::Files, 5);
        story.versions(Store::Files, found(2, 5), vec![(5, value(2))])
    };
    assert_eq!(check(&elsewhere(story().events, 2)).violations, []);
    assert!(story().broken().contains(&Rule::Lost));
}

#[test]
fn another_host_that_is_down_forgives_nothing() {
    let events = Story::new()
        .append()
        .last(Store::Sessions, heard(&[1]))
        .events;
    let ends = [
        Event::Host {
            at: 1,
            host: 1,
            up: false,
        },
        trouble(1, 11, 12, Some(503), "unavailable"),
    ];
    let history = [events, ends.to_vec()].concat();
    assert_eq!(check(&history).count(Rule::Error), 1);
}

/// Clients of hosts 0 and 1 on one session. Operation 1 is an append through host 0, 2 an append through host 1, and 3 reads
/// through host 1, which answers 404 with these words.
fn looked_here(store: Store, second: Outcome, detail: &str) -> Vec<Event> {
    let unknown = Outcome::Unknown("not-found".to_owned());
    let append = Action::Append { value: value(2) };
    let mut events = Story::new()
        .append()
        .op(Store::Sessions, append, second)
        .op(store, Action::Read, unknown)
        .last(Store::Sessions, heard(&[1]))
        .events;
    let told = Event::Trouble {
        op: 3,
        began: 30,
        at: 38,
        status: Some(404),
        why: "not-found".to_owned(),
        detail: detail.to_owned(),
    };
    let last = events.len() - 2;
    events.insert(last, told);
    elsewhere(elsewhere(events, 2), 3)
}

const HERE: &str =
    "sessions.events: the actor has no session of that id, or it has expired; create it first";

#[test]
fn a_host_need_not_find_alone_a_session_into_which_only_others_wrote() {
    let history = looked_here(Store::Sessions, Outcome::Conflict, HERE);
    let verdict = check(&history);
    assert_eq!(verdict.violations, []);
    assert_eq!(verdict.counted.retried, 1);
}

#[test]
fn a_session_that_is_not_found_is_an_error_wherever_it_had_to_be_found() {
    let errors = |history: &[Event]| {
        let verdict = check(history);
        verdict.count(Rule::Error)
    };
    // The problem, and that the client gave up.
    let mine = looked_here(Store::Sessions, Outcome::Written(1), HERE);
    assert_eq!(errors(&mine), 2, "it was written through this host");
    let cloud = "sessions.events: the actor has no session of that id";
    let cloud = looked_here(Store::Sessions, Outcome::Conflict, cloud);
    assert_eq!(errors(&cloud), 2, "the cloud does not find it");
    let other = looked_here(Store::Memory, Outcome::Conflict, HERE);
    assert_eq!(errors(&other), 2, "it is no session");
    let mut alone = looked_here(Store::Sessions, Outcome::Conflict, HERE);
    for event in &mut alone {
        if let Event::Begin { host, .. } = event {
            *host = 0;
        }
    }
    assert_eq!(errors(&alone), 2, "there is one host");
    let mut later = looked_here(Store::Sessions, Outcome::Conflict, HERE);
    for event in &mut later {
        if let Event::Begin { op: 1, at, .. } = event {
            *at = 39;
        }
    }
    assert_eq!(errors(&later), 2, "nobody had written into it");
    let mut gave_up = looked_here(Store::Sessions, Outcome::Conflict, HERE);
    gave_up.retain(|event| !matches!(event, Event::Trouble { .. }));
    assert_eq!(errors(&gave_up), 1, "the client was not told why");
}

#[test]
fn a_write_that_may_have_landed_is_forgiven_when_it_has_a_condition() {
    let told = |op| Event::Trouble {
        op,
        began: 11,
        at: 12,
        status: Some(504),
        why: "timeout".to_owned(),
        detail: "this host refuses the write: it may have landed".to_owned(),
    };
    let story = Story::new()
        .write(Store::Memory, 5)
        .swap(5, Outcome::Written(7));
    let mut history = story.last(Store::Memory, found(2, 7)).events;
    history.push(told(2));
    assert_eq!(check(&history).violations, []);
    history.push(told(1));
    assert_eq!(check(&history).count(Rule::Error), 1);
}

#[test]
fn a_version_that_is_listed_and_cannot_be_read_is_lost() {
    let story = Story::new().write(Store::Files, 5);
    let mut history = story.last(Store::Files, found(1, 5)).events;
    if let Some(Event::Final { unreadable, .. }) = history.last_mut() {
        unreadable.push((5, "no content".to_owned()));
    }
    let verdict = check(&history);
    assert_eq!(verdict.violations.len(), 1);
    assert_eq!(
        (verdict.count(Rule::Lost), &verdict.violations[0].ops[..]),
        (1, &[1][..])
    );
}
