//! Inserts of a new key: it gets one slot, whatever other threads do.

use super::*;

#[test]
fn a_key_inserted_by_two_threads_has_one_slot() {
    on_both_paths(3, |path| {
        let small = Arc::new(Small::of(path, 1, 1, Overflow::Evict));
        assert_eq!(admitted(&at_once(&small, [consume(A, NOW), consume(A, NOW)])), 1);
        assert_eq!(small.slots_of(A), 1);
    });
}

#[test]
fn a_key_inserted_by_three_threads_has_one_slot() {
    three_on_both_paths(|path| {
        let small = Arc::new(Small::of(path, 1, 2, Overflow::Evict));
        let answers = at_once(&small, [consume(A, NOW), consume(A, NOW), consume(A, NOW)]);
        assert_eq!(admitted(&answers), 2);
        assert_eq!(small.slots_of(A), 1);
    });
}

/// The home of the key becomes free while its other slot is being claimed.
#[test]
fn an_insert_next_to_a_reset_takes_one_slot() {
    for has_bound in [false, true] {
        on_both_paths(2, move |path| {
            let small =
                if has_bound { Small::bounded(path, 2, 1) } else { Small::of(path, 1, 1, Overflow::Evict) };
            let small = Arc::new(small);
            assert!(small.consume(C, NOW));
            let reset = call(|small: &Small<_>| small.table.reset(hash(C)).is_some());
            let answers = at_once(&small, [consume(A, NOW), consume(A, NOW), reset]);
            assert_eq!(admitted(&answers[..2]), 1);
            assert!(answers[2] || small.table.live_evictions() == 1);
            assert_eq!((small.slots_of(A), small.slots_of(C)), (1, 0));
        });
    }
}

#[test]
fn a_key_of_two_pairs_has_one_slot() {
    for other in [A, B] {
        on_both_paths(3, move |path| {
            let small = Arc::new(Small::of(path, 2, 1, Overflow::Evict));
            let answers = at_once(&small, [consume(A, NOW), consume(other, NOW)]);
            assert_eq!(admitted(&answers), if other == A { 1 } else { 2 });
            assert_eq!((small.slots_of(A), small.slots_of(other)), (1, 1));
        });
    }
}

#[test]
fn a_key_of_three_pairs_has_one_slot() {
    on_both_paths(2, |path| {
        let small = Arc::new(Small::of(path, 3, 1, Overflow::Evict));
        assert_eq!(admitted(&at_once(&small, [consume(A, NOW), consume(A, NOW)])), 1);
        assert_eq!(small.slots_of(A), 1);
    });
}

/// One of two inserts finds the home taken and chooses another line; the other finds it free again.
#[test]
fn a_key_whose_home_becomes_free_has_one_slot() {
    three_on_both_paths(|path| {
        let small = Arc::new(Small::of(path, 2, 1, Overflow::Evict));
        assert!(small.consume(C, NOW), "takes the home of A");
        let reset = call(|small: &Small<_>| small.table.reset(hash(C)).is_some());
        let answers = at_once(&small, [consume(A, NOW), consume(A, NOW), reset]);
        assert_eq!(admitted(&answers[..2]), 1);
        assert_eq!((small.slots_of(A), small.slots_of(C)), (1, 0));
        assert!(!small.consume(A, NOW), "it is found, wherever it is");
    });
}

#[test]
fn two_new_keys_that_compete_for_a_slot_are_both_admitted() {
    on_both_paths(2, |path| {
        let small = Arc::new(Small::of_one_slot(path, 1));
        assert_eq!(at_once(&small, [consume(A, NOW), consume(B, NOW)]), [true, true]);
        assert_eq!(small.slots_of(A) + small.slots_of(B), 1);
        assert!(small.table.live_evictions() <= 1);
    });
}

#[test]
fn the_version_of_a_slot_may_wrap_around() {
    on_both_paths(2, |path| {
        let small = Arc::new(Small::of(path, 1, 1, Overflow::Evict));
        for slot in small.table.slots.all() {
            let unused = State::free(word::Tag::NONE.version());
            assert!(slot.state.swap_if(unused, State::free(word::Version::LAST)).is_ok());
        }
        assert_eq!(admitted(&at_once(&small, [consume(A, NOW), consume(A, NOW)])), 1);
        assert_eq!(small.slots_of(A), 1);
    });
}

/// One thread stops for ever after the first step of an insert (claim) or the second (resolve).
#[test]
fn the_claim_of_a_stopped_thread_is_finished_or_taken_over() {
    for (steps, one_slot) in [(1, false), (2, false), (1, true)] {
        three_on_both_paths(move |path| {
            let small =
                if one_slot { Small::of_one_slot(path, 1) } else { Small::of(path, 1, 1, Overflow::Evict) };
            let small = Arc::new(small);
            let stopped = call(move |small: &Small<_>| {
                let key = small.table.slots.candidates(hash(A));
                let claim = small.table.claim(&key, NOW, &Small::<Single>::lifetime).expect("room");
                if let Some(claim) = claim.filter(|_| steps == 2) {
                    small.table.resolve(&claim, &key);
                }
                false
            });
            let answers = at_once(&small, [stopped, consume(A, NOW), consume(A, NOW)]);
            assert_eq!(admitted(&answers), 1);
            assert!(small.slots_of(A) == 1 && small.consume(B, NOW));
        });
    }
}
