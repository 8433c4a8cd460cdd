//! A reputation under many threads and more clients than it has places for.

use std::sync::Barrier;

use sluice_core::{Reputation, ReputationOptions, Verdict};

const MS: u64 = 1_000_000;
const MINUTE: u64 = 60_000 * MS;
/// Some day; no rule may depend on which.
const NOW: u64 = 1_700_000_000_000 * MS;
const A: &str = "203.0.113.7";

/// Three failures in ten minutes ban for one minute, at most for an hour.
fn options() -> ReputationOptions {
    ReputationOptions::new(3, 600_000, 60_000, 3_600_000)
}

fn reputation(options: ReputationOptions) -> Reputation {
    Reputation::with_chance("test", options.try_into().expect("valid"), || 0.0)
}

fn fail(reputation: &Reputation, ip: &str, now: u64) -> Verdict {
    reputation.record_failure(ip, 1, None, now).expect("open")
}

fn check(reputation: &Reputation, ip: &str, now: u64) -> Verdict {
    reputation.check(ip, now).expect("open")
}

/// Fails until banned; returns after how many failures, and for how long.
fn fail_until_banned(reputation: &Reputation, ip: &str, now: u64) -> (u32, u64) {
    for failures in 1.. {
        let verdict = fail(reputation, ip, now);
        if verdict.banned {
            return (failures, verdict.retry_after(now));
        }
    }
    unreachable!("failures ban");
}

fn is_banned(reputation: &Reputation, ip: &str, now: u64) -> bool {
    reputation.is_banned(ip, now).expect("open")
}

/// Planted bug, tried once: with the history copied out and written back in two turns at its lock, the
/// count is too low, or several bans follow one crossing.
#[test]
fn eight_threads_race_for_one_ban() {
    const EACH: u64 = 500;
    for run in 0..20 {
        // The first is banned by the last failure of all, the second by one in the middle.
        for max_failures in [8 * EACH, 8 * EACH / 2 + run] {
            let reputation = reputation(ReputationOptions { max_failures, ..options() });
            let gate = Barrier::new(8);
            let told: usize = std::thread::scope(|scope| {
                let call = || {
                    gate.wait();
                    (0..EACH).filter(|_| fail(&reputation, A, NOW).banned).count()
                };
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(call)).collect();
                threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
            });
            let verdict = check(&reputation, A, NOW);
            assert_eq!((verdict.bans, verdict.failures), (1, max_failures), "run {run}");
            assert_eq!(told as u64, 8 * EACH - max_failures + 1, "told from the crossing on");
            let stats = reputation.stats(NOW).expect("open");
            assert_eq!((stats.failures, stats.bans), (max_failures, 1));
        }
    }
}

/// Newcomers race with failures of those who are about to be forgotten.
#[test]
fn no_ban_is_lost_while_places_change_hands() {
    let reputation = reputation(ReputationOptions { max_failures: 2, max_clients: 64, ..options() });
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let reputation = &reputation;
            scope.spawn(move || {
                for n in 0..20_000_u32 {
                    fail(reputation, &format!("10.{thread}.{}.{}", n >> 8 & 255, n & 255), NOW);
                }
            });
        }
        for thread in 0..2 {
            let reputation = &reputation;
            scope.spawn(move || {
                for n in 0..16 {
                    let ip = format!("192.0.2.{}", thread * 16 + n);
                    fail_until_banned(reputation, &ip, NOW);
                    assert!(is_banned(reputation, &ip, NOW));
                }
            });
        }
    });
    let stats = reputation.stats(NOW).expect("open");
    assert_eq!((stats.banned, stats.bans, stats.size), (32, 32, 64));
    assert!((0..32).all(|n| is_banned(&reputation, &format!("192.0.2.{n}"), NOW)));
}

#[test]
fn the_least_to_remember_goes_first() {
    let reputation = reputation(ReputationOptions { max_clients: 4, ..options() });
    fail_until_banned(&reputation, "10.0.0.1", NOW);
    let now = NOW + MINUTE;
    reputation.ban("10.0.0.2", None, None, now).expect("room");
    fail(&reputation, "10.0.0.3", now);
    fail(&reputation, "10.0.0.3", now + 1);
    fail(&reputation, "10.0.0.4", now + 2);
    // Banned; then a past ban; then two failures; then one: the newcomer has the place of the last.
    fail(&reputation, "10.0.0.5", now + 3);
    assert_eq!(check(&reputation, "10.0.0.4", now + 3).failures, 0);
    assert_eq!(reputation.stats(now).expect("open").evicted, 1);
    // Of the same weight the older goes.
    fail(&reputation, "10.0.0.6", now + 4);
    let remembered = |ip| check(&reputation, ip, now + 4);
    assert_eq!((remembered("10.0.0.5").failures, remembered("10.0.0.6").failures), (0, 1));
    assert_eq!((remembered("10.0.0.3").failures, remembered("10.0.0.1").bans), (2, 1));
    assert!(remembered("10.0.0.2").banned);
    // Whose failures are over goes before all who count, and is no loss.
    let later = now + 10 * MINUTE + 1;
    fail(&reputation, "10.0.0.7", later);
    assert_eq!(reputation.stats(later).expect("open").evicted, 2);
}

#[test]
fn when_all_are_banned_a_stranger_has_no_place() {
    let reputation = reputation(ReputationOptions { max_clients: 2, ..options() });
    reputation.ban("10.0.0.1", None, None, NOW).expect("room");
    reputation.ban("10.0.0.2", Some(MINUTE), None, NOW).expect("room");
    let verdict = reputation.record_failure(A, 100, None, NOW).expect("open");
    assert_eq!((verdict.banned, verdict.failures), (false, 0));
    assert_eq!(reputation.ban(A, None, None, NOW), Ok(false));
    assert_eq!(reputation.ban("10.0.0.0/24", None, None, NOW), Ok(true), "ranges need no place");
    let stats = reputation.stats(NOW).expect("open");
    assert_eq!((stats.untracked, stats.size, stats.banned, stats.capacity), (2, 2, 2, 2));
    assert_eq!(reputation.ban(A, None, None, NOW + MINUTE), Ok(true), "a ban has ended");
}

fn flood(strangers: u32) {
    const CLIENTS: u64 = 2_000;
    let reputation = reputation(ReputationOptions { max_clients: CLIENTS, ..options() });
    let banned: Vec<_> = (0..1_000).map(|n| format!("192.168.{}.{}", n >> 8, n & 255)).collect();
    for ip in &banned {
        fail_until_banned(&reputation, ip, NOW);
    }
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let reputation = &reputation;
            scope.spawn(move || {
                for n in 0..strangers / 2 {
                    let address = std::net::Ipv4Addr::from(0x1000_0000 + n * 2 + thread);
                    fail(reputation, &address.to_string(), NOW + u64::from(n));
                }
            });
        }
    });
    let now = NOW + u64::from(strangers);
    assert!(banned.iter().all(|ip| is_banned(&reputation, ip, now)));
    let stats = reputation.stats(now).expect("open");
    assert_eq!((stats.size, stats.banned, stats.bans), (CLIENTS, 1_000, 1_000));
    assert_eq!(stats.failures + stats.untracked, 3_000 + u64::from(strangers));
    assert_eq!(stats.evicted, u64::from(strangers) - 1_000 - stats.untracked);
}

#[test]
fn a_million_strangers_push_out_no_ban() {
    flood(1_000_000);
}

#[test]
#[ignore = "ten million take a while: run by hand, in release"]
fn ten_million_strangers_push_out_no_ban() {
    flood(10_000_000);
}
