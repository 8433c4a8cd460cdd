//! `ClientHub` under random orders of events and under contention.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};

use sluice_core::runtime::key_hash::hash_str;
use sluice_core::{CallId, ClientHub, ClientHubStats, HubEvent, Joined, Retention, ThreadId};

use crate::support::client_hub::*;

/// One random run: a hub, its threads, and the state that each call must have.
struct Play {
    hub: ClientHub,
    threads: BTreeMap<u64, CallingThread>,
    /// Pending calls, by thread.
    waiting: BTreeMap<CallId, u64>,
    /// Calls that lead and have been notified of it, by thread.
    leading: BTreeMap<CallId, u64>,
    /// Calls that left before they were notified of their end.
    left: BTreeSet<CallId>,
    /// Leaders that run on for other calls only.
    detached: BTreeSet<CallId>,
    next_thread: u64,
}

impl Play {
    /// Takes the deliveries of a thread; each call must be notified of its end once.
    fn listen(&mut self, thread: u64) {
        for news in news(&self.threads[&thread]) {
            match news {
                HubEvent::Lead { call } => {
                    // Not pending any more if it left meanwhile.
                    if self.waiting.remove(&call).is_some() && self.hub.begin(key(), call, 0).expect("open") {
                        self.leading.insert(call, thread);
                    }
                }
                HubEvent::Made { calls, .. } | HubEvent::Failed { calls, .. } => {
                    for call in calls {
                        let waited = self.waiting.remove(&call) == Some(thread);
                        assert!(waited || self.left.remove(&call), "notified once, and only if pending");
                    }
                }
                HubEvent::Abandoned { call } => {
                    assert!(self.detached.contains(&call), "only a detached leader is abandoned");
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
                Joined::Stale(..) | Joined::Failed(_) => panic!("nothing is stale or remembered"),
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
        assert!(leaders.count() <= 1, "one leader at a time");
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
                self.hub.fail(key(), call, &failed("e", 0), 0).expect("open").map(|failed| failed.calls)
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

/// In any order of events there is one leader at a time, and each call is notified of its end once.
#[test]
fn every_call_ends_exactly_once_in_any_order_of_events() {
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
        assert_eq!((play.waiting.len(), in_flight(&play.hub)), (0, (0, 0)), "seed {seed}");
    }
}

/// Four threads make, read, invalidate and let values expire.
#[test]
fn bounds_hold_and_sums_are_exact_under_contention() {
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
            panic!("the value has expired")
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
fn exactly_one_of_eight_threads_leads_in_every_round() {
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
                                .any(|news| matches!(news, HubEvent::Made { calls, .. } if calls == &[call]))
                            {
                                std::thread::yield_now();
                            }
                        }
                        Joined::Fresh(_) => {}
                        Joined::Stale(..) | Joined::Failed(_) => panic!("nothing is stale or remembered"),
                    }
                }
            });
        }
    });
    let ClientHubStats { initialisations, waiting, initialising, .. } = stats(&hub);
    assert_eq!((led.into_inner(), initialisations, waiting, initialising), (500, 500, 0, 0));
}
