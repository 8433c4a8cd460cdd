//! What tests do to the process: set the clock, and empty every instance.

use std::sync::atomic::{AtomicU64, Ordering};

use napi::bindgen_prelude::Result;
use napi::sys;
use napi_derive::napi;
use sluice_core::deliveries::Item;
use sluice_core::runtime::clock::{self, SetBack};

use crate::runtime::numbers::{double, from_whole_ms};
use crate::runtime::raw::{Call, Exports};
use crate::runtime::{followed_clock, presence};
use crate::{components, lifecycle};

/// Counts resets.
static RESETS: AtomicU64 = AtomicU64::new(0);

pub(crate) fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("resetInstances(): void", reset_instances)?;
    exports.function("resets(): number", resets)
}

/// `resetInstances()`: empties every instance of the process. Pending events are dropped. Copies of the
/// package that this thread loaded before the one that calls, as a test runner leaves them behind that resets modules,
/// take part in brokers and lifecycles no longer.
unsafe extern "C" fn reset_instances(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<0>::answer(env, info, |call| {
        RESETS.fetch_add(1, Ordering::AcqRel);
        let memberships = &call.port.thread().memberships;
        call.port.dismiss_earlier_copies(|mailbox| {
            memberships.leave_copy(mailbox);
            lifecycle::dismiss(mailbox);
        });
        components::reset();
        presence::drop_events();
        presence::notify_all(&Item::Reset);
        call.undefined()
    })
}

/// `resets()`: how often everything was reset. Pending calls compare it to learn that they were dropped.
unsafe extern "C" fn resets(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<0>::answer(env, info, |call| call.number(double(RESETS.load(Ordering::Acquire))))
}

/// Whether a test has stopped the clock.
#[napi]
pub fn is_clock_manual() -> bool {
    clock::is_manual()
}

/// Stops the clock of the process at this many milliseconds.
#[napi]
pub fn set_clock(ms: f64) {
    move_clock(from_whole_ms(ms));
}

/// Moves the stopped clock on.
#[napi]
pub fn advance_clock(ms: f64) {
    clock::advance_manual(from_whole_ms(ms));
    notify(None);
}

/// Lets the clock run again.
#[napi]
pub fn restore_clock() {
    followed_clock::end();
    notify(clock::restore());
}

/// Moves the clock to this time, forwards or back.
pub(crate) fn move_clock(nanos: u64) {
    notify(clock::set_manual(nanos));
}

fn notify(set_back: Option<SetBack>) {
    if let Some(set_back) = set_back {
        components::clock_was_set_back(set_back);
    }
    presence::notify_all(&Item::ClockMoved);
}
