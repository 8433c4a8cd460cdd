//! `Reputation`: what subscribers hear of bans, and that each ban ends by one event.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use sluice_core::runtime::clock::MS;
use sluice_core::runtime::mailbox::{EventSink, SubscriptionId};
use sluice_core::{BanChange, BanEvent, Reputation, ReputationOptions, ThreadId};

const SECOND: u64 = 1_000 * MS;

/// Keeps what a thread hears.
#[derive(Debug)]
struct Heard {
    thread: ThreadId,
    events: Mutex<Vec<Arc<BanEvent>>>,
}

impl EventSink<Arc<BanEvent>> for Heard {
    fn thread(&self) -> ThreadId {
        self.thread
    }

    fn push(&self, _: SubscriptionId, event: Arc<BanEvent>) -> bool {
        self.events.lock().expect("no panic").push(event);
        true
    }

    fn destroyed(&self, _: SubscriptionId) {}
}

fn reputation() -> Reputation {
    let options = ReputationOptions::new(1, 60_000, 1_000, 1_000);
    Reputation::new("test", options.try_into().expect("valid"))
}

fn listen(reputation: &Reputation, thread: u64) -> Arc<Heard> {
    let heard = Arc::new(Heard { thread: ThreadId(thread), events: Mutex::default() });
    reputation.subscribe(Arc::clone(&heard) as _, 1, 0).expect("open");
    heard
}

fn texts(heard: &Heard) -> Vec<String> {
    let events = heard.events.lock().expect("no panic");
    let text = |event: &Arc<BanEvent>| format!("{:?} {}", event.change, event.ban.target());
    events.iter().map(text).collect()
}

#[test]
fn threads_that_race_to_report_what_has_ended_report_each_ban_once() {
    const BANS: usize = 2_000;
    let reputation = reputation();
    let heard: Vec<_> = (0..4).map(|thread| listen(&reputation, thread)).collect();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let reputation = &reputation;
            scope.spawn(move || {
                for n in 0..BANS {
                    let now = n as u64 * MS;
                    let client = format!("10.{thread}.{}.{}", n >> 8, n & 255);
                    reputation.ban(&client, Some(5 * MS), None, now).expect("open");
                    if n % 3 == 0 {
                        reputation.unban(&client, now).expect("open");
                    }
                    reputation.record_failure("10.9.9.9", 1, None, now).expect("open");
                    reputation.expire_bans(now);
                }
            });
        }
    });
    assert_eq!(reputation.expire_bans(3_600 * SECOND), None);
    let first = texts(&heard[0]);
    assert!(heard.iter().all(|heard| texts(heard) == first), "one order in every thread");
    let mut bans: HashMap<&str, (usize, usize)> = HashMap::new();
    for text in &first {
        let (change, client) = text.rsplit_once(' ').expect("a client");
        let (begun, ended) = bans.entry(client).or_default();
        match change.starts_with("Banned") {
            true => *begun += usize::from(!change.contains("true")),
            false => *ended += 1,
        }
        assert!(*ended <= *begun, "{client} ended before it began");
    }
    assert_eq!(bans.len(), 4 * BANS + 1);
    assert!(bans.values().all(|(begun, ended)| begun == ended));
}

#[test]
fn nothing_is_noted_while_nothing_listens() {
    let reputation = reputation();
    reputation.ban("192.0.2.1", Some(SECOND), None, 0).expect("open");
    assert_eq!(reputation.expire_bans(0), None);
    let heard = listen(&reputation, 1);
    assert_eq!(reputation.expire_bans(0), Some(SECOND));
    reputation.unsubscribe(ThreadId(1), 1);
    assert_eq!(reputation.expire_bans(2 * SECOND), None);
    assert_eq!(texts(&heard), [""; 0]);
}

#[test]
fn the_next_end_is_that_of_the_ban_that_ends_first() {
    let reputation = reputation();
    let heard = listen(&reputation, 1);
    reputation.ban("192.0.2.1", None, None, 0).expect("open");
    assert_eq!(reputation.expire_bans(0), None, "a permanent ban does not end");
    reputation.ban("192.0.2.0/24", Some(3 * SECOND), None, 0).expect("open");
    reputation.ban("192.0.2.2", Some(2 * SECOND), None, 0).expect("open");
    assert_eq!(reputation.expire_bans(0), Some(2 * SECOND));
    reputation.unban("192.0.2.2", SECOND).expect("open");
    assert_eq!(reputation.expire_bans(SECOND), Some(3 * SECOND));
    assert_eq!(reputation.expire_bans(3 * SECOND), None);
    let events = heard.events.lock().expect("no panic");
    let changes: Vec<_> = events.iter().map(|event| event.change).collect();
    let begun = BanChange::Banned { is_extended: false };
    assert_eq!(changes, [begun, begun, begun, BanChange::Unbanned, BanChange::Expired]);
}
