//! Processes of other namespaces share a limiter, as containers do that have one volume.

#![cfg(target_os = "linux")]

mod support;

use std::io::{Read, Write, stderr, stdin};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::{DIRECTORY, ROLE, directory, open, print, read_to_end, read_until, spawn_by, try_consume};

const LIMIT: u64 = 10;
/// Seconds that the clock of the other namespace is ahead.
const AHEAD: &str = "100000";
/// Far more than a test takes, and far less than the clocks differ.
const MOMENT: Duration = Duration::from_secs(60);

/// Printed where something is as it should be.
const SOUND: u8 = b'!';

/// The process in the other namespaces.
#[test]
#[ignore = "a process of other tests"]
fn child() {
    if std::env::var(ROLE).is_err() {
        return;
    }
    let limiter = open(Path::new(&std::env::var(DIRECTORY).expect("given")), LIMIT).expect("fit");
    assert_eq!(limiter.shared().attached().len(), 2);
    assert_eq!(limiter.look_after(), Ok(0), "the lock of a process that has no id here is seen");
    assert!(try_consume(&limiter, "client", 3));
    assert!(
        limiter
            .limiter()
            .block(support::key(&limiter, "blocked"), 1_000_000_000, limiter.shared().now())
            .expect("open")
    );
    let own =
        limiter.shared().attached().into_iter().any(|process| process.pid == u64::from(std::process::id()));
    assert!(own);
    print(SOUND);
    let _ = stdin().read(&mut [0]);
}

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child", "--mount-proc", "--time", "--monotonic", AHEAD]);
    command
}

/// Not every system lets this user have namespaces.
fn can_unshare() -> bool {
    let tried = unshare().arg("true").stderr(Stdio::null()).status();
    tried.is_ok_and(|status| status.success())
}

#[test]
fn processes_of_other_namespaces_share_one_quota() {
    if !can_unshare() {
        let _ = writeln!(stderr(), "not run: this user gets no namespaces here");
        return;
    }
    let directory = directory();
    let limiter = open(directory.path(), LIMIT).expect("fit");
    let mut command = unshare();
    command.arg(std::env::current_exe().expect("a path"));
    let mut child = spawn_by(command, "namespaces", directory.path());
    read_until(&mut child, &[SOUND]);
    assert_eq!((limiter.look_after(), limiter.shared().attached().len()), (Ok(0), 2));
    assert!(try_consume(&limiter, "client", LIMIT - 3) && !try_consume(&limiter, "client", 1));
    // A block of a second, by the other clock: its end is within a second by this one.
    let wait =
        limiter.limiter().peek(support::key(&limiter, "blocked"), limiter.shared().now()).expect("open");
    assert!(wait.retry_after.is_some_and(|wait| wait <= 1_000_000_000), "{wait:?}");

    child.kill().expect("it runs");
    read_to_end(&mut child);
    let begun = Instant::now();
    while limiter.look_after() == Ok(0) {
        assert!(begun.elapsed() < MOMENT, "it is not found dead");
        std::thread::yield_now();
    }
    assert_eq!(limiter.shared().attached().len(), 1);
}
