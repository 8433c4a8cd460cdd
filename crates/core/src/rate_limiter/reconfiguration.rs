//! How other options come into force while calls are made.

use std::sync::Arc;

use super::config::RateLimiterConfig;
use super::limiter::RateLimiter;
use super::options::RateLimiterOptions;
use crate::Result;
use crate::runtime::clock::SetBack;
use crate::runtime::options::Source;
use crate::runtime::sync::full_barrier;

impl RateLimiter {
    /// Replaces the options for all threads at once. What keys have used stays used, as far as the new options could
    /// have left it. One pass over the table, during which calls go on. `clock` gives the time of each of its steps.
    ///
    /// # Errors
    ///
    /// Options that are invalid or fixed at creation, and nothing is changed; the limiter is destroyed, or shared by a
    /// process that is not attached.
    pub fn reconfigure(&self, options: RateLimiterOptions, clock: impl Fn() -> u64) -> Result<()> {
        let _one_at_a_time = self.reconfiguring.lock();
        self.replace_options(options, clock)
    }

    /// As [`reconfigure`](Self::reconfigure), by the options in `given`. What is left out stays in force, also when
    /// another thread changes it at the same time.
    ///
    /// # Errors
    ///
    /// As of [`reconfigure`](Self::reconfigure).
    pub fn reconfigure_with(&self, given: &dyn Source, clock: impl Fn() -> u64) -> Result<()> {
        // Read without the lock: reading options may run code of the other side.
        loop {
            self.in_force.follow();
            let in_force = self.config();
            let options = in_force.options.with(given)?;
            if self.reconfigure_since(in_force.generation, options, &clock)? {
                return Ok(());
            }
        }
    }

    /// Cuts what keys have used, after a test set the clock back: no key waits for a time that the clock showed before.
    /// Blocks keep their ends. Calls that wait, wait as long as before.
    pub fn clock_was_set_back(&self, set_back: SetBack) {
        let _one_at_a_time = self.reconfiguring.lock();
        if let Some(contents) = self.contents.enter() {
            contents.set_back(&self.in_force.load(), set_back);
        }
    }

    /// False when the options in force are no longer those of `generation`; nothing was changed then.
    fn reconfigure_since(
        &self,
        generation: u64,
        options: RateLimiterOptions,
        clock: impl Fn() -> u64,
    ) -> Result<bool> {
        let _one_at_a_time = self.reconfiguring.lock();
        let in_force = self.config();
        if in_force.generation != generation {
            return Ok(false);
        }
        self.try_replace(&in_force, options, &clock)
    }

    /// The caller holds `reconfiguring`.
    fn replace_options(&self, options: RateLimiterOptions, clock: impl Fn() -> u64) -> Result<()> {
        loop {
            self.in_force.follow();
            if self.try_replace(&self.config(), options.clone(), &clock)? {
                return Ok(());
            }
        }
    }

    /// False when another process replaced the config meanwhile; nothing was changed then. The caller holds
    /// `reconfiguring`.
    fn try_replace(
        &self,
        in_force: &RateLimiterConfig,
        options: RateLimiterOptions,
        clock: &dyn Fn() -> u64,
    ) -> Result<bool> {
        self.check_open()?;
        // First: a process that has destroyed it is not attached, either.
        let contents = self.enter()?;
        self.in_force.check_replaceable()?;
        let config = Arc::new(in_force.replaced_by(options)?);
        // A call that was decided by the config before either wrote before the pass below comes to its key, or finds the
        // epoch changed after it wrote, and does for its key what the pass does.
        if !self.in_force.replace(in_force, Arc::clone(&config)) {
            return Ok(false);
        }
        full_barrier();
        contents.adopt(&config, u64::MAX, &|| self.in_force.is_later_than(config.generation), clock);
        self.in_force.was_adopted(config.generation);
        Ok(true)
    }
}
