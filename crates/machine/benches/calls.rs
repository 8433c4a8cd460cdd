//! What a call costs where processes share the limiter, beside a limiter of one process: `cargo bench --package
//! sluice-machine`. Small batches in turn, and the median of each, so that both see the same machine.

#[cfg(target_os = "linux")]
fn main() {
    linux::main();
}

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
mod linux {
    use std::hint::black_box;
    use std::io::{Write, stdout};
    use std::sync::Arc;
    use std::time::Instant;

    use sluice_core::runtime::clock;
    use sluice_core::runtime::key_hash::KeyHash;
    use sluice_core::{LimitOptions, LocalHandle, Quota, RateLimiter, RateLimiterConfig, RateLimiterOptions};
    use sluice_machine::{Directory, SharedLimiter};

    const BATCHES: usize = 400;
    const CALLS: usize = 2_000;
    const MAX_KEYS: u64 = 100_000;

    pub(super) fn main() {
        let directory = tempfile::tempdir_in("/dev/shm").expect("a file system in memory");
        [1, 2, 3].into_iter().for_each(|limits| measure(&directory, limits));
        look_after(&directory);
    }

    fn config(limits: usize) -> RateLimiterConfig {
        let limits = (0..limits).map(|limit| LimitOptions {
            name: limit.to_string(),
            ..LimitOptions::new(Quota::new(1_000_000_000, 1_000))
        });
        let options = RateLimiterOptions { max_keys: MAX_KEYS, ..RateLimiterOptions::new(limits.collect()) };
        options.try_into().expect("valid")
    }

    fn open(directory: &tempfile::TempDir, limits: usize) -> SharedLimiter {
        let opened = Directory::open(directory.path()).expect("fit");
        SharedLimiter::open(&opened, &format!("{limits} limits"), config(limits)).expect("fit")
    }

    fn measure(directory: &tempfile::TempDir, limits: usize) {
        let own = Arc::new(RateLimiter::new("process", config(limits)));
        let begun = Instant::now();
        let shared = open(directory, limits);
        print(&format!("{limits} limits: creating takes {} us", begun.elapsed().as_micros()));
        for keys in [1, 10_000, 70_000] {
            let hashes: Vec<_> =
                (0_u64..keys).map(|key| shared.shared().hasher().bytes(&key.to_ne_bytes())).collect();
            let mut handles =
                [LocalHandle::new(Arc::clone(&own)), LocalHandle::new(Arc::clone(shared.limiter()))];
            let [process, machine] = by_given_time(&mut handles, &hashes);
            print(&format!(
                "{limits} limits, {keys} keys, time given: {process:.1} ns, {machine:.1} ns, x {:.2}",
                machine / process
            ));
            let [process, machine] = by_own_time(&mut handles, &hashes, &shared);
            print(&format!(
                "{limits} limits, {keys} keys, own clock: {process:.1} ns, {machine:.1} ns, x {:.2}",
                machine / process
            ));
        }
    }

    fn by_given_time(handles: &mut [LocalHandle; 2], keys: &[KeyHash]) -> [f64; 2] {
        let now = clock::now();
        in_turn(CALLS, |side, call| {
            black_box(handles[side].try_consume(keys[call % keys.len()], 1, now)).expect("open");
        })
    }

    fn by_own_time(handles: &mut [LocalHandle; 2], keys: &[KeyHash], shared: &SharedLimiter) -> [f64; 2] {
        in_turn(CALLS, |side, call| {
            let now = if side == 0 { clock::now() } else { shared.shared().now() };
            black_box(handles[side].try_consume(keys[call % keys.len()], 1, now)).expect("open");
        })
    }

    /// The median of a call's nanoseconds, of each side, in batches of so many.
    fn in_turn(calls: usize, mut call: impl FnMut(usize, usize)) -> [f64; 2] {
        let mut times = [vec![], vec![]];
        for batch in 0..BATCHES {
            for (side, times) in times.iter_mut().enumerate() {
                let begun = Instant::now();
                (0..calls).for_each(|number| call(side, batch * calls + number));
                times.push(begun.elapsed().as_nanos() as f64 / calls as f64);
            }
        }
        times.map(|mut times| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        })
    }

    fn look_after(directory: &tempfile::TempDir) {
        let all: Vec<_> = (0..8).map(|_| open(directory, 1)).collect();
        let [own, _] = in_turn(20, |_, _| {
            all[0].look_after().expect("attached");
        });
        print(&format!("looking after {} that live: {own:.0} ns", all.len()));
    }

    fn print(line: &str) {
        let _ = writeln!(stdout(), "{line}");
    }
}
