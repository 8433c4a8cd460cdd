use super::*;
use crate::composer::tests::{plan, request};
use crate::operation::Operation;

const ONE: Operation = Operation::Take { cost: 1 };

fn ms(start: Instant, ms: u64) -> Instant {
    start + Duration::from_millis(ms)
}

/// Work with a call for each of these clients, asked at once.
fn work(start: Instant, clients: &[&str]) -> Work {
    let (plan, mut work) = (plan(), Work::new(false));
    for client in clients {
        work.add(request(&plan, client, ONE, start, 0));
    }
    work
}

#[test]
fn calls_gather_while_four_are_out() {
    let (start, plan) = (Instant::now(), plan());
    let mut work = Work::new(false);
    for n in 0..MOST_OUT {
        assert!(work.add(request(&plan, "a", ONE, start, 0)));
        assert!(work.compose(start).is_some(), "{n} are out");
    }
    assert!(work.add(request(&plan, "a", ONE, start, 0)), "the thread has to know when to send it");
    assert!(!work.add(request(&plan, "b", ONE, start, 0)));
    assert!(work.compose(start).is_none());
    assert_eq!(work.next_time(), Some(start + PATIENCE));
    let number = work.compose(start + PATIENCE).expect("the first has waited long enough");
    assert_eq!(work.sent(number).map(|sent| sent.batch.entries().len()), Some(2));
}

#[test]
fn answers_come_in_any_order() {
    let start = Instant::now();
    let mut work = work(start, &["a"]);
    let first = work.compose(start).expect("pending");
    assert!(work.take_sent(first + 1).is_none());
    assert!(work.take_sent(first).is_some());
    assert!(work.take_sent(first).is_none(), "nothing is answered twice");
}

#[test]
fn each_call_expires_at_its_deadline_sent_or_not() {
    let start = Instant::now();
    let mut work = work(start, &["a", "b"]);
    work.compose(start);
    work.add(request(&plan(), "c", ONE, start, 10));
    assert!(work.expire(ms(start, 49)).is_empty());
    assert_eq!(work.expire(ms(start, 50)).len(), 2);
    assert_eq!(work.expire(ms(start, 60)).len(), 1);
    assert_eq!((work.expire(ms(start, 90)).len(), work.next_deadline()), (0, None));
}

#[test]
fn two_overdue_calls_make_a_server_away_and_a_dead_connection_is_noticed() {
    let start = Instant::now();
    let mut work = work(start, &["a"]);
    let first = work.compose(start).expect("pending");
    work.add(request(&plan(), "a", ONE, start, 1));
    work.compose(ms(start, 1)).expect("pending");
    work.expire(ms(start, 50));
    assert!(!work.is_overdue(), "one alone may be bad luck");
    work.expire(ms(start, 51));
    assert!(work.is_overdue());
    assert!(!work.is_stalled(ms(start, 499)) && work.is_stalled(ms(start, 500)));
    work.take_sent(first);
    assert!(!work.is_overdue() && !work.is_stalled(ms(start, 500)), "it answers after all");
}

#[test]
fn calls_that_were_not_run_go_first() {
    let start = Instant::now();
    let mut work = work(start, &["a"]);
    let number = work.compose(start).expect("pending");
    let sent = work.take_sent(number).expect("sent");
    let requests: Vec<_> = sent.batch.into_entries().into_iter().flat_map(|entry| entry.waiting).collect();
    work.add(request(&plan(), "b", Operation::Reset, start, 0));
    work.ask_again(requests);
    let number = work.compose(start).expect("pending");
    assert_eq!(work.sent(number).map(|sent| sent.batch.operation().name()), Some("take"));
}

#[test]
fn a_cut_leaves_what_was_not_sent() {
    let start = Instant::now();
    let mut work = work(start, &["a"]);
    work.compose(start);
    work.add(request(&plan(), "b", ONE, start, 0));
    assert_eq!(work.take_all_sent().len(), 1);
    assert_eq!(work.take_all().len(), 1);
}
