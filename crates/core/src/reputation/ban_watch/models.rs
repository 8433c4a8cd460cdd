//! Subscriptions, bans and their ends, all at once, under every interleaving.

use loom::thread;

use super::*;
use crate::runtime::mailbox::EventSink;

/// When the ban ends that models begin with.
const END: u64 = 10;

/// One client, whose ban changes under a lock, as in its history.
struct Bans {
    client: Mutex<Option<BanTerm>>,
    watch: BanWatch,
    heard: Arc<Heard>,
}

/// What subscribers were told, with the subscription.
#[derive(Debug, Default)]
struct Heard(Mutex<Vec<(SubscriptionId, BanChange)>>);

impl EventSink<Arc<BanEvent>> for Heard {
    fn thread(&self) -> ThreadId {
        ThreadId(1)
    }

    fn push(&self, subscription: SubscriptionId, event: Arc<BanEvent>) -> bool {
        self.0.lock().push((subscription, event.change));
        true
    }

    fn destroyed(&self, _: SubscriptionId) {}
}

const TARGET: Target = Target::Client(Client::from_bits(1));

impl Bans {
    fn new() -> Arc<Self> {
        let heard = Arc::default();
        Arc::new(Self { client: Mutex::new(None), watch: BanWatch::default(), heard })
    }

    fn ban(&self, until: u64, now: u64) {
        let term = BanTerm::by_hand(until, None);
        let mut client = self.client.lock();
        *client = Some(term.clone());
        self.watch.follow(TARGET, Some(&term), now);
    }

    fn lift(&self, now: u64) {
        let mut client = self.client.lock();
        *client = None;
        self.watch.follow(TARGET, None, now);
    }

    fn listen(&self, subscription: SubscriptionId) {
        let sink: Sink<Arc<BanEvent>> = Arc::<Heard>::clone(&self.heard);
        self.watch.subscribe(sink, subscription, || {
            if let Some(term) = &*self.client.lock() {
                self.watch.note(TARGET, term);
            }
        });
    }

    /// What a subscription has heard, in order.
    fn heard(&self, subscription: SubscriptionId) -> Vec<BanChange> {
        let heard = self.heard.0.lock();
        heard.iter().filter(|(of, _)| *of == subscription).map(|(_, change)| *change).collect()
    }
}

const BANNED: BanChange = BanChange::Banned { is_extended: false };

/// Runs both calls at once, each in a thread of its own.
fn at_once(bans: &Arc<Bans>, calls: [fn(&Bans); 2]) {
    let spawn = |call: fn(&Bans)| {
        let bans = Arc::clone(bans);
        thread::spawn(move || call(&bans))
    };
    for thread in calls.map(spawn) {
        thread.join().expect("no panic");
    }
}

#[test]
fn a_ban_next_to_the_first_subscription_ends_by_one_event() {
    loom::model(|| {
        let bans = Bans::new();
        at_once(&bans, [|bans| bans.ban(END, 1), |bans| bans.listen(1)]);
        assert_eq!(bans.watch.expire(END), None);
        let heard = bans.heard(1);
        assert!(heard == [BanChange::Expired] || heard == [BANNED, BanChange::Expired], "{heard:?}");
    });
}

#[test]
fn a_ban_next_to_the_end_of_another_is_heard_after_it() {
    loom::model(|| {
        let bans = Bans::new();
        bans.listen(1);
        bans.ban(END, 1);
        let end: fn(&Bans) = |bans| {
            bans.watch.expire(END);
        };
        at_once(&bans, [end, |bans| bans.ban(2 * END, END)]);
        assert_eq!(bans.heard(1), [BANNED, BanChange::Expired, BANNED]);
        assert_eq!(bans.watch.expire(2 * END), None);
        assert_eq!(bans.heard(1).last(), Some(&BanChange::Expired));
    });
}

/// The thread that lifts the ban knows an earlier time than the one that sees it end.
#[test]
fn a_ban_that_is_lifted_next_to_its_end_ends_by_one_event() {
    loom::model(|| {
        let bans = Bans::new();
        bans.listen(1);
        bans.ban(END, 1);
        let end: fn(&Bans) = |bans| {
            bans.watch.expire(END);
        };
        at_once(&bans, [end, |bans| bans.lift(END - 1)]);
        let heard = bans.heard(1);
        assert_eq!(heard.len(), 2, "{heard:?}");
        assert!([BanChange::Expired, BanChange::Unbanned].contains(&heard[1]), "{heard:?}");
    });
}

/// The ban is replaced by a longer one, in time or after its end.
#[test]
fn a_ban_that_is_extended_next_to_its_end_ends_once() {
    loom::model(|| {
        let bans = Bans::new();
        bans.listen(1);
        bans.ban(END, 1);
        let end: fn(&Bans) = |bans| {
            bans.watch.expire(END);
        };
        at_once(&bans, [end, |bans| bans.ban(2 * END, END - 1)]);
        assert_eq!(bans.watch.expire(2 * END), None);
        let in_time = [BANNED, BanChange::Banned { is_extended: true }, BanChange::Expired];
        let after = [BANNED, BanChange::Expired, BANNED, BanChange::Expired];
        let heard = bans.heard(1);
        assert!(heard == in_time || heard == after, "{heard:?}");
    });
}

#[test]
fn a_subscription_next_to_the_end_of_the_last_one_hears_of_bans() {
    loom::model(|| {
        let bans = Bans::new();
        bans.listen(1);
        at_once(&bans, [|bans| bans.watch.unsubscribe(ThreadId(1), 1), |bans| bans.listen(2)]);
        bans.ban(END, 1);
        assert_eq!(bans.heard(2), [BANNED]);
    });
}
