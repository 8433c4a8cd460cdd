//! Limiters in a directory of their own, and processes that share them.
#![allow(dead_code, reason = "each test uses some of it")]

use std::io::{Read, Write, stdout};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sluice_core::runtime::key_hash::KeyHash;
use sluice_core::{AlgorithmKind, LimitOptions, Quota, RateLimiterConfig, RateLimiterOptions};
use sluice_machine::{Directory, Listed, Result, SharedLimiter, list};
use tempfile::TempDir;

/// What `Child::kill` sends.
const SIGKILL: i32 = 9;

/// Longer than any test.
pub(crate) const MONTH_MS: u64 = 30 * 24 * 3_600_000;

/// A directory in memory that goes with the test.
pub(crate) fn directory() -> TempDir {
    tempfile::Builder::new().prefix("sluice-test-").tempdir_in("/dev/shm").expect("a file system in memory")
}

pub(crate) fn options(limit: u64, max_keys: u64) -> RateLimiterOptions {
    RateLimiterOptions { max_keys, ..RateLimiterOptions::single(limit, MONTH_MS) }
}

/// Three limits, one by each algorithm, of which the last is the lowest.
pub(crate) fn three_limits(limit: u64, max_keys: u64) -> RateLimiterOptions {
    let all = [AlgorithmKind::Gcra, AlgorithmKind::FixedWindow, AlgorithmKind::SlidingWindow];
    let limits = all.into_iter().zip([2, 1, 0]).map(|(algorithm, more)| LimitOptions {
        name: algorithm.to_string(),
        quota: Quota::new(limit + more, MONTH_MS),
        algorithm,
    });
    RateLimiterOptions { max_keys, ..RateLimiterOptions::new(limits.collect()) }
}

pub(crate) fn config(limit: u64) -> RateLimiterConfig {
    options(limit, 1_000).try_into().expect("valid")
}

pub(crate) fn open(path: &Path, limit: u64) -> Result<SharedLimiter> {
    SharedLimiter::open(&Directory::open(path)?, "api", config(limit))
}

/// As `open`, with any options that are valid.
pub(crate) fn open_with(path: &Path, options: RateLimiterOptions) -> Result<SharedLimiter> {
    SharedLimiter::open(&Directory::open(path)?, "api", options.try_into().expect("valid"))
}

/// The code of a refusal, and what it says.
pub(crate) fn refusal(result: Result<SharedLimiter>) -> (&'static str, String) {
    let error = result.expect_err("refused");
    (error.code(), error.to_string())
}

pub(crate) fn key(limiter: &SharedLimiter, text: &str) -> KeyHash {
    limiter.shared().hasher().bytes(text.as_bytes())
}

pub(crate) fn try_consume(limiter: &SharedLimiter, text: &str, cost: u64) -> bool {
    let now = limiter.shared().now();
    limiter.limiter().try_consume(key(limiter, text), cost, now).expect("open")
}

/// The files in a directory.
pub(crate) fn files(path: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).expect("it is there");
    entries.map(|entry| entry.expect("readable").path()).collect()
}

/// Waits until nothing is attached to the files in a directory. What was dropped stays attached for a moment where another
/// test starts a process: that has the descriptors of this one until it runs its program.
pub(crate) fn wait_until_free(path: &Path) {
    let is_in_use = |file: &Listed| file.content.as_ref().is_ok_and(|content| !content.attached.is_empty());
    let started = Instant::now();
    while list(path).expect("readable").iter().any(is_in_use) {
        assert!(started.elapsed() < Duration::from_secs(20), "it stays attached");
        std::thread::yield_now();
    }
}

/// The environment variables of a process that a test starts.
pub(crate) const ROLE: &str = "SLUICE_TEST_ROLE";
pub(crate) const DIRECTORY: &str = "SLUICE_TEST_DIRECTORY";

/// Runs the test `child` of this program in a process of its own, which finds its role in the environment.
pub(crate) fn spawn(role: &str, path: &Path) -> Child {
    spawn_by(Command::new(std::env::current_exe().expect("a path")), role, path)
}

/// As `spawn`, by a command that starts this program, or one that starts another first.
pub(crate) fn spawn_by(mut command: Command, role: &str, path: &Path) -> Child {
    command
        .args(["--exact", "child", "--ignored", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env(DIRECTORY, path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process")
}

/// Reads what the process prints until one of the marks; which one.
pub(crate) fn read_until(child: &mut Child, marks: &[u8]) -> u8 {
    let output = child.stdout.as_mut().expect("piped");
    let mut byte = [0];
    while output.read(&mut byte).expect("readable") == 1 {
        if marks.contains(&byte[0]) {
            return byte[0];
        }
    }
    panic!("the process ended before it printed one of {marks:?}");
}

/// What the process printed until it ended. It must be sound to the end, unless it was killed.
pub(crate) fn read_to_end(child: &mut Child) -> Vec<u8> {
    let mut printed = Vec::new();
    child.stdout.as_mut().expect("piped").read_to_end(&mut printed).expect("readable");
    let status = child.wait().expect("it ends");
    assert!(status.success() || status.signal() == Some(SIGKILL), "{status}");
    printed
}

/// How often the process printed `mark` until it ended.
pub(crate) fn count_until_end(child: &mut Child, mark: u8) -> u64 {
    read_to_end(child).iter().filter(|byte| **byte == mark).count() as u64
}

/// In a process that a test started: prints a mark, which the test reads even if the process is killed right after.
pub(crate) fn print(mark: u8) {
    let mut output = stdout().lock();
    let written = output.write_all(&[mark]).and_then(|()| output.flush());
    written.expect("the test reads it");
}
