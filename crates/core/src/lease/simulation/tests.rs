//! What fleets hold to, and what they do not once a rule of leases is broken.

use super::server::{Answer, Server};
use super::*;
use crate::lease::grant::GrantId;
use crate::lease::planted::{Mistake, mistaken, plant};

#[test]
fn a_fleet_never_exceeds_the_limit() {
    for seed in 1..=120 {
        let setup = any_setup(seed, true);
        let (over, ..) = run(&setup);
        assert!(over <= 0.0, "seed {seed}: {over} units too many by {:?}", setup.limits);
    }
}

#[test]
fn without_faults_little_is_left_unused() {
    let (mut admitted, mut ideal) = (0, 0);
    for seed in 1..=40 {
        let (over, theirs, best, ..) = run(&any_setup(1_000 + seed, false));
        assert!(over <= 0.0, "seed {seed}: {over} units too many");
        (admitted, ideal) = (admitted + theirs, ideal + best);
    }
    assert!(admitted * 100 >= ideal * 95, "{admitted} of {ideal}");
}

#[test]
fn a_busy_fleet_asks_for_few_of_its_calls() {
    let limit = Limit { algorithm: Algorithm::Gcra, limit: 1_000, window: S };
    let rates = vec![800.0, 25.0, 25.0, 25.0, 25.0];
    let load = Load { rates, seconds: 10, is_bursty: false, has_crowds: false };
    let setup = Setup { limits: vec![limit], load, has_faults: false, drift_ppm: 0.0, seed: 7 };
    let (over, admitted, ideal, calls, asks) = run(&setup);
    assert!(over <= 0.0);
    assert!(admitted * 1_000 >= ideal * 995, "{admitted} of {ideal}");
    assert!(asks * 5 <= calls, "{asks} asks for {calls} calls");
}

/// Two or three limits, of which any may be the one that is spent.
fn several_setup(seed: u64, has_faults: bool) -> Setup {
    let mut setup = any_setup(seed, has_faults);
    for n in 1..=1 + seed % 2 {
        let Limit { algorithm, limit, window } = any_setup(seed + 10_000 * n, has_faults).limits[0];
        // As many units a second as the first has, more or less.
        let first = setup.limits[0];
        let even = (first.limit * window).div_ceil(first.window);
        let limit = if seed.is_multiple_of(3) { limit } else { even.max(1) };
        setup.limits.push(Limit { algorithm, limit, window });
    }
    setup
}

#[test]
fn a_fleet_exceeds_none_of_several_limits() {
    for seed in 1..=120 {
        let setup = several_setup(seed, true);
        let (over, ..) = run(&setup);
        assert!(over <= 0.0, "seed {seed}: {over} units too many by {:?}", setup.limits);
    }
}

#[test]
fn without_faults_little_is_left_unused_by_several_limits() {
    let (mut admitted, mut ideal) = (0, 0);
    for seed in 1..=40 {
        let (over, theirs, best, ..) = run(&several_setup(1_000 + seed, false));
        assert!(over <= 0.0, "seed {seed}: {over} units too many");
        (admitted, ideal) = (admitted + theirs, ideal + best);
    }
    assert!(admitted * 100 >= ideal * 90, "{admitted} of {ideal}");
}

/// Each mistake in what the rules of leases say exceeds a limit.
#[test]
fn each_mistake_is_found() {
    use Mistake::{AdmittedTwice, DoesNotLapse, TimedFromAnswer};
    for mistake in [AdmittedTwice, DoesNotLapse, TimedFromAnswer] {
        let is_found = (1..=400).any(|seed| with(mistake, || run(&gcra_setup(seed)).0 > 0.0));
        assert!(is_found, "{mistake:?} exceeds no limit");
    }
    // What finds a mistake finds none where there is none.
    for seed in 1..=60 {
        assert!(run(&gcra_setup(seed)).0 <= 0.0, "seed {seed}");
    }
}

fn with<R>(mistake: Mistake, run: impl FnOnce() -> R) -> R {
    plant(Some(mistake));
    let result = run();
    plant(None);
    result
}

fn gcra_setup(seed: u64) -> Setup {
    let mut setup = any_setup(2_000 + seed, true);
    setup.limits[0].algorithm = Algorithm::Gcra;
    setup
}

/// A call that the units of one limit admit exceeds the others.
#[test]
fn units_of_one_limit_do_not_suffice() {
    let find = || (1..=120).any(|seed| run(&several_setup(seed, true)).0 > 0.0);
    assert!(with(Mistake::TakenOfTheFirst, find), "exceeds no limit");
}

/// Calls of which each finds what was held before lapsed by the fast limit: of the slow one, none of that is lost.
#[test]
fn what_lapses_by_a_fast_limit_costs_a_slow_one_nothing() {
    for algorithm in [Algorithm::Fixed, Algorithm::Sliding, Algorithm::Gcra] {
        let (admitted, calls) = admitted_slowly(algorithm);
        assert!(admitted * 100 >= calls * 97, "{algorithm:?}: {admitted} of {calls}");
    }
    let (admitted, calls) = with(Mistake::NothingSpared, || admitted_slowly(Algorithm::Gcra));
    assert!(admitted * 100 < calls * 90, "{admitted} of {calls}");
}

/// Admitted calls of three processes, and calls, of which the slow limit allows a few more.
fn admitted_slowly(algorithm: Algorithm) -> (u64, u64) {
    let fast = Limit { algorithm: Algorithm::Gcra, limit: 200, window: S };
    let slow = Limit { algorithm, limit: 1_100, window: 3_600 * S };
    let load = Load { rates: vec![20.0, 2.0, 2.0], seconds: 40, is_bursty: false, has_crowds: false };
    let setup = Setup { limits: vec![fast, slow], load, has_faults: false, drift_ppm: 0.0, seed: 11 };
    let (over, admitted, _, calls, _) = run(&setup);
    assert!(over <= 0.0 && calls <= 1_100, "{over} too many, {calls} calls");
    (admitted, calls)
}

/// A process that asks a server at moments that a test chooses.
struct Asking {
    leases: Leases<()>,
    key: KeyHash,
    /// By how much of a second its clock is slow, each second.
    slow: f64,
}

impl Asking {
    fn new(limit: &Limit, slow: f64) -> Self {
        Self { leases: new_leases(std::slice::from_ref(limit)), key: hash_str("client"), slow }
    }

    fn clock(&self, time: u64) -> u64 {
        (time as f64 * (1.0 - self.slow)) as u64
    }

    /// Asks for units, of which calls use some at once.
    fn ask(&self, server: &mut Server, time: u64, units: u64, used: u64) {
        let now = self.clock(time);
        self.leases.ask(&(), self.key, now, now + TIMEOUT);
        let answer: Answer = server.lease(time, units, 0);
        let grant = Grant { sent: now, used, shares: &[answer.share(used)] };
        self.leases.granted(&(), self.key, &grant, now);
    }

    /// How often a call is admitted by what is held.
    fn spend(&self, time: u64) -> u64 {
        let take = || self.leases.take(self.key, 1, self.clock(time), &mut HeldEach::default());
        std::iter::repeat_with(take).take_while(|taken| matches!(taken, Taken::Admitted { .. })).count()
            as u64
    }
}

/// A process is granted a unit far ahead, and is then suspended: what it held before must not last as long.
#[test]
fn a_grant_far_ahead_does_not_prolong_what_is_held() {
    assert!(spend_late() <= 0.0);
    let over = with(Mistake::AddedAtItsEnd, spend_late);
    assert!(over >= 2.0, "{over} units");
}

/// Units too many where two processes hold units of 100 a second, are suspended, and spend what they have after others have
/// taken what has returned.
fn spend_late() -> f64 {
    let limit = Limit { algorithm: Algorithm::Gcra, limit: 100, window: S };
    let (mut server, one, other) = (Server::new(limit), Asking::new(&limit, 0.0), Asking::new(&limit, 0.0));
    let start = 10 * S;
    one.ask(&mut server, start, 10, 1);
    other.ask(&mut server, start + 50 * MS, 85, 0);
    one.ask(&mut server, start + 50 * MS, 1, 0);
    let late = start + 900 * MS;
    let late_units = server.lease(late, 100, 0).granted + one.spend(late) + other.spend(late);
    let mut admitted = vec![late; late_units as usize];
    admitted.push(start);
    excess(&limit, &mut admitted, &[])
}

/// Units go back after another process was granted some: those that it holds must stay charged.
#[test]
fn units_do_not_go_back_behind_the_units_of_others() {
    assert!(spend_behind_a_return() <= 0.0);
    let over = with(Mistake::ReturnedUnchecked, spend_behind_a_return);
    assert!(over >= 4.0, "{over} units");
}

fn spend_behind_a_return() -> f64 {
    let limit = Limit { algorithm: Algorithm::Gcra, limit: 100, window: S };
    let (mut server, one, other) = (Server::new(limit), Asking::new(&limit, 0.0), Asking::new(&limit, 0.0));
    let start = 10 * S;
    one.ask(&mut server, start, 10, 1);
    other.ask(&mut server, start, 40, 0);
    let soon = start + 10 * MS;
    let mut all = Vec::new();
    one.leases.check(soon, |returned| all.push(returned));
    assert_eq!(all.len(), 1, "what was not used");
    for Returned { units, at, states, .. } in all {
        server.take_back(soon, units[0], GrantId { at, state: states[0], ..GrantId::default() });
    }
    let late = start + 430 * MS;
    let late_units = server.lease(late, 100, 0).granted + other.spend(late);
    let mut admitted = vec![late; late_units as usize];
    admitted.push(start);
    excess(&limit, &mut admitted, &[])
}

/// A process with a slow clock is suspended until its window has ended.
#[test]
fn a_slow_clock_does_not_prolong_a_window() {
    assert!(spend_after_the_window() <= 0.0);
    let over = with(Mistake::NotCut, spend_after_the_window);
    assert!(over >= 4.0, "{over} units");
}

fn spend_after_the_window() -> f64 {
    let limit = Limit { algorithm: Algorithm::Fixed, limit: 100, window: 10 * S };
    // Nearly what the cut allows for.
    let (mut server, slow) = (Server::new(limit), Asking::new(&limit, 950e-6));
    slow.ask(&mut server, 10 * S, 6, 1);
    let late = 20 * S + 3 * MS;
    let mut admitted = vec![late; slow.spend(late) as usize];
    admitted.push(10 * S);
    excess(&limit, &mut admitted, &server.windows)
}

#[test]
fn no_mistake_is_made_unless_it_is_planted() {
    assert!(!mistaken!(NotCut));
}
