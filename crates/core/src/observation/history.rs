//! The last hour of each guard and each limiter.

use std::collections::BTreeMap;

use super::series::Series;

/// What is kept of a guard, in this order: allowed, refused by quota, by connections and by ban, dry-refused, skipped,
/// refused at accept, internal errors, refused by concurrency and by overload.
pub const GUARD_SERIES: usize = 10;
/// What is kept of a limiter, in this order: allowed, refused, dry-refused.
pub const LIMITER_SERIES: usize = 3;
/// Guards beyond that have no history.
pub const MAX_GUARDS: usize = 64;
/// Limiters beyond that have no history.
pub const MAX_LIMITERS: usize = 128;

/// The running totals of a guard.
pub type GuardTotals = [u64; GUARD_SERIES];
/// The running totals of a limiter.
pub type LimiterTotals = [u64; LIMITER_SERIES];

/// The newest counts of one name.
#[derive(Debug, PartialEq, Eq)]
pub struct Recent<const N: usize> {
    /// The guard or the limiter.
    pub name: String,
    /// The second of the first row, since 1970.
    pub first: u64,
    /// One row per second.
    pub rows: Vec<[u32; N]>,
}

/// Counts per second of the last hour. The memory is bounded: 144 kB for each guard, 43 kB for each limiter, of at most
/// [`MAX_GUARDS`] and [`MAX_LIMITERS`].
#[derive(Debug, Default)]
pub struct History {
    guards: BTreeMap<String, Series<GUARD_SERIES>>,
    limiters: BTreeMap<String, Series<LIMITER_SERIES>>,
}

impl History {
    pub(super) const fn new() -> Self {
        Self { guards: BTreeMap::new(), limiters: BTreeMap::new() }
    }

    /// Takes the totals of all guards and limiters that exist. Names that are missing are forgotten.
    pub fn record(
        &mut self,
        second: u64,
        guards: Vec<(String, GuardTotals)>,
        limiters: Vec<(String, LimiterTotals)>,
    ) {
        record(&mut self.guards, second, guards, MAX_GUARDS);
        record(&mut self.limiters, second, limiters, MAX_LIMITERS);
    }

    /// The counts of all guards from a second on.
    #[must_use]
    pub fn guards(&self, since: u64) -> Vec<Recent<GUARD_SERIES>> {
        recent(&self.guards, since)
    }

    /// The counts of all limiters from a second on.
    #[must_use]
    pub fn limiters(&self, since: u64) -> Vec<Recent<LIMITER_SERIES>> {
        recent(&self.limiters, since)
    }

    pub(super) fn clear(&mut self) {
        self.guards.clear();
        self.limiters.clear();
    }
}

fn record<const N: usize>(
    kept: &mut BTreeMap<String, Series<N>>,
    second: u64,
    totals: Vec<(String, [u64; N])>,
    most: usize,
) {
    kept.retain(|name, _| totals.iter().any(|(existing, _)| existing == name));
    for (name, totals) in totals {
        if let Some(series) = kept.get_mut(&name) {
            series.record(second, totals);
        } else if kept.len() < most {
            kept.insert(name, Series::new(second, totals));
        }
    }
}

fn recent<const N: usize>(kept: &BTreeMap<String, Series<N>>, since: u64) -> Vec<Recent<N>> {
    let each = kept.iter().map(|(name, series)| {
        let (first, rows) = series.since(since);
        Recent { name: name.clone(), first, rows }
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_names_that_exist_up_to_a_bound() {
        let mut history = History::new();
        let of = |count: usize, total| (0..count).map(|n| (format!("limiter {n:03}"), [total; 3])).collect();
        history.record(10, vec![("default".into(), [1; GUARD_SERIES])], of(MAX_LIMITERS + 1, 0));
        assert_eq!(history.limiters(0).len(), MAX_LIMITERS);
        history.record(11, vec![("default".into(), [3; GUARD_SERIES])], of(2, 5));
        let [first, second] = history.limiters(11).try_into().expect("the two that exist");
        assert_eq!(first, Recent { name: "limiter 000".into(), first: 11, rows: vec![[5; 3]] });
        assert_eq!(second.name, "limiter 001");
        assert_eq!(history.guards(0)[0].rows, [[0; GUARD_SERIES], [2; GUARD_SERIES]]);
    }
}
