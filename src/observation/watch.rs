//! Starts the observation: a thread of the process that reads all counters once a second.

use std::thread;
use std::time::Duration;

use napi_derive::napi;
use sluice_core::runtime::clock;

use super::OBSERVATION;
use crate::{guard, rate_limiter};

const SECOND_MS: u64 = 1_000;

/// Starts the observation of the process, unless it runs. It does not end.
#[napi]
pub fn start_observation() {
    if !OBSERVATION.start() {
        return;
    }
    record();
    let watch = || loop {
        thread::sleep(Duration::from_millis(SECOND_MS - clock::utc_ms() % SECOND_MS));
        record();
    };
    // Where the system has no thread left, readers still record.
    let _ = thread::Builder::new().name("sluice-history".to_owned()).spawn(watch);
}

/// Whether the observation of the process was started.
#[napi]
pub fn is_observed() -> bool {
    OBSERVATION.is_on()
}

/// Takes the totals of now. Under the lock, so that no older ones come after them.
pub(super) fn record() {
    // A clock that follows timers may be set back by this call, which locks the history to clear it.
    let _ = clock::now();
    let mut history = OBSERVATION.history.lock();
    history.record(second(), guard::totals(), rate_limiter::totals());
}

/// The second of now, since 1970. Does not move the clock.
fn second() -> u64 {
    clock::utc_ms_of(clock::read()) / SECOND_MS
}
