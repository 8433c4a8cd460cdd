//! Charges of one key, next to other changes of it, of its slot and of the limiter's options.

use super::*;
use crate::rate_limiter::{RateLimiter, RateLimiterOptions};
use crate::runtime::clock::MS;

#[test]
fn a_charge_and_a_penalty_both_count() {
    on_both_paths(3, |path| {
        let small = Arc::new(Small::of(path, 1, 2, Overflow::Evict));
        let penalty = call(|small: &Small<_>| {
            small.change(A, NOW, |rate, word| rate.penalize(word, NOW, 1));
            true
        });
        assert_eq!(at_once(&small, [consume(A, NOW), penalty]), [true, true]);
        assert_eq!(small.remaining(A, NOW), 0);
    });
}

#[test]
fn a_charge_and_a_refund_both_count() {
    on_both_paths(3, |path| {
        let small = Arc::new(Small::of(path, 1, 2, Overflow::Evict));
        assert!(small.consume(A, NOW));
        let refund = call(|small: &Small<_>| {
            small.change(A, NOW, |rate, word| rate.refund(word, NOW, 1));
            true
        });
        assert_eq!(at_once(&small, [consume(A, NOW), refund]), [true, true]);
        assert_eq!(small.remaining(A, NOW), 1);
    });
}

/// A has expired, and B takes its slot while A is charged.
#[test]
fn a_key_is_not_refused_for_the_charges_of_another() {
    on_both_paths(2, |path| {
        let small = Arc::new(Small::of_one_slot(path, 1));
        assert!(small.consume(A, NOW - T), "expires now");
        assert_eq!(at_once(&small, [consume(A, NOW), consume(B, NOW)]), [true, true]);
    });
}

/// B takes the slot of A, with the state that A had, while A is charged.
#[test]
fn a_key_is_not_charged_for_another_with_an_equal_state() {
    on_both_paths(3, |path| {
        let small = Arc::new(Small::of_one_slot(path, 3));
        assert!(small.consume(A, NOW));
        let other = call(|small: &Small<_>| {
            small.table.reset(hash(A));
            small.consume(B, NOW)
        });
        assert_eq!(at_once(&small, [consume(A, NOW), other]), [true, true]);
        if small.slots_of(B) == 1 {
            assert_eq!(small.remaining(B, NOW), 2);
        }
    });
}

/// Either the pass over all clients finds a charge by the old options, or the charge finds that they have changed.
#[test]
fn a_charge_next_to_a_reconfiguration_is_adapted() {
    const LESS: u64 = 2;
    bounded(3, || {
        let options = |limit| RateLimiterOptions { max_keys: 1, ..RateLimiterOptions::single(limit, limit) };
        let limiter = Arc::new(RateLimiter::new("model", options(9).try_into().expect("valid")));
        let client = hash(A);
        let charge = call(move |limiter: &RateLimiter| {
            limiter.try_consume(client, 9, NOW).expect("open");
        });
        let reconfigure = call(move |limiter: &RateLimiter| {
            limiter.reconfigure(options(LESS), || NOW).expect("valid");
        });
        at_once(&limiter, [charge, reconfigure]);
        let decision = limiter.peek(client, NOW).expect("open");
        assert!(decision.reset_after <= LESS * MS, "{}", decision.reset_after);
    });
}
