use super::*;
use crate::runtime::key_hash::hash_str;

fn slots(groups: usize) -> Slots {
    Slots::new(groups, Arc::default()).expect("room")
}

fn groups(slots: &Slots, key: &str) -> Vec<usize> {
    slots.groups_of(&slots.candidates(hash_str(key))).collect()
}

#[test]
fn a_key_has_two_groups_where_there_are_two() {
    for count in [2, 3, 100, LEAST_WITH_NEAR - 1] {
        let slots = slots(count);
        for i in 0..200 {
            let groups = groups(&slots, &i.to_string());
            assert!(groups.len() == 2 && groups[0] != groups[1] && groups.iter().all(|group| *group < count));
        }
    }
    assert_eq!(groups(&slots(1), "a"), [0]);
}

#[test]
fn a_large_table_has_a_near_group_for_each_key() {
    let slots = slots(LEAST_WITH_NEAR);
    for i in 0..200 {
        let groups = groups(&slots, &i.to_string());
        assert!(groups[0] < NEAR_GROUPS && groups[1..].iter().all(|group| *group >= NEAR_GROUPS));
        assert!(groups.len() == 3 && groups[1] != groups[2] && groups[2] < NEAR_GROUPS + LEAST_WITH_NEAR);
    }
}

/// Two keys that share their first group rarely share the second.
#[test]
fn the_second_group_does_not_follow_from_the_first() {
    let slots = slots(16);
    let mut seconds: Vec<_> = (0..20_000)
        .map(|i| groups(&slots, &i.to_string()))
        .filter(|groups| groups[0] == 7)
        .map(|groups| groups[1])
        .collect();
    seconds.sort_unstable();
    seconds.dedup();
    assert_eq!(seconds.len(), 15, "each of the others follows for some key");
}
