//! Answers of quick calls.

use super::Call;
use crate::rate_limiter::{ELSEWHERE, HELD};
use crate::runtime::port::Port;
use crate::runtime::seam::{Constant, Layout, layout};

/// The call is admitted.
const ADMITTED: i32 = -1;

/// The call is refused.
const REFUSED: i32 = -2;

/// The answer is in the array of numbers.
pub(crate) const IN_NUMBERS: i32 = -3;

/// What the call is for was done.
pub(crate) const DONE: i32 = -4;

/// What an answer means, for JavaScript.
pub(crate) const CONSTANTS: [Constant; 6] = [
    ("ADMITTED", ADMITTED as i64, "The answer of a call that is admitted."),
    ("REFUSED", REFUSED as i64, "The answer of a call that is refused."),
    ("IN_NUMBERS", IN_NUMBERS as i64, "The answer of a call whose answer is in the array of numbers."),
    (
        "ELSEWHERE",
        ELSEWHERE as i64,
        "In place of the handle of a limiter that counts on a server: synchronous calls are errors.",
    ),
    (
        "HELD",
        HELD as i64,
        "In place of the handle of a limiter that decides synchronous calls by leases, less its handle in the fleet.",
    ),
    ("DONE", DONE as i64, "The answer of a call that only does something."),
];

/// What a quick call leaves among the integers.
///
/// JavaScript leaves the handle of an instance in the first place, 0 or more. The answer takes its place and is negative.
/// So a call that failed is one that left no answer, whatever JavaScript had left there, and can never be taken for an
/// admission.
pub(crate) trait Answer: Layout<Place = i32> {
    /// It begins where the handle was.
    const IN_PLACE_OF_THE_HANDLE: () = assert!(Self::FIRST == 0);
}

/// An answer was left among the integers. Large answers are left at once: one that is returned is copied.
pub(crate) struct Left(());

impl<const N: usize> Call<'_, N> {
    /// Leaves the answer of a quick call.
    #[inline(always)]
    pub(crate) fn leave(&self, answer: impl Answer) -> Left {
        answer.leave(self.port)
    }
}

/// What a quick call returns: an answer, or that it has left one.
pub(crate) trait Leave {
    fn leave(self, port: &Port) -> Left;
}

impl<A: Answer> Leave for A {
    #[inline(always)]
    fn leave(self, port: &Port) -> Left {
        const { A::IN_PLACE_OF_THE_HANDLE };
        port.write(self);
        Left(())
    }
}

impl Leave for Left {
    #[inline(always)]
    fn leave(self, _: &Port) -> Left {
        self
    }
}

layout! {
    /// Whether a call is admitted.
    pub(crate) struct Admission: i32 = "ADMISSION" from 0 => {
        /// ADMITTED or REFUSED, in place of the handle.
        answer,
    }
}

impl Answer for Admission {}

impl From<bool> for Admission {
    #[inline(always)]
    fn from(is_admitted: bool) -> Self {
        Self { answer: if is_admitted { ADMITTED } else { REFUSED } }
    }
}
