//! One clock for decisions, and the only place that reads it.
//!
//! Decisions use monotonic nanoseconds: setting the system's date moves no limit. They start from the
//! date at load, so windows that are aligned are aligned to UTC. Reports use UTC milliseconds.
//!
//! The counter of the processor is read where it is reliable (about 10 ns here, where the operating
//! system's clock costs 27), and stays within about 100 ppm of the system's clock.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{LazyLock, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use super::counter::Rate;

/// Nanoseconds in a millisecond.
pub const MS: u64 = 1_000_000;

static MONOTONIC: LazyLock<Monotonic> = LazyLock::new(Monotonic::new);
static MANUAL: AtomicBool = AtomicBool::new(false);
static MANUAL_NOW: AtomicU64 = AtomicU64::new(0);
/// What a reader of the manual clock calls first: it may move the clock.
static FOLLOWER: OnceLock<fn()> = OnceLock::new();
/// By how many milliseconds the clock was set back in all.
static SET_BACK_MS: AtomicU64 = AtomicU64::new(0);
/// Odd while the clock is moved by hand, so that a reader of the clock and `SET_BACK_MS` sees both of one moment.
static MOVES: AtomicU64 = AtomicU64::new(0);

struct Monotonic {
    counter: quanta::Clock,
    started: u64,
    rate: Rate,
    /// Date at load, the value of the clock at `started`.
    origin: u64,
}

impl Monotonic {
    fn new() -> Self {
        let counter = quanta::Clock::new();
        let rate = Rate::of(&counter);
        let mut started = counter.raw();
        loop {
            let origin = system_time();
            let after = counter.raw();
            // Where the thread rested in between, both are read again: windows are aligned by them.
            if rate.nanos(after.saturating_sub(started)) <= MS {
                return Self { counter, started, rate, origin };
            }
            started = after;
        }
    }

    #[inline]
    fn now(&self) -> u64 {
        // The counter of one core may be a few ticks behind that of another.
        let ticks = self.counter.raw().saturating_sub(self.started);
        self.origin + self.rate.nanos(ticks)
    }
}

/// The system's date in nanoseconds since 1970.
pub(crate) fn system_time() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX / 2)
}

/// The clock of decisions, in nanoseconds. Never goes back, except by hand in a test.
#[must_use]
#[inline]
pub fn now() -> u64 {
    // Relaxed: a test that sets the clock orders its own calls, and no data is published by the flag.
    if MANUAL.load(Ordering::Relaxed) {
        return followed();
    }
    MONOTONIC.now()
}

/// The clock that no test moves: for what threads do in real time. It has nothing to do with [`now`] while that is manual.
#[must_use]
pub fn real() -> u64 {
    MONOTONIC.now()
}

#[cold]
fn followed() -> u64 {
    follow();
    read()
}

/// As [`now`], where the clock must not move: it calls nothing, so it may be called with a lock held.
#[must_use]
#[inline]
pub fn read() -> u64 {
    if MANUAL.load(Ordering::Relaxed) {
        // Acquire: pairs with `set`, so a thread that sees the new time sees what was done before it.
        return MANUAL_NOW.load(Ordering::Acquire);
    }
    MONOTONIC.now()
}

/// As [`read`], of a clock that no test sets: what another machine counts does not follow a test.
#[must_use]
#[inline]
pub fn elapsing() -> u64 {
    MONOTONIC.now()
}

/// The rate of the processor's counter, where that is the clock and [`ticks`](super::counter::ticks) reads it.
#[must_use]
pub fn counter_rate() -> Option<Rate> {
    Some(MONOTONIC.rate).filter(|rate| super::counter::IS_READ && rate.is_of_processor())
}

/// From now on `look` is called before the manual clock is read, without a lock of this library held. The first one stays.
pub fn follow_by(look: fn()) {
    FOLLOWER.get_or_init(|| look);
}

fn follow() {
    if let Some(look) = FOLLOWER.get() {
        look();
    }
}

/// The clock, and by how many milliseconds it was set back before. The sum of both never goes back: spans of time
/// are measured by it.
#[must_use]
pub fn now_and_set_back() -> (u64, u64) {
    if is_manual() {
        follow();
    }
    loop {
        // Acquire: pairs with the two increments around a move.
        let moves = MOVES.load(Ordering::Acquire);
        let read = (read(), SET_BACK_MS.load(Ordering::Acquire));
        if moves.is_multiple_of(2) && MOVES.load(Ordering::Acquire) == moves {
            return read;
        }
        std::hint::spin_loop();
    }
}

/// A move of the test clock to an earlier time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetBack {
    /// The time that it showed.
    pub before: u64,
    /// The time that it shows now.
    pub now: u64,
}

impl SetBack {
    /// The time that is as far from the clock as `time` was before the move; 0 for a time before all times.
    #[must_use]
    pub const fn moved(self, time: u64) -> u64 {
        match time.checked_sub(self.before) {
            Some(rest) => self.now.saturating_add(rest),
            None => self.now.saturating_sub(self.before - time),
        }
    }
}

/// The date of reports, in UTC milliseconds.
#[must_use]
pub fn utc_ms() -> u64 {
    if is_manual() { now() / MS } else { system_time() / MS }
}

/// By how many nanoseconds the system's date is ahead of the clock, in whole milliseconds. It is followed in
/// steps, so that a time of the clock has the same date from one call to the next.
#[must_use]
pub fn date_ahead() -> i64 {
    static FOLLOWED: AtomicI64 = AtomicI64::new(0);
    if is_manual() {
        return 0;
    }
    date_ahead_of(now, &FOLLOWED)
}

/// As [`date_ahead`], of the clock that `now` reads. `followed` is what was answered before.
#[must_use]
pub fn date_ahead_of(now: impl Fn() -> u64, followed: &AtomicI64) -> i64 {
    // Relaxed: two threads that follow at once are less than a step apart.
    let before = followed.load(Ordering::Relaxed);
    let mut time = now();
    loop {
        let ahead = system_time().cast_signed().saturating_sub(time.cast_signed());
        if ahead.abs_diff(before) <= MS {
            return before;
        }
        // Where the thread rested between the two readings, the date has not moved: both are read again.
        let after = now();
        if after.saturating_sub(time) <= MS {
            let ahead = ahead - ahead % MS.cast_signed();
            followed.store(ahead, Ordering::Relaxed);
            return ahead;
        }
        time = after;
    }
}

/// The date of a time of the clock, in UTC milliseconds, rounded up: if the system's date is not set in between.
#[must_use]
pub fn utc_ms_of(time: u64) -> u64 {
    ceil_ms(time.saturating_add_signed(date_ahead()))
}

/// Milliseconds from nanoseconds, rounded up: a reported wait is never too short.
#[must_use]
pub const fn ceil_ms(nanos: u64) -> u64 {
    nanos.div_ceil(MS)
}

/// Whether the clock is set by hand.
#[must_use]
pub fn is_manual() -> bool {
    MANUAL.load(Ordering::Relaxed)
}

/// Stops the clock of the whole process at `nanos`: decisions and reports. For tests.
pub fn set_manual(nanos: u64) -> Option<SetBack> {
    by_hand(|| {
        MANUAL_NOW.store(nanos, Ordering::Release);
        MANUAL.store(true, Ordering::Release);
    })
}

/// Moves the manual clock on; stops the clock first where it still runs.
pub fn advance_manual(nanos: u64) {
    by_hand(|| {
        if !is_manual() {
            MANUAL_NOW.store(read(), Ordering::Release);
            MANUAL.store(true, Ordering::Release);
        }
        MANUAL_NOW.fetch_add(nanos, Ordering::AcqRel);
    });
}

/// Lets the clock run again.
pub fn restore() -> Option<SetBack> {
    by_hand(|| MANUAL.store(false, Ordering::Release))
}

/// Moves the clock. Returns the move if the clock went back.
fn by_hand(change: impl FnOnce()) -> Option<SetBack> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock();
    let before = read();
    MOVES.fetch_add(1, Ordering::AcqRel);
    change();
    let now = read();
    if now < before {
        SET_BACK_MS.fetch_add((before - now) / MS, Ordering::AcqRel);
    }
    MOVES.fetch_add(1, Ordering::AcqRel);
    (now < before).then_some(SetBack { before, now })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::Cell;
    use std::thread;
    use std::time::Duration;

    use super::*;

    /// Held by each test that needs a clock that runs, and by the one that stops it.
    pub(crate) static TURN: Mutex<()> = Mutex::new(());

    #[test]
    fn rounds_waits_up() {
        assert_eq!([ceil_ms(0), ceil_ms(1), ceil_ms(MS), ceil_ms(MS + 1)], [0, 1, 1, 2]);
    }

    #[test]
    fn a_time_has_one_date_near_that_of_the_system() {
        let _turn = TURN.lock();
        let before = system_time() / MS;
        let time = now();
        let date = utc_ms_of(time);
        assert!((before - 1_000..=system_time() / MS + 1_000).contains(&date), "{date}");
        assert_eq!(utc_ms_of(time + 5 * MS), date + 5);
        assert_eq!(date_ahead() % 1_000_000, 0);
    }

    /// Fails when the rest is taken for a step of the system's date.
    #[test]
    fn a_thread_that_rests_between_the_two_clocks_moves_no_date() {
        let followed = AtomicI64::new(0);
        let ahead = date_ahead_of(elapsing, &followed);
        let readings = Cell::new(0);
        let late = || {
            let time = elapsing();
            readings.set(readings.get() + 1);
            if readings.get() == 1 {
                thread::sleep(Duration::from_millis(20));
            }
            time
        };
        let later = date_ahead_of(late, &followed);
        assert!(readings.get() > 1);
        assert!(later.abs_diff(ahead) < 10 * MS, "{ahead} and then {later}");
    }

    #[test]
    fn a_move_back_keeps_distances() {
        let back = SetBack { before: 1_000, now: 100 };
        assert_eq!(
            [1_010, 1_000, 950, 800, u64::MAX].map(|time| back.moved(time)),
            [110, 100, 50, 0, u64::MAX - 900]
        );
    }

    /// One test, as the manual clock is one for the process.
    #[test]
    fn stands_still_by_hand_and_runs_again() {
        let _turn = TURN.lock();
        let before = now();
        assert!(now() >= before);
        assert!(now().abs_diff(system_time()) < 60_000 * MS);

        let (_, set_back) = now_and_set_back();
        let back = set_manual(5 * MS).expect("it was later");
        assert_eq!((now(), utc_ms(), back.now), (5 * MS, 5, 5 * MS));
        assert_eq!(now_and_set_back(), (5 * MS, set_back + (back.before - back.now) / MS));
        advance_manual(2 * MS);
        assert_eq!(now(), 7 * MS);
        assert_eq!(set_manual(9 * MS), None);

        assert_eq!(restore(), None);
        assert!(!is_manual());
        assert!(now() >= before);
    }
}
