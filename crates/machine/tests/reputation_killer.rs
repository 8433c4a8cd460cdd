//! Every state that a process can leave which is killed while it records a failure, bans or unbans. It makes one call, an
//! instruction at a time; after each change of the shared memory, that is what a kill would leave. Other processes then have
//! to find each of these states sound: a ban that was acknowledged stands, and the same failures make one ban.
//!
//!     npm run test:kill

#![cfg(target_os = "linux")]

#[path = "support/reputations.rs"]
mod reputations;
mod support;
#[path = "support/traced.rs"]
mod traced;

use std::fs::{self, Permissions};
use std::io::{Write, stderr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Child;

use sluice_machine::SharedReputation;

use reputations::{MAX_FAILURES, address, ban, fail, history, is_banned, list_files, open, unban};
use support::{DIRECTORY, ROLE, directory, files, print, read_to_end, read_until, spawn};
use traced::{between_signals, states};

const CLIENT: &str = "203.0.113.7";
/// Banned before every call.
const BANNED: [&str; 3] = ["203.0.113.1", "2001:db8:1::", "203.0.113.2"];
const CLIENTS: u64 = 8;
/// More than the table has slots.
const MANY: u32 = 400;

/// A call, and what it is made on.
struct Case {
    name: &'static str,
    prepare: fn(&SharedReputation),
    act: fn(&SharedReputation),
    /// Failures that count before it and after it.
    failures: (u64, u64),
    /// Whether the client is banned before it and after it.
    banned: (bool, bool),
}

const NOTHING: fn(&SharedReputation) = |_| {};
const FAIL: fn(&SharedReputation) = |reputation| assert!(!fail(reputation, CLIENT));
/// All but the last failure.
const NEARLY: fn(&SharedReputation) = |reputation| (1..MAX_FAILURES).for_each(|_| FAIL(reputation));
/// More clients than find a place.
const FULL: fn(&SharedReputation) = |reputation| {
    (0..MANY).for_each(|host| {
        fail(reputation, &address(host));
    })
};
const BAN: fn(&SharedReputation) = |reputation| assert!(ban(reputation, CLIENT));

const CASES: &[Case] = &[
    Case { name: "first failure", prepare: NOTHING, act: FAIL, failures: (0, 1), banned: (false, false) },
    Case { name: "second failure", prepare: FAIL, act: FAIL, failures: (1, 2), banned: (false, false) },
    Case {
        name: "failure that bans",
        prepare: NEARLY,
        act: |reputation| assert!(fail(reputation, CLIENT)),
        failures: (MAX_FAILURES - 1, MAX_FAILURES),
        banned: (false, true),
    },
    Case { name: "eviction", prepare: FULL, act: FAIL, failures: (0, 1), banned: (false, false) },
    Case { name: "ban of a new client", prepare: NOTHING, act: BAN, failures: (0, 0), banned: (false, true) },
    Case { name: "ban of a known client", prepare: FAIL, act: BAN, failures: (1, 1), banned: (false, true) },
    Case { name: "ban in a full table", prepare: FULL, act: BAN, failures: (0, 0), banned: (false, true) },
    Case {
        name: "unban",
        prepare: BAN,
        act: |reputation| assert!(unban(reputation, CLIENT)),
        failures: (0, 0),
        banned: (true, false),
    },
    Case {
        name: "success",
        prepare: NEARLY,
        act: |reputation| reputation.reputation().record_success(CLIENT).expect("open"),
        failures: (MAX_FAILURES - 1, 0),
        banned: (false, false),
    },
];

#[test]
#[ignore = "a process of the killer"]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let path = std::env::var(DIRECTORY).expect("given");
    if role == "storm" {
        return take_part(Path::new(&path));
    }
    let case = CASES.iter().find(|case| case.name == role).expect("a case");
    let reputation = open(Path::new(&path), CLIENTS);
    between_signals(|| (case.act)(&reputation));
}

/// The state in a file of its own, in a directory that goes with it.
fn revive(state: &[u8], file_name: &str) -> (tempfile::TempDir, SharedReputation) {
    let directory = directory();
    let path = directory.path().join(file_name);
    fs::write(&path, state).expect("room");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("own");
    let reputation = open(directory.path(), CLIENTS);
    (directory, reputation)
}

/// How many clients can be banned at once. They replace those that are not banned.
fn fill(reputation: &SharedReputation) -> usize {
    let filled: Vec<_> =
        (0..MANY).map(|host| address(1_000 + host)).filter(|ip| ban(reputation, ip)).collect();
    assert!(filled.iter().all(|ip| is_banned(reputation, ip)));
    filled.iter().for_each(|ip| assert!(unban(reputation, ip)));
    filled.len()
}

/// What a process finds where another one was killed.
fn check(case: &Case, state: &[u8], file_name: &str, places: usize) {
    let (_directory, reputation) = revive(state, file_name);
    assert_eq!(
        reputation.shared().attached().len(),
        1,
        "no process of the state has a lock, so each is dead"
    );
    assert!(BANNED.iter().all(|ip| is_banned(&reputation, ip)), "a ban that was acknowledged is lost");
    let is_at_end = is_banned(&reputation, CLIENT);
    assert!([case.banned.0, case.banned.1].contains(&is_at_end));
    let (failures, bans) = history(&reputation, CLIENT);
    let by_failures = u32::from(is_at_end && failures == MAX_FAILURES);
    assert!([case.failures.0, case.failures.1].contains(&failures), "{failures} failures count");
    assert_eq!(bans, by_failures, "of {failures} failures");
    // Its listing agrees.
    let listed = reputation.reputation().bans(reputation.shared().now()).expect("open");
    assert_eq!(listed.len(), BANNED.len() + usize::from(is_at_end));

    reputation.repair();
    assert_eq!(reputation.reputation().repair(reputation.shared().now()), 0, "one repair mends everything");
    // The failures that are missing make one ban.
    if !is_at_end {
        let missing = (1..=MAX_FAILURES).take_while(|_| !fail(&reputation, CLIENT)).count() as u64 + 1;
        assert_eq!((missing, history(&reputation, CLIENT)), (MAX_FAILURES - failures, (MAX_FAILURES, 1)));
    }
    assert!(unban(&reputation, CLIENT) && !unban(&reputation, CLIENT));
    assert!(BANNED.iter().all(|ip| unban(&reputation, ip)));
    // A client with a past ban is evicted, too.
    assert_eq!(fill(&reputation), places, "as many places as before");
}

#[test]
#[ignore = "takes a minute or more: npm run test:kill"]
fn every_state_of_a_reputation_that_a_killed_process_leaves_is_sound() {
    let wanted = std::env::var("SLUICE_TEST_CALL").unwrap_or_default();
    for case in CASES.iter().filter(|case| case.name.contains(&wanted)) {
        let directory = directory();
        let reputation = open(directory.path(), CLIENTS);
        let places = fill(&reputation);
        assert!(BANNED.iter().all(|ip| ban(&reputation, ip)));
        (case.prepare)(&reputation);
        let file = files(directory.path()).remove(0);
        let name = file.file_name().expect("a name").to_string_lossy().into_owned();
        let states = states(case.name, directory.path());
        for (place, (_, state)) in states.iter().enumerate() {
            let sound = std::panic::catch_unwind(|| check(case, state, &name, places));
            assert!(sound.is_ok(), "{}: unsound after {place} of {} changes", case.name, states.len() - 1);
        }
        let _ = writeln!(stderr(), "{}: {} states are sound", case.name, states.len());
        // A call that changes nothing in the file would test nothing.
        assert!(states.len() > 1, "{}: no change", case.name);
    }
}

const PROCESSES: usize = 4;
const KILLS: usize = 6;
/// Clients that all processes let fail until they are banned.
const FAILING: u32 = 12;
/// Clients and ranges that one process after the other bans, and half of which it unbans.
const BY_HAND: u8 = 40;
const BEGUN: u8 = b'<';

/// The client, or the range, of a number.
fn target(number: u8) -> String {
    if number % 4 == 3 { format!("10.{number}.0.0/16") } else { format!("10.{number}.0.1") }
}

fn failing_client(failing: u32) -> String {
    address(200 << 16 | failing)
}

/// Whether it is unbanned in the end.
fn is_freed(number: u8) -> bool {
    number.is_multiple_of(2)
}

/// A process of the storm. It prints the number of a client, from 128 on, once it was told that it is banned for good.
fn take_part(path: &Path) {
    let reputation = open(path, 200);
    print(BEGUN);
    for number in 0..BY_HAND {
        let target = target(number);
        assert!(ban(&reputation, &target));
        if is_freed(number) {
            unban(&reputation, &target);
        } else {
            print(128 + number);
        }
        for failing in 0..FAILING {
            if failing as u8 <= number {
                fail(&reputation, &failing_client(failing));
            }
        }
    }
}

/// Kills a process at random. The bans that it was told of.
fn kill(mut child: Child, marks: usize) -> Vec<u8> {
    read_until(&mut child, &[BEGUN]);
    let all: Vec<u8> = (128..128 + BY_HAND).collect();
    let last = (0..marks).map(|_| read_until(&mut child, &all)).collect::<Vec<_>>();
    child.kill().expect("it runs, or has ended");
    [last, read_to_end(&mut child)].concat()
}

#[test]
#[ignore = "takes a minute or more: npm run test:kill"]
fn every_ban_that_was_acknowledged_outlives_random_kills() {
    let rounds = std::env::var("SLUICE_TEST_ROUNDS").map_or(30, |rounds| rounds.parse().expect("a number"));
    for round in 0..rounds {
        let directory = directory();
        let mut told = Vec::new();
        let mut children: Vec<_> = (0..PROCESSES).map(|_| spawn("storm", directory.path())).collect();
        for killed in 0..KILLS {
            let child = children.remove((round + killed) % children.len());
            told.extend(kill(child, (round * 5 + killed * 3) % 12));
            children.push(spawn("storm", directory.path()));
        }
        children.iter_mut().for_each(|child| told.extend(read_to_end(child)));
        let reputation = open(directory.path(), 200);
        for number in
            told.into_iter().filter_map(|mark| mark.checked_sub(128)).filter(|number| *number < BY_HAND)
        {
            let ip = target(number).replace("0.0/16", "7.7");
            assert!(is_banned(&reputation, &ip), "round {round}: the ban of {ip} is lost");
        }
        for failing in 0..FAILING {
            let ip = failing_client(failing);
            let state = (is_banned(&reputation, &ip), history(&reputation, &ip));
            assert_eq!(state, (true, (MAX_FAILURES, 1)), "round {round}: {ip}");
        }
        reputation.repair();
        assert_eq!(reputation.reputation().repair(reputation.shared().now()), 0, "round {round}");
        reputation.reputation().set_lists(&[], &[]).expect("room");
        assert_eq!(list_files(directory.path()).len(), 1, "round {round}: files of the dead are left");
    }
    let _ = writeln!(stderr(), "{rounds} rounds of {KILLS} kills lost no ban");
}
