//! What came of a shutdown.

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

/// What became of a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookOutcome {
    /// What it is called.
    pub name: String,
    /// Why it failed; none where it did not.
    pub error: Option<HookError>,
}

/// What a thread says when it has done what it could.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberEnd {
    /// Connections that had not gone by themselves in time.
    pub forced: u64,
    /// Connections that the system reset as they still waited to be accepted.
    pub connections_reset: u64,
    /// What became of its hooks, in the order in which they were registered.
    pub hooks: Vec<HookOutcome>,
    /// How many nanoseconds the hooks took that run after the drain.
    pub hooks_took: u64,
}

/// What came of it in one thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadReport {
    /// Node's id of the thread.
    pub thread_id: u32,
    /// Whether it reported, or ended, in time.
    pub responded: bool,
    /// Connections that had not gone by themselves in time.
    pub forced: u64,
    /// Connections that closed since the shutdown began, those that were forced included.
    pub connections_closed: u64,
    /// Connections that the system reset as they still waited to be accepted.
    pub connections_reset: u64,
    /// Work that had not ended in time.
    pub tasks_left: u64,
    /// What became of its hooks, in the order in which they were registered.
    pub hooks: Vec<HookOutcome>,
    /// How many nanoseconds the hooks took that run after the drain.
    pub hooks_took: u64,
}

impl ThreadReport {
    /// Whether nothing was left.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.responded && self.forced == 0 && self.connections_reset == 0 && self.tasks_left == 0
    }
}

/// What came of it in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Why the shutdown began, as its first caller said.
    pub reason: Option<String>,
    /// How many nanoseconds it took.
    pub took: u64,
    /// By thread, in the order in which they joined.
    pub threads: Vec<ThreadReport>,
}
