//! The calls in which a process is killed, and what others may find.

use std::path::Path;
use std::sync::Arc;

use sluice_core::{AlgorithmKind, LimitOptions, LocalHandle, Overflow, Quota, RateLimiterOptions};
use sluice_machine::{Directory, SharedLimiter};

use crate::support::{MONTH_MS, key, try_consume};

/// Of the first limit, which is the lowest. Each further one admits two units more.
pub(crate) const LIMIT: u64 = 5;
pub(crate) const MORE: u64 = 2;
/// Of a client, in nanoseconds: until it may be called expired, and how long a block is.
pub(crate) const HOUR: u64 = 3_600_000_000_000;
/// Limits and windows that are brought into force: what clients owe is cut to days.
pub(crate) const SHORTER: [(u64, u64); 2] = [(2, MONTH_MS / 30), (3, MONTH_MS / 15)];
/// More new keys than the table has slots.
pub(crate) const MANY: u64 = 2_000;

/// A call, what it is made on, and which answers the processes that go on may get.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) overflow: Overflow,
    /// Before the call: by another process.
    pub(crate) prepare: fn(&SharedLimiter),
    pub(crate) act: fn(&SharedLimiter, &mut LocalHandle, usize),
    /// Units that the client gets after the call was cut short: at least, at most.
    pub(crate) left: (u64, u64),
    /// Most units that it gets where others ask for it while the call is stopped, and again after its end.
    pub(crate) most: u64,
}

/// A case of a limiter of so many limits.
#[derive(Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) case: &'static Case,
    pub(crate) limits: usize,
}

/// How many limits the limiters have.
pub(crate) const LIMITS: [usize; 2] = [1, 3];

impl Setting {
    /// Those whose name has what the environment asks for.
    pub(crate) fn all() -> Vec<Self> {
        let wanted = std::env::var("SLUICE_TEST_CALL").unwrap_or_default();
        let all = LIMITS.iter().flat_map(|limits| CASES.iter().map(|case| Self { case, limits: *limits }));
        let chosen: Vec<_> = all.filter(|setting| setting.name().contains(&wanted)).collect();
        assert!(!chosen.is_empty(), "SLUICE_TEST_CALL is {wanted}, which names no call");
        chosen
    }

    pub(crate) fn named(name: &str) -> Self {
        let all = LIMITS.iter().flat_map(|limits| CASES.iter().map(|case| Self { case, limits: *limits }));
        all.into_iter().find(|setting| setting.name() == name).expect("a case")
    }

    pub(crate) fn name(self) -> String {
        let Self { case, limits } = self;
        format!("{}, {limits} limit{}", case.name, if limits == 1 { "" } else { "s" })
    }

    pub(crate) fn options(self) -> RateLimiterOptions {
        options(self.case.overflow, self.limits)
    }

    pub(crate) fn open(self, path: &Path) -> SharedLimiter {
        let directory = Directory::open(path).expect("fit");
        let config = self.options().try_into().expect("valid");
        SharedLimiter::open(&directory, "api", config).expect("fit")
    }
}

fn options(overflow: Overflow, limits: usize) -> RateLimiterOptions {
    let algorithms = [AlgorithmKind::Gcra, AlgorithmKind::FixedWindow, AlgorithmKind::SlidingWindow];
    let limits = algorithms.into_iter().zip(0..).take(limits).map(|(algorithm, place)| LimitOptions {
        name: algorithm.to_string(),
        quota: Quota::new(LIMIT + MORE * place, MONTH_MS),
        algorithm,
    });
    RateLimiterOptions { max_keys: 40, overflow, ..RateLimiterOptions::new(limits.collect()) }
}

const NOTHING: fn(&SharedLimiter) = |_| {};
const ONE_UNIT: fn(&SharedLimiter) = |limiter| assert!(try_consume(limiter, "client", 1));
const FULL: fn(&SharedLimiter) = |limiter| {
    for other in 0..MANY {
        try_consume(limiter, &format!("other {other}"), 1);
    }
};
/// Every slot has a client whose block has ended.
const FULL_OF_EXPIRED: fn(&SharedLimiter) = |limiter| {
    let then = limiter.shared().now() - HOUR;
    for other in 0..MANY {
        let _ = limiter.limiter().block(key(limiter, &format!("other {other}")), 1_000_000, then);
    }
};

/// A call of the client by its handle.
const CONSUME: fn(&SharedLimiter, &mut LocalHandle, usize) = |limiter, handle, _| {
    handle.try_consume(key(limiter, "client"), 1, limiter.shared().now()).expect("open");
};
const BLOCK: fn(&SharedLimiter, &mut LocalHandle, usize) = |limiter, _, _| {
    let _ = limiter.limiter().block(key(limiter, "client"), HOUR, limiter.shared().now());
};

const CHARGE: Case =
    Case { name: "charge", overflow: Overflow::Deny, prepare: ONE_UNIT, act: CONSUME, left: (3, 4), most: 4 };

/// An insert that evicts an expired key. Another case begins by a kill in it.
pub(crate) const INSERT: &str = "eviction of an expired key";

const CASES: &[Case] = &[
    CHARGE,
    Case {
        name: "refusal",
        prepare: |limiter| assert!(try_consume(limiter, "client", LIMIT)),
        left: (0, 0),
        most: 0,
        ..CHARGE
    },
    Case { name: "new key", prepare: NOTHING, left: (4, 5), most: 5, ..CHARGE },
    // The call may find no slot, and is admitted uncounted then: as often as it is asked.
    Case {
        name: "eviction of a live key",
        overflow: Overflow::Evict,
        prepare: FULL,
        left: (4, 5),
        most: 5,
        ..CHARGE
    },
    Case { name: INSERT, prepare: FULL_OF_EXPIRED, left: (4, 5), most: 5, ..CHARGE },
    Case { name: "block of a known key", act: BLOCK, left: (0, 4), ..CHARGE },
    Case { name: "block of a new key", prepare: NOTHING, act: BLOCK, left: (0, 5), most: 5, ..CHARGE },
    Case {
        name: "reset",
        act: |limiter, _, _| {
            drop(limiter.limiter().reset(key(limiter, "client"), limiter.shared().now()));
        },
        left: (4, 5),
        // What is left, and the whole quota after the reset.
        most: 4 + LIMIT,
        ..CHARGE
    },
    Case {
        name: "refund",
        act: |limiter, _, _| {
            drop(limiter.limiter().refund(key(limiter, "client"), 1, limiter.shared().now()));
        },
        left: (4, 5),
        most: 5,
        ..CHARGE
    },
    Case {
        name: "penalty",
        act: |limiter, _, _| {
            drop(limiter.limiter().penalize(key(limiter, "client"), 1, limiter.shared().now()));
        },
        ..CHARGE
    },
    Case {
        name: "clear",
        act: |limiter, _, _| limiter.limiter().clear(limiter.shared().now()).expect("open"),
        left: (4, 5),
        most: 4 + LIMIT,
        ..CHARGE
    },
    Case {
        name: RECONFIGURATION,
        prepare: |limiter| {
            (0..10).for_each(|other| assert!(try_consume(limiter, &format!("other {other}"), LIMIT)));
        },
        act: |limiter, _, limits| {
            // One after the other: the first must stay whole while the second is written.
            for (limit, window) in SHORTER {
                let mut shorter = options(Overflow::Deny, limits);
                shorter.limits[0].quota = Quota::new(limit, window);
                limiter.limiter().reconfigure(shorter, || limiter.shared().now()).expect("changeable");
            }
        },
        left: (2, 5),
        // A debt of the first quota is cut by each of the others.
        most: LIMIT + 2,
        ..CHARGE
    },
    Case {
        name: "handle",
        prepare: NOTHING,
        act: |limiter, _, _| std::mem::forget(LocalHandle::new(Arc::clone(limiter.limiter()))),
        left: (5, 5),
        most: 5,
        ..CHARGE
    },
    Case {
        name: "attach",
        act: |limiter, _, limits| {
            let directory = limiter.shared().path().parent().expect("a directory").to_owned();
            std::mem::forget(Setting { case: &CHARGE, limits }.open(&directory));
        },
        left: (4, 4),
        ..CHARGE
    },
    // Of what a process left that was killed in an insert.
    Case {
        name: REPAIR,
        prepare: FULL_OF_EXPIRED,
        act: |limiter, _, _| {
            assert_eq!(limiter.shared().look_after(), Ok(1));
            let needed = limiter.shared().processes().to_repair();
            limiter.limiter().repair(|| limiter.shared().now()).expect("open");
            limiter.shared().processes().repaired(needed);
        },
        left: (5, 5),
        most: 5,
        ..CHARGE
    },
];

pub(crate) const RECONFIGURATION: &str = "reconfiguration";
pub(crate) const REPAIR: &str = "repair";
