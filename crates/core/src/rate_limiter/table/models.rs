//! Every interleaving of small cases, in tables of two or four slots.
//!
//! Every worker is spawned and the main thread only joins: with work on the main thread the model checker
//! misses bugs.

use loom::sync::Arc;
use loom::thread;

use super::small::*;
use super::*;
use crate::rate_limiter::algorithm::Algorithm;
use crate::rate_limiter::cell::{Several, Single};
use crate::rate_limiter::{RateLimiter, RateLimiterOptions};
use crate::runtime::clock::MS;

/// Ends of blocks are kept to 1/64 ms.
const FAR: u64 = 1_000_000_000;

/// Keys of a table of one group, or of two groups that begin with another one each.
const A: (u64, u64) = (0x1000, 0);
const B: (u64, u64) = (0x2000, (1 << 53) - 1);

const C: (u64, u64) = (0x4000, 0);

/// Blocked, so that one of two slots is not to be had.
const STRANGER: (u64, u64) = (0x3000, 5);

impl Small<Single> {
    fn of(groups: usize, burst: u64, overflow: Overflow) -> Self {
        Self { table: small_table(groups, Bound::of(None), overflow, |_| Ok(Single)), burst }
    }

    /// Of one group, with a bound on its clients.
    fn bounded(most: u64, burst: u64) -> Self {
        let bound = Bound::of(Some(most));
        Self { table: small_table(1, bound, Overflow::Evict, |_| Ok(Single)), burst }
    }
}

impl Small<Several> {
    fn of_two_limits(burst: u64) -> Self {
        let several = |slots| Several::new(slots, 2, Default::default());
        Self { table: small_table(1, Bound::of(None), Overflow::Evict, several), burst }
    }
}

impl<C: Books> Small<C> {
    /// Charges every word, or none.
    fn consume(&self, key: (u64, u64), now: u64) -> bool {
        let decide = |client: &Client<C::Words>, now| {
            let mut words = client.words;
            if client.blocked_until > now {
                return Step::Keep(false);
            }
            for word in words.as_mut().iter_mut().take(2) {
                match self.rate().decide(*word, now, 1) {
                    Ok(next) => *word = next,
                    Err(_) => return Step::Keep(false),
                }
            }
            Step::Write(words, true)
        };
        // Who finds no place passes: under `evict` that is what happens.
        self.table.update(hash(key), now, Self::lifetime, decide).unwrap_or(true)
    }

    fn change(&self, key: (u64, u64), now: u64, change: impl Fn(&Algorithm, u64) -> u64) {
        let changed = self.table.update(hash(key), now, Self::lifetime, |client, _| {
            let mut words = client.words;
            words.as_mut().iter_mut().take(1).for_each(|word| *word = change(&self.rate(), *word));
            Step::Write(words, ())
        });
        changed.expect("room");
    }

    fn block(&self, key: (u64, u64), until: u64) -> bool {
        self.table.block(hash(key), until, NOW, Self::lifetime).is_ok()
    }

    fn remaining(&self, key: (u64, u64), now: u64) -> u64 {
        let client = self.table.get(hash(key)).unwrap_or_default();
        self.rate().remaining(client.words.as_ref()[0], now)
    }

    /// The client moves in as far as another thread can bring it for one that stands still: uncharged.
    fn finish(&self, key: (u64, u64), now: u64) {
        let key = self.table.slots.candidates(hash(key));
        if let Ok(Some(claim)) = self.table.claim(&key, now, &Self::lifetime) {
            self.table.finish(&claim, &key);
        }
    }
}

/// Runs the calls at once, each in a thread of its own, and gives what they answered.
fn at_once<S: Send + Sync + 'static, R: Send + 'static>(
    shared: &Arc<S>,
    calls: Vec<Box<dyn FnOnce(&S) -> R + Send>>,
) -> Vec<R> {
    let threads: Vec<_> = calls
        .into_iter()
        .map(|call| {
            let shared = Arc::clone(shared);
            thread::spawn(move || call(&shared))
        })
        .collect();
    threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
}

fn passed(answers: &[bool]) -> usize {
    answers.iter().filter(|passed| **passed).count()
}

type Call<R> = Box<dyn FnOnce(&Small<Single>) -> R + Send>;

fn consume(key: (u64, u64), now: u64) -> Call<bool> {
    Box::new(move |small| small.consume(key, now))
}

#[test]
fn a_newcomer_of_two_threads_has_one_slot() {
    loom::model(|| {
        let small = Arc::new(Small::of(1, 1, Overflow::Evict));
        assert_eq!(passed(&at_once(&small, vec![consume(A, NOW), consume(A, NOW)])), 1);
        assert_eq!(small.places(A), 1);
    });
}

#[test]
fn a_newcomer_of_three_threads_has_one_slot() {
    bounded(2, || {
        let small = Arc::new(Small::of(1, 2, Overflow::Evict));
        let calls = vec![consume(A, NOW), consume(A, NOW), consume(A, NOW)];
        assert_eq!(passed(&at_once(&small, calls)), 2);
        assert_eq!(small.places(A), 1);
    });
}

/// A second slot becomes free while the first is being claimed.
#[test]
fn a_reset_next_to_a_newcomer_opens_no_second_slot() {
    for has_bound in [false, true] {
        bounded(2, move || {
            let small =
                Arc::new(if has_bound { Small::bounded(2, 1) } else { Small::of(1, 1, Overflow::Evict) });
            assert!(small.consume(B, NOW));
            let reset: Call<bool> = Box::new(|small| small.table.reset(hash(B)).is_some());
            let answers = at_once(&small, vec![consume(A, NOW), consume(A, NOW), reset]);
            assert_eq!(passed(&answers[..2]) as u64, 1);
            assert!(answers[2] || small.table.live_evictions() == 1);
            assert_eq!((small.places(A), small.places(B)), (1, 0));
        });
    }
}

/// Each key's first group is the other's second.
#[test]
fn two_groups_hold_each_key_once() {
    for other in [A, B] {
        bounded(3, move || {
            let small = Arc::new(Small::of(2, 1, Overflow::Evict));
            let answers = at_once(&small, vec![consume(A, NOW), consume(other, NOW)]);
            assert_eq!(passed(&answers), if other == A { 1 } else { 2 });
            assert_eq!((small.places(A), small.places(other)), (1, 1));
        });
    }
}

#[test]
fn two_keys_that_want_one_slot_are_both_answered() {
    bounded(2, || {
        let small = Arc::new(Small::of(1, 1, Overflow::Evict));
        assert!(small.block(STRANGER, FAR));
        let answers = at_once(&small, vec![consume(A, NOW), consume(B, NOW)]);
        assert_eq!(answers, [true, true]);
        assert!(small.places(A) + small.places(B) == 1);
        assert!(small.table.live_evictions() <= 1);
    });
}

/// The only slot to be had is that of a client who can be evicted: of one who owes something else than the
/// newcomer will, or an exchange cannot tell them apart.
#[test]
fn a_newcomer_of_a_full_group_does_not_evict_itself() {
    bounded(3, || {
        let small = Arc::new(Small::of(1, 1, Overflow::Evict));
        assert!(small.block(STRANGER, FAR) && small.consume(B, NOW + T / 2));
        assert_eq!(passed(&at_once(&small, vec![consume(A, NOW), consume(A, NOW)])), 1);
        assert_eq!(small.table.live_evictions(), 1);
    });
}

/// What an evicted client had used is lost, and counted; nothing else is. `charges` calls of A, one of B.
fn eviction_next_to(charges: usize) {
    let small = Arc::new(Small::of(1, 2, Overflow::Evict));
    assert!(small.block(STRANGER, FAR) && small.consume(A, NOW));
    let mut calls: Vec<_> = (0..charges).map(|_| consume(A, NOW)).collect();
    calls.push(consume(B, NOW));
    let answers = at_once(&small, calls);
    assert!(passed(&answers[..charges]) as u64 <= 1 + 2 * small.table.live_evictions());
    assert!(small.places(A) <= 1 && small.places(B) <= 1);
}

#[test]
fn an_eviction_next_to_a_charge_loses_what_it_counts() {
    loom::model(|| eviction_next_to(1));
}

#[test]
fn an_eviction_next_to_two_charges_loses_what_it_counts() {
    bounded(1, || eviction_next_to(2));
}

#[test]
fn who_was_forgotten_counts_from_then() {
    loom::model(|| {
        let small = Arc::new(Small::of(1, 1, Overflow::Evict));
        assert!(small.block(STRANGER, FAR));
        assert!(small.consume(A, NOW), "until 1100");
        // One thread read its clock at 1001 and stood still; another gives the expired slot away.
        let answers = at_once(&small, vec![consume(B, NOW + T), consume(A, NOW + 1)]);
        assert!(answers[0]);
        if answers[1]
            && let Some(client) = small.table.get(hash(A))
        {
            assert_eq!(client.words, [NOW + T + T], "admitted as of the time at which it was forgotten");
        }
    });
}

#[test]
fn nobody_is_refused_for_what_another_owes() {
    bounded(2, || {
        let small = Arc::new(Small::of(1, 1, Overflow::Evict));
        assert!(small.block(STRANGER, FAR));
        assert!(small.consume(A, NOW - T), "expires now");
        let answers = at_once(&small, vec![consume(A, NOW), consume(B, NOW)]);
        assert_eq!(answers, [true, true]);
    });
}

#[test]
fn charge_and_penalty_both_count() {
    loom::model(|| {
        let small = Arc::new(Small::of(1, 2, Overflow::Evict));
        let penalty: Call<bool> = Box::new(|small| {
            small.change(A, NOW, |rate, word| rate.penalize(word, NOW, 1));
            true
        });
        assert_eq!(at_once(&small, vec![consume(A, NOW), penalty]), [true, true]);
        assert_eq!(small.remaining(A, NOW), 0);
    });
}

#[test]
fn charge_and_refund_both_count() {
    loom::model(|| {
        let small = Arc::new(Small::of(1, 2, Overflow::Evict));
        assert!(small.consume(A, NOW));
        let refund: Call<bool> = Box::new(|small| {
            small.change(A, NOW, |rate, word| rate.refund(word, NOW, 1));
            true
        });
        assert_eq!(at_once(&small, vec![consume(A, NOW), refund]), [true, true]);
        assert_eq!(small.remaining(A, NOW), 1);
    });
}

#[test]
fn a_block_next_to_a_charge_stands() {
    for blocked_before in [false, true] {
        loom::model(move || {
            let small = Arc::new(Small::of(1, 5, Overflow::Evict));
            assert!(small.consume(A, NOW));
            if blocked_before {
                assert!(small.block(A, NOW / 2), "a block that has ended");
            }
            let block: Call<bool> = Box::new(|small| small.block(A, 3_000_000));
            at_once(&small, vec![consume(A, NOW), block]);
            assert!(!small.consume(A, NOW), "once blocked, nobody passes");
        });
    }
}

#[test]
fn the_later_of_two_blocks_of_a_newcomer_wins() {
    loom::model(|| {
        let small = Arc::new(Small::of(1, 1, Overflow::Evict));
        let block = |until| -> Call<bool> { Box::new(move |small| small.block(A, until)) };
        assert_eq!(at_once(&small, vec![block(2_000_000), block(4_000_000)]), [true, true]);
        let client = small.table.get(hash(A)).expect("blocked");
        assert_eq!(client.blocked_until, 4_000_000);
        assert_eq!(small.places(A), 1);
    });
}

#[test]
fn a_late_block_is_not_anothers() {
    bounded(2, || {
        let small = Arc::new(Small::of(1, 1, Overflow::Evict));
        assert!(small.block(STRANGER, FAR));
        assert!(small.consume(A, NOW - T), "expires now");
        let late: Call<bool> = Box::new(|small| small.block(A, 50_000_000));
        let other: Call<bool> = Box::new(|small| small.consume(B, NOW) && small.block(B, 2_000_000));
        if at_once(&small, vec![late, other])[1] {
            let client = small.table.get(hash(B)).expect("blocked");
            assert_eq!(client.blocked_until, 2_000_000);
        }
    });
}

#[test]
fn clients_of_several_limits_are_charged_as_one() {
    bounded(2, || {
        let small = Arc::new(Small::of_two_limits(2));
        assert!(small.consume(A, NOW));
        let call =
            || -> Box<dyn FnOnce(&Small<Several>) -> bool + Send> { Box::new(|small| small.consume(A, NOW)) };
        assert_eq!(passed(&at_once(&small, vec![call(), call()])), 1);
        let words = small.table.get(hash(A)).expect("charged").words;
        assert_eq!(words[..2], [NOW + 2 * T, NOW + 2 * T]);
    });
}

#[test]
fn newcomers_of_several_limits_share_no_record() {
    bounded(2, || {
        let small = Arc::new(Small::of_two_limits(1));
        let call = |key| -> Box<dyn FnOnce(&Small<Several>) -> bool + Send> {
            Box::new(move |small| small.consume(key, if key == A { NOW } else { 2 * NOW }))
        };
        assert_eq!(at_once(&small, vec![call(A), call(B)]), [true, true]);
        let words = |key| small.table.get(hash(key)).map(|client| client.words[0]);
        assert_eq!((words(A), words(B)), (Some(NOW + T), Some(2 * NOW + T)));
    });
}

/// The version of a slot goes round while it changes hands.
#[test]
fn a_version_that_goes_round_is_as_good_as_any() {
    bounded(2, || {
        let small = Arc::new(Small::of(1, 1, Overflow::Evict));
        for slot in small.table.slots.all() {
            let last = word::Version::LAST;
            let unused = State::free(word::Tag::NOBODY.version());
            assert!(slot.state.swap_if(unused, State::free(last)).is_ok());
        }
        assert_eq!(passed(&at_once(&small, vec![consume(A, NOW), consume(A, NOW)])), 1);
        assert_eq!(small.places(A), 1);
    });
}

/// A thread that stands still for ever after each of its steps keeps nobody from anything.
#[test]
fn a_claim_whose_thread_is_gone_is_finished_or_taken() {
    for (steps, alone) in [(1, false), (2, false), (1, true)] {
        bounded(2, move || {
            let small = Arc::new(Small::of(1, 1, Overflow::Evict));
            if alone {
                assert!(small.block(STRANGER, FAR), "one slot is left");
            }
            let gone: Call<bool> = Box::new(move |small| {
                let key = small.table.slots.candidates(hash(A));
                let claim = small.table.claim(&key, NOW, &Small::<Single>::lifetime).expect("room");
                if let Some(claim) = claim.filter(|_| steps == 2) {
                    small.table.resolve(&claim, &key);
                }
                false
            });
            let answers = at_once(&small, vec![gone, consume(A, NOW), consume(A, NOW)]);
            assert_eq!(passed(&answers), 1);
            assert!(small.places(A) == 1 && small.consume(B, NOW));
        });
    }
}

/// A charge by the old options is found by the pass, or finds that the options have changed.
#[test]
fn a_charge_next_to_a_reconfiguration_is_cut() {
    const LESS: u64 = 2;
    loom::model(|| {
        let options = |limit| RateLimiterOptions { max_keys: 1, ..RateLimiterOptions::new(limit, limit) };
        let limiter = Arc::new(RateLimiter::new("model", options(9).try_into().expect("valid")));
        let client = hash(A);
        let charge: Box<dyn FnOnce(&RateLimiter) + Send> = Box::new(move |limiter| {
            limiter.try_consume(client, 9, NOW).expect("open");
        });
        let reconfigure: Box<dyn FnOnce(&RateLimiter) + Send> = Box::new(move |limiter| {
            limiter.reconfigure(options(LESS), || NOW).expect("valid");
        });
        at_once(&limiter, vec![charge, reconfigure]);
        let decision = limiter.peek(client, NOW).expect("open");
        assert!(decision.reset_after <= LESS * MS, "{}", decision.reset_after);
    });
}

/// A client whom a helper brought in is a newcomer still, whatever the clock of the first who charges it.
#[test]
fn who_is_brought_in_by_a_helper_counts_from_the_watermark() {
    bounded(2, || {
        let small = Arc::new(Small::of(1, 1, Overflow::Evict));
        assert!(small.block(STRANGER, FAR));
        assert!(small.consume(A, NOW), "until 1100");
        assert!(small.consume(B, NOW + T), "A has expired");
        assert!(small.consume(B, NOW + 3 * T), "owes something else than A will");
        assert_eq!(passed(&at_once(&small, vec![consume(A, NOW + 1), consume(A, NOW + 1)])), 1);
        assert_eq!(small.table.get(hash(A)).expect("charged").words, [NOW + T + T]);
    });
}

/// The block of a client whose last one has ended changes no state: who takes the slot must find it all the same.
#[test]
fn a_client_blocked_anew_is_not_given_away() {
    for now in [NOW, FAR / 2] {
        bounded(3, move || {
            let small = Arc::new(Small::of(1, 2, Overflow::Evict));
            assert!(small.block(STRANGER, FAR) && small.block(A, NOW / 2), "a block that has ended");
            if now == NOW {
                assert!(small.consume(A, NOW), "owes something");
            }
            let block: Call<bool> = Box::new(|small| small.block(A, FAR));
            let answers = at_once(&small, vec![block, consume(B, now)]);
            assert!(answers[0]);
            assert!(!small.consume(A, now), "once blocked, nobody passes");
        });
    }
}

/// Clocks tick: two clients may owe the same.
#[test]
fn nobody_is_charged_for_another_who_owes_the_same() {
    bounded(3, || {
        let small = Arc::new(Small::of(1, 3, Overflow::Evict));
        assert!(small.block(STRANGER, FAR));
        assert!(small.consume(A, NOW));
        let other: Call<bool> = Box::new(|small| {
            small.table.reset(hash(A));
            small.consume(B, NOW)
        });
        assert_eq!(at_once(&small, vec![consume(A, NOW), other]), [true, true]);
        if small.places(B) == 1 {
            assert_eq!(small.remaining(B, NOW), 2);
        }
    });
}

#[test]
fn a_charge_that_is_undone_leaves_its_record_to_others() {
    bounded(3, || {
        let small = Arc::new(Small::of_two_limits(1));
        assert!(small.block(STRANGER, FAR));
        small.finish(A, NOW);
        let charge: Box<dyn FnOnce(&Small<Several>) + Send> = Box::new(|small| {
            small.consume(A, NOW);
        });
        let other: Box<dyn FnOnce(&Small<Several>) + Send> = Box::new(|small| small.finish(B, NOW));
        at_once(&small, vec![charge, other]);
    });
}

#[test]
fn a_table_at_its_bound_loses_no_place() {
    bounded(2, || {
        let small = Arc::new(Small::bounded(1, 1));
        let answers = at_once(&small, vec![consume(A, NOW), consume(B, NOW)]);
        assert_eq!(answers, [true, true]);
        assert!(small.places(A) + small.places(B) <= 1);
    });
}

/// A slot is claimed, and finished for its thread, between another thread's look and its own claim.
#[test]
fn newcomers_who_help_each_other_take_one_place() {
    bounded(2, || {
        let small = Arc::new(Small::bounded(2, 1));
        let gone: Call<bool> = Box::new(|small| {
            let key = small.table.slots.candidates(hash(A));
            small.table.claim(&key, NOW, &Small::<Single>::lifetime).is_ok_and(|claim| claim.is_none())
        });
        let helper: Call<bool> = Box::new(|small| {
            let key = small.table.slots.candidates(hash(A));
            if let Some(claim) = small.table.standing_claim(&key) {
                small.table.finish(&claim, &key);
            }
            false
        });
        at_once(&small, vec![gone, helper, consume(A, NOW)]);
        assert_eq!(small.places(A), 1);
    });
}

/// Another newcomer claims the slot before the one who freed it has looked at its tag again.
#[test]
fn a_reset_next_to_a_newcomer_of_the_slot_loses_no_place() {
    bounded(3, || {
        let small = Arc::new(Small::bounded(2, 1));
        assert!(small.consume(A, NOW));
        let reset: Call<bool> = Box::new(|small| small.table.reset(hash(A)).is_some());
        let others: Call<bool> = Box::new(|small| small.consume(B, NOW) && small.consume(C, NOW));
        assert!(at_once(&small, vec![reset, others])[1]);
        assert_eq!(small.places(A), 0);
    });
}

#[test]
fn a_reader_of_several_limits_sees_one_moment() {
    bounded(3, || {
        let small = Arc::new(Small::of_two_limits(3));
        assert!(small.consume(A, NOW));
        let read: Box<dyn FnOnce(&Small<Several>) -> bool + Send> = Box::new(|small| {
            let words = small.table.get(hash(A)).expect("charged").words;
            words[0] == words[1]
        });
        let charge: Box<dyn FnOnce(&Small<Several>) -> bool + Send> =
            Box::new(|small| small.consume(A, NOW) && small.consume(A, NOW));
        assert_eq!(at_once(&small, vec![read, charge]), [true, true]);
    });
}

fn bounded(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}
