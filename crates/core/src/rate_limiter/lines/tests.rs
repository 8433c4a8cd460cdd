use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::rate_limiter::options::{LimitOptions, RateLimiterOptions};
use crate::rate_limiter::{AlgorithmKind, Quota, RateLimiter, Waited};
use crate::runtime::ThreadId;
use crate::runtime::clock::{MS, SetBack};
use crate::runtime::instances::Instance;
use crate::runtime::key_hash::hash_str;

mod changes;

const START: u64 = 1_000_000_000 * MS;

#[derive(Debug)]
struct Thread {
    id: ThreadId,
    wakes: Arc<AtomicU64>,
}

impl crate::rate_limiter::WaitingThread for Thread {
    fn id(&self) -> ThreadId {
        self.id
    }

    fn wake(&self) {
        self.wakes.fetch_add(1, Ordering::Relaxed);
    }
}

/// A thread whose calls wait for one limiter.
struct Caller {
    limiter: Arc<RateLimiter>,
    waits: Arc<Waits>,
    wakes: Arc<AtomicU64>,
}

impl Caller {
    fn join(&self, key: &str, cost: u64, now: u64) -> WaitStart {
        self.join_until(key, cost, now, u64::MAX)
    }

    fn join_until(&self, key: &str, cost: u64, now: u64, latest: u64) -> WaitStart {
        let request = WaitRequest { waits: &self.waits, cost, now, latest, counts_refusal: true };
        self.limiter.join(hash_str(key), &request).expect("open")
    }

    /// Joins a line of one key; the number of the call.
    fn wait(&self, cost: u64, now: u64) -> WaitId {
        match self.join("a", cost, now) {
            WaitStart::Waits(id) => id,
            other => panic!("{other:?}"),
        }
    }

    fn take(&self, now: u64) -> Vec<Waited> {
        let mut outcomes = Vec::new();
        self.waits.take(|| now, usize::MAX, &mut outcomes);
        outcomes
    }

    /// The calls that are served at a time, by number.
    fn served(&self, now: u64) -> Vec<WaitId> {
        let is_served = |waited: &Waited| matches!(waited.outcome, WaitOutcome::Served(_));
        self.take(now).iter().filter(|waited| is_served(waited)).map(|waited| waited.id).collect()
    }

    fn next_ms(&self) -> Option<u64> {
        self.waits.next().map(|moment| (moment - START) / MS)
    }

    fn wakes(&self) -> u64 {
        self.wakes.load(Ordering::Relaxed)
    }
}

fn ms(ms: u64) -> u64 {
    START + ms * MS
}

fn limiter(options: RateLimiterOptions) -> Arc<RateLimiter> {
    Arc::new(RateLimiter::new("test", options.try_into().expect("valid")))
}

fn caller(limiter: &Arc<RateLimiter>, id: u64) -> Caller {
    let wakes = Arc::<AtomicU64>::default();
    let thread = Thread { id: ThreadId(id), wakes: Arc::clone(&wakes) };
    Caller { limiter: Arc::clone(limiter), waits: Arc::new(Waits::new(Box::new(thread))), wakes }
}

/// Ten a second by GCRA, one at once.
fn spaced() -> Arc<RateLimiter> {
    let limit = LimitOptions::new(Quota { burst: Some(1), ..Quota::new(10, 1_000) });
    limiter(RateLimiterOptions::new(vec![limit]))
}

/// Each of these admits two calls at once, and two more every 100 ms.
fn pairs() -> [Arc<RateLimiter>; 3] {
    let by = |algorithm| RateLimiterOptions::by(algorithm, 2, 100);
    let of =
        |name: &str, algorithm| LimitOptions { name: name.to_owned(), ..by(algorithm).limits[0].clone() };
    let several = vec![of("a", AlgorithmKind::FixedWindow), of("b", AlgorithmKind::FixedWindow)];
    [
        limiter(by(AlgorithmKind::FixedWindow)),
        limiter(RateLimiterOptions::new(several)),
        limiter(by(AlgorithmKind::SlidingWindow)),
    ]
}

fn consume(limiter: &RateLimiter, now: u64) -> bool {
    limiter.try_consume(hash_str("a"), 1, now).expect("open")
}

#[test]
fn calls_are_charged_in_order_at_their_moments() {
    let limiter = spaced();
    let (one, other) = (caller(&limiter, 1), caller(&limiter, 2));
    assert!(matches!(one.join("a", 1, START), WaitStart::Served(_)));
    let (first, second, third) = (one.wait(1, START), other.wait(1, START), one.wait(1, START));
    assert_eq!((one.next_ms(), other.next_ms()), (Some(100), Some(200)));
    assert_eq!(one.served(ms(100) - 1), []);
    assert_eq!(one.served(ms(100)), [first]);
    assert_eq!(one.served(ms(300)), [third]);
    assert_eq!(other.served(ms(300)), [second], "another thread has served it");
    let stats = limiter.stats(ms(300)).expect("open");
    assert_eq!((stats.allowed, stats.waiting, stats.waited, stats.refused), (4, 0, 3, 0));
}

#[test]
fn nothing_else_is_charged_while_a_call_waits() {
    for limiter in pairs().iter().chain([&spaced()]) {
        let one = caller(limiter, 1);
        while consume(limiter, START) {}
        one.wait(1, START);
        let moment = one.waits.next().expect("waits");
        for time in [START, moment - 1] {
            assert!(!consume(limiter, time), "{:?}", limiter.config());
        }
        let decision = limiter.peek(hash_str("a"), START).expect("open");
        assert!(decision.retry_after >= Some(moment - START), "counts the call that waits");
        assert_eq!(one.served(moment).len(), 1);
    }
}

#[test]
fn windows_serve_as_many_as_they_have_room_for() {
    let [fixed, several, _] = pairs();
    for limiter in [fixed, several] {
        let one = caller(&limiter, 1);
        assert!(consume(&limiter, START) && consume(&limiter, START));
        let ids: Vec<_> = (0..5).map(|_| one.wait(1, START)).collect();
        assert_eq!(one.served(ms(99)), []);
        assert_eq!(one.served(ms(100)), ids[..2]);
        assert_eq!(one.served(ms(200)), ids[2..4]);
        assert!(!consume(&limiter, ms(250)));
        assert_eq!(one.served(ms(300)), ids[4..]);
        assert!(consume(&limiter, ms(300)), "one is left of this window");
        assert!(!consume(&limiter, ms(300)));
        assert_eq!(limiter.stats(ms(300)).expect("open").blocked, 0);
    }
}

#[test]
fn those_behind_a_call_that_leaves_move_ahead() {
    for limiter in pairs().iter().take(2).chain([&spaced()]) {
        let (one, other) = (caller(limiter, 1), caller(limiter, 2));
        while consume(limiter, START) {}
        let (first, second) = (one.wait(1, START), one.wait(1, START));
        let third = other.wait(1, START);
        let moments = [one.waits.next(), other.waits.next()];
        one.waits.leave(first, START);
        one.waits.leave(second, START);
        one.waits.settle(START);
        assert_eq!(one.waits.next(), None);
        assert!(other.waits.next() <= moments[1]);
        assert_eq!(other.waits.next(), moments[0], "the first moment is its own now");
        assert_eq!(other.served(moments[0].expect("waited")), [third]);
        assert_eq!(limiter.stats(START).expect("open").waiting, 0);
    }
}

#[test]
fn wakes_a_thread_once_whose_calls_move_ahead() {
    let limiter = spaced();
    let (one, other) = (caller(&limiter, 1), caller(&limiter, 2));
    assert!(consume(&limiter, START));
    let ids: Vec<_> = (0..50).map(|_| one.wait(1, START)).collect();
    other.wait(1, START);
    other.wait(1, START);
    assert_eq!(other.next_ms(), Some(5_100));
    ids.iter().for_each(|id| one.waits.leave(*id, START));
    assert_eq!(other.wakes(), 0, "the line is laid anew once");
    one.waits.settle(START);
    assert_eq!((other.wakes(), other.next_ms()), (1, Some(100)));
}

#[test]
fn a_thread_looks_once_for_calls_whose_moments_are_close() {
    let limiter = spaced();
    let one = caller(&limiter, 1);
    assert!(consume(&limiter, START));
    assert!(limiter.try_consume(hash_str("b"), 1, ms(1)).expect("open"));
    let first = one.wait(1, START);
    assert_eq!(one.waits.told(), Some(ms(104)), "it has waited for 100 ms: the most that a call is late");
    let WaitStart::Waits(second) = one.join("b", 1, ms(93)) else { panic!("waits") };
    assert_eq!(one.waits.told(), Some(ms(102)), "8 ms, and an eighth of them");
    assert_eq!(one.served(ms(101)), [first, second]);
    assert_eq!(one.waits.told(), None);
}

#[test]
fn wakes_no_thread_that_looks_in_time() {
    let limiter = spaced();
    let (one, other) = (caller(&limiter, 1), caller(&limiter, 2));
    assert!(consume(&limiter, START));
    let first = one.wait(1, START);
    let [second, third] = [other.wait(1, START), other.wait(1, START)];
    assert_eq!(other.waits.told(), Some(ms(204)));
    other.waits.leave(second, START);
    other.waits.settle(START);
    assert_eq!((other.wakes(), other.next_ms()), (0, Some(200)), "it looks at 204 ms anyway");
    one.waits.leave(first, ms(50));
    one.waits.settle(ms(50));
    assert_eq!(other.wakes(), 1, "it has to look earlier now");
    assert_eq!(other.served(ms(100)), [third]);
}

/// Its thread reads the clock, and is suspended before it looks.
#[test]
fn a_call_that_another_thread_serves_by_a_later_clock_has_waited_until_then() {
    let limiter = spaced();
    let (one, two) = (caller(&limiter, 1), caller(&limiter, 2));
    assert!(consume(&limiter, START));
    let (first, second) = (one.wait(1, START), two.wait(1, START));
    let reads = std::cell::Cell::new(0);
    let clock = || match reads.replace(reads.get() + 1) {
        0 => {
            assert_eq!(two.served(ms(200)), [second]);
            START
        }
        _ => ms(200),
    };
    let mut outcomes = Vec::new();
    assert_eq!(one.waits.take(clock, usize::MAX, &mut outcomes), None);
    assert_eq!(outcomes.iter().map(|call| (call.id, call.waited)).collect::<Vec<_>>(), [(first, 200 * MS)]);
}

#[test]
fn units_of_a_call_that_leaves_after_its_moment_are_used() {
    let limiter = spaced();
    let one = caller(&limiter, 1);
    assert!(consume(&limiter, START));
    let (first, _) = (one.wait(1, START), one.wait(1, START));
    one.waits.leave(first, ms(100));
    one.waits.settle(ms(100));
    assert_eq!(one.next_ms(), Some(200));
}

#[test]
fn the_calls_of_a_thread_that_ended_leave() {
    let [fixed, ..] = pairs();
    for limiter in [spaced(), fixed] {
        let (one, other) = (caller(&limiter, 1), caller(&limiter, 2));
        while consume(&limiter, START) {}
        let ids: Vec<_> = (0..20).map(|_| one.wait(1, START)).collect();
        assert_eq!(ids.len(), 20);
        other.wait(1, START);
        Instance::thread_ended(&*limiter, ThreadId(1), START);
        assert_eq!(other.next_ms(), Some(100));
        assert_eq!(limiter.stats(START).expect("open").waiting, 1);
        Instance::thread_ended(&*limiter, ThreadId(2), START);
        assert_eq!(limiter.stats(START).expect("open").waiting, 0);
        assert!(!consume(&limiter, ms(99)) && consume(&limiter, ms(100)), "as if none had waited");
    }
}

#[test]
fn judges_the_timeout_at_once() {
    let limiter = spaced();
    let one = caller(&limiter, 1);
    assert!(consume(&limiter, START));
    assert_eq!(one.join_until("a", 1, START, ms(99)), WaitStart::TooLate(100 * MS));
    assert!(matches!(one.join_until("a", 1, START, ms(100)), WaitStart::Waits(_)));
    assert_eq!(one.join("a", 2, START), WaitStart::Never(1));
    let stats = limiter.stats(START).expect("open");
    assert_eq!((stats.refused, stats.waiting), (1, 1));
}

#[test]
fn no_more_calls_wait_than_may() {
    let limit = LimitOptions::new(Quota { burst: Some(1), ..Quota::new(10, 1_000) });
    let limiter = limiter(RateLimiterOptions { max_waiting: 2, ..RateLimiterOptions::new(vec![limit]) });
    let one = caller(&limiter, 1);
    assert!(consume(&limiter, START));
    let first = one.wait(1, START);
    one.wait(1, START);
    assert_eq!(one.join("a", 1, START), WaitStart::Full(300 * MS));
    assert!(matches!(one.join("b", 1, START), WaitStart::Served(_)), "it need not wait");
    one.waits.leave(first, START);
    one.waits.settle(START);
    one.wait(1, START);
}

#[test]
fn a_call_that_leaves_after_its_moment_is_charged() {
    let limiter = spaced();
    let one = caller(&limiter, 1);
    assert!(consume(&limiter, START));
    let due = one.wait(1, START);
    one.waits.leave(due, ms(100));
    one.waits.settle(ms(100));
    let stats = limiter.stats(ms(100)).expect("open");
    assert_eq!((stats.waiting, stats.waited, stats.allowed), (0, 1, 2));
}

#[test]
fn the_due_calls_of_a_thread_that_ends_are_charged() {
    let limiter = spaced();
    let one = caller(&limiter, 1);
    assert!(consume(&limiter, START));
    one.wait(1, START);
    limiter.end_waits_of(ThreadId(1), ms(100));
    let stats = limiter.stats(ms(100)).expect("open");
    assert_eq!((stats.waiting, stats.waited, stats.allowed), (0, 1, 2));
}

#[test]
fn a_refusal_that_the_caller_counts_is_not_counted() {
    for counts_refusal in [true, false] {
        let limiter = spaced();
        let one = caller(&limiter, 1);
        assert!(consume(&limiter, START));
        let request = WaitRequest { waits: &one.waits, cost: 1, now: START, latest: ms(400), counts_refusal };
        let joined = limiter.join(hash_str("a"), &request).expect("open");
        assert!(matches!(joined, WaitStart::Waits(_)));
        assert!(limiter.block(hash_str("a"), 500 * MS, START).expect("open"));
        assert_eq!(one.take(START).len(), 1, "its moment is later than it accepts");
        assert_eq!(limiter.stats(START).expect("open").refused, u64::from(counts_refusal));
    }
}

/// Every thread takes part in one line: the total of calls that are charged is that of the quota.
#[test]
fn four_threads_share_one_quota_while_calls_leave() {
    let limiter = spaced();
    assert!(consume(&limiter, START));
    let clock = Arc::new(AtomicU64::new(START));
    let (served, at_once) = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..=4)
            .map(|id| {
                let (one, clock) = (caller(&limiter, id), Arc::clone(&clock));
                scope.spawn(move || {
                    let (mut served, mut at_once) = (0, 0);
                    for round in 0..500_u64 {
                        let now = clock.fetch_add(7 * MS, Ordering::SeqCst);
                        match one.join_until("a", 1, now, now + 400 * MS) {
                            WaitStart::Waits(id) if round % 3 == 0 => {
                                one.waits.leave(id, now);
                                one.waits.settle(now);
                            }
                            WaitStart::Served(decision) => at_once += u64::from(decision.allowed),
                            _ => {}
                        }
                        served += one.served(now).len() as u64;
                    }
                    (served, at_once, one)
                })
            })
            .collect();
        let threads: Vec<_> = threads.into_iter().map(|thread| thread.join().expect("no panic")).collect();
        let end = clock.load(Ordering::SeqCst) + 1_000 * MS;
        threads.iter().fold((0, 0), |(served, at_once), (own, own_at_once, one)| {
            (served + own + one.served(end).len() as u64, at_once + own_at_once)
        })
    });
    let stats = limiter.stats(START).expect("open");
    let most = (clock.load(Ordering::SeqCst) + 400 * MS - START) / (100 * MS) + 1;
    assert!(stats.allowed <= most, "{} of {most}", stats.allowed);
    assert!(stats.allowed * 10 >= most * 9, "{} of {most}", stats.allowed);
    assert_eq!((stats.waiting, stats.waited + at_once + 1), (0, stats.allowed));
    // A call that leaves after its moment is charged as well, by the clock of another thread.
    let most_left = 4 * 500 / 3 + 4;
    assert!((served..=served + most_left).contains(&stats.waited), "{} of {served}", stats.waited);
}
