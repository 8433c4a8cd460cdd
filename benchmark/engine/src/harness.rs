//! Runs threads that call concurrently, and measures their calls.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, LazyLock};
use std::time::{Duration, Instant};

use core_affinity::CoreId;

/// Calls between two checks for the end; one of them is timed.
const BATCH: usize = 64;
/// Two, as some processors fetch them in pairs.
const CACHE_LINES: usize = 128;
/// The maximum number of samples of a thread in a slice.
const MOST_SAMPLES: usize = 1 << 16;

/// The call that a thread repeats. The callers of several threads lie side by side, and each counts its calls: it is aligned,
/// so that it writes to no cache line of another.
pub trait Caller: Send {
    fn call(&mut self);
}

/// The calls of all threads in one slice of a case.
#[derive(Debug)]
pub struct Slice {
    pub calls: u64,
    pub elapsed: Duration,
    /// Ticks of the processor's counter per single call, sorted. They include reading the counter.
    pub ticks: Vec<u64>,
}

impl Slice {
    pub fn calls_per_second(&self) -> f64 {
        self.calls as f64 / self.elapsed.as_secs_f64()
    }

    /// A percentile of single calls, in nanoseconds.
    pub fn percentile(&self, share: f64) -> f64 {
        let at = (self.ticks.len().saturating_sub(1) as f64 * share).round() as usize;
        self.ticks.get(at).map_or(f64::NAN, |ticks| nanos(*ticks))
    }
}

/// Runs every thread until the time is over.
pub fn for_a_while<C: Caller>(callers: &mut [C], duration: Duration) -> Slice {
    let over = AtomicBool::new(false);
    // Relaxed: the flag publishes nothing but itself.
    run(
        callers,
        |_| !over.load(Ordering::Relaxed),
        || {
            std::thread::sleep(duration);
            over.store(true, Ordering::Relaxed);
            // Threads that are not scheduled now see it later, and make at most one more batch.
            Some(Instant::now())
        },
    )
}

/// Makes `calls` calls in every thread, in whole batches.
pub fn so_many<C: Caller>(callers: &mut [C], calls: usize) -> Slice {
    run(callers, |made| made + BATCH <= calls, || None)
}

fn run<C: Caller>(
    callers: &mut [C],
    goes_on: impl Fn(usize) -> bool + Sync,
    wait: impl FnOnce() -> Option<Instant>,
) -> Slice {
    const { assert!(align_of::<C>() >= CACHE_LINES, "threads would write to each other's cache lines") };
    let barrier = Barrier::new(callers.len() + 1);
    let (parts, stopped) = std::thread::scope(|scope| {
        let threads: Vec<_> = callers
            .iter_mut()
            .enumerate()
            .map(|(thread, caller)| {
                let (barrier, goes_on) = (&barrier, &goes_on);
                scope.spawn(move || {
                    stay_on_a_core(thread);
                    barrier.wait();
                    part(caller, goes_on)
                })
            })
            .collect();
        barrier.wait();
        let stopped = wait();
        let parts = threads.into_iter().map(|thread| thread.join().expect("a caller does not panic"));
        (parts.collect::<Vec<_>>(), stopped)
    });
    let started = parts.iter().map(|part| part.started).min().expect("at least one caller");
    let ended = parts.iter().map(|part| part.ended).max().expect("at least one caller");
    let mut ticks: Vec<_> = parts.iter().flat_map(|part| &part.ticks).copied().collect();
    ticks.sort_unstable();
    Slice {
        calls: parts.iter().map(|part| part.calls).sum(),
        elapsed: stopped.unwrap_or(ended) - started,
        ticks,
    }
}

/// The calls of one thread in a slice.
struct Part {
    calls: u64,
    started: Instant,
    ended: Instant,
    ticks: Vec<u64>,
}

fn part<C: Caller>(caller: &mut C, goes_on: &impl Fn(usize) -> bool) -> Part {
    let mut ticks = Vec::with_capacity(MOST_SAMPLES);
    let mut made = 0;
    let started = Instant::now();
    while goes_on(made) {
        for _ in 1..BATCH {
            caller.call();
        }
        let before = tick();
        caller.call();
        let after = tick();
        if ticks.len() < MOST_SAMPLES {
            ticks.push(after.saturating_sub(before));
        }
        made += BATCH;
    }
    Part { calls: made as u64, started, ended: Instant::now(), ticks }
}

/// Pins each thread to the next core; threads share a core only if there are more threads than cores.
fn stay_on_a_core(thread: usize) {
    static CORES: LazyLock<Vec<CoreId>> = LazyLock::new(|| core_affinity::get_core_ids().unwrap_or_default());
    if !CORES.is_empty() {
        core_affinity::set_for_current(CORES[thread % CORES.len()]);
    }
}

static COUNTER: LazyLock<quanta::Clock> = LazyLock::new(quanta::Clock::new);

/// The processor's counter.
pub fn tick() -> u64 {
    COUNTER.raw()
}

/// Converts ticks to nanoseconds.
pub fn nanos(ticks: u64) -> f64 {
    COUNTER.delta_as_nanos(0, ticks) as f64
}
