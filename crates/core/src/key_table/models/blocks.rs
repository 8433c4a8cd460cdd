//! Blocks, next to charges and evictions of the same key.

use super::*;

#[test]
fn a_block_next_to_a_charge_stands() {
    for blocked_before in [false, true] {
        on_both_paths(3, move |path| {
            let small = Arc::new(Small::of(path, 1, 5, Overflow::Evict));
            assert!(small.consume(A, NOW));
            if blocked_before {
                assert!(small.block(A, NOW / 2), "a block that has ended");
            }
            let block = call(|small: &Small<_>| small.block(A, 3_000_000));
            at_once(&small, [consume(A, NOW), block]);
            assert!(!small.consume(A, NOW), "it is blocked");
        });
    }
}

#[test]
fn the_later_of_two_blocks_of_a_new_key_stands() {
    on_both_paths(3, |path| {
        let small = Arc::new(Small::of(path, 1, 1, Overflow::Evict));
        let block = |until| call(move |small: &Small<_>| small.block(A, until));
        assert_eq!(at_once(&small, [block(2_000_000), block(4_000_000)]), [true, true]);
        let client = small.table.get(hash(A)).expect("blocked");
        assert_eq!(client.blocked_until, 4_000_000);
        assert_eq!(small.slots_of(A), 1);
    });
}

#[test]
fn a_block_of_a_key_that_another_thread_inserts_stands() {
    on_both_paths(3, |path| {
        let small = Arc::new(Small::of(path, 1, 5, Overflow::Evict));
        let block = call(|small: &Small<_>| small.block(A, 3_000_000));
        assert!(at_once(&small, [consume(A, NOW), block])[1]);
        assert_eq!(small.slots_of(A), 1);
        assert!(!small.consume(A, NOW), "it is blocked");
    });
}

/// A has expired, and B takes its slot while A is blocked.
#[test]
fn a_block_does_not_apply_to_the_next_key_of_the_slot() {
    on_both_paths(2, |path| {
        let small = Arc::new(Small::of_one_slot(path, 1));
        assert!(small.consume(A, NOW - T), "expires now");
        let late = call(|small: &Small<_>| small.block(A, 50_000_000));
        let other = call(|small: &Small<_>| small.consume(B, NOW) && small.block(B, 2_000_000));
        if at_once(&small, [late, other])[1] {
            let client = small.table.get(hash(B)).expect("blocked");
            assert_eq!(client.blocked_until, 2_000_000);
        }
    });
}

/// The second block of a key whose first has ended changes no state: an eviction must find it all the same.
#[test]
fn a_key_that_is_blocked_again_is_not_evicted() {
    for now in [NOW, FAR / 2] {
        on_both_paths(3, move |path| {
            let small = Arc::new(Small::of_one_slot(path, 2));
            assert!(small.block(A, NOW / 2), "a block that has ended");
            if now == NOW {
                assert!(small.consume(A, NOW), "live, not expired");
            }
            let block = call(|small: &Small<_>| small.block(A, FAR));
            assert!(at_once(&small, [block, consume(B, now)])[0]);
            assert!(!small.consume(A, now), "it is blocked");
        });
    }
}

/// A process is killed after it took the mark of an ended block, to see whether the key was blocked again, and before it
/// put the mark back. A block that is acknowledged meanwhile stands after the repair.
#[test]
fn a_block_that_a_killed_eviction_hid_is_repaired() {
    bounded(3, || {
        let small = Arc::new(Small::of(Path::Full, 1, 1, Overflow::Evict));
        assert!(small.block(A, NOW), "ends at once");
        let killed = call(|small: &Small<_>| {
            let found = small.table.slots.find(&small.table.slots.candidates(hash(A))).expect("blocked");
            found.slot.state.swap_if(found.state, found.state.without_block()).is_ok()
        });
        let block = call(|small: &Small<_>| small.block(A, FAR));
        let answers = at_once(&small, [killed, block]);
        assert!(answers[1]);
        small.table.repair(NOW);
        assert!(!small.consume(A, NOW));
        assert_eq!(small.table.repair(NOW), (0, 0), "a second repair finds nothing");
    });
}
