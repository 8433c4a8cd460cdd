//! `ConnectionTracker`: caps, quotas, ids, idle connections and contention.

use std::sync::{Arc, Barrier};

use sluice_core::deliveries::{Item, Mailbox};
use sluice_core::{
    Connection, ConnectionOptions, ConnectionTracker, ConnectionTrackerOptions, Opened, Quota, Refusal,
    ThreadId,
};

const SECOND: u64 = 1_000_000_000;
const ME: ThreadId = ThreadId(1);

fn tracker(options: ConnectionTrackerOptions) -> ConnectionTracker {
    ConnectionTracker::new("test", options.try_into().expect("valid"))
}

fn open_as(tracker: &ConnectionTracker, client: &str, options: ConnectionOptions<'_>, now: u64) -> Opened {
    tracker.open(Some(client), options, (now, now / 1_000_000)).expect("open")
}

fn open(tracker: &ConnectionTracker, client: &str, thread: ThreadId) -> Option<Arc<Connection>> {
    match open_as(tracker, client, ConnectionOptions::session(thread), 0) {
        Opened::Yes(connection) => Some(connection),
        Opened::No(_) => None,
    }
}

fn refusal(tracker: &ConnectionTracker, client: &str, now: u64) -> Option<Refusal> {
    match open_as(tracker, client, ConnectionOptions::session(ME), now) {
        Opened::Yes(_) => None,
        Opened::No(refusal) => Some(refusal),
    }
}

fn per_second(limit: u64) -> Option<Quota> {
    Some(Quota { limit, window_ms: 1_000, burst: None })
}

/// Planted bugs: with the compare-and-swap of the gauge replaced by load, compare, store this fails, as it does with the
/// client's count read before its lock is taken.
#[test]
fn eight_threads_never_exceed_max_nor_max_per_client() {
    for (max, max_per_client, most) in
        [(Some(1_000), None, 1_000), (None, Some(500), 500), (Some(300), Some(500), 300)]
    {
        let tracker = tracker(ConnectionTrackerOptions { max, max_per_client, ..Default::default() });
        let gate = Barrier::new(8);
        let opened: usize = std::thread::scope(|scope| {
            let call = |thread| {
                gate.wait();
                (0..2_000).filter(|_| open(&tracker, "203.0.113.7", ThreadId(thread)).is_some()).count()
            };
            let threads: Vec<_> = (0..8).map(|thread| scope.spawn(move || call(thread))).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        });
        assert_eq!((opened, tracker.count()), (most, most as u64));
        assert_eq!(tracker.count_for("::ffff:203.0.113.7"), Ok(most as u64));

        for thread in 0..8 {
            tracker.thread_ended(ThreadId(thread));
        }
        assert_eq!((tracker.count(), tracker.count_for("203.0.113.7")), (0, Ok(0)));
        let stats = tracker.stats().expect("open");
        assert_eq!((stats.opened, stats.closed), (most as u64, most as u64));
        assert_eq!(stats.refused_max + stats.refused_max_per_client, 16_000 - most as u64);
    }
}

#[test]
fn clients_are_counted_by_their_client_key() {
    let tracker = tracker(ConnectionTrackerOptions { max_per_client: Some(1), ..Default::default() });
    let connection = open(&tracker, "2001:db8:1:2::9", ME).expect("first");
    assert_eq!(connection.client.as_deref(), Some("2001:db8:1:2::"));
    assert_eq!(refusal(&tracker, "2001:db8:1:2::8", 0), Some(Refusal::MaxPerClient));
    assert!(open(&tracker, "2001:db8:1:3::8", ME).is_some());
    let options = ConnectionOptions::session(ME);
    assert_eq!(
        tracker.open(Some("not an address"), options, (0, 0)).expect_err("no address").code(),
        "INVALID_ADDRESS"
    );
}

#[test]
fn closing_twice_counts_once() {
    let tracker = tracker(ConnectionTrackerOptions { max: Some(1), ..Default::default() });
    let connection = open(&tracker, "203.0.113.7", ME).expect("first");
    assert_eq!(refusal(&tracker, "203.0.113.8", 0), Some(Refusal::Max));
    assert!(tracker.close(&connection) && !tracker.close(&connection));
    assert_eq!(tracker.count(), 0);
    assert!(!connection.is_open() && tracker.by_serial(connection.serial).is_none());
    assert!(open(&tracker, "203.0.113.8", ME).is_some());
}

#[test]
fn a_socket_without_an_address_counts_towards_max_only() {
    let tracker =
        tracker(ConnectionTrackerOptions { max: Some(2), max_per_client: Some(1), ..Default::default() });
    for _ in 0..2 {
        assert!(matches!(tracker.open(None, ConnectionOptions::session(ME), (0, 0)), Ok(Opened::Yes(_))));
    }
    assert!(matches!(
        tracker.open(None, ConnectionOptions::session(ME), (0, 0)),
        Ok(Opened::No(Refusal::Max))
    ));
}

#[test]
fn a_proxy_is_exempt_from_caps_per_client() {
    let tracker = tracker(ConnectionTrackerOptions { max_per_client: Some(1), ..Default::default() });
    for _ in 0..3 {
        let proxy = ConnectionOptions { check_client: false, ..ConnectionOptions::session(ME) };
        assert!(matches!(open_as(&tracker, "10.0.0.1", proxy, 0), Opened::Yes(_)));
    }
    assert_eq!((tracker.count(), tracker.count_for("10.0.0.1")), (3, Ok(0)));
    tracker.thread_ended(ME);
    assert_eq!(tracker.count(), 0);
}

fn proxied(tracker: &ConnectionTracker) -> Arc<Connection> {
    let options = ConnectionOptions { check_client: false, ..ConnectionOptions::session(ME) };
    match open_as(tracker, "10.0.0.1", options, 0) {
        Opened::Yes(connection) => connection,
        Opened::No(refusal) => panic!("refused: {refusal:?}"),
    }
}

#[test]
fn an_assigned_connection_counts_for_its_client() {
    let tracker =
        tracker(ConnectionTrackerOptions { max: Some(4), max_per_client: Some(2), ..Default::default() });
    let connections: Vec<_> = (0..4).map(|_| proxied(&tracker)).collect();
    let assign = |at: usize| tracker.assign(&connections[at], "::ffff:203.0.113.7", None, 0).expect("open");
    // The tracker is at `max`; assigning does not check it.
    assert_eq!((assign(0), assign(1)), (None, None));
    assert_eq!(assign(1), None, "it is assigned already");
    assert_eq!(assign(2), Some(Refusal::MaxPerClient));
    assert_eq!((tracker.count(), tracker.count_for("203.0.113.7")), (4, Ok(2)));
    assert_eq!(tracker.list(9, Some("203.0.113.7")).expect("open").len(), 2);
    assert_eq!(tracker.stats().expect("open").refused_max_per_client, 1);

    tracker.close(&connections[0]);
    assert_eq!((tracker.count(), tracker.count_for("203.0.113.7")), (3, Ok(1)));
    tracker.close(&connections[3]);
    assert_eq!(assign(3), None, "it is closed");
    assert_eq!((assign(2), tracker.count_for("203.0.113.7")), (None, Ok(2)));
    assert_eq!(
        tracker.assign(&connections[3], "not an address", None, 0).expect_err("no address").code(),
        "INVALID_ADDRESS"
    );
    tracker.thread_ended(ME);
    assert_eq!((tracker.count(), tracker.count_for("203.0.113.7")), (0, Ok(0)));
}

#[test]
fn assigning_charges_the_opens_of_the_client() {
    let tracker = tracker(ConnectionTrackerOptions { opens: per_second(1), ..Default::default() });
    let assign = || tracker.assign(&proxied(&tracker), "203.0.113.7", None, 0).expect("open");
    assert_eq!(assign(), None);
    assert_eq!(assign(), Some(Refusal::Opens { retry_after: SECOND }));
    assert_eq!(tracker.count_for("203.0.113.7"), Ok(1));
}

/// Planted bug: without the check of `is_open` under the lock in `Connection::assign`, a count leaks.
#[test]
fn assigning_and_closing_concurrently_leak_no_count() {
    let tracker = tracker(ConnectionTrackerOptions { max_per_client: Some(3), ..Default::default() });
    for _ in 0..2_000 {
        let connections: Vec<_> = (0..4).map(|_| proxied(&tracker)).collect();
        let start = Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                for connection in &connections {
                    tracker.assign(connection, "203.0.113.7", None, 0).expect("open");
                    assert!(tracker.count_for("203.0.113.7").expect("open") <= 3);
                }
            });
            start.wait();
            for connection in &connections {
                assert!(tracker.close(connection));
            }
        });
        assert_eq!((tracker.count(), tracker.count_for("203.0.113.7")), (0, Ok(0)));
    }
}

#[test]
fn ids_are_unique_while_open() {
    let tracker = tracker(ConnectionTrackerOptions::default());
    let with_id = || ConnectionOptions { id: Some("room-1"), ..ConnectionOptions::session(ME) };
    let Opened::Yes(connection) = open_as(&tracker, "203.0.113.7", with_id(), 0) else { panic!("refused") };
    let error = tracker.open(Some("203.0.113.8"), with_id(), (0, 0)).expect_err("in use");
    assert_eq!((error.code(), tracker.count()), ("DUPLICATE_ID", 1));
    assert_eq!(tracker.by_id("room-1").expect("open").expect("found").serial, connection.serial);
    tracker.close(&connection);
    assert!(tracker.by_id("room-1").expect("open").is_none());
    assert!(matches!(open_as(&tracker, "203.0.113.8", with_id(), 0), Opened::Yes(_)));
    // A generated id skips one that the caller has taken.
    let mine = ConnectionOptions { id: Some("c3"), ..ConnectionOptions::session(ME) };
    assert!(matches!(open_as(&tracker, "203.0.113.9", mine, 0), Opened::Yes(_)));
    for _ in 0..3 {
        assert!(open(&tracker, "203.0.113.9", ME).is_some());
    }
}

#[test]
fn opens_limits_how_often_a_client_connects() {
    let tracker =
        tracker(ConnectionTrackerOptions { opens: per_second(2), max: Some(3), ..Default::default() });
    for _ in 0..2 {
        tracker.close(&open(&tracker, "203.0.113.7", ME).expect("within the rate"));
    }
    assert_eq!(refusal(&tracker, "203.0.113.7", 0), Some(Refusal::Opens { retry_after: SECOND / 2 }));
    assert_eq!(refusal(&tracker, "203.0.113.7", SECOND / 2), None);
    // A refusal by `max` charges nothing.
    open(&tracker, "203.0.113.8", ME).expect("room");
    open(&tracker, "203.0.113.8", ME).expect("room");
    for _ in 0..5 {
        assert_eq!(refusal(&tracker, "203.0.113.9", 0), Some(Refusal::Max));
    }
    tracker.thread_ended(ME);
    assert!(open(&tracker, "203.0.113.9", ME).is_some() && open(&tracker, "203.0.113.9", ME).is_some());
}

#[test]
fn messages_and_bytes_are_charged_together_or_not_at_all() {
    let options =
        ConnectionTrackerOptions { messages: per_second(2), bytes: per_second(100), ..Default::default() };
    let tracker = tracker(options);
    let serial = open(&tracker, "203.0.113.7", ME).expect("open").serial;
    let message = |bytes| tracker.try_message(serial, bytes, 0).expect("open");
    assert!(!message(101), "more than the burst");
    assert!(message(100));
    assert!(!message(1), "no bytes left");
    assert!(message(0), "one message is left");
    assert!(!message(0));
    let stats = tracker.stats().expect("open");
    assert_eq!((stats.messages_allowed, stats.messages_refused), (2, 3));
    assert_eq!((stats.bytes_allowed, stats.bytes_refused), (100, 102));
    assert!(!tracker.try_message(9_999, 0, 0).expect("open"), "a closed connection sends nothing");
}

#[test]
fn idle_sessions_are_closed_at_once_and_idle_sockets_by_their_thread() {
    let tracker = tracker(ConnectionTrackerOptions { idle_timeout_ms: Some(1_000), ..Default::default() });
    let mailbox = Arc::new(Mailbox::new(ThreadId(2), Box::new(|| ())));
    let served = ConnectionOptions {
        socket: Some((Arc::<Mailbox>::clone(&mailbox), 5)),
        ..ConnectionOptions::session(ThreadId(2))
    };
    let Opened::Yes(socket) = open_as(&tracker, "203.0.113.7", served, 0) else { panic!("refused") };
    let session = open(&tracker, "203.0.113.7", ME).expect("open");
    let busy = open(&tracker, "203.0.113.7", ME).expect("open");
    busy.touch(SECOND / 2);

    assert_eq!(tracker.close_idle(None, SECOND), Ok(2));
    assert!(!session.is_open() && busy.is_open());
    assert!(socket.is_open(), "only its thread knows whether it is still idle");
    let asked = mailbox.take().remove(0);
    let expected = Item::CloseConnection { serial: socket.serial, if_idle_ms: Some(1_000) };
    assert_eq!((asked.subscription, asked.item), (5, expected));

    assert!(tracker.close(&socket), "a close from another thread");
    assert_eq!(mailbox.take().len(), 1, "also sends a command to its thread");
}

#[test]
fn drained_is_delivered_when_the_last_connection_closes() {
    let tracker = tracker(ConnectionTrackerOptions::default());
    let mailbox = Arc::new(Mailbox::new(ME, Box::new(|| ())));
    let (a, b) =
        (open(&tracker, "203.0.113.7", ME).expect("open"), open(&tracker, "203.0.113.7", ME).expect("open"));
    tracker.notify_drained(Arc::<Mailbox>::clone(&mailbox), 3);
    tracker.close(&a);
    assert_eq!(mailbox.take().len(), 0);
    tracker.close(&b);
    assert_eq!(mailbox.take().remove(0).item, Item::Drained);
}
