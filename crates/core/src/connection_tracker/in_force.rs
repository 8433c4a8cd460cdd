//! The options in force, and the limiter behind `opens`.

use std::sync::Arc;

use super::options::ConnectionTrackerConfig;
use super::refusal::Refusal;
use crate::machine::{Host, Processes};
use crate::runtime::arena::Arena;
use crate::runtime::clock::{self, SetBack};
use crate::runtime::key_hash::{KeyHash, hash_str};
use crate::{Error, RateLimiter, Result};

/// The options in force. Replaced as a whole when a tracker is reconfigured.
#[derive(Clone)]
pub(super) struct InForce {
    pub(super) config: ConnectionTrackerConfig,
    /// Counts how often clients open, where `opens` limits that.
    pub(super) opens: Option<Arc<RateLimiter>>,
    /// Of processes: how often the tracker was reconfigured before.
    pub(super) generation: u64,
    /// Where processes share the tracker: whose clock and hash function they use.
    pub(super) host: Option<Arc<dyn Host>>,
    /// The highest `max` that the table of clients was made for.
    pub(super) most: Option<u64>,
}

impl InForce {
    /// An error where the system cannot map the memory of `opens`.
    pub(super) fn new(name: &str, config: ConnectionTrackerConfig) -> Result<Self> {
        let opens = config.opens.clone().map(|opens| RateLimiter::try_new(name, opens)).transpose()?;
        Ok(Self { opens: opens.map(Arc::new), config, generation: 0, host: None, most: None })
    }

    /// As it was created, by whichever process.
    pub(super) fn shared(
        name: &str,
        config: ConnectionTrackerConfig,
        arena: &Arena,
        processes: &Arc<Processes>,
        host: Arc<dyn Host>,
    ) -> Result<Self> {
        let shared = |opens| RateLimiter::shared(name, opens, arena, processes);
        let opens = config.opens.clone().map(shared).transpose()?.map(Arc::new);
        let most = Some(config.shared_clients());
        Ok(Self { config, opens, generation: 0, host: Some(host), most })
    }

    /// Other options in the place of these. What clients have opened still counts.
    pub(super) fn replaced_by(&self, name: &str, config: ConnectionTrackerConfig) -> Result<Self> {
        self.check_shared(&config)?;
        match (&self.opens, &config.opens) {
            (Some(opens), Some(new)) => {
                opens.reconfigure(new.options().clone(), || self.time(clock::read()))?;
                Ok(Self { config, ..self.clone() })
            }
            _ if self.host.is_some() => Ok(Self { config, ..self.clone() }),
            _ => Self::new(name, config),
        }
    }

    /// What shared memory was made for stays.
    fn check_shared(&self, config: &ConnectionTrackerConfig) -> Result<()> {
        let Some(most) = self.most else { return Ok(()) };
        let fixed = |option: &str, given: String, accepted: String| {
            Err(Error::invalid_option(&format!("ConnectionTracker {option}"), given, accepted))
        };
        match config.options.max {
            Some(max) if max > most => {
                let accepted = format!("at most {most}, for which the shared memory was made");
                return fixed("max", max.to_string(), accepted);
            }
            _ => {}
        }
        if self.opens.is_some() != config.opens.is_some() {
            let accepted =
                if self.opens.is_some() { "a quota, as at creation" } else { "none, as at creation" };
            let given = config.options.opens.map_or_else(|| "none".to_owned(), |opens| opens.to_string());
            return fixed("opens", given, format!("{accepted}, where processes share it"));
        }
        Ok(())
    }

    /// Charges the client for opening once.
    pub(super) fn charge_open(&self, client: &str, now: u64) -> std::result::Result<(), Refusal> {
        let Some(opens) = &self.opens else { return Ok(()) };
        match opens.consume(self.hash(client), 1, self.time(now)) {
            Ok(decision) if !decision.allowed => {
                if let Some(host) = &self.host {
                    // Also at the clock, which may be wrong.
                    host.look_after();
                }
                Err(Refusal::Opens { retry_after: decision.retry_after.unwrap_or(u64::MAX) })
            }
            _ => Ok(()),
        }
    }

    /// Takes a charge back.
    pub(super) fn refund_open(&self, client: &str, now: u64) {
        if let Some(opens) = &self.opens {
            // Cannot fail: the cost is 1, and only the tracker has the limiter.
            let _ = opens.refund(self.hash(client), 1, self.time(now));
        }
    }

    /// A test set the clock of this process back, which is not that of other processes.
    pub(super) fn clock_was_set_back(&self, set_back: SetBack) {
        if let (Some(opens), None) = (&self.opens, &self.host) {
            opens.clock_was_set_back(set_back);
        }
    }

    fn hash(&self, client: &str) -> KeyHash {
        match &self.host {
            Some(host) => host.hasher().bytes(client.as_bytes()),
            None => hash_str(client),
        }
    }

    fn time(&self, now: u64) -> u64 {
        self.host.as_ref().map_or(now, |host| host.now())
    }
}
