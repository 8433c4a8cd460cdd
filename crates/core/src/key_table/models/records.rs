//! Keys of several limits, whose words are in records: those of one process, and those that processes share.

use super::*;

type Stacked = Several<StackedRecords>;
type Owned = Several<OwnedRecords>;

#[test]
fn two_limits_are_charged_together() {
    fn model<C: OfTwoLimits>() {
        bounded(2, || {
            let small = Arc::new(Small::<C>::of_two_limits(2));
            assert!(small.consume(A, NOW));
            assert_eq!(admitted(&at_once(&small, [consume(A, NOW), consume(A, NOW)])), 1);
            let words = small.table.get(hash(A)).expect("charged").words;
            assert_eq!(words[..2], [NOW + 2 * T, NOW + 2 * T]);
        });
    }
    model::<Stacked>();
    model::<Owned>();
}

#[test]
fn two_new_keys_share_no_record() {
    fn model<C: OfTwoLimits>() {
        bounded(2, || {
            let small = Arc::new(Small::<C>::of_two_limits(1));
            assert_eq!(at_once(&small, [consume(A, NOW), consume(B, 2 * NOW)]), [true, true]);
            let word = |key| small.table.get(hash(key)).map(|client| client.words[0]);
            assert_eq!((word(A), word(B)), (Some(NOW + T), Some(2 * NOW + T)));
        });
    }
    model::<Stacked>();
    model::<Owned>();
}

/// The record of each key is counted when the table is dropped.
#[test]
fn a_charge_that_is_undone_frees_its_own_record() {
    fn model<C: OfTwoLimits>() {
        bounded(3, || {
            let small = Arc::new(Small::<C>::of_two_limits(1));
            assert!(small.block(BLOCKED, FAR));
            small.insert_uncharged(A, NOW);
            let other = call(|small: &Small<C>| {
                small.insert_uncharged(B, NOW);
                true
            });
            at_once(&small, [consume(A, NOW), other]);
        });
    }
    model::<Stacked>();
    model::<Owned>();
}

#[test]
fn a_reader_sees_the_words_of_one_charge() {
    fn model<C: OfTwoLimits>() {
        bounded(3, || {
            let small = Arc::new(Small::<C>::of_two_limits(3));
            assert!(small.consume(A, NOW));
            let read = call(|small: &Small<C>| {
                let words = small.table.get(hash(A)).expect("charged").words;
                words[0] == words[1]
            });
            let charge = call(|small: &Small<C>| small.consume(A, NOW) && small.consume(A, NOW));
            assert_eq!(at_once(&small, [read, charge]), [true, true]);
        });
    }
    model::<Stacked>();
    model::<Owned>();
}

/// No eviction is possible, so both calls charge the key where they found it, whatever they read meanwhile.
#[test]
fn two_calls_of_several_limits_are_charged_in_the_slot_of_their_key() {
    fn model<C: OfTwoLimits>() {
        bounded(3, || {
            let small = Arc::new(Small::<C>::of_two_limits(3));
            assert!(small.consume(A, NOW));
            let change = call(|small: &Small<C>| {
                let found = small.table.slots.find(&small.table.slots.candidates(hash(A))).expect("charged");
                let charged = small.table.change(found, |client| {
                    let mut words = client.words;
                    words.iter_mut().take(2).for_each(|word| *word += T);
                    Step::Write(words, ())
                });
                charged.is_some()
            });
            assert_eq!(at_once(&small, [change, consume(A, NOW)]), [true, true]);
            assert_eq!(small.table.get(hash(A)).expect("charged").words[..2], [NOW + 3 * T, NOW + 3 * T]);
        });
    }
    model::<Stacked>();
    model::<Owned>();
}
