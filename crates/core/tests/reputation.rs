//! What a reputation promises, read from outside.

use sluice_core::runtime::clock::SetBack;
use sluice_core::{Error, FOREVER, Reputation, ReputationOptions, ReputationRule, Verdict};

const MS: u64 = 1_000_000;
const MINUTE: u64 = 60_000 * MS;
/// Some day; no rule may depend on which.
const NOW: u64 = 1_700_000_000_000 * MS;

/// Three failures in ten minutes ban for one minute, at most for an hour.
fn options() -> ReputationOptions {
    ReputationOptions::new(3, 600_000, 60_000, 3_600_000)
}

fn reputation(options: ReputationOptions) -> Reputation {
    Reputation::with_chance("test", options.try_into().expect("valid"), || 0.0)
}

fn with_lists(allow: &[&str], deny: &[&str]) -> Result<Reputation, Error> {
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    let options = ReputationOptions { allow: texts(allow), deny: texts(deny), ..options() };
    Ok(Reputation::new("test", options.try_into()?))
}

fn fail(reputation: &Reputation, ip: &str, now: u64) -> Verdict {
    reputation.record_failure(ip, 1, None, now).expect("open")
}

fn check(reputation: &Reputation, ip: &str, now: u64) -> Verdict {
    reputation.check(ip, now).expect("open")
}

fn is_banned(reputation: &Reputation, ip: &str, now: u64) -> bool {
    let banned = reputation.is_banned(ip, now).expect("open");
    assert_eq!(check(reputation, ip, now).banned, banned, "check and is_banned agree on {ip}");
    banned
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

const A: &str = "203.0.113.7";
const B: &str = "203.0.113.8";

#[test]
fn the_last_failure_within_find_time_bans() {
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
    assert_eq!((over.failures, over.bans, over.reason), (0, 1, None), "failures have been paid for");
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
fn weight_counts_as_so_many_failures() {
    let reputation = reputation(options());
    assert_eq!(reputation.record_failure(A, 2, None, NOW).expect("open").failures, 2);
    assert!(fail(&reputation, A, NOW).banned);
    assert!(reputation.record_failure(B, u64::MAX, None, NOW).expect("open").banned);
}

#[test]
fn more_failures_than_are_kept_apart_still_ban_at_the_last() {
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
fn chance_shortens_bans_by_up_to_the_jitter() {
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
    assert!(lengths.iter().any(|length| *length != lengths[0]), "it is drawn for each ban");
}

#[test]
fn one_ban_is_forgotten_for_each_quiet_period_after_the_last() {
    let reputation = reputation(ReputationOptions { max_failures: 20, ..options() });
    let mut now = NOW;
    for minutes in [1, 2, 4, 8, 16] {
        assert_eq!(fail_until_banned(&reputation, A, now).1, minutes * MINUTE);
        now += minutes * MINUTE;
    }
    // The last ban of 16 minutes is longer than the 10 of findTime.
    let bans_after = |minutes: u64| check(&reputation, A, now + minutes * MINUTE).bans;
    assert_eq!([0, 15, 16, 31, 32, 64, 79, 80, 500].map(bans_after), [5, 5, 4, 4, 3, 1, 1, 0, 0]);

    // A failure starts the time anew, and what was forgotten stays so.
    let failed_at = now + 40 * MINUTE;
    assert_eq!(fail(&reputation, A, failed_at).bans, 3);
    let bans_later = |minutes: u64| check(&reputation, A, failed_at + minutes * MINUTE).bans;
    assert_eq!([15, 16, 32, 48].map(bans_later), [3, 2, 1, 0]);
    assert_eq!(fail_until_banned(&reputation, A, failed_at + 47 * MINUTE).1, 2 * MINUTE, "the second again");
}

#[test]
fn a_short_ban_is_forgotten_after_find_time() {
    let reputation = reputation(options());
    fail_until_banned(&reputation, A, NOW);
    let bans_after = |time: u64| check(&reputation, A, NOW + MINUTE + time).bans;
    assert_eq!([0, 10 * MINUTE - 1, 10 * MINUTE].map(bans_after), [1, 1, 0]);
}

#[test]
fn who_is_banned_is_not_counted_against() {
    let reputation = reputation(options());
    fail_until_banned(&reputation, A, NOW);
    let verdict = check(&reputation, A, NOW);
    for n in 0..100 {
        assert_eq!(fail(&reputation, A, NOW + n), verdict);
    }
    assert_eq!(
        fail_until_banned(&reputation, A, NOW + MINUTE),
        (2, 2 * MINUTE),
        "the second, not a later one"
    );
    let stats = reputation.stats(NOW).expect("open");
    assert_eq!((stats.failures, stats.bans), (5, 2));
}

#[test]
fn success_forgives_failures_and_nothing_else() {
    let reputation = reputation(options());
    fail(&reputation, A, NOW);
    fail(&reputation, A, NOW);
    reputation.record_success(A).expect("open");
    assert_eq!(check(&reputation, A, NOW).failures, 0);
    assert_eq!(fail_until_banned(&reputation, A, NOW).0, 3);
    reputation.record_success(A).expect("open");
    assert!(is_banned(&reputation, A, NOW));
    assert_eq!(check(&reputation, A, NOW + MINUTE).bans, 1);
    reputation.record_success("198.51.100.1").expect("a stranger may succeed");
}

#[test]
fn bans_by_hand_last_as_told_and_are_no_step_of_the_escalation() {
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
fn unban_ends_the_ban_and_keeps_the_count() {
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
fn the_monitor_gives_the_next_ban_at_once() {
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
fn a_client_is_an_address_cut_to_its_prefix() {
    let reputation = reputation(options());
    fail(&reputation, "2001:db8:1:2::1", NOW);
    fail(&reputation, "[2001:db8:1:2:ffff::9]:443", NOW);
    fail(&reputation, "2001:db8:1:2::%eth0", NOW);
    assert!(is_banned(&reputation, "2001:db8:1:2:3:4:5:6", NOW));
    assert!(!is_banned(&reputation, "2001:db8:1:3::1", NOW));
    fail_until_banned(&reputation, "::ffff:203.0.113.7", NOW);
    assert!(is_banned(&reputation, A, NOW) && is_banned(&reputation, "64:ff9b::203.0.113.7", NOW));
    let targets: Vec<_> = reputation.bans(NOW).expect("open").iter().map(|ban| ban.target()).collect();
    assert_eq!(targets, [A, "2001:db8:1:2::"]);
}

#[test]
fn a_range_within_one_client_is_that_client() {
    let reputation = reputation(options());
    for (range, client) in
        [("203.0.113.7/32", A), ("2001:db8::5/128", "2001:db8::"), ("2001:db8:0:1::/64", "2001:db8:0:1::")]
    {
        reputation.ban(range, None, None, NOW).expect(range);
        assert!(is_banned(&reputation, client, NOW), "{range}");
        assert_eq!(reputation.unban(client, NOW), Ok(true));
    }
}

#[test]
fn ranges_are_banned_until_their_own_ends() {
    let reputation = reputation(options());
    reputation.ban("10.0.0.0/8", Some(5 * MINUTE), Some("wide"), NOW).expect("open");
    reputation.ban("10.1.0.0/16", Some(MINUTE), Some("narrow"), NOW).expect("open");
    reputation.ban("2001:db8::/32", None, None, NOW).expect("open");
    let verdict = check(&reputation, "10.1.2.3", NOW);
    assert_eq!((verdict.until, verdict.reason.as_deref()), (Some(NOW + 5 * MINUTE), Some("wide")));
    assert_eq!((verdict.bans, verdict.rule), (0, ReputationRule::Ban));
    assert!(is_banned(&reputation, "2001:db8:ffff::1", FOREVER - 1));
    assert!(!is_banned(&reputation, "11.0.0.0", NOW) && !is_banned(&reputation, "2001:db9::", NOW));

    assert_eq!(reputation.unban("10.1.2.3", NOW), Ok(false), "the client itself is not banned");
    assert_eq!(reputation.unban("10.0.0.0/9", NOW), Ok(false));
    assert_eq!(reputation.unban("10.0.0.0/8", NOW), Ok(true));
    assert_eq!(check(&reputation, "10.1.2.3", NOW).reason.as_deref(), Some("narrow"));
    assert!(!is_banned(&reputation, "10.2.0.0", NOW));
    assert!(!is_banned(&reputation, "10.1.2.3", NOW + MINUTE));
    assert_eq!(reputation.unban("10.1.0.0/16", NOW + MINUTE), Ok(false), "it has ended");
}

#[test]
fn thousands_of_ranges_are_banned_and_unbanned_each_for_itself() {
    let reputation = reputation(options());
    let range = |n: u32| format!("10.{}.{}.0/24", n >> 8, n & 255);
    let inside = |n: u32| format!("10.{}.{}.77", n >> 8, n & 255);
    for n in 0..3_000 {
        // Every third for ever, others until they end or are ended.
        let duration = (n % 3 > 0).then_some(MINUTE);
        assert_eq!(reputation.ban(&range(n), duration, None, NOW), Ok(true));
    }
    for n in (0..3_000).filter(|n| n % 3 == 2) {
        assert_eq!(reputation.unban(&range(n), NOW), Ok(true));
        assert_eq!(reputation.unban(&range(n), NOW), Ok(false));
    }
    for n in 0..3_000 {
        assert_eq!(is_banned(&reputation, &inside(n), NOW), n % 3 < 2, "{n}");
        assert_eq!(is_banned(&reputation, &inside(n), NOW + MINUTE), n % 3 == 0, "{n}");
    }
    assert_eq!(reputation.bans(NOW).expect("open").len(), 2_000);
    assert_eq!(reputation.stats(NOW + MINUTE).expect("open").ranges, 1_000);
    assert_eq!(reputation.ban(&range(2), None, None, NOW), Ok(true));
    assert!(is_banned(&reputation, &inside(2), NOW));
}

#[test]
fn the_longest_prefix_over_both_lists_decides() {
    let reputation = with_lists(
        &["10.0.0.0/8", "10.1.2.0/24", "192.0.2.1"],
        &["10.1.0.0/16", "192.0.2.0/24", "2001:db8::5"],
    )
    .expect("valid");
    let rule = |ip| check(&reputation, ip, NOW).rule;
    for (ip, expected) in [
        ("10.9.9.9", ReputationRule::Allow),
        ("10.1.9.9", ReputationRule::Deny),
        ("10.1.2.9", ReputationRule::Allow),
        ("::ffff:10.1.9.9", ReputationRule::Deny),
        ("192.0.2.1", ReputationRule::Allow),
        ("192.0.2.2", ReputationRule::Deny),
        ("2001:db8::5", ReputationRule::Deny),
        // The same client, another address.
        ("2001:db8::6", ReputationRule::None),
        ("203.0.113.7", ReputationRule::None),
    ] {
        assert_eq!(rule(ip), expected, "{ip}");
        assert_eq!(is_banned(&reputation, ip, NOW), expected == ReputationRule::Deny, "{ip}");
    }
    let denied = check(&reputation, "10.1.9.9", NOW);
    assert_eq!((denied.until, denied.retry_after(NOW)), (Some(FOREVER), FOREVER));
}

#[test]
fn lists_decide_before_bans() {
    let reputation = with_lists(&["10.0.0.0/8"], &["192.0.2.0/24"]).expect("valid");
    for _ in 0..10 {
        let allowed = fail(&reputation, "10.1.2.3", NOW);
        assert_eq!((allowed.banned, allowed.failures, allowed.rule), (false, 0, ReputationRule::Allow));
        assert_eq!(fail(&reputation, "192.0.2.1", NOW).failures, 0);
    }
    assert_eq!(reputation.stats(NOW).expect("open").size, 0, "they take no place");

    assert_eq!(reputation.ban("10.1.2.3", None, Some("by hand"), NOW), Ok(true));
    assert_eq!(reputation.ban("10.0.0.0/8", None, None, NOW), Ok(true));
    assert!(!is_banned(&reputation, "10.1.2.3", NOW), "allowed all the same");
    reputation.set_lists(&[], &[]).expect("valid");
    assert!(is_banned(&reputation, "10.1.2.3", NOW) && is_banned(&reputation, "10.9.9.9", NOW));
    assert!(!is_banned(&reputation, "192.0.2.1", NOW));
}

#[test]
fn refuses_nonsense_and_changes_nothing() {
    for (allow, deny, code) in [
        (vec!["10.0.0.0/33"], vec![], "INVALID_ADDRESS"),
        (vec![], vec!["::/129"], "INVALID_ADDRESS"),
        (vec!["10.0.0.1/8"], vec![], "INVALID_ADDRESS"),
        (vec![""], vec![], "INVALID_ADDRESS"),
        (vec!["10.0.0.0/8"], vec!["10.0.0.0/8"], "INVALID_OPTION"),
        (vec!["::ffff:10.0.0.0/104"], vec!["10.0.0.0/8"], "INVALID_OPTION"),
        (vec!["10.0.0.1"], vec!["10.0.0.1/32"], "INVALID_OPTION"),
    ] {
        assert_eq!(with_lists(&allow, &deny).expect_err("nonsense").code(), code, "{allow:?} {deny:?}");
        let reputation = with_lists(&["192.0.2.0/24"], &["198.51.100.0/24"]).expect("valid");
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let error = reputation.set_lists(&texts(&allow), &texts(&deny)).expect_err("nonsense");
        assert_eq!(error.code(), code);
        assert_eq!(check(&reputation, "192.0.2.1", NOW).rule, ReputationRule::Allow);
        assert!(is_banned(&reputation, "198.51.100.1", NOW));
    }
    let reputation = reputation(options());
    for text in ["", "10.0.0.0/33", "::/129", "10.0.0.1/8", "localhost", "/8", "10.0.0.0/8/8", "1.2.3.4/"] {
        assert_eq!(reputation.ban(text, None, None, NOW).expect_err(text).code(), "INVALID_ADDRESS");
        assert_eq!(reputation.unban(text, NOW).expect_err(text).code(), "INVALID_ADDRESS");
        assert_eq!(reputation.is_banned(text, NOW).expect_err(text).code(), "INVALID_ADDRESS");
    }
    assert_eq!(reputation.bans(NOW), Ok(vec![]));
}

#[test]
fn bans_are_listed_in_the_order_of_their_ends() {
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
fn a_clock_set_back_holds_nothing_against_anybody_for_longer() {
    let reputation = reputation(options());
    fail(&reputation, A, NOW + 1_000 * MINUTE);
    fail(&reputation, A, NOW + 1_000 * MINUTE);
    reputation.clock_was_set_back(SetBack { before: NOW + 1_000 * MINUTE, now: NOW });
    assert_eq!(check(&reputation, A, NOW + 10 * MINUTE).failures, 0);
}

#[test]
fn a_ban_lasts_as_long_however_the_clock_is_set_back() {
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
    assert!(!banned("203.0.113.99", 0), "a ban that has ended does not come back");
    assert_eq!(check(&reputation, A, NOW).bans, 1);
}

#[test]
fn refuses_when_closed() {
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
