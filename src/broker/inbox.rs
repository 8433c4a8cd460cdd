//! Taking messages from the inbox, and reporting what was answered.

use std::cell::{Cell, RefCell};

use napi::bindgen_prelude::Result;
use napi::sys;
use sluice_core::InboxItem;

use super::taken::Taken;
use super::{Membership, with};
use crate::runtime::raw::{Call, Exports};
use crate::runtime::seam::{Coded, codes};

/// What a thread does whose inbox is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WhenEmpty {
    /// Waits for its waker.
    Sleep,
    /// Looks again without being woken.
    StayAwake,
    /// Yields its processor, then looks again.
    Yield,
}

codes! {
    /// What a thread does whose inbox is empty.
    WhenEmpty = "WHEN_EMPTY" {
        Sleep = "sleep",
        StayAwake = "stayAwake",
        Yield = "yield",
    }
}

pub(super) fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function(
        "takeMessages(handle: number, whenEmpty: number): string | [string | undefined, ...(string | Buffer)[]] | undefined",
        take_messages,
    )?;
    exports.function("requestsAnswered(handle: number, count: number): void", requests_answered)
}

/// What was taken from the inbox and not handed to JavaScript yet.
#[derive(Default)]
pub(super) struct Backlog {
    items: RefCell<Vec<InboxItem>>,
    next: Cell<usize>,
    /// Kept for its memory.
    json: RefCell<Vec<u8>>,
}

impl Backlog {
    /// Takes from the inbox if the backlog is empty. Returns whether there is anything now.
    fn fill(&self, member: &Membership, stays_awake: bool) -> bool {
        let mut items = self.items.borrow_mut();
        if self.next.get() == items.len() {
            items.clear();
            self.next.set(0);
            member.peer.take(&mut items, stays_awake);
        }
        !items.is_empty()
    }
}

/// `takeMessages(handle, whenEmpty)`: `undefined` if nothing is pending. Otherwise [`TakenNumbers`](super::taken::TakenNumbers)
/// and the JSON text of an array; or an array of that text and of the payloads that are not JSON, in order.
unsafe extern "C" fn take_messages(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let when_empty = WhenEmpty::from_code(call.u32(1)?)?;
        let taken = with(call, |member| {
            let found = member.backlog.fill(member, when_empty != WhenEmpty::Sleep)
                || (when_empty == WhenEmpty::Yield && {
                    // A sender may need this processor; it has sent by the time this thread runs again.
                    std::thread::yield_now();
                    member.backlog.fill(member, true)
                });
            found.then(|| hand_over(call, member))
        })?;
        taken.unwrap_or_else(|| call.undefined())
    })
}

/// `requestsAnswered(handle, count)`: releases the capacity of so many requests.
unsafe extern "C" fn requests_answered(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let count = call.u32(1)?;
        with(call, |member| member.broker.requests_answered(&member.peer, count))?;
        call.undefined()
    })
}

fn hand_over(call: &Call<'_, 2>, member: &Membership) -> Result<sys::napi_value> {
    let mut items = member.backlog.items.borrow_mut();
    let mut json = member.backlog.json.borrow_mut();
    let mut taken = Taken::new(call, &mut json);
    let mut next = member.backlog.next.get();
    while let Some(item) = items.get(next).filter(|item| taken.has_room_for(item)) {
        taken.add(item)?;
        next += 1;
    }
    member.backlog.next.set(next);
    member.broker.messages_taken(&member.peer, taken.messages());
    let result = taken.finish()?;
    if next == items.len() {
        // Frees large texts, and batches that other receivers share, before the next look.
        items.clear();
        member.backlog.next.set(0);
    }
    Ok(result)
}
