//! Processes that share a reputation, and what is refused.

#![cfg(target_os = "linux")]

#[path = "support/reputations.rs"]
mod reputations;
mod support;

use std::fs::{self, Permissions};
use std::io::{Read, stdin};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use sluice_core::{Instance, PersistOptions, ReputationOptions};

use reputations::{MAX_FAILURES, ban, fail, history, is_banned, list_files, open, open_with, options, unban};
use support::{DIRECTORY, ROLE, directory, files, print, read_to_end, read_until, spawn, wait_until_free};

const CLIENT: &str = "203.0.113.7";
const RANGE: &str = "198.51.100.0/24";

/// What other processes of these tests do.
#[test]
#[ignore = "a process of other tests"]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let path = std::env::var(DIRECTORY).expect("given");
    let reputation = open(Path::new(&path), 100);
    match &*role {
        "fail" => while !fail(&reputation, CLIENT) {},
        "ban" => assert!(ban(&reputation, CLIENT) && ban(&reputation, RANGE)),
        other => panic!("no role {other}"),
    }
    print(b'!');
    // Until it is told to end, or killed.
    let _ = stdin().read(&mut [0]);
}

#[test]
fn failures_of_processes_make_one_ban() {
    let directory = directory();
    let mut children: Vec<_> = (0..4).map(|_| spawn("fail", directory.path())).collect();
    for child in &mut children {
        read_until(child, b"!");
        drop(child.stdin.take());
        read_to_end(child);
    }
    let reputation = open(directory.path(), 100);
    assert_eq!(history(&reputation, CLIENT), (MAX_FAILURES, 1));
    let stats = reputation.reputation().stats(reputation.shared().now()).expect("open");
    assert_eq!((stats.failures, stats.bans, stats.banned), (MAX_FAILURES, 1, 1));
}

#[test]
fn bans_outlive_the_process_that_made_them() {
    let directory = directory();
    let mut child = spawn("ban", directory.path());
    read_until(&mut child, b"!");
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    let reputation = open(directory.path(), 100);
    assert!(is_banned(&reputation, CLIENT) && is_banned(&reputation, "198.51.100.9"));
    assert_eq!(reputation.shared().attached().len(), 1);
    assert!(unban(&reputation, CLIENT) && unban(&reputation, RANGE));
    assert_eq!(list_files(directory.path()).len(), 1, "that of the dead process is removed");
}

/// The clock is compared on the same way.
#[test]
fn calls_that_count_no_failure_look_after_the_others() {
    let directory = directory();
    let mut child = spawn("ban", directory.path());
    read_until(&mut child, b"!");
    let reputation = open(directory.path(), 100);
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert_eq!(reputation.shared().attached().len(), 2, "nothing has looked");
    let started = Instant::now();
    while reputation.shared().attached().len() > 1 {
        assert!(started.elapsed() < Duration::from_secs(10), "no call looks");
        let now = reputation.reputation().shared_now().expect("of a machine");
        assert_eq!(reputation.reputation().is_banned(CLIENT, now), Ok(true));
    }
}

#[test]
fn other_options_are_an_error_while_a_process_is_attached() {
    let directory = directory();
    let first = open(directory.path(), 100);
    assert!(ban(&first, CLIENT));
    let error = open_with(directory.path(), options(200)).expect_err("attached");
    assert_eq!(error.code(), "CONFIG_MISMATCH");
    assert!(error.to_string().contains("maxClients = 100"), "{error}");
    drop(first);
    wait_until_free(directory.path());
    let second = open(directory.path(), 200);
    assert!(!is_banned(&second, CLIENT), "nothing uses it any more: the new options begin anew");
    drop(second);
    wait_until_free(directory.path());
    let denied = ReputationOptions { deny: vec![CLIENT.to_owned()], ..options(200) };
    assert!(is_banned(&open_with(directory.path(), denied).expect("fit"), CLIENT));
}

#[test]
fn a_file_that_keeps_it_is_refused() {
    let directory = directory();
    let persist = Some(PersistOptions { path: "/tmp/bans".to_owned(), every_ms: 1_000 });
    let error =
        open_with(directory.path(), ReputationOptions { persist, ..options(100) }).expect_err("two files");
    assert_eq!(error.code(), "UNSUPPORTED");
    assert!(files(directory.path()).is_empty());
}

/// Changes the file at a path, which was whole.
type Spoil = fn(&Path, &[u8]);

/// Two processes in one, as far as a file knows.
#[test]
fn hostile_files_of_lists_are_refused_and_leave_the_lists_before() {
    let directory = directory();
    let [first, second] = [(); 2].map(|()| open(directory.path(), 100));
    assert!(ban(&first, RANGE) && is_banned(&second, "198.51.100.9"));
    let whole = fs::read(&list_files(directory.path())[0]).expect("own");
    let look = || second.reputation().follow_others(second.shared().now());
    assert_eq!(look(), Ok(()));

    let spoil: [(&str, Spoil); 6] = [
        ("is corrupt: it is cut short", |path, whole| {
            fs::write(path, &whole[..whole.len() - 1]).expect("own")
        }),
        ("is corrupt: its checksum does not match", |path, whole| {
            let mut changed = whole.to_vec();
            changed[30] ^= 1;
            fs::write(path, changed).expect("own");
        }),
        ("is corrupt: it is a file of something else", |path, _| fs::write(path, "anything").expect("own")),
        ("has the mode 644", |path, _| {
            fs::set_permissions(path, Permissions::from_mode(0o644)).expect("own")
        }),
        ("it is a symbolic link", |path, _| {
            fs::remove_file(path).expect("own");
            symlink("/dev/zero", path).expect("room");
        }),
        ("was removed", |path, _| fs::remove_file(path).expect("own")),
    ];
    for (expected, spoil) in spoil {
        // Another one each time, that the second process has not read.
        assert!(ban(&first, RANGE) || unban(&first, RANGE));
        let path = current(&first, directory.path());
        spoil(&path, &whole);
        assert!(is_banned(&second, "198.51.100.9"), "{expected}");
        let error = look().expect_err(expected).to_string();
        assert!(error.contains(expected) && error.contains(path.to_str().expect("a path")), "{error}");
        let refused = second.reputation().set_lists(&[], &[]).expect_err("not read");
        assert_eq!(refused.to_string(), error, "nothing is built on lists that were not read");
    }
    // The first process knows them, and makes a file that is whole.
    assert!(ban(&first, "192.0.2.0/24"));
    assert_eq!(look(), Ok(()));
    assert!(is_banned(&second, "192.0.2.1") && is_banned(&second, "198.51.100.9"));
}

/// The file that was made last.
fn current(_: &sluice_machine::SharedReputation, path: &Path) -> std::path::PathBuf {
    let mut files = list_files(path);
    files.sort();
    files.pop().expect("a file")
}

#[test]
fn options_are_compared_with_those_in_force() {
    let directory = directory();
    let of = |max_failures| ReputationOptions { max_failures, ..options(100) };
    let open = |max_failures| open_with(directory.path(), of(max_failures));
    let reconfigured = || {
        let first = open(MAX_FAILURES).expect("fit");
        let next = of(1).try_into().expect("valid");
        Instance::reconfigure(&**first.reputation(), "logins", next, false).expect("changeable");
        first
    };
    let first = reconfigured();
    let in_force = open(1).expect("in force, beside a process");
    assert!(fail(&in_force, CLIENT), "one failure bans");
    assert!(fail(&open(MAX_FAILURES).expect("of creation"), "203.0.113.8"), "by the options in force");
    assert_eq!(open(2).expect_err("neither").code(), "CONFIG_MISMATCH");
    drop((first, in_force));
    wait_until_free(directory.path());
    let alone = open(1).expect("in force, alone");
    assert!(is_banned(&alone, CLIENT), "its bans stay");
    drop(alone);
    wait_until_free(directory.path());
    let first = open(MAX_FAILURES).expect("of creation, alone");
    assert!(is_banned(&first, CLIENT), "its bans stay");
    assert!(!fail(&first, "203.0.113.9"), "one failure bans no more");
}
