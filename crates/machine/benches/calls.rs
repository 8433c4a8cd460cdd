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
    use sluice_core::{LocalHandle, RateLimiter, RateLimiterConfig, RateLimiterOptions};
    use sluice_machine::{Directory, SharedLimiter};

    const BATCHES: usize = 400;
    const CALLS: usize = 2_000;
    const MAX_KEYS: u64 = 100_000;

    pub(super) fn main() {
        let directory = tempfile::tempdir_in("/dev/shm").expect("a file system in memory");
        let options =
            RateLimiterOptions { max_keys: MAX_KEYS, ..RateLimiterOptions::single(1_000_000_000, 1_000) };
        let config = RateLimiterConfig::try_from(options).expect("valid");
        let own = Arc::new(RateLimiter::new("process", config.clone()));
        let begun = Instant::now();
        let opened = Directory::open(directory.path());
        let shared = SharedLimiter::open(&opened.expect("fit"), "machine", config).expect("fit");
        print(&format!("creating takes {} us", begun.elapsed().as_micros()));
        for keys in [1, 10_000, 70_000] {
            let hashes: Vec<_> =
                (0_u64..keys).map(|key| shared.shared().hasher().bytes(&key.to_ne_bytes())).collect();
            let mut handles =
                [LocalHandle::new(Arc::clone(&own)), LocalHandle::new(Arc::clone(shared.limiter()))];
            let [process, machine] = by_given_time(&mut handles, &hashes);
            print(&format!(
                "{keys} keys, time given: {process:.1} ns, {machine:.1} ns, x {:.2}",
                machine / process
            ));
            let [process, machine] = by_own_time(&mut handles, &hashes, &shared);
            print(&format!(
                "{keys} keys, own clock: {process:.1} ns, {machine:.1} ns, x {:.2}",
                machine / process
            ));
        }
        look_after(&directory, &shared);
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

    fn look_after(directory: &tempfile::TempDir, shared: &SharedLimiter) {
        let config = shared.limiter().config();
        let attach = |_| {
            let opened = Directory::open(directory.path()).expect("fit");
            SharedLimiter::open(&opened, "machine", RateLimiterConfig::clone(&config)).expect("fit")
        };
        let others: Vec<_> = (0..7).map(attach).collect();
        let [own, _] = in_turn(20, |_, _| {
            shared.look_after().expect("attached");
        });
        print(&format!("looking after {} that live: {own:.0} ns", others.len() + 1));
    }

    fn print(line: &str) {
        let _ = writeln!(stdout(), "{line}");
    }
}
