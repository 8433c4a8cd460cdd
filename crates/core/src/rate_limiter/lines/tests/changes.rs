//! What happens to calls that wait when something else changes the key, the options, the clock or the limiter.

use super::*;

#[test]
fn a_block_moves_the_line_to_its_end() {
    for limiter in pairs().iter().take(2).chain([&spaced()]) {
        let one = caller(limiter, 1);
        while consume(limiter, START) {}
        let first = one.wait(1, START);
        let late = one.join_until("a", 1, START, ms(400));
        let WaitStart::Waits(late) = late else { panic!("{late:?}") };
        assert!(limiter.block(hash_str("a"), 500 * MS, START).expect("open"));
        let outcomes = one.take(START);
        assert_eq!(outcomes.len(), 1);
        assert_eq!(outcomes[0].id, late);
        assert!(matches!(outcomes[0].outcome, WaitOutcome::TooLate(Some(wait)) if wait >= 500 * MS));
        assert_eq!(limiter.stats(START).expect("open").blocked, 1);
        assert_eq!(one.served(ms(500) - 1), []);
        assert_eq!(one.served(ms(500)), [first]);
    }
}

#[test]
fn a_block_outlives_the_line() {
    let limiter = spaced();
    let one = caller(&limiter, 1);
    assert!(consume(&limiter, START) && limiter.block(hash_str("a"), 500 * MS, START).expect("open"));
    let id = one.wait(1, START);
    one.waits.leave(id, START);
    one.waits.settle(START);
    assert!(!consume(&limiter, ms(499)) && consume(&limiter, ms(500)));
}

#[test]
fn what_changes_the_key_changes_what_is_before_the_line() {
    let [fixed, several, _] = pairs();
    for (limiter, refunded) in [(spaced(), 0), (fixed, 0), (several, 0)] {
        let one = caller(&limiter, 1);
        while consume(&limiter, START) {}
        let first = one.wait(1, START);
        let second = one.wait(1, START);
        limiter.refund(hash_str("a"), 1, START).expect("open");
        assert_eq!(one.served(ms(refunded)), [first], "{:?}", limiter.config());
        limiter.penalize(hash_str("a"), 1, START).expect("open");
        assert!(one.next_ms() >= Some(100));
        assert!(limiter.reset(hash_str("a"), START).expect("open"));
        assert_eq!(one.served(START), [second]);
    }
}

#[test]
fn other_options_lay_the_line_anew() {
    let limiter = spaced();
    let one = caller(&limiter, 1);
    assert!(consume(&limiter, START));
    let ids = [one.wait(1, START), one.wait(1, START)];
    let quota = Quota { burst: Some(1), ..Quota::new(100, 1_000) };
    let options = RateLimiterOptions::new(vec![LimitOptions::new(quota)]);
    limiter.reconfigure(options, || START).expect("valid");
    assert_eq!(one.served(ms(10)), ids[..1]);
    assert_eq!(one.served(ms(20)), ids[1..]);
    limiter.clear(ms(20)).expect("open");
    assert!(consume(&limiter, ms(20)));
}

#[test]
fn calls_that_wait_survive_a_clear() {
    let [fixed, several, _] = pairs();
    for limiter in [spaced(), fixed, several] {
        let one = caller(&limiter, 1);
        while consume(&limiter, START) {}
        let id = one.wait(1, START);
        limiter.clear(START).expect("open");
        assert_eq!(one.served(START), [id]);
    }
}

#[test]
fn a_clock_that_is_set_back_leaves_as_much_to_wait() {
    let limiter = spaced();
    let one = caller(&limiter, 1);
    assert!(consume(&limiter, START));
    let id = one.wait(1, START);
    let now = START - 10_000_000 * MS;
    limiter.clock_was_set_back(SetBack { before: ms(40), now });
    assert_eq!(one.waits.next(), Some(now + 60 * MS));
    let outcomes = one.take(now + 60 * MS);
    assert_eq!(outcomes.iter().map(|call| (call.id, call.waited)).collect::<Vec<_>>(), [(id, 100 * MS)]);
    assert!(!consume(&limiter, now + 159 * MS) && consume(&limiter, now + 160 * MS));
}

#[test]
fn a_call_by_a_later_clock_charges_behind_the_line() {
    for limiter in pairs().iter().take(2).chain([&spaced()]) {
        let (one, other) = (caller(limiter, 1), caller(limiter, 2));
        while consume(limiter, START) {}
        let first = one.wait(1, START);
        let later = ms(1_000);
        assert!(consume(limiter, later));
        // The clock of this thread has not come so far: its call is placed behind the one that was charged.
        let joined = other.join("a", 2.min(limiter.config().capacity()), START);
        assert!(matches!(joined, WaitStart::Waits(_)), "{joined:?}");
        assert_eq!(one.served(START), [first]);
        assert!(other.waits.next() > Some(ms(1_000)));
    }
}

#[test]
fn waiting_ends_with_the_limiter() {
    for ends in [<RateLimiter as Instance>::close, <RateLimiter as Instance>::reset] {
        let limiter = spaced();
        let one = caller(&limiter, 1);
        assert!(consume(&limiter, START));
        one.wait(1, START);
        ends(&limiter);
        assert_eq!(one.wakes(), 1);
        let outcomes = one.take(START);
        assert!(matches!(outcomes[..], [Waited { outcome: WaitOutcome::Closed, .. }]));
        assert_eq!(one.waits.next(), None);
    }
    let limiter = spaced();
    Instance::close(&*limiter);
    let one = caller(&limiter, 1);
    let request = WaitRequest { waits: &one.waits, cost: 1, now: START, latest: START, counts_refusal: true };
    assert!(limiter.join(hash_str("a"), &request).is_err());
}
