//! What a limiter counts.

use std::sync::atomic::{AtomicU64, Ordering};

use sluice_core::Decision;

use crate::answer::Failure;

/// Sums over all threads of the process since the limiter was created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FleetCounts {
    /// Calls admitted, refused, and admitted by a dry run, by the server, by `'allow'` or by `'deny'`.
    pub allowed: u64,
    /// As above.
    pub refused: u64,
    /// As above.
    pub dry_refused: u64,
    /// Decisions of the server, remembered refusals included.
    pub decisions: u64,
    /// Those of them that were remembered.
    pub remembered: u64,
    /// Decisions without the server, by `onError`.
    pub local: u64,
    /// Synchronous calls that were refused as no unit was held.
    pub missed: u64,
    /// Calls that the server did not decide, by the reason.
    pub failures: [u64; Failure::ALL.len()],
}

/// The counters behind them. Each is independent and publishes nothing, so relaxed.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    allowed: AtomicU64,
    refused: AtomicU64,
    dry_refused: AtomicU64,
    decisions: AtomicU64,
    remembered: AtomicU64,
    local: AtomicU64,
    missed: AtomicU64,
    failures: [AtomicU64; Failure::ALL.len()],
}

impl Failure {
    /// Every reason, in the order of [`FleetCounts::failures`].
    pub const ALL: [Self; 6] =
        [Self::Timeout, Self::Away, Self::Full, Self::Late, Self::Refused, Self::Foreign];
}

impl Counters {
    pub(crate) fn outcome(&self, decision: &Decision) {
        match decision {
            Decision { would_refuse: Some(true), .. } => add(&self.dry_refused),
            Decision { allowed: true, .. } => add(&self.allowed),
            _ => add(&self.refused),
        }
    }

    pub(crate) fn decided(&self) {
        add(&self.decisions);
    }

    pub(crate) fn remembered(&self) {
        add(&self.decisions);
        add(&self.remembered);
    }

    pub(crate) fn without_server(&self) {
        add(&self.local);
    }

    pub(crate) fn missed(&self) {
        add(&self.missed);
    }

    pub(crate) fn failed(&self, failure: Failure) {
        add(&self.failures[failure as usize]);
    }

    pub(crate) fn sums(&self) -> FleetCounts {
        FleetCounts {
            allowed: read(&self.allowed),
            refused: read(&self.refused),
            dry_refused: read(&self.dry_refused),
            decisions: read(&self.decisions),
            remembered: read(&self.remembered),
            local: read(&self.local),
            missed: read(&self.missed),
            failures: [0, 1, 2, 3, 4, 5].map(|index| read(&self.failures[index])),
        }
    }

    pub(crate) fn reset(&self) {
        let calls = [&self.allowed, &self.refused, &self.dry_refused, &self.decisions];
        let others = [&self.remembered, &self.local, &self.missed];
        for counter in calls.into_iter().chain(others).chain(&self.failures) {
            counter.store(0, Ordering::Relaxed);
        }
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
