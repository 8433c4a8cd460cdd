use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::routing::{Route, SendRefusal};
use super::*;
use crate::runtime::ThreadId;
use crate::{Instance, Result};

fn broker(inbox: u64) -> Broker {
    Broker::new("b", config(inbox).unwrap())
}

fn config(inbox: u64) -> Result<BrokerConfig> {
    BrokerOptions { inbox }.try_into()
}

fn join(broker: &Broker, thread: u32) -> Arc<Peer> {
    joined(broker, thread, None).unwrap()
}

fn joined(broker: &Broker, thread: u32, id: Option<&str>) -> Result<Arc<Peer>> {
    broker
        .join(JoinRequest {
            id: id.map(str::to_owned),
            thread: ThreadId(u64::from(thread)),
            thread_id: thread,
            metadata: Box::default(),
            wake: Box::new(|| {}),
        })
        .map(|(peer, _)| {
            broker.announce(&peer);
            peer
        })
}

fn request() -> Batch {
    Batch::new(Box::new([[0.0; HEADER_LENGTH]]), Body::Bytes(Vec::new()), 1, 1)
}

fn message(text: &str) -> Batch {
    Batch::new(Box::new([[0.0; HEADER_LENGTH]]), Body::Bytes(text.as_bytes().to_vec()), 1, 0)
}

/// What a peer takes from its inbox, as text.
fn read(broker: &Broker, peer: &Peer) -> Vec<String> {
    let mut items = Vec::new();
    peer.take(&mut items, false);
    let texts = items.iter().map(|item| match item {
        InboxItem::Event(BrokerEvent::PeerJoined(info)) => format!("joined {}", info.id),
        InboxItem::Event(BrokerEvent::PeerLeft(number)) => format!("left {number}"),
        InboxItem::Event(BrokerEvent::Drained(number)) => format!("drained {number}"),
        InboxItem::Event(BrokerEvent::LeaveRequested) => "leave requested".to_owned(),
        InboxItem::Event(BrokerEvent::Destroyed) => "destroyed".to_owned(),
        InboxItem::Messages(batch) => {
            broker.messages_taken(peer, batch.messages());
            match &batch.body {
                Body::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                Body::Json { .. } | Body::Text { .. } => unreachable!("not sent here"),
            }
        }
    });
    texts.collect()
}

#[test]
fn ids_are_unique_and_made_of_the_threads_unless_given() {
    let broker = broker(10);
    let ids: Vec<_> = [join(&broker, 1), join(&broker, 1), joined(&broker, 2, Some("api")).unwrap()]
        .iter()
        .map(|peer| peer.info().id.to_string())
        .collect();
    assert_eq!(ids, ["thread-1", "thread-1-2", "api"]);
    let error = joined(&broker, 3, Some("api")).unwrap_err();
    assert_eq!(error.code(), "DUPLICATE_ID");
    assert_eq!(broker.stats().peers, 3);
}

#[test]
fn routes_to_the_least_loaded_peer_and_equals_take_turns() {
    let broker = broker(100);
    let caller = join(&broker, 1);
    let servers = [join(&broker, 2), join(&broker, 3)];
    let endpoint = servers.each_ref().map(|server| broker.serve(server, "echo").unwrap())[0];
    for _ in 0..10 {
        broker.route(&caller, endpoint).unwrap();
    }
    assert_eq!(servers.each_ref().map(|server| server.load()), [5, 5]);
    broker.requests_answered(&servers[1], 3);
    for _ in 0..3 {
        assert_eq!(broker.route(&caller, endpoint).unwrap().receiver, servers[1].info().number);
    }
}

#[test]
fn a_full_peer_refuses_and_notifies_once_it_is_half_free() {
    let broker = broker(4);
    let (caller, server) = (join(&broker, 1), join(&broker, 2));
    let endpoint = broker.serve(&server, "echo").unwrap();
    for _ in 0..4 {
        let Route { receiver, .. } = broker.route(&caller, endpoint).unwrap();
        assert!(broker.deliver(&caller, receiver, request()).is_some());
    }
    assert_eq!(broker.route(&caller, endpoint), Err(SendRefusal::Full));
    read(&broker, &caller);
    read(&broker, &server);
    assert_eq!(
        broker.stats(),
        BrokerStats {
            peers: 2,
            endpoints: 1,
            waiting: 0,
            in_flight: 4,
            undecodable: 0,
            calls: 4,
            refused: 1
        }
    );
    broker.requests_answered(&server, 1);
    assert_eq!(read(&broker, &caller), [""; 0]);
    broker.requests_answered(&server, 1);
    assert_eq!(read(&broker, &caller), ["drained 2"]);
    broker.requests_answered(&server, 2);
    assert_eq!((read(&broker, &caller), broker.stats().in_flight), (Vec::new(), 0));
}

#[test]
fn a_reset_begins_the_counts_anew() {
    let broker = broker(1);
    let (caller, server) = (join(&broker, 1), join(&broker, 2));
    let endpoint = broker.serve(&server, "echo").unwrap();
    let Route { receiver, .. } = broker.route(&caller, endpoint).unwrap();
    assert_eq!(broker.route(&caller, endpoint), Err(SendRefusal::Full));
    assert_eq!(broker.route(&caller, endpoint + 1), Err(SendRefusal::NoEndpoint));
    broker.add_round_trip(receiver, 1_000);
    broker.add_round_trip(receiver + 1, 500);
    let sums = || {
        let sum = |histogram: &LatencyHistogram| histogram.counts().map(|counts| counts.sum);
        (sum(broker.round_trips()), sum(&server.round_trips))
    };
    // A peer that has left has answered as well.
    assert_eq!(sums(), (Some(1_500), Some(1_000)));
    assert_eq!((broker.stats().calls, broker.stats().refused), (1, 2));
    broker.reset();
    assert_eq!((broker.stats().calls, broker.stats().refused, sums()), (0, 0, (Some(0), Some(0))));
    broker.route(&caller, endpoint + 1).unwrap_err();
    assert_eq!((broker.stats().calls, broker.stats().refused), (0, 1));
}

#[test]
fn a_thread_that_ends_releases_its_reservations() {
    let broker = broker(4);
    let (caller, server, other) = (join(&broker, 1), join(&broker, 2), join(&broker, 3));
    let endpoint = broker.serve(&server, "echo").unwrap();
    broker.route(&caller, endpoint).unwrap();
    broker.reserve_message(&caller, other.info().number).unwrap();
    assert_eq!(broker.reserve_for_all(&caller), Some(2));
    assert_eq!((broker.stats().waiting, broker.stats().in_flight), (4, 1));

    broker.thread_ended(ThreadId(1));
    assert_eq!((broker.stats().waiting, broker.stats().in_flight), (0, 0));
    assert_eq!(broker.deliver(&server, caller.info().number, message("late")), None);
    assert!(read(&broker, &server).contains(&"left 1".to_owned()));
}

#[test]
fn messages_of_a_peer_arrive_before_its_leave_event() {
    let broker = broker(4);
    let (sender, receiver) = (join(&broker, 1), join(&broker, 2));
    broker.reserve_message(&sender, 2).unwrap();
    assert_eq!(broker.deliver(&sender, 2, message("last words")), Some(0));
    broker.leave(&sender);
    broker.leave(&sender);
    assert_eq!(read(&broker, &receiver), ["last words", "left 1"]);
}

/// Joins and is not announced yet.
fn silent(broker: &Broker, thread: u32) -> Arc<Peer> {
    let request = JoinRequest {
        id: None,
        thread: ThreadId(u64::from(thread)),
        thread_id: thread,
        metadata: Box::default(),
        wake: Box::new(|| {}),
    };
    broker.join(request).unwrap().0
}

#[test]
fn a_peer_is_announced_before_a_sender_that_it_refused_reads_that_it_drained() {
    let broker = broker(2);
    let sender = join(&broker, 1);
    let receiver = silent(&broker, 2);
    for _ in 0..2 {
        broker.reserve_message(&sender, 2).unwrap();
        broker.deliver(&sender, 2, message("many"));
    }
    assert_eq!(broker.reserve_message(&sender, 2), Err(SendRefusal::Full));
    read(&broker, &receiver);
    broker.announce(&receiver);
    assert_eq!(read(&broker, &sender), ["joined thread-2", "drained 2"]);
}

#[test]
fn a_peer_is_announced_once_and_before_its_first_message() {
    let broker = broker(4);
    let others = [join(&broker, 1), join(&broker, 2)];
    others.iter().for_each(|other| drop(read(&broker, other)));
    let sender = silent(&broker, 3);
    assert_eq!(read(&broker, &others[0]), [""; 0]);
    broker.reserve_message(&sender, 1).unwrap();
    broker.deliver(&sender, 1, message("hello"));
    broker.announce(&sender);
    assert_eq!(read(&broker, &others[0]), ["joined thread-3", "hello"]);

    broker.leave(&silent(&broker, 4));
    assert_eq!(read(&broker, &others[1]), ["joined thread-3", "joined thread-4", "left 4"]);
    assert_eq!(read(&broker, &sender), ["joined thread-4", "left 4"]);
}

#[test]
fn a_batch_of_broadcasts_reaches_the_peers_of_the_first() {
    let broker = broker(4);
    let (sender, early) = (join(&broker, 1), join(&broker, 2));
    assert_eq!(broker.reserve_for_all(&sender), Some(1));
    assert_eq!(broker.reserve_for_all(&sender), Some(1));
    let late = join(&broker, 3);
    assert_eq!(broker.reserve_for_all(&sender), None);
    broker.deliver_to_all(&sender, message("news"));
    assert_eq!(read(&broker, &early), ["joined thread-3", "news"]);
    assert_eq!((read(&broker, &late).len(), broker.stats().waiting), (0, 0));
    assert_eq!(broker.reserve_for_all(&sender), Some(2));
    broker.deliver_to_all(&sender, message("more"));
    assert_eq!(read(&broker, &late), ["more"]);
}

#[test]
fn a_broadcast_skips_full_peers() {
    let broker = broker(1);
    let (sender, full, free) = (join(&broker, 1), join(&broker, 2), join(&broker, 3));
    broker.reserve_message(&sender, full.info().number).unwrap();
    assert_eq!(broker.reserve_for_all(&sender), None);
    assert_eq!((full.pending_messages(), free.pending_messages()), (1, 0));
    assert_eq!(broker.broadcast(&sender, message("news")), 1);
    assert_eq!(read(&broker, &free), ["news"]);
}

#[test]
fn a_leaving_peer_gets_no_new_request_and_finishes_those_with_capacity() {
    let broker = broker(10);
    let (caller, server) = (join(&broker, 1), join(&broker, 2));
    let endpoint = broker.serve(&server, "echo").unwrap();
    let Route { receiver, .. } = broker.route(&caller, endpoint).unwrap();
    broker.start_leaving(&server);
    assert_eq!(broker.route(&caller, endpoint), Err(SendRefusal::NoEndpoint));
    assert_eq!(broker.route_to(&caller, receiver), Err(SendRefusal::Gone));
    assert!(!server.has_finished());

    assert!(broker.deliver(&caller, receiver, request()).is_some());
    read(&broker, &server);
    assert!(!server.has_finished());
    broker.requests_answered(&server, 1);
    assert!(server.has_finished());
}

#[test]
fn concurrent_callers_never_exceed_the_bound_and_release_everything() {
    let broker = Arc::new(broker(16));
    let server = join(&broker, 100);
    let endpoint = broker.serve(&server, "echo").unwrap();
    let (most, routed) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU64::new(0)));
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let (broker, server) = (Arc::clone(&broker), Arc::clone(&server));
            let (most, routed) = (Arc::clone(&most), Arc::clone(&routed));
            std::thread::spawn(move || {
                let caller = join(&broker, thread);
                let mut items = Vec::new();
                for _ in 0..2_000 {
                    if let Ok(Route { receiver, .. }) = broker.route(&caller, endpoint) {
                        routed.fetch_add(1, Ordering::Relaxed);
                        most.fetch_max(server.load(), Ordering::Relaxed);
                        broker.deliver(&caller, receiver, request());
                    }
                    answer_all(&broker, &server, &mut items);
                }
                broker.leave(&caller);
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    answer_all(&broker, &server, &mut Vec::new());
    assert!((1..=16).contains(&most.load(Ordering::Relaxed)));
    let calls = routed.load(Ordering::Relaxed);
    let refused = 4 * 2_000 - calls;
    assert_eq!(
        broker.stats(),
        BrokerStats { peers: 1, endpoints: 1, waiting: 0, in_flight: 0, undecodable: 0, calls, refused }
    );
}

fn answer_all(broker: &Broker, server: &Peer, items: &mut Vec<InboxItem>) {
    server.take(items, true);
    for item in items.drain(..) {
        if let InboxItem::Messages(batch) = item {
            broker.messages_taken(server, batch.messages());
            broker.requests_answered(server, 1);
        }
    }
}

/// A broadcast that meets a full peer releases what it reserved at the others. A sender refused in between is notified.
#[test]
fn a_sender_refused_during_a_failed_broadcast_is_notified() {
    let broker = broker(1);
    let [caller, sender, free, full] = [1, 2, 3, 4].map(|thread| join(&broker, thread));
    let number = free.info().number;
    broker.reserve_message(&sender, full.info().number).unwrap();
    for _ in 0..100 {
        let is_over = AtomicU32::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while is_over.load(Ordering::Relaxed) == 0 {
                    assert_eq!(broker.reserve_for_all(&caller), None);
                }
            });
            while broker.reserve_message(&sender, number).is_ok() {
                broker.deliver(&sender, number, message("m"));
                read(&broker, &free);
            }
            is_over.store(1, Ordering::Relaxed);
        });
        assert!(read(&broker, &sender).contains(&format!("drained {number}")));
    }
}

#[test]
fn releases_the_capacity_that_a_sender_did_not_use_and_no_other() {
    let broker = broker(2);
    let [sender, receiver, waiting] = [1, 2, 3].map(|thread| join(&broker, thread));
    let number = receiver.info().number;
    broker.reserve_message(&sender, number).unwrap();
    broker.deliver(&sender, number, message("m"));
    broker.route_to(&sender, number).unwrap();
    assert_eq!(broker.reserve_message(&waiting, number), Err(SendRefusal::Full));
    broker.reserve_for_all(&sender);

    broker.release_unused(&sender);
    broker.release_unused(&sender);
    assert_eq!((receiver.pending_messages(), receiver.load(), waiting.pending_messages()), (1, 0, 0));
    assert!(read(&broker, &waiting).contains(&format!("drained {number}")));

    broker.count_undecodable();
    assert_eq!(broker.stats().undecodable, 1);
}

#[test]
fn an_inbox_holds_at_least_one_message_and_at_most_what_31_bits_count() {
    for inbox in [0, 1 << 31] {
        let error = config(inbox).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("Broker inbox is {inbox}; accepted: an integer from 1 to 2147483647")
        );
    }
    assert_eq!(broker((1 << 31) - 1).inbox(), (1 << 31) - 1);
}
