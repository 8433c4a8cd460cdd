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
        work.add(request(&plan, client, ONE, start, 0), Manner::Now);
    }
    work
}

fn one(client: &str, start: Instant, at: u64) -> Request {
    request(&plan(), client, ONE, start, at)
}

#[test]
fn the_first_call_is_sent_at_once_and_others_with_its_answer() {
    let start = Instant::now();
    let mut work = Work::new(false);
    assert_eq!(
        work.add(one("a", start, 0), Manner::Now),
        (Step::Send, true),
        "nothing looks at its deadline"
    );
    let first = work.compose(start, Turn::Due).expect("nothing is out");
    work.rest(start);
    assert_eq!(work.add(one("b", start, 0), Manner::Now).0, Step::Flush);
    assert!(work.compose(start, Turn::Due).is_none());
    work.take_sent(first, start).expect("sent");
    assert!(work.compose(start, Turn::Due).is_some(), "nothing is out again");
}

#[test]
fn what_a_flush_may_leave_goes_with_the_next_answer_or_in_time_where_the_server_is_far() {
    let start = Instant::now();
    let mut work = work(start, &["a"]);
    let mut at = start;
    let mut sent = work.compose(at, Turn::Due).expect("nothing is out");
    for (took, is_far) in [(None, true), (Some(PATIENCE), false), (Some(2 * PATIENCE), true)] {
        if let Some(took) = took {
            at += took;
            work.take_sent(sent, at).expect("sent");
            work.add(one("a", at, 0), Manner::Now);
            sent = work.compose(at, Turn::Due).expect("nothing is out");
        }
        assert_eq!(work.rest(at), work.first_deadline, "nothing is pending");
        assert_eq!(work.add(one("b", at, 0), Manner::Now), (Step::Flush, is_far), "after {took:?}");
        assert_eq!(work.rest(at), Some(at + PATIENCE));
        assert_eq!(work.add(one("c", at, 0), Manner::Now), (Step::Flush, false), "one wake is enough");
        work.take_all_queued();
    }
    work.is_far = false;
    work.connected(None);
    assert!(work.is_far, "a new connection may lead elsewhere");
}

#[test]
fn a_flush_sends_what_was_left() {
    let start = Instant::now();
    let mut work = work(start, &["a"]);
    work.compose(start, Turn::Due).expect("pending");
    work.add(one("b", start, 0), Manner::Now);
    assert!(work.compose(start, Turn::Flush).is_some());
    assert!(work.compose(start, Turn::Flush).is_none(), "nothing is left");
}

#[test]
fn enough_calls_are_sent_while_others_are_out() {
    let (start, plan) = (Instant::now(), plan());
    let mut work = Work::new(false);
    work.add(request(&plan, "out", ONE, start, 0), Manner::Now);
    let first = work.compose(start, Turn::Due).expect("pending");
    let (least, most) = ENOUGH;
    for n in 1..least {
        let (step, _) = work.add(request(&plan, &n.to_string(), ONE, start, 0), Manner::Now);
        assert_eq!(step, Step::Flush, "{n} are left");
    }
    assert_eq!(work.add(request(&plan, "last", ONE, start, 0), Manner::Gathers).0, Step::Send);
    let number = work.compose(start, Turn::Due).expect("enough");
    assert_eq!(work.sent(number).map(|sent| sent.batch.calls()), Some(least));
    // As many as are out; of more, a script call of their own.
    for enough in [least + 1, 2 * (least + 1), most] {
        assert_eq!(work.calls_out.min(most), enough);
        let mut add = |n: u64| work.add(request(&plan, &n.to_string(), ONE, start, 0), Manner::Gathers).0;
        assert!((1..enough).all(|n| add(n) == Step::Flush));
        assert_eq!(add(enough), Step::Send);
        work.compose(start, Turn::Due).expect("enough");
        if work.sent.len() == MOST_OUT {
            work.take_sent(first, start);
        }
    }
}

#[test]
fn calls_that_gather_are_left_only_while_the_thread_of_the_link_looks_soon() {
    let start = Instant::now();
    let mut work = work(start, &["a", "b"]);
    let sent = work.compose(start, Turn::Flush).expect("pending");
    work.take_sent(sent, start).expect("sent");
    // Two calls were answered: the next may gather.
    assert_eq!(work.rest(start), Some(start + PATIENCE));
    assert_eq!(work.add(one("a", start, 0), Manner::Gathers), (Step::Flush, false));
    assert!(work.compose(start + PATIENCE, Turn::Due).is_some(), "the flush may be late");
    work.take_sent(sent + 1, start).expect("sent");
    // One was, so that nothing looks before the deadline.
    assert_eq!(work.rest(ms(start, 1)), Some(ms(start, 50)));
    assert_eq!(work.add(one("b", start, 1), Manner::Gathers), (Step::Send, false));
}

#[test]
fn few_calls_beside_many_wait_for_the_next_answers() {
    let (start, plan) = (Instant::now(), plan());
    let mut work = Work::new(false);
    let add = |work: &mut Work, clients: std::ops::Range<u64>| {
        for n in clients {
            work.add(request(&plan, &n.to_string(), ONE, start, 0), Manner::Gathers);
        }
    };
    let mut sent = Vec::new();
    for clients in [0..12, 12..24, 24..36] {
        add(&mut work, clients);
        sent.push(work.compose(start, Turn::Flush).expect("half of what is out, or more"));
    }
    add(&mut work, 36..46);
    assert!(work.compose(start, Turn::Flush).is_none(), "10 beside 36");
    work.take_sent(sent[0], start).expect("sent");
    add(&mut work, 46..50);
    let number = work.compose(start, Turn::Flush).expect("14 beside 24");
    assert_eq!(work.sent(number).map(|sent| sent.batch.calls()), Some(14));
}

#[test]
fn calls_gather_while_four_are_out() {
    let start = Instant::now();
    let mut work = Work::new(false);
    for n in 0..MOST_OUT {
        work.add(one("a", start, 0), Manner::Now);
        assert!(work.compose(start, Turn::Flush).is_some(), "{n} are out");
    }
    let plan = plan();
    let add = |work: &mut Work, client| work.add(request(&plan, client, ONE, start, 0), Manner::Now);
    assert_eq!(add(&mut work, "a"), (Step::Nothing, true), "the thread has to know when to send it");
    assert_eq!(work.rest(start), Some(start + PATIENCE));
    assert_eq!(add(&mut work, "b"), (Step::Nothing, false));
    assert!(work.compose(start, Turn::Flush).is_none());
    let number = work.compose(start + PATIENCE, Turn::Due).expect("the first has waited long enough");
    assert_eq!(work.sent(number).map(|sent| sent.batch.entries().len()), Some(2));
}

#[test]
fn what_no_thread_awaits_is_sent_by_the_thread_of_the_link() {
    let start = Instant::now();
    let mut work = Work::new(false);
    work.rest(start);
    assert_eq!(work.add(one("a", start, 0), Manner::Background), (Step::Nothing, true), "nothing is out");
    work.compose(start, Turn::Due).expect("pending");
    assert_eq!(work.add(one("b", start, 0), Manner::Background), (Step::Nothing, true), "it rests for long");
    assert_eq!(work.rest(start), Some(start + PATIENCE));
    assert_eq!(work.add(one("c", start, 0), Manner::Background), (Step::Nothing, false));
}

#[test]
fn calls_of_a_cluster_go_out_together() {
    let (start, plan) = (Instant::now(), plan());
    let mut work = Work::new(true);
    let clients: Vec<_> = (0..40).map(|n| format!("client {n}")).collect();
    for client in &clients {
        work.add(request(&plan, client, ONE, start, 0), Manner::Now);
    }
    let slots: std::collections::HashSet<_> =
        work.queue.iter().map(|request| plan.slot_of(&request.client)).collect();
    let sent = std::iter::from_fn(|| work.compose(start, Turn::Due)).count();
    assert_eq!(sent, slots.len().min(MOST_OUT_BY_SLOT));
}

#[test]
fn answers_come_in_any_order() {
    let start = Instant::now();
    let mut work = work(start, &["a"]);
    let first = work.compose(start, Turn::Flush).expect("pending");
    assert!(work.take_sent(first + 1, start).is_none());
    assert!(work.take_sent(first, start).is_some());
    assert!(work.take_sent(first, start).is_none(), "nothing is answered twice");
}

#[test]
fn each_call_expires_at_its_deadline_sent_or_not() {
    let start = Instant::now();
    let mut work = work(start, &["a", "b"]);
    work.compose(start, Turn::Flush);
    work.add(request(&plan(), "c", ONE, start, 10), Manner::Now);
    assert!(work.expire(ms(start, 49)).is_empty());
    assert_eq!(work.expire(ms(start, 50)).len(), 2);
    assert_eq!(work.expire(ms(start, 60)).len(), 1);
    assert_eq!((work.expire(ms(start, 90)).len(), work.rest_unconnected()), (0, None));
}

#[test]
fn two_overdue_calls_make_a_server_away_and_a_dead_connection_is_noticed() {
    let start = Instant::now();
    let mut work = work(start, &["a"]);
    let first = work.compose(start, Turn::Flush).expect("pending");
    work.add(request(&plan(), "a", ONE, start, 1), Manner::Now);
    work.compose(ms(start, 1), Turn::Flush).expect("pending");
    work.expire(ms(start, 50));
    assert!(!work.is_overdue(), "one alone may be bad luck");
    work.expire(ms(start, 51));
    assert!(work.is_overdue());
    assert!(!work.is_stalled(ms(start, 499)) && work.is_stalled(ms(start, 500)));
    work.take_sent(first, start);
    assert!(!work.is_overdue() && !work.is_stalled(ms(start, 500)), "it answers after all");
}

#[test]
fn calls_that_were_not_run_go_first() {
    let start = Instant::now();
    let mut work = work(start, &["a"]);
    let number = work.compose(start, Turn::Flush).expect("pending");
    let sent = work.take_sent(number, start).expect("sent");
    let requests: Vec<_> = sent.batch.into_entries().into_iter().flat_map(|entry| entry.waiting).collect();
    work.add(request(&plan(), "b", Operation::Reset, start, 0), Manner::Now);
    work.ask_again(requests);
    let number = work.compose(start, Turn::Flush).expect("pending");
    assert_eq!(work.sent(number).map(|sent| sent.batch.operation().name()), Some("take"));
}

#[test]
fn a_cut_leaves_what_was_not_sent() {
    let start = Instant::now();
    let mut work = work(start, &["a"]);
    work.compose(start, Turn::Flush);
    work.add(request(&plan(), "b", ONE, start, 0), Manner::Now);
    assert_eq!(work.take_all_sent().len(), 1);
    assert_eq!(work.take_all().len(), 1);
}
