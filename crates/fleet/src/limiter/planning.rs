//! The plans of a limiter: by the options in force, and for limits of single calls.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sluice_core::{Error, RateLimiterConfig};

use super::FleetLimiter;
use crate::client_name::ClientName;
use crate::differences::{SAID_AFTER, SAID_AGAIN, SAID_EVERY};
use crate::operation::Operation;
use crate::plan::Plan;
use crate::request::Request;

/// Plans for limits of single calls that are kept.
const MOST_OWN_PLANS: usize = 256;

/// The plan for the limit of a call.
#[derive(Debug)]
pub(super) struct OwnPlan {
    /// The options that it was made of.
    of: Arc<RateLimiterConfig>,
    plan: Arc<Plan>,
}

/// Whole milliseconds.
pub(super) fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

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
        self.says_at.store(0, Ordering::Relaxed);
        Ok(plan)
    }

    /// Says now and then which limits this process has, where the server is asked anyway.
    pub(super) fn say_options(&self, now: Instant) {
        let since = ms(now.saturating_duration_since(self.created));
        // Relaxed: said twice, it is the same.
        let due = self.says_at.load(Ordering::Relaxed);
        if since < due {
            return;
        }
        let next = if due == ms(SAID_AFTER) { SAID_AGAIN } else { SAID_EVERY };
        self.says_at.store(since + ms(next), Ordering::Relaxed);
        let request = Request::new(self.plan.load_full(), ClientName::of_units(&[]), Operation::Announce);
        let deadline = now + Duration::from_millis(self.options.timeout_ms);
        // Where the server cannot be asked, next time.
        let _ = self.leave(Request { deadline, ..request });
    }

    /// A thread whose plan was replaced meanwhile may have left one of its options, which no other thread takes.
    fn own_plan(&self, plan: &Plan, limit: u64) -> Result<Arc<Plan>, Error> {
        let mut own_plans = self.own_plans.lock();
        if let Some(known) = own_plans.get(&limit).filter(|known| Arc::ptr_eq(&known.of, &plan.config)) {
            return Ok(Arc::clone(&known.plan));
        }
        let config = Arc::new(plan.config.for_limit(limit)?);
        let own = Arc::new(self.options.plan(&self.name, config)?);
        if own_plans.len() >= MOST_OWN_PLANS {
            own_plans.clear();
        }
        own_plans.insert(limit, OwnPlan { of: Arc::clone(&plan.config), plan: Arc::clone(&own) });
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

    /// Fails where the plans of limits of single calls do not say by which options they were made.
    #[test]
    fn no_plan_of_replaced_options_is_kept() {
        let fleet = leasing("redis://127.0.0.1:1");
        let replaced = fleet.plan_for(None).expect("valid");
        let options = RateLimiterOptions::single(100, 7_000);
        fleet.local().reconfigure(options, clock::read).expect("valid");
        let plan = fleet.plan_for(Some(5)).expect("valid");
        // A thread that has found the plan before it was replaced goes on.
        let late = fleet.own_plan(&replaced, 5).expect("valid");
        assert_ne!(late.limits, plan.limits);
        assert_eq!(fleet.plan_for(Some(5)).expect("valid").limits, plan.limits);
        let again = fleet.plan_for(Some(5)).expect("valid");
        assert!(Arc::ptr_eq(&again, &fleet.plan_for(Some(5)).expect("valid")), "made once");
    }

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
