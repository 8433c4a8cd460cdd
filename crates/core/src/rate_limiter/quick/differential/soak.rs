//! The comparison for as many calls as are asked for, on all processors: `npm run storm -- quick`.

use std::panic::{catch_unwind, resume_unwind};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use super::{CALLS, compare};

/// How often the progress is printed.
const REPORT_EVERY: Duration = Duration::from_secs(10);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is {text}")))
}

/// Hands out seeds in order, one per pair of limiters.
struct Progress {
    first: u64,
    pairs: u64,
    next: u64,
    under_way: Vec<u64>,
    ordinary: u64,
    started_at: Instant,
    reported_at: Instant,
}

impl Progress {
    fn new(first: u64, pairs: u64) -> Self {
        let now = Instant::now();
        let (under_way, ordinary) = (Vec::new(), 0);
        Self { first, pairs, next: 0, under_way, ordinary, started_at: now, reported_at: now }
    }

    fn take(&mut self) -> Option<u64> {
        let pair = (self.next < self.pairs).then_some(self.next)?;
        self.next += 1;
        self.under_way.push(pair);
        Some(pair)
    }

    fn finish(&mut self, pair: u64, ordinary: u64) {
        self.under_way.retain(|other| *other != pair);
        self.ordinary += ordinary;
        if self.reported_at.elapsed() >= REPORT_EVERY {
            self.report();
        }
    }

    /// A pair that differs ends the run.
    fn stop(&mut self) {
        self.pairs = self.next;
    }

    #[expect(clippy::print_stdout, reason = "what the caller reads")]
    fn report(&mut self) {
        // Every pair below the first that is under way is done.
        let done = self.under_way.iter().copied().min().unwrap_or(self.next);
        let finished = (self.next - self.under_way.len() as u64) * CALLS;
        println!(
            "{finished} of {} calls, {:.0} % by the quick path, {:.2} million a second; to resume: {} {}",
            self.pairs * CALLS,
            100.0 * self.ordinary as f64 / finished.max(1) as f64,
            finished as f64 / self.started_at.elapsed().as_secs_f64() / 1e6,
            (self.pairs - done) * CALLS,
            self.first.wrapping_add(done),
        );
        self.reported_at = Instant::now();
    }
}

fn lock(progress: &Mutex<Progress>) -> MutexGuard<'_, Progress> {
    progress.lock().expect("no panic under the lock")
}

fn work(first: u64, progress: &Mutex<Progress>) {
    loop {
        let Some(pair) = lock(progress).take() else { return };
        match catch_unwind(|| compare(first.wrapping_add(pair))) {
            Ok(ordinary) => lock(progress).finish(pair, ordinary),
            Err(panic) => {
                lock(progress).stop();
                resume_unwind(panic);
            }
        }
    }
}

#[test]
#[ignore = "as long as it is asked to: `npm run storm -- quick`"]
fn soak() {
    let pairs = number("SLUICE_STORM_CALLS").unwrap_or(1 << 22).div_ceil(CALLS);
    let first = number("SLUICE_STORM_SEED").unwrap_or_else(|| fastrand::u64(..1 << 32));
    let progress = Mutex::new(Progress::new(first, pairs));
    lock(&progress).report();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| work(first, &progress));
        }
    });
    lock(&progress).report();
}
