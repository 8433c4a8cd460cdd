//! Arrays in which the headers of messages cross.

use std::cell::Cell;
use std::ptr;

use napi::bindgen_prelude::{Error, Result, Status};
use sluice_core::Header;

/// Messages whose headers cross at once, in each direction. A receiver reads the clock after so many.
pub(crate) const MOST_CROSSING: usize = 64;

/// Stands for every other peer as the receiver of a message: peers are numbered from 1.
pub(crate) const EVERY_PEER: u32 = 0;

/// The arrays that one loaded copy of the JavaScript has registered.
pub(crate) struct MessageNumbers {
    pub(crate) outgoing: Cell<*mut f64>,
    pub(crate) incoming: Cell<*mut f64>,
}

impl Default for MessageNumbers {
    fn default() -> Self {
        Self { outgoing: Cell::new(ptr::null_mut()), incoming: Cell::new(ptr::null_mut()) }
    }
}

impl MessageNumbers {
    /// The copy was collected, and its arrays with it.
    pub(crate) fn forget(&self) {
        self.outgoing.set(ptr::null_mut());
        self.incoming.set(ptr::null_mut());
    }

    /// The headers that JavaScript wrote before the call.
    pub(crate) fn outgoing(&self, count: usize) -> Result<Box<[Header]>> {
        let shared = check(self.outgoing.get(), count)?;
        // SAFETY: `share_message_headers` checked the array's length, and a reference keeps it in place; no JavaScript
        // runs now.
        Ok(unsafe { std::slice::from_raw_parts(shared.cast::<Header>(), count) }.into())
    }

    /// Writes headers that JavaScript reads after the call, from a place on.
    pub(crate) fn write(&self, at: usize, headers: &[Header]) -> Result<()> {
        let shared = check(self.incoming.get(), at + headers.len())?;
        // SAFETY: as in `outgoing`.
        unsafe {
            ptr::copy_nonoverlapping(headers.as_ptr(), shared.cast::<Header>().add(at), headers.len());
        }
        Ok(())
    }
}

fn check(shared: *mut f64, count: usize) -> Result<*mut f64> {
    if shared.is_null() || count > MOST_CROSSING {
        let message =
            format!("sluice: no array has room for {count} headers; accepted: up to {MOST_CROSSING}");
        return Err(Error::new(Status::InvalidArg, message));
    }
    Ok(shared)
}
