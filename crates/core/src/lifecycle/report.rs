//! The report of a shutdown.

/// What a hook threw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookError {
    /// The error's name.
    pub name: String,
    /// Its message.
    pub message: String,
    /// Its code, where it has one.
    pub code: Option<String>,
}

/// The outcome of a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookOutcome {
    /// The hook's name.
    pub name: String,
    /// Why it failed; none where it succeeded.
    pub error: Option<HookError>,
}

/// What a member reports when it has finished.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberEnd {
    /// Connections that were ended because they had not closed in time.
    pub forced: u64,
    /// Connections that the system reset in the listen queue.
    pub connections_reset: u64,
    /// The outcomes of its hooks, in the order of their registration.
    pub hooks: Vec<HookOutcome>,
    /// Nanoseconds that the hooks after the drain took.
    pub hooks_took: u64,
}

/// The report of one thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadReport {
    /// Node's id of the thread.
    pub thread_id: u32,
    /// Whether the thread reported, or ended, in time.
    pub responded: bool,
    /// Connections that were ended because they had not closed in time.
    pub forced: u64,
    /// Connections that closed since the shutdown began, including those that were forced.
    pub connections_closed: u64,
    /// Connections that the system reset in the listen queue.
    pub connections_reset: u64,
    /// Tracked work that had not ended in time.
    pub tasks_left: u64,
    /// The outcomes of its hooks, in the order of their registration.
    pub hooks: Vec<HookOutcome>,
    /// Nanoseconds that the hooks after the drain took.
    pub hooks_took: u64,
}

impl ThreadReport {
    /// Whether nothing was forced, reset or left.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.responded && self.forced == 0 && self.connections_reset == 0 && self.tasks_left == 0
    }
}

/// The report of all threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Why the shutdown began, as its first caller gave it.
    pub reason: Option<String>,
    /// Nanoseconds that the shutdown took.
    pub took: u64,
    /// One for each member, in the order in which they joined.
    pub threads: Vec<ThreadReport>,
}
