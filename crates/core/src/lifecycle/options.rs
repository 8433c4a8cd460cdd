//! Options of a shutdown.

use super::shutdown::ShutdownRequest;
use crate::runtime::clock::MS;
use crate::runtime::options::{Accepts, options};
use crate::{Error, Result};

/// Any duration, or none.
const DURATION: Accepts = Accepts::Duration { least: 0 };

options! {
    /// What a call to shut down asks for. Times that are left out are not changed; the first call has defaults for them.
    pub struct ShutdownOptions of "shutdown" {
        /// How long threads have from the end of the delay.
        timeout_ms: Option<u64> = "timeout", DURATION;
        /// How long servers go on as before.
        delay_ms: u64 = "delay", DURATION, default 0;
        /// How long the hooks of a thread that run after the drain have together.
        hooks_timeout_ms: Option<u64> = "hooksTimeout", DURATION;
        /// Why.
        reason: Option<String> = "reason", Accepts::Other;
    }
}

impl TryFrom<ShutdownOptions> for ShutdownRequest {
    type Error = Error;

    fn try_from(options: ShutdownOptions) -> Result<Self> {
        options.check_ranges()?;
        Ok(Self {
            reason: options.reason,
            delay: options.delay_ms * MS,
            timeout: options.timeout_ms.map(|ms| ms * MS),
            hooks_timeout: options.hooks_timeout_ms.map(|ms| ms * MS),
        })
    }
}

impl Default for ShutdownOptions {
    fn default() -> Self {
        Self::new()
    }
}
