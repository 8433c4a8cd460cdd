//! The plans of a limiter: by the options in force, and for limits of single calls.

use std::sync::Arc;

use sluice_core::Error;

use super::FleetLimiter;
use crate::plan::Plan;

/// Plans for limits of single calls that are kept.
const MOST_OWN_PLANS: usize = 256;

impl FleetLimiter {
    /// The plan by the options in force, which any thread may have replaced.
    pub(crate) fn plan_for(&self, limit: Option<u64>) -> Result<Arc<Plan>, Error> {
        let mut plan = self.plan.load_full();
        if !Arc::ptr_eq(&plan.config, &self.local().config()) {
            plan = self.replace_plan()?;
        }
        match limit {
            None => Ok(plan),
            Some(limit) => self.own_plan(&plan, limit),
        }
    }

    /// One thread makes the plan, and what is held by it, for all.
    #[cold]
    fn replace_plan(&self) -> Result<Arc<Plan>, Error> {
        let _one_at_a_time = self.replacing.lock();
        let (former, config) = (self.plan.load_full(), self.local().config());
        if Arc::ptr_eq(&former.config, &config) {
            return Ok(former);
        }
        let plan = Arc::new(self.options.main_plan(&self.name, config)?);
        self.plan.store(Arc::clone(&plan));
        self.give_all_back(&former);
        self.own_plans.lock().clear();
        self.remembered.clear();
        Ok(plan)
    }

    fn own_plan(&self, plan: &Plan, limit: u64) -> Result<Arc<Plan>, Error> {
        let mut own_plans = self.own_plans.lock();
        if let Some(own) = own_plans.get(&limit) {
            return Ok(Arc::clone(own));
        }
        let config = Arc::new(plan.config.for_limit(limit)?);
        let own = Arc::new(self.options.plan(&self.name, config)?);
        if own_plans.len() >= MOST_OWN_PLANS {
            own_plans.clear();
        }
        own_plans.insert(limit, Arc::clone(&own));
        Ok(own)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use sluice_core::RateLimiterOptions;
    use sluice_core::runtime::clock;

    use crate::limiter::tests::leasing;

    use super::*;

    #[test]
    fn all_threads_share_one_plan() {
        let fleet = leasing("redis://127.0.0.1:1");
        for round in 0..200 {
            let options = RateLimiterOptions::single(100 + round, 1_000);
            fleet.local().reconfigure(options, clock::read).expect("valid");
            let barrier = Barrier::new(2);
            let plan = || {
                barrier.wait();
                fleet.plan_for(None).expect("valid")
            };
            let (first, second) = thread::scope(|scope| {
                let other = scope.spawn(plan);
                (plan(), other.join().expect("no panic"))
            });
            assert!(Arc::ptr_eq(&first, &second), "round {round}");
        }
    }
}
