//! The options in force, and the limiter behind `opens`.

use std::sync::Arc;

use super::options::ConnectionTrackerConfig;
use super::refusal::Refusal;
use crate::runtime::clock;
use crate::runtime::key_hash::hash_str;
use crate::{RateLimiter, Result};

/// The options in force. Replaced as a whole when a tracker is reconfigured.
pub(super) struct InForce {
    pub(super) config: ConnectionTrackerConfig,
    /// Counts how often clients open, where `opens` limits that.
    pub(super) opens: Option<Arc<RateLimiter>>,
}

impl InForce {
    /// An error where the system cannot map the memory of `opens`.
    pub(super) fn new(name: &str, config: ConnectionTrackerConfig) -> Result<Self> {
        let opens = config.opens.clone().map(|opens| RateLimiter::try_new(name, opens)).transpose()?;
        Ok(Self { opens: opens.map(Arc::new), config })
    }

    /// Other options in the place of these. What clients have opened still counts.
    pub(super) fn replaced_by(&self, name: &str, config: ConnectionTrackerConfig) -> Result<Self> {
        match (&self.opens, &config.opens) {
            (Some(opens), Some(new)) => {
                opens.reconfigure(new.options().clone(), clock::read)?;
                Ok(Self { opens: Some(Arc::clone(opens)), config })
            }
            _ => Self::new(name, config),
        }
    }

    /// Charges the client for opening once.
    pub(super) fn charge_open(&self, client: &str, now: u64) -> std::result::Result<(), Refusal> {
        let Some(opens) = &self.opens else { return Ok(()) };
        match opens.consume(hash_str(client), 1, now) {
            Ok(decision) if !decision.allowed => {
                Err(Refusal::Opens { retry_after: decision.retry_after.unwrap_or(u64::MAX) })
            }
            _ => Ok(()),
        }
    }

    /// Takes a charge back.
    pub(super) fn refund_open(&self, client: &str, now: u64) {
        if let Some(opens) = &self.opens {
            // Cannot fail: the cost is 1, and only the tracker has the limiter.
            let _ = opens.refund(hash_str(client), 1, now);
        }
    }
}
