use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

fn join(broker: &Broker, thread: u32) -> Arc<Peer> {
    joined(broker, thread, None).unwrap()
}

fn joined(broker: &Broker, thread: u32, id: Option<&str>) -> Result<Arc<Peer>> {
    broker
        .join(Joining {
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
    Batch::new(Box::new([[0.0; HEADER]]), Body::Bytes(Vec::new()), 1, 1)
}

fn message(text: &str) -> Batch {
    Batch::new(Box::new([[0.0; HEADER]]), Body::Bytes(text.as_bytes().to_vec()), 1, 0)
}

/// What a peer takes out, as text; it makes room for more.
fn read(broker: &Broker, peer: &Peer) -> Vec<String> {
    let mut room = Vec::new();
    peer.take(&mut room, false);
    let texts = room.iter().map(|parcel| match parcel {
        Parcel::News(News::Joined(info)) => format!("joined {}", info.id),
        Parcel::News(News::Left(number)) => format!("left {number}"),
        Parcel::News(News::Room(number)) => format!("room {number}"),
        Parcel::News(News::AskedToLeave) => "asked to leave".to_owned(),
        Parcel::News(News::Destroyed) => "destroyed".to_owned(),
        Parcel::Messages(batch) => {
            broker.taken_out(peer, batch.messages());
            match &batch.body {
                Body::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                Body::Json { .. } | Body::Text { .. } => unreachable!("not sent here"),
            }
        }
    });
    texts.collect()
}

#[test]
fn ids_are_those_of_threads_or_as_asked_for_and_never_twice() {
    let broker = Broker::new("b", 10);
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
fn the_least_loaded_answers_and_equals_take_turns() {
    let broker = Broker::new("b", 100);
    let caller = join(&broker, 1);
    let servers = [join(&broker, 2), join(&broker, 3)];
    let endpoint = servers.each_ref().map(|server| broker.serve(server, "echo").unwrap())[0];
    for _ in 0..10 {
        broker.route(&caller, endpoint).unwrap();
    }
    assert_eq!(servers.each_ref().map(|server| server.load()), [5, 5]);
    broker.answered(&servers[1], 3);
    for _ in 0..3 {
        assert_eq!(broker.route(&caller, endpoint).unwrap().receiver, servers[1].info().number);
    }
}

#[test]
fn a_peer_that_is_full_refuses_and_says_when_it_has_room() {
    let broker = Broker::new("b", 4);
    let (caller, server) = (join(&broker, 1), join(&broker, 2));
    let endpoint = broker.serve(&server, "echo").unwrap();
    for _ in 0..4 {
        let Reserved { receiver, .. } = broker.route(&caller, endpoint).unwrap();
        assert!(broker.deliver(&caller, receiver, request()).is_some());
    }
    assert_eq!(broker.route(&caller, endpoint), Err(Unreserved::Full));
    read(&broker, &caller);
    read(&broker, &server);
    assert_eq!(
        broker.stats(),
        BrokerStats { peers: 2, endpoints: 1, waiting: 0, in_flight: 4, undecodable: 0 }
    );
    broker.answered(&server, 1);
    assert_eq!(read(&broker, &caller), [""; 0]);
    broker.answered(&server, 1);
    assert_eq!(read(&broker, &caller), ["room 2"]);
    broker.answered(&server, 2);
    assert_eq!((read(&broker, &caller), broker.stats().in_flight), (Vec::new(), 0));
}

#[test]
fn a_thread_that_ends_gives_back_what_it_was_promised() {
    let broker = Broker::new("b", 4);
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
fn what_a_peer_sent_comes_before_the_news_of_its_end() {
    let broker = Broker::new("b", 4);
    let (sender, receiver) = (join(&broker, 1), join(&broker, 2));
    broker.reserve_message(&sender, 2).unwrap();
    assert_eq!(broker.deliver(&sender, 2, message("last words")), Some(0));
    broker.leave(&sender);
    broker.leave(&sender);
    assert_eq!(read(&broker, &receiver), ["last words", "left 1"]);
}

#[test]
fn a_peer_is_announced_once_and_before_what_it_sends() {
    let broker = Broker::new("b", 4);
    let others = [join(&broker, 1), join(&broker, 2)];
    others.iter().for_each(|other| drop(read(&broker, other)));
    let silent = |thread| {
        let joining = Joining {
            id: None,
            thread: ThreadId(thread),
            thread_id: thread as u32,
            metadata: Box::default(),
            wake: Box::new(|| {}),
        };
        broker.join(joining).unwrap().0
    };
    let sender = silent(3);
    assert_eq!(read(&broker, &others[0]), [""; 0]);
    broker.reserve_message(&sender, 1).unwrap();
    broker.deliver(&sender, 1, message("hello"));
    broker.announce(&sender);
    assert_eq!(read(&broker, &others[0]), ["joined thread-3", "hello"]);

    broker.leave(&silent(4));
    assert_eq!(read(&broker, &others[1]), ["joined thread-3", "joined thread-4", "left 4"]);
    assert_eq!(read(&broker, &sender), ["joined thread-4", "left 4"]);
}

#[test]
fn one_message_for_all_reaches_those_that_were_there_at_the_first() {
    let broker = Broker::new("b", 4);
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
fn a_message_for_all_passes_by_those_that_are_full() {
    let broker = Broker::new("b", 1);
    let (sender, full, free) = (join(&broker, 1), join(&broker, 2), join(&broker, 3));
    broker.reserve_message(&sender, full.info().number).unwrap();
    assert_eq!(broker.reserve_for_all(&sender), None);
    assert_eq!((full.waiting(), free.waiting()), (1, 0));
    assert_eq!(broker.broadcast(&sender, message("news")), 1);
    assert_eq!(read(&broker, &free), ["news"]);
}

#[test]
fn who_begins_to_leave_is_asked_nothing_new_and_finishes_what_was_promised() {
    let broker = Broker::new("b", 10);
    let (caller, server) = (join(&broker, 1), join(&broker, 2));
    let endpoint = broker.serve(&server, "echo").unwrap();
    let Reserved { receiver, .. } = broker.route(&caller, endpoint).unwrap();
    broker.begin_to_leave(&server);
    assert_eq!(broker.route(&caller, endpoint), Err(Unreserved::NoEndpoint));
    assert_eq!(broker.route_to(&caller, receiver), Err(Unreserved::Gone));
    assert!(!server.has_finished());

    assert!(broker.deliver(&caller, receiver, request()).is_some());
    read(&broker, &server);
    assert!(!server.has_finished());
    broker.answered(&server, 1);
    assert!(server.has_finished());
}

#[test]
fn threads_at_once_never_pass_the_bound_and_leave_nothing_behind() {
    let broker = Arc::new(Broker::new("b", 16));
    let server = join(&broker, 100);
    let endpoint = broker.serve(&server, "echo").unwrap();
    let most = Arc::new(AtomicU32::new(0));
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let (broker, server, most) = (Arc::clone(&broker), Arc::clone(&server), Arc::clone(&most));
            std::thread::spawn(move || {
                let caller = join(&broker, thread);
                let mut room = Vec::new();
                for _ in 0..2_000 {
                    if let Ok(Reserved { receiver, .. }) = broker.route(&caller, endpoint) {
                        most.fetch_max(server.load(), Ordering::Relaxed);
                        broker.deliver(&caller, receiver, request());
                    }
                    answer_all(&broker, &server, &mut room);
                }
                broker.leave(&caller);
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    answer_all(&broker, &server, &mut Vec::new());
    assert!((1..=16).contains(&most.load(Ordering::Relaxed)));
    assert_eq!(
        broker.stats(),
        BrokerStats { peers: 1, endpoints: 1, waiting: 0, in_flight: 0, undecodable: 0 }
    );
}

fn answer_all(broker: &Broker, server: &Peer, room: &mut Vec<Parcel>) {
    server.take(room, true);
    for parcel in room.drain(..) {
        if let Parcel::Messages(batch) = parcel {
            broker.taken_out(server, batch.messages());
            broker.answered(server, 1);
        }
    }
}

/// A broadcast takes a place at each peer and gives them back where one has none. Who was refused in between is told.
#[test]
fn who_is_refused_while_a_broadcast_tries_hears_of_room() {
    let broker = Broker::new("b", 1);
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
        assert!(read(&broker, &sender).contains(&format!("room {number}")));
    }
}

/// Places that were reserved for messages that failed before they were any are given back, and nothing else.
#[test]
fn gives_back_what_a_sender_will_not_use() {
    let broker = Broker::new("b", 2);
    let [sender, receiver, waiting] = [1, 2, 3].map(|thread| join(&broker, thread));
    let number = receiver.info().number;
    broker.reserve_message(&sender, number).unwrap();
    broker.deliver(&sender, number, message("m"));
    broker.route_to(&sender, number).unwrap();
    assert_eq!(broker.reserve_message(&waiting, number), Err(Unreserved::Full));
    broker.reserve_for_all(&sender);

    broker.give_back_unused(&sender);
    broker.give_back_unused(&sender);
    assert_eq!((receiver.waiting(), receiver.load(), waiting.waiting()), (1, 0, 0));
    assert!(read(&broker, &waiting).contains(&format!("room {number}")));

    broker.count_undecodable();
    assert_eq!(broker.stats().undecodable, 1);
}
