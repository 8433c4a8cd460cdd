//! Arrays in which the headers of messages cross.

use std::cell::Cell;
use std::ptr;

use sluice_core::Header;

/// Messages whose numbers cross at once, either way. A receiver reads the clock after so many.
pub(crate) const MOST_CROSSING: usize = 64;

/// Arrays in which the numbers of messages cross, as one copy of our JavaScript registered them.
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
    /// The copy is gone, and its arrays with it.
    pub(crate) fn forget(&self) {
        self.outgoing.set(ptr::null_mut());
        self.incoming.set(ptr::null_mut());
    }

    /// The headers that JavaScript wrote for this call.
    pub(crate) fn outgoing(&self, count: usize) -> Box<[Header]> {
        let shared = self.outgoing.get();
        if shared.is_null() || count > MOST_CROSSING {
            return Box::default();
        }
        // SAFETY: `broker_numbers` checked the array's length, and a reference keeps it in place; no JavaScript runs now.
        unsafe { std::slice::from_raw_parts(shared.cast::<Header>(), count) }.into()
    }

    /// Writes headers for JavaScript, from a place on.
    pub(crate) fn leave(&self, at: usize, headers: &[Header]) {
        let shared = self.incoming.get();
        if shared.is_null() || at + headers.len() > MOST_CROSSING {
            return;
        }
        // SAFETY: as in `outgoing`.
        unsafe {
            ptr::copy_nonoverlapping(headers.as_ptr(), shared.cast::<Header>().add(at), headers.len());
        }
    }
}
