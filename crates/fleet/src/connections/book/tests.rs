use std::sync::Arc;
use std::time::{Duration, Instant};

use sluice_core::Refusal;

use super::asking::MOST_WAITING;
use super::composing::{MOST_ASKS, MOST_CLIENTS_ASKED};
use super::held::FORGOTTEN_AFTER;
use super::*;
use crate::answer::{Answer, Desk, Ticket};

const MS: Duration = Duration::from_millis(1);

struct NoDesk;

impl Desk for NoDesk {
    fn put(&self, _: u64, _: Answer) {}
    fn ring(&self) {}
}

fn name(client: &str) -> ClientName {
    ClientName::of_text(client)
}

fn holding(client: &str) -> Holding {
    Holding { client: Some(name(client)), in_total: true }
}

fn ask(client: &str, thread: u64, deadline: Instant) -> Ask {
    let ticket = Ticket { desk: Arc::new(NoDesk), number: 0 };
    Ask { holding: holding(client), thread: ThreadId(thread), ticket, deadline, tries: 0 }
}

fn grants(opened: &[u64]) -> Grants {
    let grant = |opened: &u64| Grant { opened: Some(*opened), joined: 0, cap: Refusal::MaxPerClient };
    Grants { plain: 0, entries: opened.iter().map(grant).collect() }
}

fn entries(batch: &Batch) -> Vec<(ClientName, u64, u64)> {
    batch.entries.iter().map(|entry| (entry.client.clone(), entry.held, entry.opens)).collect()
}

fn verdicts(settled: &[(Ask, Verdict)]) -> Vec<Verdict> {
    settled.iter().map(|(_, verdict)| *verdict).collect()
}

#[test]
fn questions_for_one_client_are_one_entry_and_one_call_is_out() {
    let (mut book, now) = (Book::default(), Instant::now());
    for client in ["a", "b", "a"] {
        assert_eq!(book.ask(ask(client, 1, now + MS)), Asked::Pending);
    }
    let batch = book.compose(true).expect("questions");
    assert_eq!(entries(&batch), [(name("a"), 0, 2), (name("b"), 0, 1)]);
    assert_eq!(book.ask(ask("a", 1, now + MS)), Asked::Pending);
    assert_eq!(book.compose(true), None, "its answer may change what is held");
    let settled = book.settle(grants(&[1, 0]));
    let refused = Verdict::Refused(Refusal::MaxPerClient);
    assert_eq!(verdicts(&settled), [Verdict::Granted(1), refused, refused]);
    assert_eq!(entries(&book.compose(true).expect("the fourth")), [(name("a"), 1, 1)]);
}

#[test]
fn what_is_given_back_is_said_with_the_next_call() {
    let (mut book, now) = (Book::default(), Instant::now());
    book.ask(ask("a", 1, now + MS));
    book.compose(true);
    book.settle(grants(&[1]));
    assert_eq!(book.claim(1), Some(holding("a")));
    assert_eq!(book.claim(1), None, "once");
    assert_eq!(book.compose(true), None, "the server knows");
    book.lower(&holding("a"));
    assert_eq!(book.compose(false), None, "while nothing may be said");
    let batch = book.compose(true).expect("a change");
    assert_eq!((batch.held, entries(&batch)), (0, vec![(name("a"), 0, 0)]));
    book.settle(grants(&[0]));
    assert!(book.clients.is_empty());
}

/// Fails where the answer to a question that nothing waits for is not said to the server to be unused.
#[test]
fn a_place_that_comes_too_late_is_given_back() {
    let (mut book, now) = (Book::default(), Instant::now());
    book.ask(ask("a", 1, now + MS));
    book.compose(true);
    assert_eq!(book.expire(now).len(), 0);
    assert_eq!(book.expire(now + MS).len(), 1);
    assert!(book.settle(grants(&[1])).is_empty());
    assert_eq!(entries(&book.compose(true).expect("a change")), [(name("a"), 0, 0)]);
}

/// Fails where a thread's questions outlive it, or what it was granted and never saw.
#[test]
fn a_thread_that_ends_leaves_nothing() {
    let (mut book, now) = (Book::default(), Instant::now());
    book.ask(ask("granted", 1, now + MS));
    book.compose(true);
    book.settle(grants(&[1]));
    book.ask(ask("out", 1, now + MS));
    book.ask(ask("out", 2, now + MS));
    book.compose(true);
    book.ask(ask("waiting", 1, now + MS));
    book.thread_ended(ThreadId(1));
    assert_eq!((book.pending(), book.total()), (1, 0));
    let settled = book.settle(grants(&[2]));
    assert_eq!(verdicts(&settled), [Verdict::Granted(2)], "that of the other thread");
    let batch = book.compose(true).expect("changes");
    let mut told = entries(&batch);
    told.sort_by_key(|(client, ..)| client.bytes().to_vec());
    assert_eq!(told, [(name("granted"), 0, 0), (name("out"), 1, 0)]);
}

#[test]
fn everything_is_said_again_after_a_lost_call_and_with_each_beat() {
    let (mut book, now) = (Book::default(), Instant::now());
    book.ask(ask("a", 1, now + MS));
    book.compose(true);
    book.settle(grants(&[1]));
    book.beat();
    assert_eq!(entries(&book.compose(true).expect("a beat")), [(name("a"), 1, 0)]);
    assert!(book.lost().is_empty());
    assert_eq!(entries(&book.compose(true).expect("again")), [(name("a"), 1, 0)]);
    book.settle(grants(&[0]));
    assert_eq!(book.compose(true), None);
}

#[test]
fn a_call_that_was_not_run_is_asked_once_more() {
    let (mut book, now) = (Book::default(), Instant::now());
    book.ask(ask("a", 1, now + MS));
    book.ask(ask("b", 1, now + MS));
    book.compose(true);
    assert!(book.not_run().is_empty());
    assert_eq!(entries(&book.compose(true).expect("again")), [(name("a"), 0, 1), (name("b"), 0, 1)]);
    assert_eq!(book.not_run().len(), 2, "both");
}

#[test]
fn what_the_server_has_forgotten_by_itself_is_forgotten() {
    let (mut book, thread) = (Book::default(), ThreadId(1));
    book.hold_without_server(holding("a"), thread);
    book.hold_without_server(holding("b"), thread);
    book.lower(&holding("a"));
    for _ in 0..FORGOTTEN_AFTER {
        book.beat();
    }
    assert_eq!(entries(&book.compose(true).expect("what is held")), [(name("b"), 1, 0)]);
}

#[test]
fn holds_a_bounded_number_of_questions_and_none_once_closed() {
    let (mut book, now) = (Book::default(), Instant::now());
    for _ in 0..MOST_WAITING {
        assert_eq!(book.ask(ask("a", 1, now)), Asked::Pending);
    }
    assert_eq!(book.ask(ask("a", 1, now)), Asked::Full);
    let batch = book.compose(true).expect("questions");
    assert_eq!(batch.entries[0].opens, MOST_ASKS as u64);
    assert_eq!(book.close().len(), MOST_WAITING);
    assert_eq!(book.ask(ask("a", 1, now)), Asked::Closed);
}

/// Fails where questions for many clients take the whole call, so that what is held is not said before its lease ends.
#[test]
fn questions_leave_room_for_what_is_to_be_told() {
    let (mut book, now) = (Book::default(), Instant::now());
    book.hold_without_server(holding("held"), ThreadId(1));
    for client in 0..300 {
        book.ask(ask(&format!("{client}"), 1, now + MS));
    }
    let batch = book.compose(true).expect("questions");
    assert!(entries(&batch).contains(&(name("held"), 1, 0)));
    assert_eq!(batch.entries.len(), MOST_CLIENTS_ASKED + 1);
    book.settle(grants(&[0; MOST_CLIENTS_ASKED + 1]));
    assert_eq!(book.compose(true).expect("the others").entries.len(), 300 - MOST_CLIENTS_ASKED);
}

/// Fails where a question that is under decision when its thread ends holds a place, which nothing gives back.
#[test]
fn a_thread_that_has_ended_is_given_no_place() {
    let (mut book, now) = (Book::default(), Instant::now());
    book.ask(ask("a", 1, now + MS));
    book.ask(ask("b", 2, now + MS));
    let expired = book.expire(now + MS);
    book.thread_ended(ThreadId(1));
    let places = expired.into_iter().map(|ask| book.hold_without_server(ask.holding, ask.thread));
    assert_eq!(places.collect::<Vec<_>>(), [None, Some(1)]);
    assert_eq!(book.total(), 1);
}

/// Fails where what the server leaves as it is is said again and again.
#[test]
fn what_a_foreign_key_keeps_from_being_told_waits_for_the_beat() {
    let (mut book, now) = (Book::default(), Instant::now());
    book.ask(ask("a", 1, now + MS));
    book.compose(true);
    let foreign =
        || Grants { plain: 0, entries: vec![Grant { opened: None, joined: 0, cap: Refusal::MaxPerClient }] };
    assert_eq!(verdicts(&book.settle(foreign())), [Verdict::Foreign]);
    assert_eq!((book.compose(true), book.clients.len()), (None, 0));
    book.hold_without_server(holding("a"), ThreadId(1));
    book.compose(true).expect("a change");
    book.settle(foreign());
    assert_eq!(book.compose(true), None);
    book.beat();
    assert_eq!(entries(&book.compose(true).expect("a beat")), [(name("a"), 1, 0)]);
}

/// Fails where the queue keeps what was told otherwise, or what is forgotten.
#[test]
fn the_queue_names_each_client_once_and_none_that_is_forgotten() {
    let (mut book, now) = (Book::default(), Instant::now());
    book.hold_without_server(holding("a"), ThreadId(1));
    for _ in 0..100 {
        book.ask(ask("a", 1, now + MS));
        book.compose(false).expect("a question");
        book.lost();
    }
    assert_eq!(book.queue.len(), 1);
    book.compose(true).expect("a change");
    book.settle(grants(&[0]));
    book.lower(&holding("a"));
    assert_eq!(book.queue.len(), 1);
    for _ in 0..FORGOTTEN_AFTER {
        book.beat();
    }
    assert_eq!((book.queue.len(), book.clients.len()), (0, 0));
    // What a question has told is not told again.
    book.hold_without_server(holding("b"), ThreadId(1));
    book.lower(&holding("b"));
    book.ask(ask("b", 1, now + MS));
    book.compose(false).expect("a question");
    book.settle(grants(&[0]));
    assert_eq!(book.clients.len(), 1, "its name is in the queue");
    book.compose(true);
    assert_eq!((book.queue.len(), book.clients.len()), (0, 0));
}

/// Fails where places stay at the server that were granted to questions of a tracker that is destroyed meanwhile.
#[test]
fn a_book_that_is_finished_gives_back_what_it_is_granted_later() {
    let (mut book, now) = (Book::default(), Instant::now());
    book.ask(ask("taken", 1, now + MS));
    book.compose(true);
    book.settle(grants(&[1]));
    book.ask(ask("out", 1, now + MS));
    book.compose(true);
    book.ask(ask("waiting", 1, now + MS));
    assert_eq!(book.finish().len(), 2);
    assert_eq!((book.claim(1), book.total(), book.pending()), (None, 0, 0));
    assert!(book.settle(grants(&[1])).is_empty());
    let batch = book.compose(true).expect("what is given back");
    let mut told = entries(&batch);
    told.sort_by_key(|(client, ..)| client.bytes().to_vec());
    assert_eq!((batch.held, told), (0, vec![(name("out"), 0, 0), (name("taken"), 0, 0)]));
    assert_eq!(book.hold_without_server(holding("a"), ThreadId(1)), None);
    assert_eq!(book.ask(ask("a", 1, now)), Asked::Closed);
}
