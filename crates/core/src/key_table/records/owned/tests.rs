use super::*;
use crate::key_table::records::USES;

/// Slots that name records.
#[derive(Default)]
struct Slots(std::cell::RefCell<Vec<u64>>);

impl Slots {
    fn is_in(&self, slot: usize, name: u64) -> bool {
        self.0.borrow().get(slot) == Some(&name)
    }
}

fn records(slots: usize, limits: usize) -> OwnedRecords {
    let processes = Arc::new(Processes::new(&Arena::measure()).expect("room"));
    processes.take(0, 1, 1);
    OwnedRecords::new(slots, limits, &Arena::measure(), processes).expect("room")
}

fn read(records: &OwnedRecords, name: u64) -> [u64; 6] {
    let mut words = [0; 6];
    records.read(name, &mut words);
    words
}

const NOWHERE: fn(usize, u64) -> bool = |_, _| false;

#[test]
fn each_record_is_had_once_and_holds_its_words() {
    for limits in [2, 3, 6] {
        let records = records(17, limits);
        // The last group has a slot of its own, and the records of a whole group.
        let names: Vec<_> = (1..).map_while(|word| records.take(&[word; 6], 16, NOWHERE)).collect();
        assert_eq!(names.len(), OF_GROUP + POOL);
        let mut numbers: Vec<_> = names.iter().map(|name| Name(*name).number()).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), names.len());
        for (name, word) in names.iter().zip(1..) {
            let expected = std::array::from_fn(|place| if place < limits { word } else { 0 });
            assert_eq!(read(&records, *name), expected);
        }
        assert_eq!(records.in_flight(NOWHERE), names.len() as u64);
        names.iter().for_each(|name| records.give_back(*name, 16));
        names.iter().for_each(|name| records.give_back(*name, 16));
        assert_eq!(records.in_flight(NOWHERE), 0);
        assert!(records.take(&[1; 6], 0, NOWHERE).is_some(), "of another group");
    }
}

#[test]
fn a_record_that_a_slot_names_outlives_its_process() {
    let records = records(GROUP, 2);
    let slots = Slots::default();
    let named: Vec<_> = (0..GROUP).map(|slot| records.take(&[7; 6], slot, NOWHERE).expect("room")).collect();
    *slots.0.borrow_mut() = named.clone();
    let held = std::iter::from_fn(|| records.take(&[8; 6], 0, |slot, name| slots.is_in(slot, name))).count();
    assert_eq!(held, 2 + POOL, "of calls that got no further");
    let dead = records.processes.own().expect("a row");
    records.processes.take(1, 2, 2);
    assert!(records.take(&[9; 6], 0, |slot, name| slots.is_in(slot, name)).is_none(), "its process lives");
    assert!(records.processes.bury(dead));
    let taken = std::iter::from_fn(|| records.take(&[9; 6], 0, |slot, name| slots.is_in(slot, name))).count();
    assert_eq!(taken, 2 + POOL);
    assert!(named.iter().all(|name| read(&records, *name)[..2] == [7, 7]));
    assert_eq!(records.in_flight(|slot, name| slots.is_in(slot, name)), taken as u64);
}

/// The process that published the record lives. Another one takes its name out of the slot, and is killed.
#[test]
fn a_record_is_disowned_before_its_name_is_taken_out() {
    let records = records(GROUP, 2);
    let first = records.take(&[7; 6], 0, NOWHERE).expect("room");
    let names = |slot, name| (slot, name) == (0, first);
    records.processes.take(1, 2, 2);
    assert_eq!(records.in_flight(names), 0);
    records.disown(first);
    assert_eq!(records.in_flight(NOWHERE), 0, "no living process holds it");
    let taken: Vec<_> = std::iter::from_fn(|| records.take(&[8; 6], 0, names)).map(Name).collect();
    assert_eq!(taken.len(), OF_GROUP - 1 + POOL, "not while its slot names it");
    let again = records.take(&[9; 6], 0, NOWHERE).map(Name).expect("the one that was left");
    assert_eq!((again.number(), again.uses()), (Name(first).number(), Name(first).uses() + 1));
    // The call that took the name out of its slot goes on after all.
    records.give_back(first, 0);
    assert_eq!(records.in_flight(NOWHERE), taken.len() as u64 + 1, "that was another use");
}

/// Names and words of another process.
#[test]
fn any_bits_are_harmless() {
    let records = records(9, 3);
    let count = (2 * OF_GROUP + POOL) as u64;
    for name in [0, count + 1, u64::from(u32::MAX), 1 << 32, u64::MAX, u64::MAX >> 2] {
        assert_eq!(read(&records, name), [0; 6]);
        records.disown(name);
        records.give_back(name, 3);
    }
    for word in records.groups.iter().chain(records.pool.iter()) {
        word.store(u64::MAX, Ordering::Relaxed);
    }
    let name = Name::new(1, USES - 1).0;
    assert_eq!(read(&records, name)[..3], [WORD; 3], "what a slot could hold");
    assert_eq!(records.in_flight(NOWHERE), 0);
    let taken = records.take(&[5; 6], 0, NOWHERE).expect("no living process holds it");
    assert_eq!((Name(taken).uses(), read(&records, taken)[0]), (0, 5), "the number of uses begins anew");
    records.disown(name);
    records.give_back(name, 0);
    assert_eq!(records.in_flight(NOWHERE), 1);
    assert!(records.take(&[5; 6], usize::MAX, NOWHERE).is_some(), "of the pool: there is no such slot");
}
