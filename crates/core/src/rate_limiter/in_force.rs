//! The config in force, which `reconfigure` replaces while calls are made.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use super::config::RateLimiterConfig;
use super::config_epoch::{AtomicConfigEpoch, ConfigEpoch};

/// The config in force, and its epoch.
pub(super) struct ConfigInForce {
    config: ArcSwap<RateLimiterConfig>,
    epoch: AtomicConfigEpoch,
}

impl ConfigInForce {
    pub(super) fn new(config: RateLimiterConfig) -> Self {
        Self { config: ArcSwap::from_pointee(config), epoch: AtomicConfigEpoch::default() }
    }

    pub(super) fn load(&self) -> Guard<Arc<RateLimiterConfig>> {
        self.config.load()
    }

    pub(super) fn config(&self) -> Arc<RateLimiterConfig> {
        self.config.load_full()
    }

    /// Read it before the config: a call then notices a config that comes later.
    #[inline]
    pub(super) fn epoch(&self) -> ConfigEpoch {
        self.epoch.get()
    }

    pub(super) fn replace(&self, config: Arc<RateLimiterConfig>) {
        self.config.store(config);
        self.epoch.advance();
    }

    pub(super) fn close(&self) {
        self.epoch.close();
    }
}
