//! Counts per second over the last hour, in a ring of fixed size.

/// Seconds that are kept.
pub(super) const SECONDS: usize = 3_600;

/// Counts of `N` kinds per second. It is given running totals and keeps their differences, so that the sum over all seconds
/// is exact, however late a total was read.
#[derive(Debug)]
pub(super) struct Series<const N: usize> {
    ring: Box<[[u32; N]]>,
    totals: [u64; N],
    /// The second of the first total, which counts nothing yet.
    first: u64,
    /// The second of the latest total.
    last: u64,
}

impl<const N: usize> Series<N> {
    /// Counts what comes after `totals`.
    pub(super) fn new(second: u64, totals: [u64; N]) -> Self {
        Self { ring: vec![[0; N]; SECONDS].into(), totals, first: second, last: second }
    }

    /// Adds what was counted since the last totals. What came in several seconds is spread evenly over them.
    pub(super) fn record(&mut self, second: u64, totals: [u64; N]) {
        if second < self.last {
            *self = Self::new(second, totals);
            return;
        }
        let passed = second - self.last;
        if passed >= SECONDS as u64 {
            self.ring.fill([0; N]);
        } else {
            (self.last + 1..=second).for_each(|place| self.ring[slot(place)] = [0; N]);
        }
        self.last = second;
        for (kind, (total, before)) in totals.into_iter().zip(self.totals).enumerate() {
            // Less than before: the counter began anew.
            let added = total.checked_sub(before).unwrap_or(total);
            self.spread(kind, added, passed.clamp(1, SECONDS as u64));
        }
        self.totals = totals;
    }

    /// The counts from `since` on, at most an hour: the first second and one row for each.
    pub(super) fn since(&self, since: u64) -> (u64, Vec<[u32; N]>) {
        let oldest = (self.last + 1).saturating_sub(SECONDS as u64).max(self.first);
        let from = since.max(oldest);
        (from, (from..=self.last).map(|second| self.ring[slot(second)]).collect())
    }

    fn spread(&mut self, kind: usize, added: u64, passed: u64) {
        let (each, rest) = (added / passed, added % passed);
        for back in 0..passed {
            let count = each + if back == 0 { rest } else { 0 };
            let Some(second) = self.last.checked_sub(back) else { break };
            let place = &mut self.ring[slot(second)][kind];
            *place = place.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        }
    }
}

fn slot(second: u64) -> usize {
    (second % SECONDS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(series: &Series<1>) -> u64 {
        series.since(0).1.iter().map(|[count]| u64::from(*count)).sum()
    }

    #[test]
    fn keeps_each_second_and_the_exact_sum() {
        let mut series = Series::new(100, [7]);
        series.record(100, [10]);
        series.record(101, [10]);
        series.record(102, [15]);
        series.record(102, [16]);
        assert_eq!(series.since(0), (100, vec![[3], [0], [6]]));
        assert_eq!(series.since(102), (102, vec![[6]]));
        assert_eq!(sum(&series), 9);
    }

    #[test]
    fn spreads_what_a_late_reading_counted() {
        let mut series = Series::new(100, [0]);
        series.record(103, [10]);
        assert_eq!(series.since(0), (100, vec![[0], [3], [3], [4]]));
    }

    #[test]
    fn forgets_what_is_older_than_an_hour() {
        let mut series = Series::new(0, [0]);
        series.record(1, [5]);
        for second in 2..=3_600 {
            series.record(second, [5 + second]);
        }
        let (first, rows) = series.since(0);
        assert_eq!((first, rows.len()), (1, SECONDS));
        series.record(3_601, [5 + 3_600]);
        assert_eq!(series.since(0).1[0], [2], "second 2 counts what came since second 1");
        // A pause longer than the ring.
        series.record(100_000, [9_000]);
        let (first, rows) = series.since(0);
        assert_eq!((first, rows.len(), sum(&series)), (96_401, SECONDS, 9_000 - 3_605));
    }

    #[test]
    fn goes_on_where_a_counter_began_anew_or_the_clock_was_set_back() {
        let mut series = Series::new(100, [50]);
        series.record(101, [4]);
        assert_eq!(series.since(101), (101, vec![[4]]));
        series.record(20, [6]);
        assert_eq!(series.since(0), (20, vec![[0]]));
    }
}
