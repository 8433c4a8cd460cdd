//! What comes between the look of the quick path and its exchange. The models beside this one run on both paths; here each
//! case is one that only the quick path's own steps must notice.

use super::*;
use crate::rate_limiter::{LocalHandle, RateLimiter, RateLimiterOptions};
use crate::runtime::clock::MS;

/// A has expired, and B claims its slot. What A is charged is in its slot, or was evicted and counted.
#[test]
fn a_claim_between_look_and_exchange_stands() {
    bounded(3, || {
        let small = Arc::new(Small::of_one_slot(Path::Quick, 1));
        assert!(small.consume(A, NOW - T), "expires now");
        assert_eq!(at_once(&small, [consume(A, NOW), consume(B, NOW)]), [true, true]);
        assert_eq!(small.slots_of(A) + small.slots_of(B), 1);
        let admitted_again = small.consume(A, NOW) || small.consume(B, NOW);
        assert!(!admitted_again || small.table.live_evictions() > 0);
    });
}

/// A block writes no state where the mark of one that has ended stands: such a key is left to calls in full.
#[test]
fn a_block_between_look_and_exchange_stands() {
    for blocked_before in [false, true] {
        bounded(3, move || {
            let small = Arc::new(Small::of(Path::Quick, 1, 5, Overflow::Evict));
            assert!(small.consume(A, NOW));
            if blocked_before {
                assert!(small.block(A, NOW / 2), "a block that has ended");
            }
            let block = call(|small: &Small<_>| small.block(A, FAR));
            assert!(at_once(&small, [consume(A, NOW), block])[1]);
            assert!(!small.consume(A, NOW), "it is blocked");
        });
    }
}

/// A is reset, and B takes its slot with the state that A had.
#[test]
fn a_reset_between_look_and_exchange_stands() {
    bounded(3, || {
        let small = Arc::new(Small::of_one_slot(Path::Quick, 3));
        assert!(small.consume(A, NOW));
        let other = call(|small: &Small<_>| small.table.reset(hash(A)).is_some() && small.consume(B, NOW));
        assert!(at_once(&small, [consume(A, NOW), other])[0]);
        if small.slots_of(B) == 1 {
            assert_eq!(small.remaining(B, NOW), 2, "B was charged once");
        }
    });
}

/// A has expired, and B evicts it: A is not refused for what B has used.
#[test]
fn an_eviction_between_look_and_decision_is_noticed() {
    bounded(2, || {
        let small = Arc::new(Small::of_one_slot(Path::Quick, 1));
        assert!(small.consume(A, NOW - T), "expires now");
        assert_eq!(at_once(&small, [consume(A, NOW), consume(B, NOW)]), [true, true]);
    });
}

/// B evicts A, which is live: what A is charged then is lost with the eviction, which is counted.
#[test]
fn an_eviction_between_look_and_exchange_is_counted() {
    bounded(3, || {
        let small = Arc::new(Small::of_one_slot(Path::Quick, 2));
        assert!(small.consume(A, NOW));
        let answers = at_once(&small, [consume(A, NOW), consume(B, NOW)]);
        assert!(admitted(&answers) == 2 && small.table.live_evictions() > 0);
        let again = (0..3).filter(|_| small.consume(A, NOW)).count() as u64;
        assert!(2 + again <= 2 * (1 + small.table.live_evictions()));
    });
}

/// Another thread has inserted A and stopped before it charged. A counts from the time of its eviction all the same.
#[test]
fn a_key_that_is_not_charged_yet_counts_from_the_watermark() {
    bounded(3, || {
        let small = Arc::new(Small::of_one_slot(Path::Quick, 1));
        assert!(small.consume(A, NOW), "until 1100");
        assert!(small.consume(B, NOW + T), "A has expired");
        assert!(small.consume(B, NOW + 3 * T), "its state differs from the one that A will have");
        let stopped = call(|small: &Small<_>| {
            small.insert_uncharged(A, NOW + 1);
            true
        });
        assert_eq!(at_once(&small, [stopped, consume(A, NOW + 1)]), [true, true]);
        assert_eq!(small.table.get(hash(A)).expect("charged").words, [NOW + T + T]);
    });
}

/// The charge is made through a thread's handle, whose config is the one before.
#[test]
fn a_reconfiguration_between_look_and_exchange_is_adopted() {
    const LESS: u64 = 2;
    bounded(3, || {
        let options = |limit| RateLimiterOptions { max_keys: 1, ..RateLimiterOptions::single(limit, limit) };
        let config = options(9).try_into().expect("valid");
        let limiter = Arc::new(std::sync::Arc::new(RateLimiter::new("model", config)));
        let client = hash(A);
        limiter.try_consume(client, 1, NOW).expect("open");
        let charge = call(move |limiter: &std::sync::Arc<RateLimiter>| {
            let mut handle = LocalHandle::new(std::sync::Arc::clone(limiter));
            handle.try_consume(client, 8, NOW).expect("open");
        });
        let reconfigure = call(move |limiter: &std::sync::Arc<RateLimiter>| {
            limiter.reconfigure(options(LESS), || NOW).expect("valid");
        });
        at_once(&limiter, [charge, reconfigure]);
        let decision = limiter.peek(client, NOW).expect("open");
        assert!(decision.reset_after <= LESS * MS, "{}", decision.reset_after);
    });
}
