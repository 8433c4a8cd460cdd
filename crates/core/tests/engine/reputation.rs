//! `Reputation`: failures, bans, escalation and forgiveness of one client.

use sluice_core::runtime::clock::SetBack;
use sluice_core::{FOREVER, Reputation, ReputationOptions, ReputationRule};

use crate::support::reputation::*;

fn is_banned(reputation: &Reputation, ip: &str, now: u64) -> bool {
    let banned = reputation.is_banned(ip, now).expect("open");
    assert_eq!(check(reputation, ip, now).banned, banned, "check and is_banned agree on {ip}");
    banned
}

#[test]
fn max_failures_within_find_time_ban() {
    let reputation = reputation(options());
    assert_eq!(fail(&reputation, A, NOW).failures, 1);
    let second = fail(&reputation, A, NOW + 5 * MINUTE);
    assert_eq!((second.failures, second.banned, second.until), (2, false, None));
    assert_eq!((second.rule, second.retry_after(NOW)), (ReputationRule::None, 0));

    let now = NOW + 10 * MINUTE - 1;
    let third = reputation.record_failure(A, 1, Some("wrong password"), now).expect("open");
    assert_eq!((third.failures, third.bans, third.rule), (3, 1, ReputationRule::Ban));
    assert_eq!((third.until, third.reason.as_deref()), (Some(now + MINUTE), Some("wrong password")));
    assert_eq!(check(&reputation, A, now), third);
    assert!(is_banned(&reputation, A, now + MINUTE - 1));
    assert!(!is_banned(&reputation, A, now + MINUTE));
    assert!(!is_banned(&reputation, B, now));
    let over = check(&reputation, A, now + MINUTE);
    assert_eq!((over.failures, over.bans, over.reason), (0, 1, None), "a ban clears the failures");
}

#[test]
fn a_failure_counts_for_find_time_and_no_longer() {
    let reputation = reputation(options());
    fail(&reputation, A, NOW);
    fail(&reputation, A, NOW + MINUTE);
    assert_eq!(check(&reputation, A, NOW + 10 * MINUTE - 1).failures, 2);
    assert_eq!(check(&reputation, A, NOW + 10 * MINUTE).failures, 1);
    assert!(!fail(&reputation, A, NOW + 10 * MINUTE).banned);
    assert_eq!(check(&reputation, A, NOW + 20 * MINUTE).failures, 0);
}

#[test]
fn a_weight_counts_as_that_many_failures() {
    let reputation = reputation(options());
    assert_eq!(reputation.record_failure(A, 2, None, NOW).expect("open").failures, 2);
    assert!(fail(&reputation, A, NOW).banned);
    assert!(reputation.record_failure(B, u64::MAX, None, NOW).expect("open").banned);
}

#[test]
fn a_large_max_failures_bans_exactly_at_that_number() {
    let reputation = reputation(ReputationOptions { max_failures: 100_000, ..options() });
    for i in 1..100_000 {
        assert!(!fail(&reputation, A, NOW + i * MS).banned);
    }
    assert_eq!(check(&reputation, A, NOW + 100_000 * MS).failures, 99_999);
    assert!(fail(&reputation, A, NOW + 100_000 * MS).banned);
}

#[test]
fn each_further_ban_is_longer_and_takes_fewer_failures() {
    let reputation = reputation(ReputationOptions { max_failures: 10, ..options() });
    let mut now = NOW;
    // Each failure counts 1, 2, 3, 5, 9, 10, 10 of the ten that ban.
    for (failures, minutes) in [(10, 1), (5, 2), (4, 4), (2, 8), (2, 16), (1, 32), (1, 60), (1, 60)] {
        assert_eq!(fail_until_banned(&reputation, A, now), (failures, minutes * MINUTE));
        now += minutes * MINUTE;
    }
}

#[test]
fn jitter_shortens_bans_by_up_to_its_share() {
    let draws = |chance: f64| {
        let options = ReputationOptions { jitter: 0.5, ..options() };
        let reputation = Reputation::with_chance("test", options.try_into().expect("valid"), move || chance);
        fail_until_banned(&reputation, A, NOW).1
    };
    assert_eq!([draws(0.0), draws(0.5), draws(1.0)], [MINUTE, MINUTE * 3 / 4, MINUTE / 2]);

    let options = ReputationOptions { jitter: 0.5, ..options() };
    let random = Reputation::new("test", options.try_into().expect("valid"));
    let lengths: Vec<_> =
        (0..100).map(|n| fail_until_banned(&random, &format!("10.0.0.{n}"), NOW).1).collect();
    assert!(lengths.iter().all(|length| (MINUTE / 2..=MINUTE).contains(length)));
    assert!(lengths.iter().any(|length| *length != lengths[0]), "jitter is drawn for each ban");
}

#[test]
fn each_quiet_period_after_the_last_ban_lowers_the_escalation_by_one() {
    let reputation = reputation(ReputationOptions { max_failures: 20, ..options() });
    let mut now = NOW;
    for minutes in [1, 2, 4, 8, 16] {
        assert_eq!(fail_until_banned(&reputation, A, now).1, minutes * MINUTE);
        now += minutes * MINUTE;
    }
    // The last ban of 16 minutes is longer than the 10 of findTime.
    let bans_after = |minutes: u64| check(&reputation, A, now + minutes * MINUTE).bans;
    assert_eq!([0, 15, 16, 31, 32, 64, 79, 80, 500].map(bans_after), [5, 5, 4, 4, 3, 1, 1, 0, 0]);

    // A failure restarts the quiet period; the escalation is not raised again.
    let failed_at = now + 40 * MINUTE;
    assert_eq!(fail(&reputation, A, failed_at).bans, 3);
    let bans_later = |minutes: u64| check(&reputation, A, failed_at + minutes * MINUTE).bans;
    assert_eq!([15, 16, 32, 48].map(bans_later), [3, 2, 1, 0]);
    assert_eq!(
        fail_until_banned(&reputation, A, failed_at + 47 * MINUTE).1,
        2 * MINUTE,
        "a second ban again"
    );
}

#[test]
fn a_quiet_period_is_at_least_find_time() {
    let reputation = reputation(options());
    fail_until_banned(&reputation, A, NOW);
    let bans_after = |time: u64| check(&reputation, A, NOW + MINUTE + time).bans;
    assert_eq!([0, 10 * MINUTE - 1, 10 * MINUTE].map(bans_after), [1, 1, 0]);
}

#[test]
fn failures_of_a_banned_client_are_not_counted() {
    let reputation = reputation(options());
    fail_until_banned(&reputation, A, NOW);
    let verdict = check(&reputation, A, NOW);
    for n in 0..100 {
        assert_eq!(fail(&reputation, A, NOW + n), verdict);
    }
    assert_eq!(
        fail_until_banned(&reputation, A, NOW + MINUTE),
        (2, 2 * MINUTE),
        "the second ban, not a later one"
    );
    let stats = reputation.stats(NOW).expect("open");
    assert_eq!((stats.failures, stats.bans), (5, 2));
}

#[test]
fn success_clears_failures_but_neither_bans_nor_escalation() {
    let reputation = reputation(options());
    fail(&reputation, A, NOW);
    fail(&reputation, A, NOW);
    reputation.record_success(A).expect("open");
    assert_eq!(check(&reputation, A, NOW).failures, 0);
    assert_eq!(fail_until_banned(&reputation, A, NOW).0, 3);
    reputation.record_success(A).expect("open");
    assert!(is_banned(&reputation, A, NOW));
    assert_eq!(check(&reputation, A, NOW + MINUTE).bans, 1);
    reputation.record_success("198.51.100.1").expect("an unknown client can succeed");
}

#[test]
fn manual_bans_last_as_given_and_do_not_escalate() {
    let reputation = reputation(options());
    assert_eq!(reputation.ban(A, Some(5 * MINUTE), Some("abuse"), NOW), Ok(true));
    let verdict = check(&reputation, A, NOW);
    assert_eq!((verdict.until, verdict.bans), (Some(NOW + 5 * MINUTE), 0));
    assert_eq!(verdict.reason.as_deref(), Some("abuse"));
    reputation.ban(A, Some(MINUTE), Some("shorter"), NOW).expect("open");
    assert_eq!(check(&reputation, A, NOW), verdict, "the later end holds");
    assert!(!is_banned(&reputation, A, NOW + 5 * MINUTE));
    assert_eq!(fail_until_banned(&reputation, A, NOW + 5 * MINUTE), (3, MINUTE));

    reputation.ban(B, None, None, NOW).expect("open");
    let verdict = check(&reputation, B, u64::MAX - 1);
    assert_eq!((verdict.until, verdict.retry_after(NOW), verdict.reason), (Some(FOREVER), FOREVER, None));
}

#[test]
fn unban_ends_the_ban_and_keeps_the_escalation() {
    let reputation = reputation(options());
    assert_eq!(reputation.unban(A, NOW), Ok(false));
    fail_until_banned(&reputation, A, NOW);
    assert_eq!(reputation.unban(A, NOW + 1), Ok(true));
    assert_eq!(reputation.unban(A, NOW + 1), Ok(false));
    assert!(!is_banned(&reputation, A, NOW + 1));
    assert_eq!(check(&reputation, A, NOW + 10 * MINUTE).bans, 1);
    assert_eq!(check(&reputation, A, NOW + 10 * MINUTE + 1).bans, 0, "quiet since it was ended");
    assert_eq!(reputation.unban(A, NOW + 10 * MINUTE), Ok(false));
}

#[test]
fn an_automatic_ban_is_the_next_of_the_escalation() {
    let reputation = with_lists(&["10.0.0.0/8"], &["192.0.2.0/24"]).expect("valid");
    fail(&reputation, A, NOW);
    let verdict = reputation.ban_automatically(A, "scanner", NOW).expect("open");
    assert_eq!((verdict.until, verdict.bans, verdict.failures), (Some(NOW + MINUTE), 1, 3));
    assert_eq!(verdict.reason.as_deref(), Some("scanner"));
    assert_eq!(reputation.ban_automatically(A, "again", NOW), Ok(verdict), "one ban at a time");
    let second = reputation.ban_automatically(A, "again", NOW + MINUTE).expect("open");
    assert_eq!((second.until, second.bans), (Some(NOW + 3 * MINUTE), 2));

    let allowed = reputation.ban_automatically("10.1.2.3", "scanner", NOW).expect("open");
    assert_eq!((allowed.banned, allowed.bans, allowed.rule), (false, 0, ReputationRule::Allow));
    let denied = reputation.ban_automatically("192.0.2.1", "scanner", NOW).expect("open");
    assert_eq!((denied.until, denied.bans, denied.rule), (Some(FOREVER), 0, ReputationRule::Deny));
}

#[test]
fn bans_are_listed_by_their_ends() {
    let reputation = reputation(options());
    reputation.ban("10.0.0.0/8", None, Some("for ever"), NOW).expect("open");
    reputation.ban(B, Some(5 * MINUTE), None, NOW).expect("open");
    fail_until_banned(&reputation, A, NOW);
    fail(&reputation, "198.51.100.1", NOW);
    let listed = |now| {
        let bans = reputation.bans(now).expect("open");
        bans.iter().map(|ban| (ban.target(), ban.until)).collect::<Vec<_>>()
    };
    let (a, b) = ((A.to_owned(), NOW + MINUTE), (B.to_owned(), NOW + 5 * MINUTE));
    let range = ("10.0.0.0/8".to_owned(), FOREVER);
    assert_eq!(listed(NOW), [a, b.clone(), range.clone()]);
    assert_eq!(listed(NOW + MINUTE), [b, range]);
}

#[test]
fn setting_the_clock_back_does_not_prolong_failures() {
    let reputation = reputation(options());
    fail(&reputation, A, NOW + 1_000 * MINUTE);
    fail(&reputation, A, NOW + 1_000 * MINUTE);
    reputation.clock_was_set_back(SetBack { before: NOW + 1_000 * MINUTE, now: NOW });
    assert_eq!(check(&reputation, A, NOW + 10 * MINUTE).failures, 0);
}

#[test]
fn setting_the_clock_back_does_not_change_the_rest_of_a_ban() {
    let reputation = reputation(options());
    let later = NOW + 1_000 * MINUTE;
    (0..3).for_each(|_| _ = fail(&reputation, A, later));
    reputation.ban(B, Some(5 * MINUTE), None, later).expect("open");
    reputation.ban("10.0.0.0/8", Some(5 * MINUTE), None, later).expect("open");
    reputation.ban("192.168.0.0/16", None, None, later).expect("open");
    reputation.ban("203.0.113.99", Some(MINUTE), None, NOW).expect("open");
    reputation.clock_was_set_back(SetBack { before: later + MINUTE / 2, now: NOW });
    let banned = |ip, after| reputation.is_banned(ip, NOW + after).expect("open");
    assert_eq!([MINUTE / 2 - 1, MINUTE / 2].map(|after| banned(A, after)), [true, false]);
    for ip in [B, "10.1.2.3"] {
        assert_eq!([4 * MINUTE, 5 * MINUTE].map(|after| banned(ip, after)), [true, false]);
    }
    assert!(banned("192.168.1.1", 9_000_000 * MINUTE));
    assert!(!banned("203.0.113.99", 0), "an expired ban does not return");
    assert_eq!(check(&reputation, A, NOW).bans, 1);
}

#[test]
fn every_call_is_closed_after_close() {
    let reputation = reputation(options());
    sluice_core::Instance::close(&reputation);
    let codes = [
        reputation.is_banned(A, NOW).map(drop),
        reputation.check(A, NOW).map(drop),
        reputation.record_failure(A, 1, None, NOW).map(drop),
        reputation.record_success(A),
        reputation.ban_automatically(A, "", NOW).map(drop),
        reputation.ban(A, None, None, NOW).map(drop),
        reputation.unban(A, NOW).map(drop),
        reputation.bans(NOW).map(drop),
        reputation.set_lists(&[], &[]),
        reputation.save(NOW, 0).map(drop),
        reputation.load(&[], "file", NOW, 0),
        reputation.stats(NOW).map(drop),
    ];
    assert!(codes.into_iter().all(|result| result.is_err_and(|error| error.code() == "CLOSED")));
}
