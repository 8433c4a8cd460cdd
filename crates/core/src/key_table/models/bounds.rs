//! A table with a bound counts each slot that is not free; the count is checked when the table is dropped.

use super::*;

#[test]
fn a_table_at_its_bound_counts_its_slots() {
    on_both_paths(2, |path| {
        let small = Arc::new(Small::bounded(path, 1, 1));
        assert_eq!(at_once(&small, [consume(A, NOW), consume(B, NOW)]), [true, true]);
        assert!(small.slots_of(A) + small.slots_of(B) <= 1);
    });
}

/// A slot is claimed, and the claim finished by another thread, between a third thread's survey and its own claim.
#[test]
fn an_insert_that_another_thread_finishes_is_counted_once() {
    on_both_paths(2, |path| {
        let small = Arc::new(Small::bounded(path, 2, 1));
        let stopped = call(|small: &Small<_>| {
            let key = small.table.slots.candidates(hash(A));
            small.table.claim(&key, NOW, &Small::<Single>::lifetime).is_ok_and(|claim| claim.is_none())
        });
        let helper = call(|small: &Small<_>| {
            let key = small.table.slots.candidates(hash(A));
            if let Some(claim) = small.table.standing_claim(&key) {
                small.table.finish(&claim, &key);
            }
            false
        });
        at_once(&small, [stopped, helper, consume(A, NOW)]);
        assert_eq!(small.slots_of(A), 1);
    });
}

/// Another key claims the slot before the reset that freed it has read its tag again.
#[test]
fn a_reset_of_a_slot_that_is_claimed_at_once_is_counted() {
    on_both_paths(3, |path| {
        let small = Arc::new(Small::bounded(path, 2, 1));
        assert!(small.consume(A, NOW));
        let reset = call(|small: &Small<_>| small.table.reset(hash(A)).is_some());
        let others = call(|small: &Small<_>| small.consume(B, NOW) && small.consume(C, NOW));
        assert!(at_once(&small, [reset, others])[1]);
        assert_eq!(small.slots_of(A), 0);
    });
}
