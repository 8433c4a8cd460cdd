//! A table with a near part, whose keys go to their homes once it is crowded. The look for a key begins in the near part
//! before, and in a crowded table where a tag there matches.

use super::*;

/// A table of four pairs, and one near.
fn with_near_part(path: Path, burst: u64) -> Small<Single> {
    Small::of(path, 4, burst, Overflow::Evict)
}

/// So many new keys find the near part full.
fn send_on(small: &Small<Single>, keys: usize) {
    (0..keys).for_each(|_| small.table.slots.send_on());
}

/// A thread inserts A in the near part, and another one at its home, as the table has become crowded.
#[test]
fn a_key_inserted_while_the_table_becomes_crowded_has_one_slot() {
    on_both_paths(2, |path| {
        let small = Arc::new(with_near_part(path, 2));
        send_on(&small, 1);
        let crowded = call(|small: &Small<Single>| {
            send_on(small, 1);
            small.consume(A, NOW)
        });
        assert_eq!(at_once(&small, [consume(A, NOW), crowded]), [true, true]);
        assert_eq!(small.slots_of(A), 1);
        assert_eq!(small.remaining(A, NOW), 0);
    });
}

/// A leaves the near part, where its tag stays, and returns to its home.
#[test]
fn a_key_that_returns_to_a_crowded_table_is_found_at_home() {
    on_both_paths(2, |path| {
        let small = Arc::new(with_near_part(path, 3));
        assert!(small.consume(A, NOW));
        send_on(&small, 2);
        let returns = call(|small: &Small<Single>| {
            small.table.reset(hash(A));
            small.consume(A, NOW)
        });
        assert_eq!(at_once(&small, [consume(A, NOW), returns]), [true, true]);
        assert_eq!(small.slots_of(A), 1);
        let left = small.remaining(A, NOW);
        assert!(left == 1 || left == 2, "charged before the reset, or after it");
        let again = (0..3).filter(|_| small.consume(A, NOW)).count() as u64;
        assert_eq!(again, left);
    });
}
