//! A process dies in a call, at each of its steps, while threads of another process make theirs. Afterwards every record but
//! those that a slot names can be taken, each once, and each slot has the words of the calls that changed it.

use loom::sync::Arc;
use loom::thread;

use super::*;
use crate::runtime::sync::fence;

/// The steps of a call that changes a slot. It dies after one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It has a record, and has written nothing to it.
    Taken,
    Written,
    Disowned,
    /// The slot names the new record, and the old one is not given back.
    Exchanged,
    /// All of them.
    GivenBack,
}

const STEPS: [Step; 5] = [Step::Taken, Step::Written, Step::Disowned, Step::Exchanged, Step::GivenBack];
const RECORDS: usize = OF_GROUP + POOL;

/// The slots of one group and their records, as two processes share them.
struct Group {
    records: OwnedRecords,
    slots: [AtomicU64; GROUP],
    processes: [Owner; 2],
}

/// The process that dies.
const MORTAL: usize = 0;
const SURVIVOR: usize = 1;

impl Group {
    /// Each slot is charged once, by the process that `published` names.
    fn new(published: [usize; GROUP]) -> Self {
        let processes = std::sync::Arc::new(Processes::new(&Arena::measure()).expect("room"));
        let owners = [MORTAL, SURVIVOR].map(|row| {
            processes.take(row, 1, 1);
            processes.own().expect("a row")
        });
        let records = OwnedRecords::new(GROUP, 1, &Arena::measure(), processes).expect("room");
        let group = Self { records, slots: Default::default(), processes: owners };
        for (slot, process) in published.into_iter().enumerate() {
            group.charge(process, slot);
        }
        group
    }

    fn names(&self, slot: usize, name: u64) -> bool {
        self.slots.get(slot).is_some_and(|kept| kept.load(Ordering::SeqCst) == name)
    }

    /// A record for a slot, with a word; waits until there is one.
    fn take(&self, process: usize, word: u64, slot: usize) -> Name {
        loop {
            let is_in = |slot, name| self.names(slot, name);
            match self.records.take_as(self.processes[process], &[word], slot, &is_in) {
                Some(name) => return name,
                None => thread::yield_now(),
            }
        }
    }

    /// Takes a free record, and does not note for which slot.
    fn take_only(&self, process: usize, slot: usize) {
        let own = self.processes[process];
        while self.records.take_free(own, slot).is_none() {
            let mut of_pool = (0..POOL).filter_map(|place| self.records.of_pool(place));
            if of_pool.any(|record| record.take_free(own).is_some()) {
                return;
            }
            thread::yield_now();
        }
    }

    /// The word of a slot.
    fn read(&self, slot: usize) -> u64 {
        loop {
            let (name, mut words) = (self.slots[slot].load(Ordering::Acquire), [0]);
            self.records.read(name, &mut words);
            fence(Ordering::Acquire);
            if self.slots[slot].load(Ordering::Relaxed) == name {
                return words[0];
            }
            thread::yield_now();
        }
    }

    fn charge(&self, process: usize, slot: usize) {
        self.charge_until(Step::GivenBack, process, slot);
    }

    /// As the table does. Ends after a step.
    fn charge_until(&self, last: Step, process: usize, slot: usize) {
        loop {
            let (name, mut words) = (self.slots[slot].load(Ordering::SeqCst), [0]);
            self.records.read(name, &mut words);
            fence(Ordering::Acquire);
            if self.slots[slot].load(Ordering::Relaxed) != name {
                thread::yield_now();
                continue;
            }
            if last == Step::Taken {
                return self.take_only(process, slot);
            }
            let next = self.take(process, words[0] + 1, slot);
            if last == Step::Written {
                return;
            }
            self.records.disown_as(Some(self.processes[process]), Name(name));
            if last == Step::Disowned {
                return;
            }
            let exchanged =
                self.slots[slot].compare_exchange(name, next.0, Ordering::SeqCst, Ordering::SeqCst);
            if last == Step::Exchanged && exchanged.is_ok() {
                return;
            }
            self.records.give_back(if exchanged.is_ok() { name } else { next.0 }, slot);
            if exchanged.is_ok() {
                return;
            }
            thread::yield_now();
        }
    }

    /// As the kernel makes it known.
    fn die(&self) {
        self.records.processes.bury(self.processes[MORTAL]);
    }

    /// How often a record can be had; each is held afterwards.
    fn take_all(&self) -> usize {
        let is_in = |slot, name| self.names(slot, name);
        let own = self.processes[SURVIVOR];
        let taken = std::iter::from_fn(|| self.records.take_as(own, &[99], 0, &is_in));
        taken.take(2 * RECORDS).count()
    }

    /// No call is under way.
    fn check(&self, words: [u64; GROUP]) {
        assert_eq!([0, 1].map(|slot| self.read(slot)), words, "charges that count");
        assert_eq!(self.take_all(), RECORDS - GROUP, "records that no slot names");
        assert_eq!([0, 1].map(|slot| self.read(slot)), words, "no record that a slot names is taken");
    }
}

fn check(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

fn is_charged(last: Step) -> u64 {
    u64::from(matches!(last, Step::Exchanged | Step::GivenBack))
}

/// Each process has published one of the records of the group.
#[test]
fn every_record_of_the_dead_can_be_taken() {
    for last in STEPS {
        for published in [[MORTAL, SURVIVOR], [SURVIVOR, MORTAL]] {
            check(3, move || {
                let group = Arc::new(Group::new(published));
                let dies = Arc::clone(&group);
                let dies = thread::spawn(move || {
                    dies.charge_until(last, MORTAL, 0);
                    dies.die();
                });
                let lives = Arc::clone(&group);
                let lives = thread::spawn(move || lives.charge(SURVIVOR, 0));
                dies.join().expect("no panic");
                lives.join().expect("no panic");
                group.check([2 + is_charged(last), 1]);
            });
        }
    }
}

/// All records of the group are named or held when the threads begin, and one of them is of the dead.
#[test]
fn two_that_need_a_record_of_the_dead_take_two() {
    for last in STEPS {
        check(2, move || {
            let group = Arc::new(Group::new([SURVIVOR, MORTAL]));
            group.charge_until(last, MORTAL, 0);
            group.die();
            let threads = [0, 1].map(|slot| {
                let group = Arc::clone(&group);
                thread::spawn(move || group.charge(SURVIVOR, slot))
            });
            threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
            group.check([2 + is_charged(last), 2]);
        });
    }
}

/// A record is taken from a slot whose call is about to give it back. Its process lives, and another one published it.
#[test]
fn a_record_that_is_given_back_late_is_not_freed_in_its_next_use() {
    check(3, || {
        let group = Arc::new(Group::new([MORTAL, SURVIVOR]));
        let threads = [0, 1].map(|slot| {
            let group = Arc::clone(&group);
            thread::spawn(move || {
                group.charge(SURVIVOR, 0);
                group.charge(SURVIVOR, slot);
            })
        });
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
        group.check([4, 2]);
        assert_eq!(group.records.in_flight(|slot, name| group.names(slot, name)), (RECORDS - GROUP) as u64);
    });
}

/// The group is used up by calls that go on, so that the dead process took one of the pool.
#[test]
fn a_record_of_the_pool_is_found_in_the_slot_that_it_was_taken_for() {
    for last in [Step::Written, Step::Disowned, Step::Exchanged, Step::GivenBack] {
        check(2, move || {
            let group = Arc::new(Group::new([SURVIVOR, SURVIVOR]));
            let held = group.take(SURVIVOR, 7, 0);
            let dies = Arc::clone(&group);
            let dies = thread::spawn(move || {
                dies.charge_until(last, MORTAL, 1);
                dies.die();
            });
            let lives = Arc::clone(&group);
            let lives = thread::spawn(move || {
                lives.charge(SURVIVOR, 1);
                lives.charge(SURVIVOR, 1);
            });
            dies.join().expect("no panic");
            lives.join().expect("no panic");
            group.records.give_back(held.0, 0);
            group.check([1, 3 + is_charged(last)]);
        });
    }
}

/// A process gives its row back in one thread, while another one makes a call. What that call is about to publish is taken by
/// no other process.
#[test]
fn a_row_is_given_back_once_no_call_is_inside() {
    check(2, || {
        let group = Arc::new(Group::new([MORTAL, SURVIVOR]));
        // Two are free: one for the call, and one more.
        let held: Vec<_> = (0..RECORDS - GROUP - 2).map(|_| group.take(SURVIVOR, 7, 1)).collect();
        let calls = Arc::clone(&group);
        let calls = thread::spawn(move || {
            let present = calls.records.processes.enter();
            if present.is_some() {
                calls.charge(MORTAL, 0);
            }
            u64::from(present.is_some())
        });
        let leaves = Arc::clone(&group);
        let leaves = thread::spawn(move || {
            let departs = Arc::clone(&leaves);
            leaves.records.processes.leave(move || departs.die());
            let is_in = |slot, name| leaves.names(slot, name);
            let own = leaves.processes[SURVIVOR];
            let taken = [(); 2].map(|()| leaves.records.take_as(own, &[99], 1, &is_in));
            taken.into_iter().flatten().for_each(|name| leaves.records.give_back(name.0, 1));
        });
        let is_charged = calls.join().expect("no panic");
        leaves.join().expect("no panic");
        held.into_iter().for_each(|name| group.records.give_back(name.0, 1));
        group.check([1 + is_charged, 1]);
    });
}
