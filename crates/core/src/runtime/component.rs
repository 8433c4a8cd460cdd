//! What every component does when a thread ends, when a test sets the clock back, and when tests reset the process.

use crate::runtime::ThreadId;
use crate::runtime::clock::SetBack;

/// What the process has of one component.
///
/// The binding keeps one table of components and reaches each by these methods, so none of them has a default: a
/// component that holds nothing says so.
pub trait Component: Sync {
    /// Releases what a thread held. The thread makes no more calls. May be called more than once for a thread.
    fn thread_ended(&self, thread: ThreadId, now: u64);
    /// A test set the clock back: nothing waits for a time that the clock showed before.
    fn clock_was_set_back(&self, set_back: SetBack);
    /// Empties the component. Objects that exist keep working.
    fn reset(&self);
    /// What its instances are called, and the name of each; `None` where it has none.
    fn names(&self) -> Option<(&'static str, Vec<String>)>;
}
