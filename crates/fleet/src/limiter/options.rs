//! Options of a limiter's scope.

use std::fmt;
use std::sync::Arc;

use sluice_core::{Error, RateLimiterConfig};

use crate::plan::Plan;
use crate::server::Server;

/// What decides where the server does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// This process's own count, by the same limits.
    #[default]
    Local,
    /// Every call is admitted.
    Allow,
    /// Every call is refused.
    Deny,
}

/// What decides each call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The server.
    #[default]
    Exact,
    /// This process, by units that the server has granted ahead.
    Lease,
}

/// Options of a limiter's scope.
#[derive(Clone, Debug)]
pub struct FleetOptions {
    /// The server.
    pub server: Server,
    /// What decides each call.
    pub mode: Mode,
    /// How long a call waits for it, in milliseconds.
    pub timeout_ms: u64,
    /// What decides where it does not answer.
    pub on_error: OnError,
    /// What keys begin with.
    pub prefix: String,
}

impl FleetOptions {
    /// Checks that a server can keep these limits exactly.
    ///
    /// # Errors
    ///
    /// It cannot.
    pub fn check(&self, config: &RateLimiterConfig) -> Result<(), Error> {
        self.main_plan("", Arc::new(config.clone())).map(drop)
    }

    pub(super) fn plan(&self, name: &str, config: Arc<RateLimiterConfig>) -> Result<Plan, Error> {
        let plan = Plan::new(name, &self.prefix, config)?;
        // Where callers may have been admitted without the server, what they used stays used.
        Ok(plan.giving_back(self.on_error == OnError::Deny))
    }

    /// The plan of calls without a limit of their own.
    pub(super) fn main_plan(&self, name: &str, config: Arc<RateLimiterConfig>) -> Result<Plan, Error> {
        let plan = self.plan(name, config)?;
        if self.mode == Mode::Exact { Ok(plan) } else { plan.leasing() }
    }
}

impl fmt::Display for FleetOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { server, mode, timeout_ms, on_error, prefix } = self;
        let (mode, on_error) = (mode.text(), on_error.text());
        write!(
            f,
            "redis {server}, mode {mode}, onError {on_error}, timeout {timeout_ms} ms, prefix {prefix:?}"
        )
    }
}

impl Mode {
    /// Every value, by its name.
    pub const TEXTS: [(&'static str, Self); 2] = [("exact", Self::Exact), ("lease", Self::Lease)];

    fn text(self) -> &'static str {
        Self::TEXTS[self as usize].0
    }
}

impl OnError {
    /// Every value, by its name.
    pub const TEXTS: [(&'static str, Self); 3] =
        [("local", Self::Local), ("allow", Self::Allow), ("deny", Self::Deny)];

    fn text(self) -> &'static str {
        Self::TEXTS[self as usize].0
    }
}
