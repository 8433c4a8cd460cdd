use super::*;
use crate::runtime::key_hash::hash_str;

fn slots(pairs: usize) -> Slots {
    Slots::new(pairs, &Arena::default()).expect("room")
}

fn lines(slots: &Slots, key: &str) -> Vec<usize> {
    slots.lines_of(&slots.candidates(hash_str(key))).collect()
}

/// Every line once, two of each pair.
fn check(lines: &[usize], pairs: usize) {
    assert_eq!(lines.len(), 2 * pairs);
    let (mut distinct, mut of_pairs) =
        (lines.to_vec(), lines.iter().map(|line| line / 2).collect::<Vec<_>>());
    distinct.sort_unstable();
    distinct.dedup();
    of_pairs.dedup();
    assert_eq!((distinct.len(), of_pairs.len()), (2 * pairs, pairs));
}

#[test]
fn a_key_has_three_pairs_of_lines_where_there_are_three() {
    for pairs in [1, 2, 3, 4, 100, LEAST_WITH_NEAR / 2 - 1] {
        let slots = slots(pairs);
        for i in 0..200 {
            let lines = lines(&slots, &i.to_string());
            check(&lines, pairs.min(3));
            assert!(lines.iter().all(|line| *line < 2 * pairs));
        }
    }
}

#[test]
fn a_large_table_has_a_near_pair_for_each_key() {
    let slots = slots(LEAST_WITH_NEAR / 2);
    for i in 0..200 {
        let lines = lines(&slots, &i.to_string());
        check(&lines, 4);
        assert!(lines[..2].iter().all(|line| *line < NEAR_LINES));
        assert!(lines[2..].iter().all(|line| (NEAR_LINES..NEAR_LINES + LEAST_WITH_NEAR).contains(line)));
    }
}

/// Once the table is crowded, a look starts at home.
#[test]
fn the_likely_line_comes_first() {
    for pairs in [1, 100, LEAST_WITH_NEAR / 2] {
        let slots = slots(pairs);
        for crowded in [false, true] {
            for i in 0..200 {
                let key = slots.candidates(hash_str(&i.to_string()));
                let by_likelihood: Vec<_> = slots.lines_by_likelihood(&key).collect();
                assert_eq!(by_likelihood[0], slots.likely(&key));
                let mut all: Vec<_> = slots.lines_of(&key).collect();
                if crowded && slots.near > 0 {
                    all[..4].rotate_left(2);
                }
                assert_eq!(by_likelihood, all);
                let (to_fill, in_order) = slots.lines_to_fill(&key);
                let to_fill: Vec<_> = to_fill.collect();
                let has_near_first = !crowded && slots.near > 0;
                assert_eq!((to_fill[0], in_order), (all[0], if has_near_first { 3 } else { 1 }));
                check(&to_fill, all.len() / 2);
            }
            (0..NEAR_LINES * LINE_SLOTS + 5).for_each(|_| slots.send_on());
            assert!(slots.is_crowded());
        }
    }
}

/// Two keys that share their home rarely share another pair.
#[test]
fn the_other_pairs_do_not_follow_from_the_home() {
    let slots = slots(16);
    let mut random = fastrand::Rng::with_seed(7);
    let of_one_home: Vec<_> = (0..200_000)
        .map(|_| {
            slots.lines_of(&slots.candidates(KeyHash::from_halves(1, random.u64(..)))).collect::<Vec<_>>()
        })
        .filter(|lines| lines[0] == 7)
        .collect();
    let mut others: Vec<_> = of_one_home.iter().map(|lines| [lines[2] / 2, lines[4] / 2]).collect();
    others.sort_unstable();
    others.dedup();
    assert_eq!(others.len(), 15 * 14, "each two of the others follow for some key");
}
