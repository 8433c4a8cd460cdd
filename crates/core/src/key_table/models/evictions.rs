//! A new key takes the slot of another: of one that has expired, or of a live one, which is counted.

use super::*;

/// The only slot within reach is that of a live key. Its state differs from the one that the new key will have:
/// an exchange could not tell equal ones apart.
#[test]
fn a_new_key_does_not_evict_itself() {
    on_both_paths(3, |path| {
        let small = Arc::new(Small::of_one_slot(path, 1));
        assert!(small.consume(B, NOW + T / 2));
        assert_eq!(admitted(&at_once(&small, [consume(A, NOW), consume(A, NOW)])), 1);
        assert_eq!(small.table.live_evictions(), 1);
    });
}

/// B evicts A while A is charged so many times. What A had used is lost, and the eviction counted.
fn eviction_next_to(path: Path, charges: usize) {
    let small = Arc::new(Small::of_one_slot(path, 2));
    assert!(small.consume(A, NOW));
    let mut calls: Vec<_> = (0..charges).map(|_| consume(A, NOW)).collect();
    calls.push(consume(B, NOW));
    let answers = at_once(&small, calls);
    assert!(admitted(&answers[..charges]) as u64 <= 1 + 2 * small.table.live_evictions());
    assert!(small.slots_of(A) <= 1 && small.slots_of(B) <= 1);
}

#[test]
fn an_eviction_next_to_a_charge_loses_what_it_counts() {
    on_both_paths(3, |path| eviction_next_to(path, 1));
}

#[test]
fn an_eviction_next_to_two_charges_loses_what_it_counts() {
    on_both_paths(1, |path| eviction_next_to(path, 2));
}

/// One thread has read its clock at 1001 and is slow; another evicts the key, which has expired at 1100.
#[test]
fn a_key_that_was_evicted_as_expired_counts_from_the_watermark() {
    on_both_paths(3, |path| {
        let small = Arc::new(Small::of_one_slot(path, 1));
        assert!(small.consume(A, NOW), "until 1100");
        let answers = at_once(&small, [consume(B, NOW + T), consume(A, NOW + 1)]);
        assert!(answers[0]);
        if answers[1]
            && let Some(client) = small.table.get(hash(A))
        {
            assert_eq!(client.words, [NOW + T + T], "as of the time of its eviction");
        }
    });
}

/// A key that another thread inserted uncharged is still new when it is first charged, whatever clock its thread read.
#[test]
fn a_key_inserted_by_another_thread_counts_from_the_watermark() {
    on_both_paths(2, |path| {
        let small = Arc::new(Small::of_one_slot(path, 1));
        assert!(small.consume(A, NOW), "until 1100");
        assert!(small.consume(B, NOW + T), "A has expired");
        assert!(small.consume(B, NOW + 3 * T), "its state differs from the one that A will have");
        assert_eq!(admitted(&at_once(&small, [consume(A, NOW + 1), consume(A, NOW + 1)])), 1);
        assert_eq!(small.table.get(hash(A)).expect("charged").words, [NOW + T + T]);
    });
}

/// A has just expired, and a slot is free: C, whose home is that of A, takes that one while A comes back.
#[test]
fn a_key_that_has_just_expired_is_spared() {
    on_both_paths(3, |path| {
        let small = Arc::new(Small::of(path, 1, 1, Overflow::Evict));
        assert!(small.consume(A, NOW), "until 1100");
        assert_eq!(at_once(&small, [consume(A, NOW + T), consume(C, NOW + T)]), [true, true]);
        assert_eq!((small.slots_of(A), small.slots_of(C)), (1, 1));
        assert_eq!(small.table.watermark.load(Ordering::SeqCst), 0, "no key was evicted");
    });
}
