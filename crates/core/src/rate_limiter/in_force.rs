//! The config in force, which `reconfigure` replaces while calls are made.

use std::io;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use super::config::RateLimiterConfig;
use super::config_epoch::{AtomicConfigEpoch, ConfigEpoch};
use super::shared_config::SharedConfig;
use crate::machine::Processes;
use crate::runtime::arena::Arena;
use crate::{Error, Result};

/// The config in force, and its epoch.
pub(super) struct ConfigInForce {
    config: ArcSwap<RateLimiterConfig>,
    epoch: AtomicConfigEpoch,
    /// Where other processes may replace the config, too.
    shared: Option<SharedConfig<RateLimiterConfig>>,
}

impl ConfigInForce {
    pub(super) fn new(config: RateLimiterConfig) -> Self {
        let config = ArcSwap::from_pointee(config);
        Self { config, epoch: AtomicConfigEpoch::of_process(), shared: None }
    }

    /// `created` is the config that the limiter was created with, by whichever process.
    pub(super) fn shared(
        created: RateLimiterConfig,
        arena: &Arena,
        processes: Arc<Processes>,
    ) -> io::Result<Self> {
        // Its process may have replaced it before, which others do not count.
        let created = RateLimiterConfig { generation: 0, ..created };
        let in_force = Self {
            epoch: AtomicConfigEpoch::in_arena(arena)?,
            config: ArcSwap::from_pointee(created.clone()),
            shared: Some(SharedConfig::new(created, arena, processes)?),
        };
        in_force.follow();
        Ok(in_force)
    }

    pub(super) fn load(&self) -> Guard<Arc<RateLimiterConfig>> {
        self.config.load()
    }

    /// The config in force, also where another process brought it into force and this one has made no call since.
    pub(super) fn config(&self) -> Arc<RateLimiterConfig> {
        self.follow();
        self.config.load_full()
    }

    /// Read it before the config: a call then notices a config that comes later.
    #[inline]
    pub(super) fn epoch(&self) -> ConfigEpoch {
        self.epoch.get()
    }

    /// Takes over the config that another process brought into force. The config that is loaded afterwards is at least as
    /// new as the epoch that was read before.
    #[inline]
    pub(super) fn follow(&self) {
        if let Some(shared) = &self.shared {
            shared.follow(&self.epoch, &self.config);
        }
    }

    /// Replaces the config that was loaded; false when another process came first.
    pub(super) fn replace(&self, loaded: &RateLimiterConfig, config: Arc<RateLimiterConfig>) -> bool {
        match &self.shared {
            Some(shared) => shared.replace(&self.epoch, &self.config, loaded, &config),
            None => {
                self.config.store(config);
                self.epoch.advance();
                true
            }
        }
    }

    /// The keys were adapted to the config of a generation.
    pub(super) fn was_adopted(&self, generation: u64) {
        if let Some(shared) = &self.shared {
            shared.was_adopted(generation);
        }
    }

    /// Whether processes share the limiter.
    pub(super) fn is_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// Whether another process has replaced the config of a generation. Within a process one replaces it at a time.
    pub(super) fn is_later_than(&self, generation: u64) -> bool {
        self.is_shared() && self.epoch().generation() > generation
    }

    /// Fails in a process that has no place to write a config to.
    pub(super) fn check_replaceable(&self) -> Result<()> {
        match &self.shared {
            Some(shared) if !shared.can_replace() => Err(Error::Unsupported {
                what: "reconfigure in a process that is not attached",
                accepted: "a process that is attached",
            }),
            _ => Ok(()),
        }
    }

    /// Whether a process died after it brought a config into force, and before it had adapted all keys to it.
    pub(super) fn is_to_adopt(&self) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.is_to_adopt(self.epoch()))
    }

    /// Calls of this process fail from now on. Where other processes share the limiter, it goes on for them.
    pub(super) fn close(&self) {
        if self.shared.is_none() {
            self.epoch.close();
        }
    }

    /// Calls of all processes fail from now on. False where that was so before.
    pub(super) fn close_everywhere(&self) -> bool {
        self.epoch.close()
    }
}
