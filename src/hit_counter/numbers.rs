//! The numbers that cross beside the key of a call.

use napi::bindgen_prelude::Result;
use sluice_core::runtime::clock::{self, MS};
use sluice_core::{Exceeding, Hit, Hits, LocalHitCounter, WindowLength};

use crate::runtime::numbers::{double, from_whole_ms, integer};
use crate::runtime::raw::Call;
use crate::runtime::seam::layout;

layout! {
    /// The count of a key, as JavaScript gets it.
    pub(super) struct HitNumbers = "HITS" from 0 => {
        /// Hits in the window; Infinity where the table has no slot for the key and `overflow` is 'deny'.
        count,
        /// Milliseconds until the window ends; Infinity when it never does.
        left,
        /// 1 when the window began with this call, else 0.
        first,
        /// When the window ends, in UTC milliseconds; Infinity when it never does.
        ends,
    }
}

layout! {
    /// What JavaScript leaves for calls of a counter, checked.
    pub(super) struct HitCall = "HIT_CALL" from HitNumbers::LENGTH => {
        /// The counter's handle.
        handle,
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

impl HitCall {
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
        Self { count, left, first: f64::from(u8::from(hits.first)), ends: double(now / MS) + left }
    }
}

/// Runs `body` on this thread's handle to the counter that JavaScript left.
#[inline]
pub(super) fn with_counter<const N: usize, R>(
    call: &Call<'_, N>,
    body: impl FnOnce(&mut LocalHitCounter, &HitCall) -> sluice_core::Result<R>,
) -> Result<R> {
    let left: HitCall = call.port.read();
    // The borrow ends before JavaScript runs again.
    // Nothing that is no handle becomes one.
    let handle = i32::try_from(integer::<i64>(left.handle)).unwrap_or(-1);
    let result = body(call.port.thread().hit_counters.borrow_mut().at(handle)?, &left);
    call.check(result)
}
