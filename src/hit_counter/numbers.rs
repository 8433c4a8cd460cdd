//! What crosses beside the key of a call.

use napi::bindgen_prelude::Result;
use sluice_core::runtime::clock::{self, MS};
use sluice_core::{Exceeding, Hit, Hits, LocalHitCounter, WindowLength};

use crate::runtime::numbers::{double, from_whole_ms, integer, natural};
use crate::runtime::raw::{Answer, Call, DONE, IN_NUMBERS, Left};
use crate::runtime::seam::layout;

layout! {
    /// What JavaScript leaves for a call of a counter, checked.
    pub(super) struct HitCall: i32 = "HIT_CALL" from 0 => {
        /// The counter's handle.
        handle,
        /// Hits.
        n,
        /// The window that begins where none runs, in milliseconds; 0 where what is left is in LARGE_HIT_CALL.
        window,
    }
}

layout! {
    /// The answer of a call that counts.
    pub(super) struct HitIntegers: i32 = "HITS" from 0 => {
        /// DONE, in place of the handle; IN_NUMBERS when count and time are among LARGE_HITS.
        answer,
        /// Hits in the window.
        count,
        /// Milliseconds until the window ends.
        left,
        /// 1 when the window began with this call, else 0.
        first,
    }
}

impl Answer for HitIntegers {}

layout! {
    /// The count of a key.
    pub(super) struct HitNumbers = "LARGE_HITS" from 0 => {
        /// Hits in the window; Infinity where the table has no slot for the key and `overflow` is 'deny'.
        count,
        /// Milliseconds until the window ends; Infinity when it never does.
        left,
        /// When the window ends, in UTC milliseconds; Infinity when it never does.
        ends,
    }
}

layout! {
    /// What JavaScript leaves for a call that is not of integers alone, or with a time of its own.
    pub(super) struct LargeHitCall = "LARGE_HIT_CALL" from HitNumbers::LENGTH => {
        /// The time in UTC milliseconds; negative for that of the process.
        now,
        /// Hits.
        n,
        /// The window that begins where none runs: milliseconds, or Infinity.
        window,
        /// The limit above which another window begins; NaN for none.
        above,
        /// That window.
        exceeding_window,
        /// 1 when only the hit that crosses the limit begins it.
        once,
        /// 1 when it is twice as long with each further hit.
        double,
    }
}

impl LargeHitCall {
    pub(super) fn hit(&self) -> Hit {
        let exceeding = (!self.above.is_nan()).then(|| Exceeding {
            above: integer(self.above),
            window: window(self.exceeding_window),
            once: self.once > 0.0,
            double: self.double > 0.0,
        });
        Hit { n: integer(self.n), window: self.window(), exceeding }
    }

    pub(super) fn window(&self) -> WindowLength {
        window(self.window)
    }

    /// The time of the call, in nanoseconds.
    pub(super) fn now(&self) -> u64 {
        time(self.now)
    }
}

fn window(ms: f64) -> WindowLength {
    if ms.is_finite() { WindowLength::Ms(integer(ms)) } else { WindowLength::Forever }
}

/// Nanoseconds from UTC milliseconds, or those of the process where `ms` is negative.
pub(super) fn time(ms: f64) -> u64 {
    if ms < 0.0 { clock::now() } else { from_whole_ms(ms) }
}

pub(super) fn left_ms(left: WindowLength) -> f64 {
    match left {
        WindowLength::Ms(ms) => double(ms),
        WindowLength::Forever => f64::INFINITY,
    }
}

impl HitNumbers {
    pub(super) fn of(hits: Hits, now: u64) -> Self {
        let count = if hits.count > Hits::MOST { f64::INFINITY } else { double(hits.count) };
        let left = left_ms(hits.left);
        Self { count, left, ends: double(now / MS) + left }
    }
}

/// The hit that JavaScript left, and its time.
#[inline(always)]
pub(super) fn left_hit<const N: usize>(call: &Call<'_, N>) -> (Hit, u64) {
    let HitCall { n, window, .. } = call.port.read();
    if window == 0 {
        return left_large_hit(call);
    }
    let window = WindowLength::Ms(natural(window));
    (Hit { n: i64::from(n), window, exceeding: None }, clock::now())
}

#[inline(never)]
fn left_large_hit<const N: usize>(call: &Call<'_, N>) -> (Hit, u64) {
    let left: LargeHitCall = call.port.read();
    (left.hit(), left.now())
}

/// Leaves a count: as integers, where it consists of such.
#[inline(always)]
pub(super) fn leave_hits<const N: usize>(call: &Call<'_, N>, hits: Hits, now: u64) -> Left {
    call.port.write(HitNumbers::of(hits, now));
    let left = match hits.left {
        WindowLength::Ms(ms) => i32::try_from(ms).ok(),
        WindowLength::Forever => None,
    };
    let first = i32::from(hits.first);
    call.leave(match (i32::try_from(hits.count), left) {
        (Ok(count), Some(left)) => HitIntegers { answer: DONE, count, left, first },
        _ => HitIntegers { answer: IN_NUMBERS, count: 0, left: 0, first },
    })
}

/// Runs `body` on this thread's handle to the counter that JavaScript left.
#[inline(always)]
pub(super) fn with_counter<const N: usize, R>(
    call: &Call<'_, N>,
    body: impl FnOnce(&mut LocalHitCounter) -> sluice_core::Result<R>,
) -> Result<R> {
    let HitCall { handle, .. } = call.port.read();
    // The borrow ends before JavaScript runs again.
    let result = body(call.port.thread().hit_counters.borrow_mut().at(handle)?);
    call.check(result)
}

/// As [`with_counter`], with what JavaScript left besides.
pub(super) fn with_call<const N: usize, R>(
    call: &Call<'_, N>,
    body: impl FnOnce(&mut LocalHitCounter, &LargeHitCall) -> sluice_core::Result<R>,
) -> Result<R> {
    let left: LargeHitCall = call.port.read();
    with_counter(call, |counter| body(counter, &left))
}
