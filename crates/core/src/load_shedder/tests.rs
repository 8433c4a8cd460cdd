//! A handle: the laps that it sees, what it sheds, and what all handles count together.

use std::sync::Arc;

use super::laps::EventLoop;
use super::local::LocalShedder;
use super::options::{LoadShedderConfig, LoadShedderOptions};
use super::priority::Priority::{self, Exempt, High, Low, Normal};
use super::shedder::LoadShedder;
use crate::Error;
use crate::runtime::clock::{MS, SetBack};
use crate::runtime::instances::Instance;

/// A loop whose turns and idle time the test sets, and the time.
#[derive(Default)]
struct Thread {
    turn: u64,
    idle: u64,
    now: u64,
}

impl EventLoop for Thread {
    fn turn(&self) -> u64 {
        self.turn
    }

    fn idle(&self) -> u64 {
        self.idle
    }
}

impl Thread {
    fn works(&mut self, ms: u64) {
        self.now += ms * MS;
    }

    fn polls(&mut self) {
        self.turn += 1;
    }

    fn waits(&mut self, ms: u64) {
        self.idle += ms * MS;
        self.now += ms * MS;
        self.polls();
    }
}

fn shedder() -> Arc<LoadShedder> {
    let config = LoadShedderConfig::try_from(LoadShedderOptions::new()).expect("valid");
    Arc::new(LoadShedder::new("test", config))
}

/// A handle of a shedder with a target of 50 ms, and its thread.
fn handle() -> (LocalShedder, Thread) {
    (LocalShedder::seeded(shedder(), 1), Thread { now: 1_000_000 * MS, ..Thread::default() })
}

fn admits(local: &mut LocalShedder, thread: &Thread, priority: Priority) -> bool {
    local.admit(priority, thread, thread.now).expect("open")
}

/// Laps of 60 ms until the thread is behind; a lap begins.
fn fall_behind(local: &mut LocalShedder, thread: &mut Thread) {
    for _ in 0..3 {
        assert!(admits(local, thread, Normal));
        thread.works(60);
        thread.polls();
    }
    assert!(local.is_behind(thread, thread.now).expect("open"));
}

#[test]
fn a_thread_with_short_laps_sheds_nothing() {
    let (mut local, mut thread) = handle();
    for _ in 0..100 {
        assert!(admits(&mut local, &thread, Low));
        thread.works(49);
        thread.polls();
    }
    assert!(!local.is_behind(&thread, thread.now).expect("open"));
}

#[test]
fn one_stall_sheds_only_what_waited_four_targets_and_high_after_eight() {
    let (mut local, mut thread) = handle();
    assert!(admits(&mut local, &thread, Normal));
    thread.works(200);
    assert!(admits(&mut local, &thread, Normal));
    thread.works(1);
    assert!(!admits(&mut local, &thread, Normal));
    assert!(!admits(&mut local, &thread, Low));
    assert!(admits(&mut local, &thread, High));
    thread.works(200);
    assert!(!admits(&mut local, &thread, High));
    assert!(admits(&mut local, &thread, Exempt));
}

#[test]
fn a_thread_that_is_behind_sheds_what_waited_the_target_and_high_after_two() {
    let (mut local, mut thread) = handle();
    fall_behind(&mut local, &mut thread);
    assert!(admits(&mut local, &thread, Normal));
    thread.works(50);
    assert!(admits(&mut local, &thread, Normal));
    thread.works(1);
    assert!(!admits(&mut local, &thread, Normal));
    thread.works(49);
    assert!(admits(&mut local, &thread, High));
    thread.works(1);
    assert!(!admits(&mut local, &thread, High));
}

#[test]
fn one_short_lap_ends_it() {
    let (mut local, mut thread) = handle();
    fall_behind(&mut local, &mut thread);
    assert!(admits(&mut local, &thread, Normal));
    thread.works(50);
    thread.polls();
    assert!(!local.is_behind(&thread, thread.now).expect("open"));
}

#[test]
fn waiting_for_events_is_no_lap_and_a_pause_ends_it() {
    let (mut local, mut thread) = handle();
    for _ in 0..10 {
        assert!(admits(&mut local, &thread, Normal));
        thread.waits(90);
    }
    assert_eq!(local.delay(&thread, thread.now), Ok(0));
    fall_behind(&mut local, &mut thread);
    assert_eq!(local.delay(&thread, thread.now), Ok(60 * MS));
    thread.waits(101);
    assert!(!local.is_behind(&thread, thread.now).expect("open"));
    assert_eq!(local.delay(&thread, thread.now), Ok(0));
}

#[test]
fn what_was_shed_is_shed_beforehand_from_the_lowest_priority_first() {
    let (mut local, mut thread) = handle();
    fall_behind(&mut local, &mut thread);
    // An interval in which everything comes too late: 0.8 are shed beforehand in the next, and low and normal are 0.73.
    thread.works(101);
    for _ in 0..40 {
        for priority in [High, Normal, Low] {
            assert!(!admits(&mut local, &thread, priority));
        }
    }
    // The next interval, at the beginning of a lap, where nothing comes too late.
    thread.works(100);
    thread.polls();
    assert!((0..20).all(|_| !admits(&mut local, &thread, Low)));
    assert!((0..20).all(|_| !admits(&mut local, &thread, Normal)));
    assert!((0..20).all(|_| admits(&mut local, &thread, High)));
    assert!(admits(&mut local, &thread, Exempt));
}

#[test]
fn a_pause_forgets_what_was_shed() {
    let (mut local, mut thread) = handle();
    fall_behind(&mut local, &mut thread);
    thread.works(201);
    assert!((0..40).all(|_| !admits(&mut local, &thread, Low)));
    thread.waits(101);
    assert!((0..40).all(|_| admits(&mut local, &thread, Low)));
}

#[test]
fn laps_may_be_ended_by_a_callback_instead() {
    let (mut local, mut thread) = handle();
    let lap = |local: &mut LocalShedder, thread: &mut Thread| {
        assert!(admits(local, thread, Normal));
        thread.works(60);
        local.end_lap(thread.now);
        // Told twice, it is ended once.
        local.end_lap(thread.now);
        thread.polls();
    };
    for _ in 0..3 {
        lap(&mut local, &mut thread);
    }
    assert!(local.is_behind(&thread, thread.now).expect("open"));
    assert_eq!(local.shedder().stats(thread.now).expect("open").laps, 3);
    // Such a runtime tells of no idle time: the pause is seen by the clock.
    lap(&mut local, &mut thread);
    thread.works(101);
    assert!(!local.is_behind(&thread, thread.now).expect("open"));
}

#[test]
fn stats_are_sums_over_all_handles_and_the_state_of_the_last_second() {
    let shedder = shedder();
    let mut locals = [1, 2].map(|seed| LocalShedder::seeded(Arc::clone(&shedder), seed));
    let mut threads = [0, 0].map(|turn| Thread { turn, idle: 0, now: 1_000_000 * MS });
    assert_eq!(shedder.stats(threads[0].now).expect("open").threads, 0, "none has asked");
    fall_behind(&mut locals[0], &mut threads[0]);
    threads[1].now = threads[0].now;
    assert!(admits(&mut locals[1], &threads[1], High));
    assert!(admits(&mut locals[1], &threads[1], Exempt));
    threads[1].works(201);
    assert!(!admits(&mut locals[1], &threads[1], Low));
    let now = threads[1].now;
    let stats = shedder.stats(now).expect("open");
    assert_eq!((stats.admitted, stats.shed), ([1, 3, 0, 1], [0, 0, 1]));
    assert_eq!((stats.laps, stats.lap_time, stats.longest), (3, 180 * MS, 60 * MS));
    assert_eq!((stats.threads, stats.behind, stats.delay), (2, 1, 60 * MS));
    let later = shedder.stats(now + 1_000 * MS).expect("open");
    assert_eq!((later.threads, later.behind, later.delay), (2, 0, 0));
    drop(locals);
    assert_eq!(shedder.stats(now).expect("open").threads, 0);
}

#[test]
fn a_reset_and_a_clock_that_is_set_back_begin_anew() {
    let (mut local, mut thread) = handle();
    fall_behind(&mut local, &mut thread);
    Instance::reset(&**local.shedder());
    assert!(!local.is_behind(&thread, thread.now).expect("open"));
    let stats = local.shedder().stats(thread.now).expect("open");
    assert_eq!((stats.admitted, stats.laps, stats.longest, stats.behind), ([0; 4], 0, 0, 0));

    fall_behind(&mut local, &mut thread);
    let before = thread.now;
    thread.now = 5 * MS;
    local.shedder().clock_was_set_back(SetBack { before, now: thread.now });
    assert!(admits(&mut local, &thread, Normal));
    assert!(!local.is_behind(&thread, thread.now).expect("open"));
    fall_behind(&mut local, &mut thread);
}

#[test]
fn another_target_is_in_force_at_once() {
    let (mut local, mut thread) = handle();
    let options = LoadShedderOptions { target_delay_ms: 5 };
    local.shedder().replace(LoadShedderConfig::try_from(options).expect("valid"));
    assert!(admits(&mut local, &thread, Normal));
    thread.works(21);
    assert!(!admits(&mut local, &thread, Normal));
}

#[test]
fn a_destroyed_shedder_decides_nothing() {
    let (mut local, thread) = handle();
    local.shedder().close();
    let closed = Error::Closed { name: "test".to_owned() };
    assert_eq!(local.admit(Normal, &thread, thread.now), Err(closed.clone()));
    assert_eq!(local.delay(&thread, thread.now), Err(closed.clone()));
    assert_eq!(local.shedder().stats(thread.now), Err(closed));
    Instance::reset(&**local.shedder());
    assert!(local.is_behind(&thread, thread.now).is_err());
}

#[test]
fn targets_are_between_5_ms_and_10_s() {
    for (target_delay_ms, is_valid) in [(4, false), (5, true), (10_000, true), (10_001, false)] {
        let config = LoadShedderConfig::try_from(LoadShedderOptions { target_delay_ms });
        assert_eq!(config.is_ok(), is_valid, "{target_delay_ms}");
    }
}
