//! What a hub promises, read from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};

use sluice_core::deliveries::{Item, Mailbox};
use sluice_core::runtime::key_hash::{KeyHash, hash_str};
use sluice_core::{
    CallId, Caller, ClientHub, ClientHubOptions, ClientHubStats, Failed, HubNews, HubValue, Instance,
    Instances, Joined, Retention, ThreadId,
};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
const FOREVER: Retention = Retention { ttl: None, stale_for: 0, stale_if_error: 0, key_bytes: 0 };
/// Fresh for a second, stale for another.
const A_SECOND: Retention =
    Retention { ttl: Some(SECOND), stale_for: SECOND, stale_if_error: 0, key_bytes: 0 };

fn hub() -> ClientHub {
    bounded(None, None)
}

fn bounded(max_entries: Option<u64>, max_bytes: Option<u64>) -> ClientHub {
    ClientHub::new("test", ClientHubOptions { max_entries, max_bytes }.try_into().expect("valid"))
}

/// A thread that calls, and its mailbox.
struct CallingThread {
    caller: Caller,
    mailbox: Arc<Mailbox>,
}

impl Deref for CallingThread {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

fn caller(thread: u64) -> CallingThread {
    let mailbox = Arc::new(Mailbox::new(ThreadId(thread), Box::new(|| ())));
    let caller = Caller { mailbox: Arc::<Mailbox>::clone(&mailbox), subscription: 1 };
    CallingThread { caller, mailbox }
}

fn key() -> KeyHash {
    hash_str("key")
}

fn bytes(text: &str) -> Arc<[u8]> {
    text.as_bytes().into()
}

/// An error that is not remembered.
fn failed(why: &str) -> Failed {
    Failed { error: bytes(why), retry_after: 0, key_bytes: 0 }
}

fn time_out(hub: &ClientHub, call: CallId, now: u64) {
    hub.time_out(key(), call, &failed("too long"), now);
}

fn join(hub: &ClientHub, caller: &Caller, now: u64) -> Joined {
    hub.join(key(), caller.clone(), SECOND, now).expect("open")
}

fn lead(hub: &ClientHub, caller: &Caller, now: u64) -> CallId {
    match join(hub, caller, now) {
        Joined::Lead(call) => call,
        other => panic!("{other:?}"),
    }
}

fn wait(hub: &ClientHub, caller: &Caller, now: u64) -> CallId {
    match join(hub, caller, now) {
        Joined::Wait { call, .. } => call,
        other => panic!("{other:?}"),
    }
}

fn finish(hub: &ClientHub, call: CallId, text: &str, retention: Retention, now: u64) -> Option<Vec<CallId>> {
    let finished = hub.finish(key(), call, bytes(text), retention, now).expect("open");
    finished.map(|finished| finished.calls)
}

fn value(hub: &ClientHub, now: u64) -> Option<String> {
    let value = hub.value(key(), now).expect("open")?;
    Some(String::from_utf8(value.bytes.to_vec()).expect("text"))
}

fn news(caller: &CallingThread) -> Vec<HubNews> {
    let deliveries = caller.mailbox.take().into_iter();
    deliveries
        .map(|delivery| match delivery.item {
            Item::Hub(news) => news,
            other => panic!("{other:?}"),
        })
        .collect()
}

fn made(news: &[HubNews]) -> Vec<(Vec<CallId>, String)> {
    let told = news.iter().map(|news| match news {
        HubNews::Made { calls, value } => {
            (calls.clone(), String::from_utf8(value.bytes.to_vec()).expect("text"))
        }
        other => panic!("{other:?}"),
    });
    told.collect()
}

fn stats(hub: &ClientHub) -> ClientHubStats {
    hub.stats().expect("open")
}

fn now_in(hub: &ClientHub) -> (u64, u64) {
    let stats = stats(hub);
    (stats.waiting, stats.initialising)
}

#[test]
fn one_leads_the_others_wait_and_all_get_its_value() {
    let (hub, [a, b]) = (hub(), [1, 2].map(caller));
    let leader = lead(&hub, &a, 0);
    let waiting = [wait(&hub, &b, 0), wait(&hub, &b, 0)];
    let own = wait(&hub, &a, 0);
    assert_eq!(now_in(&hub), (3, 1));
    assert_eq!(finish(&hub, leader, "v", FOREVER, 0), Some(vec![own]), "its own thread's it tells itself");
    assert_eq!(made(&news(&b)), [(waiting.to_vec(), "v".to_owned())], "one piece of news for a thread");
    assert!(news(&a).is_empty());
    assert!(matches!(join(&hub, &b, 0), Joined::Fresh(_)));
    assert_eq!((value(&hub, 0), now_in(&hub)), (Some("v".into()), (0, 0)));
}

#[test]
fn a_failure_fails_all_who_waited_and_is_not_kept() {
    let (hub, [a, b]) = (hub(), [1, 2].map(caller));
    let leader = lead(&hub, &a, 0);
    let waiter = wait(&hub, &b, 0);
    assert!(hub.fail(key(), leader, &failed("why"), 0).expect("open").is_some());
    assert_eq!(news(&b), [HubNews::Failed { calls: vec![waiter], error: bytes("why") }]);
    assert!(hub.fail(key(), leader, &failed("why"), 0).expect("open").is_none(), "once");
    lead(&hub, &b, 0);
    assert_eq!(stats(&hub).failures, 1);
}

#[test]
fn whoever_waits_longest_takes_over_and_the_late_result_is_ignored() {
    let (hub, [a, b, c]) = (hub(), [1, 2, 3].map(caller));
    let first = lead(&hub, &a, 0);
    let [second, third] = [wait(&hub, &b, 0), wait(&hub, &c, 0)];
    time_out(&hub, first, SECOND);
    assert_eq!(news(&b), [HubNews::Lead { call: second }]);
    assert_eq!(finish(&hub, first, "late", FOREVER, SECOND), None);
    assert!(hub.begin(key(), second, SECOND).expect("open"));
    assert!(!hub.begin(key(), first, SECOND).expect("open"));
    assert_eq!(finish(&hub, second, "v", FOREVER, SECOND), Some(vec![]));
    assert_eq!(made(&news(&c)), [(vec![third], "v".to_owned())]);
    let ClientHubStats { timeouts, handovers, initialisations, .. } = stats(&hub);
    assert_eq!((timeouts, handovers, initialisations), (1, 1, 2));
}

#[test]
fn a_leader_that_stands_still_is_replaced_by_those_who_look() {
    let (hub, [a, b]) = (hub(), [1, 2].map(caller));
    let leader = lead(&hub, &a, 0);
    let waiter = wait(&hub, &b, 0);
    assert_eq!(hub.look(key(), waiter, SECOND - 1).expect("open"), Some(SECOND));
    assert!(news(&b).is_empty());
    assert_eq!(hub.look(key(), waiter, SECOND).expect("open"), Some(2 * SECOND));
    assert_eq!(news(&b), [HubNews::Lead { call: waiter }]);
    assert_eq!(news(&a), [HubNews::Replaced { call: leader }]);
    assert_eq!(hub.look(key(), waiter, SECOND).expect("open"), None, "it waits no more");
    time_out(&hub, leader, SECOND);
    assert_eq!(stats(&hub).timeouts, 1, "of one initialiser");
}

#[test]
fn a_thread_that_ends_hands_over_and_waits_no_more() {
    let (hub, [a, b, c]) = (hub(), [1, 2, 3].map(caller));
    lead(&hub, &a, 0);
    wait(&hub, &a, 0);
    wait(&hub, &b, 0);
    let third = wait(&hub, &c, 0);
    hub.thread_ended(ThreadId(2), 0);
    assert_eq!(now_in(&hub), (2, 1));
    hub.thread_ended(ThreadId(1), 0);
    assert_eq!(news(&c), [HubNews::Lead { call: third }]);
    hub.thread_ended(ThreadId(3), 0);
    assert_eq!((now_in(&hub), stats(&hub).handovers), ((0, 0), 1));
}

#[test]
fn who_leaves_is_told_nothing_and_who_was_to_lead_hands_over() {
    let (hub, [a, b, c]) = (hub(), [1, 2, 3].map(caller));
    let first = lead(&hub, &a, 0);
    let second = wait(&hub, &b, 0);
    let third = wait(&hub, &c, 0);
    time_out(&hub, first, SECOND);
    hub.leave(key(), second, SECOND);
    assert_eq!(news(&c), [HubNews::Lead { call: third }]);
    hub.leave(key(), third, SECOND);
    assert_eq!(now_in(&hub), (0, 0));
}

#[test]
fn a_leader_nobody_awaits_goes_on_only_for_others() {
    let (hub, [a, b]) = (hub(), [1, 2].map(caller));
    let leader = lead(&hub, &a, 0);
    let waiter = wait(&hub, &b, 0);
    assert!(hub.detach(key(), leader, 0));
    assert_eq!(finish(&hub, leader, "v", FOREVER, 0), Some(vec![]));
    assert_eq!(made(&news(&b)), [(vec![waiter], "v".to_owned())]);

    hub.invalidate(key()).expect("open");
    let leader = lead(&hub, &a, 0);
    assert!(!hub.detach(key(), leader, 0));
    assert_eq!(finish(&hub, leader, "v", FOREVER, 0), None);
    assert_eq!((value(&hub, 0), now_in(&hub)), (None, (0, 0)));
}

#[test]
fn a_leader_that_went_on_for_others_is_told_when_the_last_of_them_leaves() {
    let (hub, [a, b, c]) = (hub(), [1, 2, 3].map(caller));
    let leader = lead(&hub, &a, 0);
    let [first, _second] = [wait(&hub, &b, 0), wait(&hub, &c, 0)];
    assert!(hub.detach(key(), leader, 0));
    hub.leave(key(), first, 0);
    assert!(news(&a).is_empty(), "another waits");
    hub.thread_ended(ThreadId(3), 0);
    assert_eq!(news(&a), [HubNews::Abandoned { call: leader }]);
    assert_eq!(finish(&hub, leader, "v", FOREVER, 0), None);
    assert_eq!((now_in(&hub), stats(&hub).handovers), ((0, 0), 0));
}

#[test]
fn who_came_after_an_invalidation_leads_in_place_of_a_leader_nobody_awaits() {
    let (hub, [a, b]) = (hub(), [1, 2].map(caller));
    let leader = lead(&hub, &a, 0);
    let waiter = wait(&hub, &b, 0);
    hub.invalidate(key()).expect("open");
    let late = wait(&hub, &b, 0);
    assert!(hub.detach(key(), leader, 0));
    hub.leave(key(), waiter, 0);
    assert_eq!(news(&a), [HubNews::Abandoned { call: leader }]);
    assert_eq!(news(&b), [HubNews::Lead { call: late }]);
}

#[test]
fn what_was_begun_before_an_invalidation_is_for_those_who_came_before_it() {
    let (hub, [a, b, c]) = (hub(), [1, 2, 3].map(caller));
    let leader = lead(&hub, &a, 0);
    let early = wait(&hub, &b, 0);
    assert!(hub.invalidate(key()).expect("open"));
    let [late, later] = [wait(&hub, &c, 0), wait(&hub, &b, 0)];
    assert_eq!(finish(&hub, leader, "old", FOREVER, 0), Some(vec![]));
    assert_eq!(made(&news(&b)), [(vec![early], "old".to_owned())]);
    assert_eq!((value(&hub, 0), news(&c)), (None, vec![HubNews::Lead { call: late }]));
    assert!(hub.begin(key(), late, 0).expect("open"));
    finish(&hub, late, "new", FOREVER, 0).expect("leads");
    assert_eq!(made(&news(&b)), [(vec![later], "new".to_owned())]);
    assert_eq!((value(&hub, 0), now_in(&hub)), (Some("new".into()), (0, 0)));
    assert!(hub.invalidate(key()).expect("open"));
    assert!(!hub.invalidate(key()).expect("open"), "nothing is there");
}

#[test]
fn a_run_that_begins_after_an_invalidation_is_for_all() {
    let (hub, [a, b, c]) = (hub(), [1, 2, 3].map(caller));
    let leader = lead(&hub, &a, 0);
    let early = wait(&hub, &b, 0);
    hub.invalidate(key()).expect("open");
    let late = wait(&hub, &c, 0);
    time_out(&hub, leader, SECOND);
    finish(&hub, early, "v", FOREVER, SECOND).expect("leads");
    assert_eq!(made(&news(&c)), [(vec![late], "v".to_owned())]);
    assert_eq!(value(&hub, SECOND), Some("v".into()));
}

#[test]
fn a_stale_value_is_answered_and_refreshed_by_one() {
    let (hub, [a, b]) = (hub(), [1, 2].map(caller));
    let leader = lead(&hub, &a, 0);
    finish(&hub, leader, "v", A_SECOND, 0);
    assert!(hub.read(key(), SECOND - 1).expect("open").is_some());
    assert_eq!(hub.read(key(), SECOND).expect("open"), None);
    let Joined::Stale(HubValue { version, .. }, Some(refresh)) = join(&hub, &a, SECOND) else {
        panic!("stale")
    };
    assert!(matches!(join(&hub, &b, SECOND), Joined::Stale(_, None)), "one refreshes");
    assert_eq!(hub.version(key(), SECOND), Some(version));

    assert!(hub.fail(key(), refresh, &failed("why"), SECOND).expect("open").is_some());
    let later = 2 * SECOND - 1;
    let Joined::Stale(_, Some(refresh)) = join(&hub, &b, later) else {
        panic!("it stays, and is refreshed anew")
    };
    finish(&hub, refresh, "w", A_SECOND, later).expect("leads");
    assert_eq!(value(&hub, later), Some("w".into()));
    assert!(hub.version(key(), later) > Some(version));

    lead(&hub, &a, 4 * SECOND);
    let ClientHubStats { hits, stale, expired, entries, .. } = stats(&hub);
    assert_eq!((hits, stale, expired, entries), (1, 3, 1, 0));
}

#[test]
fn who_comes_when_the_stale_time_is_over_waits_for_the_refresh() {
    let (hub, [a, b]) = (hub(), [1, 2].map(caller));
    let leader = lead(&hub, &a, 0);
    finish(&hub, leader, "v", A_SECOND, 0);
    let Joined::Stale(_, Some(refresh)) = join(&hub, &a, 2 * SECOND - 1) else { panic!("stale") };
    let waiter = wait(&hub, &b, 2 * SECOND);
    finish(&hub, refresh, "w", A_SECOND, 2 * SECOND).expect("leads");
    assert_eq!(made(&news(&b)), [(vec![waiter], "w".to_owned())]);
}

#[test]
fn what_was_not_read_longest_goes_first() {
    let (hub, a) = (bounded(Some(3), None), caller(1));
    let fill = |name: &str| {
        let Joined::Lead(call) = hub.join(hash_str(name), a.clone(), SECOND, 0).expect("open") else {
            panic!("{name} was there")
        };
        hub.finish(hash_str(name), call, bytes("v"), FOREVER, 0).expect("open").expect("leads");
    };
    let is_there = |name: &str| hub.version(hash_str(name), 0).is_some();
    ["a", "b", "c"].into_iter().for_each(fill);
    hub.read(hash_str("a"), 0).expect("open").expect("there");
    fill("d");
    assert_eq!(["a", "b", "c", "d"].map(is_there), [true, false, true, true]);
    let ClientHubStats { evictions, entries, bytes, .. } = stats(&hub);
    assert_eq!((evictions, entries, bytes), (1, 3, 3));
}

#[test]
fn bytes_are_bounded_too_and_what_alone_is_too_large_is_not_kept() {
    let (hub, a) = (bounded(None, Some(100)), caller(1));
    let fill = |name: &str, size: usize| {
        let Joined::Lead(call) = hub.join(hash_str(name), a.clone(), SECOND, 0).expect("open") else {
            panic!("{name} was there")
        };
        let retention = Retention { key_bytes: name.len() as u64, ..FOREVER };
        hub.finish(hash_str(name), call, bytes(&"v".repeat(size)), retention, 0)
            .expect("open")
            .expect("leads");
        stats(&hub).bytes
    };
    assert_eq!([fill("a", 49), fill("b", 49), fill("c", 59)], [50, 100, 60]);
    assert_eq!((fill("d", 100), stats(&hub).too_large), (60, 1));
    assert_eq!((fill("e", 99), stats(&hub).evictions), (100, 3));
}

#[test]
fn keys_that_come_and_go_leave_nothing_behind() {
    let (hub, a) = (bounded(Some(8), None), caller(1));
    for round in 0..20_000_u64 {
        let key = hash_str(&format!("{}", round % 100));
        if let Joined::Lead(call) = hub.join(key, a.clone(), SECOND, round).expect("open") {
            hub.finish(key, call, bytes("v"), FOREVER, round).expect("open").expect("leads");
            if round % 3 == 0 {
                hub.invalidate(key).expect("open");
            }
        }
        assert!(stats(&hub).entries <= 8);
    }
}

#[test]
fn destroying_tells_everybody_and_nobody_comes_after() {
    let (hub, [a, b]) = (hub(), [1, 2].map(caller));
    let leader = lead(&hub, &a, 0);
    let waiter = wait(&hub, &b, 0);
    hub.close();
    assert_eq!(news(&a), [HubNews::Closed { calls: vec![leader] }]);
    assert_eq!(news(&b), [HubNews::Closed { calls: vec![waiter] }]);
    assert_eq!(hub.join(key(), a.caller, SECOND, 0).expect_err("closed").code(), "CLOSED");
    assert_eq!(hub.read(key(), 0).expect_err("closed").code(), "CLOSED");
    assert_eq!(hub.version(key(), 0), None);
}

#[test]
fn only_options_that_are_given_are_compared() {
    let hubs = Instances::<ClientHub>::new();
    let open = |max_entries, max_bytes| {
        let options = ClientHubOptions { max_entries, max_bytes };
        hubs.open("hub", Some(options.try_into().expect("valid")))
    };
    let created = open(Some(5), None).expect("created");
    for (max_entries, max_bytes) in [(None, None), (Some(5), None)] {
        assert!(Arc::ptr_eq(&created, &open(max_entries, max_bytes).expect("attached")));
    }
    let mismatch = |result: sluice_core::Result<_>| result.expect_err("differs").to_string();
    assert!(mismatch(open(Some(6), None)).contains("maxEntries = 5; given: 6"));
    assert!(mismatch(open(None, Some(6))).contains("maxBytes = none; given: 6"));
}

/// What the threads of one random run do, and what each call has come to.
struct Play {
    hub: ClientHub,
    threads: BTreeMap<u64, CallingThread>,
    /// Calls that wait, by thread.
    waiting: BTreeMap<CallId, u64>,
    /// Calls that lead and know it, by thread.
    leading: BTreeMap<CallId, u64>,
    /// Calls that waited no more before they heard.
    left: BTreeSet<CallId>,
    /// Calls that lead for others only.
    detached: BTreeSet<CallId>,
    next_thread: u64,
}

impl Play {
    /// A thread hears of its calls; each of them only once of its end.
    fn listen(&mut self, thread: u64) {
        for news in news(&self.threads[&thread]) {
            match news {
                HubNews::Lead { call } => {
                    // Gone if it left meanwhile.
                    if self.waiting.remove(&call).is_some() && self.hub.begin(key(), call, 0).expect("open") {
                        self.leading.insert(call, thread);
                    }
                }
                HubNews::Made { calls, .. } | HubNews::Failed { calls, .. } => {
                    for call in calls {
                        let waited = self.waiting.remove(&call) == Some(thread);
                        assert!(waited || self.left.remove(&call), "told once, and only who waits");
                    }
                }
                HubNews::Abandoned { call } => {
                    assert!(self.detached.contains(&call), "only who leads for others is abandoned");
                    self.leading.remove(&call);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn step(&mut self, random: &mut fastrand::Rng) {
        let thread = *self.threads.keys().nth(random.usize(..self.threads.len())).expect("some");
        match random.u32(..13) {
            0..=4 => match join(&self.hub, &self.threads[&thread].clone(), 0) {
                Joined::Lead(call) => drop(self.leading.insert(call, thread)),
                Joined::Wait { call, .. } => drop(self.waiting.insert(call, thread)),
                Joined::Fresh(_) => drop(self.hub.invalidate(key())),
                Joined::Stale(..) | Joined::Failed(_) => panic!("nothing is stale, or remembered"),
            },
            5 => {
                let call = self.waiting.keys().nth(random.usize(..=self.waiting.len())).copied();
                if let Some(call) = call {
                    self.waiting.remove(&call);
                    self.left.insert(call);
                    self.hub.leave(key(), call, 0);
                }
            }
            6 => drop(self.hub.invalidate(key())),
            7 => self.end_thread(thread),
            8..=9 => self.listen(thread),
            12 => self.detach(random),
            outcome => self.end_run(outcome, random),
        }
        let leaders = self.leading.keys().filter(|call| self.hub.begin(key(), **call, 0).expect("open"));
        assert!(leaders.count() <= 1, "one leads at a time");
    }

    fn detach(&mut self, random: &mut fastrand::Rng) {
        let Some(call) = self.leading.keys().nth(random.usize(..=self.leading.len())).copied() else {
            return;
        };
        if self.hub.detach(key(), call, 0) {
            self.detached.insert(call);
        } else {
            self.leading.remove(&call);
        }
    }

    fn end_run(&mut self, outcome: u32, random: &mut fastrand::Rng) {
        let Some((call, thread)) = self.leading.iter().nth(random.usize(..=self.leading.len())) else {
            return;
        };
        let (call, thread) = (*call, *thread);
        self.leading.remove(&call);
        let own = match (outcome, random.bool()) {
            (10, _) => finish(&self.hub, call, "v", FOREVER, 0),
            (_, true) => {
                self.hub.fail(key(), call, &failed("e"), 0).expect("open").map(|failed| failed.calls)
            }
            _ => {
                time_out(&self.hub, call, 0);
                None
            }
        };
        for call in own.unwrap_or_default() {
            assert_eq!(self.waiting.remove(&call), Some(thread));
        }
    }

    fn end_thread(&mut self, thread: u64) {
        let ended = self.threads.remove(&thread).expect("some");
        ended.mailbox.close();
        self.hub.thread_ended(ThreadId(thread), 0);
        self.waiting.retain(|_, of| *of != thread);
        self.leading.retain(|_, of| *of != thread);
        self.threads.insert(self.next_thread, caller(self.next_thread));
        self.next_thread += 1;
    }
}

/// Whatever happens in whichever order: one leads at a time, each call is told of its end once, and when all runs have
/// ended nobody waits.
#[test]
fn no_call_is_forgotten_and_none_told_twice() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let threads = (1..=3).map(|thread| (thread, caller(thread))).collect();
        let mut play = Play {
            hub: hub(),
            threads,
            waiting: BTreeMap::new(),
            leading: BTreeMap::new(),
            left: BTreeSet::new(),
            detached: BTreeSet::new(),
            next_thread: 4,
        };
        for _ in 0..400 {
            play.step(&mut random);
        }
        for _ in 0..2_000 {
            let owners: BTreeSet<_> = play.threads.keys().copied().collect();
            owners.into_iter().for_each(|thread| play.listen(thread));
            play.end_run(10, &mut random);
        }
        assert_eq!((play.waiting.len(), now_in(&play.hub)), (0, (0, 0)), "seed {seed}");
    }
}

/// Values come, are read, invalidated and expire in four threads: there are never too many, and the sums are right.
#[test]
fn bounds_hold_whoever_keeps_values_at_once() {
    const KEYS: u64 = 300;
    let hub = bounded(Some(50), Some(2_000));
    let keys: Vec<_> = (0..KEYS).map(|n| hash_str(&format!("key {n}"))).collect();
    std::thread::scope(|scope| {
        for thread in 1..=4 {
            let (hub, keys) = (&hub, &keys);
            scope.spawn(move || {
                let (me, mut random) = (caller(thread), fastrand::Rng::with_seed(thread));
                for now in 0..5_000 {
                    let key = keys[random.usize(..keys.len())];
                    match hub.join(key, me.clone(), SECOND, now).expect("open") {
                        Joined::Lead(call) | Joined::Stale(_, Some(call)) => {
                            let retention =
                                Retention { ttl: Some(500), stale_for: 500, key_bytes: 7, ..FOREVER };
                            let made = bytes(&"v".repeat(random.usize(..100)));
                            hub.finish(key, call, made, retention, now).expect("open").expect("leads");
                        }
                        Joined::Fresh(_) if random.u32(..4) == 0 => drop(hub.invalidate(key)),
                        _ => {}
                    }
                    let ClientHubStats { entries, bytes, .. } = stats(hub);
                    assert!(entries <= 50 && bytes <= 2_000, "{entries} values of {bytes} bytes");
                }
            });
        }
    });
    let kept = keys.iter().filter(|key| hub.version(**key, 0).is_some()).count() as u64;
    assert_eq!(stats(&hub).entries, kept);
    // Whether a value expired above depends on how the threads took turns.
    let made_at = |now| {
        let Joined::Lead(call) = hub.join(keys[0], caller(1).caller, SECOND, now).expect("open") else {
            panic!("gone")
        };
        let retention = Retention { ttl: Some(500), stale_for: 500, key_bytes: 7, ..FOREVER };
        hub.finish(keys[0], call, bytes("v"), retention, now).expect("open").expect("leads");
    };
    made_at(10_000);
    made_at(12_000);
    for key in keys {
        hub.invalidate(key).expect("open");
    }
    let ClientHubStats { entries, bytes, evictions, expired, .. } = stats(&hub);
    assert_eq!((entries, bytes), (0, 0));
    assert!(evictions > 0 && expired > 0);
}

#[test]
fn of_eight_threads_let_go_at_once_one_leads_in_every_round() {
    let (hub, led, gate) = (Arc::new(hub()), AtomicU64::new(0), Barrier::new(8));
    std::thread::scope(|scope| {
        for thread in 1..=8 {
            let (hub, led, gate) = (&hub, &led, &gate);
            scope.spawn(move || {
                let me = caller(thread);
                for round in 0..500 {
                    let key = hash_str(&format!("round {round}"));
                    gate.wait();
                    match hub.join(key, me.clone(), SECOND, 0).expect("open") {
                        Joined::Lead(call) => {
                            led.fetch_add(1, Ordering::Relaxed);
                            hub.finish(key, call, bytes("v"), FOREVER, 0).expect("open").expect("leads");
                        }
                        Joined::Wait { call, .. } => {
                            while !news(&me)
                                .iter()
                                .any(|news| matches!(news, HubNews::Made { calls, .. } if calls == &[call]))
                            {
                                std::thread::yield_now();
                            }
                        }
                        Joined::Fresh(_) => {}
                        Joined::Stale(..) | Joined::Failed(_) => panic!("nothing is stale, or remembered"),
                    }
                }
            });
        }
    });
    let ClientHubStats { initialisations, waiting, initialising, .. } = stats(&hub);
    assert_eq!((led.into_inner(), initialisations, waiting, initialising), (500, 500, 0, 0));
}
