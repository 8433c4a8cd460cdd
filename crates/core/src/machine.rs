//! What the processes of a machine know of each other: a mapping that they share has a row for each.
//!
//! No lock is held in shared memory, and no process cleans up when it ends. What a process holds names its owner, and
//! counts only while that owner lives. Whether a process lives, the file tells, which is not opened here: its process
//! holds the kernel's lock of a byte for as long as it can run an instruction.

mod clock_word;
mod held;
mod host;
mod owner;
mod presence;
mod processes;
mod seats;

pub use clock_word::ClockWord;
pub(crate) use held::{Change, Held, HeldCount};
pub use host::Host;
pub use owner::Owner;
pub(crate) use presence::Attached;
pub(crate) use processes::{CELL_WORDS, SMALL_CELL_WORDS};
pub use processes::{Processes, Repair};
pub(crate) use seats::{Seat, Seats};
