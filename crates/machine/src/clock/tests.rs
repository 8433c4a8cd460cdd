use std::sync::Arc;

use sluice_core::machine::Processes;
use sluice_core::runtime::arena::Arena;

use super::*;

const SECOND: u64 = 1_000_000_000;
/// A tick of half a nanosecond.
const RATE: u64 = 1 << 31;

fn word() -> ClockWord {
    Processes::new(&Arena::measure()).expect("room").clock_word()
}

/// Of a machine that has run for 100 s.
fn start() -> Start {
    Start { date: 1_000 * SECOND, system: 100 * SECOND, ticks: 200 * SECOND, rate: RATE }
}

/// After so many nanoseconds by either clock.
fn both(system: u64, counter: u64) -> Both {
    Both { system: start().system + system, ticks: start().ticks + 2 * counter, apart: 50 }
}

fn trusted() -> Option<bool> {
    Some(true)
}

#[test]
fn begins_at_the_date_and_goes_on() {
    let clock = Clock::new(Start::now(), word());
    let (first, date) = (clock.now(), SystemTime::now().duration_since(UNIX_EPOCH).expect("a date"));
    assert!(u128::from(first).abs_diff(date.as_nanos()) < 10 * u128::from(SECOND));
    assert!(clock.now() >= first);
}

/// Each process reads the clock of its own; none finds a time that another one has found later before.
#[test]
fn the_time_is_one_for_all_processes() {
    let (start, word) = (Start::now(), word());
    let latest = Arc::new(Mutex::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let (clock, latest) = (Clock::new(start, word.clone()), &latest);
            scope.spawn(move || {
                for turn in 0..20_000 {
                    let mut latest = latest.lock();
                    let now = clock.now();
                    assert!(now + 1_000 >= *latest, "{now} after {latest}");
                    *latest = now;
                    if turn % 1_000 == 0 {
                        clock.check();
                    }
                }
            });
        }
    });
}

/// A process that finds the counter wrong takes all others along, and the time goes on from where it was.
#[test]
fn the_time_does_not_go_back_where_the_counter_is_left() {
    let (start, word) = (Start::now(), word());
    let (one, other) = (Clock::new(start, word.clone()), Clock::new(start, word.clone()));
    let before = other.now();
    let both = Both::read(one.namespace);
    one.compare(Both { ticks: both.ticks.wrapping_add(u64::MAX / 1_000), ..both }, trusted);
    assert!(start.rate == 0 || word.ahead_of_system().is_some_and(|ahead| ahead > 0));
    let after = [one.now(), other.now(), one.now()];
    assert!(after.is_sorted() && after[0] >= before, "{before}, {after:?}");
}

/// As after a suspension that set the counter back to a time before the file: no look at the other processes is needed.
#[test]
fn a_counter_below_its_start_is_left_by_the_next_reading() {
    let now = Start::now();
    let (passed, namespace) = (20 * SECOND, system::clock_ahead());
    // Of a machine that has not run for so long yet.
    let start = Start {
        system: system::monotonic(namespace).wrapping_sub(passed),
        ticks: ticks() + (1 << 50),
        rate: RATE,
        ..now
    };
    let (one, other) = (Clock::new(start, word()), Clock::new(now, word()));
    let read = [one.now(), one.now()];
    assert!(read.is_sorted() && read[0] >= start.date + passed, "{read:?} after {start:?}");
    assert_eq!(one.word.ahead_of_system(), Some(0));
    // That of a core which is a few ticks behind.
    assert_eq!((other.by_counter(now.ticks - 5), other.goes_by_counter()), (now.date, now.rate != 0));
}

#[test]
fn clocks_that_part_slowly_stay_together() {
    let clock = Clock::new(start(), word());
    // 200 ppm, as of a rate that was measured in a short time: 4 s in a working day.
    for second in (1..30_000).step_by(10) {
        clock.compare(both(second * SECOND, second * SECOND + second * SECOND / 5_000), trusted);
        assert!(clock.goes_by_counter(), "after {second} s");
    }
}

#[test]
fn a_counter_that_jumps_is_left() {
    let left_at = |system, counter| {
        let word = word();
        let clock = Clock::new(start(), word.clone());
        clock.compare(both(10 * SECOND, 10 * SECOND + 700_000), trusted);
        assert!(clock.goes_by_counter());
        clock.compare(both(system, counter), trusted);
        word.ahead_of_system()
    };
    assert_eq!(left_at(11 * SECOND, 11 * SECOND + 700_000), None);
    // The machine was suspended, and the counter went on.
    assert_eq!(left_at(11 * SECOND, 3_611 * SECOND), Some(3_600_000_000_000));
    // The counter was set back: the time goes on as far ahead as it was.
    assert_eq!(left_at(11 * SECOND, 0), Some(700_000));
    assert_eq!(left_at(11 * SECOND, 11 * SECOND - 4_000_000), Some(700_000));
    // A counter of half the speed.
    assert_eq!(left_at(20 * SECOND, 15 * SECOND), Some(700_000));
}

#[test]
fn a_counter_that_the_kernel_does_not_trust_is_left() {
    let word = word();
    let clock = Clock::new(start(), word.clone());
    clock.compare(both(SECOND, SECOND), || None);
    // Asked once a second.
    clock.compare(both(SECOND + SECOND / 2, SECOND + SECOND / 2), || unreachable!("it was asked"));
    assert_eq!(word.ahead_of_system(), None);
    clock.compare(both(3 * SECOND, 3 * SECOND + 5), || Some(false));
    assert_eq!(word.ahead_of_system(), Some(5));
}

#[test]
fn any_numbers_give_a_time() {
    let all = |number| Clock::new(Start::of_numbers([number; 4]), word());
    assert_eq!(all(u64::MAX).now(), LATEST);
    for number in [0, 1, u64::MAX / 2, u64::MAX] {
        let clock = all(number);
        clock.check();
        clock.word.leave_counter(i64::MIN);
        assert!(clock.now() <= LATEST);
    }
}
