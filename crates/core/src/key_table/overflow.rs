//! What happens to a new key when the table has no slot for it.

use crate::runtime::options::choice;

/// What a new key gets when each slot it may use holds a live key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// The slot of the key closest to its full quota. Blocked keys are never evicted.
    #[default]
    Evict,
    /// A refusal.
    Deny,
    /// Admission without being counted.
    Allow,
}

choice! {
    Overflow { Evict = "evict", Deny = "deny", Allow = "allow" }
}
