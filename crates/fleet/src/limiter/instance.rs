//! The limiter as a named instance.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use sluice_core::runtime::clock::SetBack;
use sluice_core::{Error, Instance, OptionList, RateLimiter, ThreadId};

use super::{FleetLimiter, FleetOptions};

/// What a limiter is created with.
#[derive(Debug)]
pub struct FleetConfig {
    /// Its scope.
    pub options: FleetOptions,
    /// The limiter of this process of the same name, whose options it has. It compares scopes.
    pub local: Arc<RateLimiter>,
}

impl Instance for FleetLimiter {
    const KIND: &'static str = "RateLimiter";
    type Config = FleetConfig;

    fn create(name: &str, config: FleetConfig) -> Self {
        Self::try_create(name, config).expect("options that the server can keep")
    }

    fn try_create(name: &str, FleetConfig { options, local }: FleetConfig) -> Result<Self, Error> {
        Self::new(name, options, local)
    }

    fn created_with(&self) -> &OptionList {
        &self.created_with
    }

    /// The limiter of this process compares the others.
    fn list_options(config: &FleetConfig) -> OptionList {
        vec![("scope", config.options.to_string())]
    }

    fn list_fixed(config: &FleetConfig) -> OptionList {
        Self::list_options(config)
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.give_all_back(&self.plan.load());
    }

    /// Only after a reset of tests: a scope is fixed at creation.
    fn reconfigure(&self, name: &str, config: FleetConfig, _: bool) -> Result<Option<Arc<Self>>, Error> {
        self.close();
        Self::try_create(name, config).map(|successor| Some(Arc::new(successor)))
    }

    /// The counts of the server are not this process's to reset.
    fn reset(&self) {
        *self.reset_at.lock() = Some(Instant::now());
        self.counters.reset();
        let plan = self.plan.load();
        plan.remembered.clear();
        if let Some(leases) = &plan.leases {
            leases.clear();
        }
    }

    /// Pending calls are dropped with the thread's desk; what they charge stays charged.
    fn thread_ended(&self, _: ThreadId, _: u64) {}

    fn clock_was_set_back(&self, _: SetBack) {}
}
