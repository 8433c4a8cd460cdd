//! `Reputation`: addresses, ranges, and the lists of allowed and denied addresses.

use sluice_core::{FOREVER, Reputation, ReputationRule};

use crate::support::reputation::*;

fn is_banned(reputation: &Reputation, ip: &str, now: u64) -> bool {
    let banned = reputation.is_banned(ip, now).expect("open");
    assert_eq!(check(reputation, ip, now).banned, banned, "check and is_banned agree on {ip}");
    banned
}

#[test]
fn a_client_is_an_address_reduced_to_its_prefix() {
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
fn overlapping_ranges_are_banned_until_their_own_ends() {
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
fn thousands_of_ranges_are_banned_and_unbanned_independently() {
    let reputation = reputation(options());
    let range = |n: u32| format!("10.{}.{}.0/24", n >> 8, n & 255);
    let inside = |n: u32| format!("10.{}.{}.77", n >> 8, n & 255);
    for n in 0..3_000 {
        // Every third without an end; the others for a minute, or until unbanned.
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
        // Another address of the same client.
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
    assert_eq!(reputation.stats(NOW).expect("open").size, 0, "listed clients take no slot");

    assert_eq!(reputation.ban("10.1.2.3", None, Some("by hand"), NOW), Ok(true));
    assert_eq!(reputation.ban("10.0.0.0/8", None, None, NOW), Ok(true));
    assert!(!is_banned(&reputation, "10.1.2.3", NOW), "the allow list comes first");
    reputation.set_lists(&[], &[]).expect("valid");
    assert!(is_banned(&reputation, "10.1.2.3", NOW) && is_banned(&reputation, "10.9.9.9", NOW));
    assert!(!is_banned(&reputation, "192.0.2.1", NOW));
}

#[test]
fn invalid_addresses_and_lists_are_errors_and_change_nothing() {
    for (allow, deny, code) in [
        (vec!["10.0.0.0/33"], vec![], "INVALID_ADDRESS"),
        (vec![], vec!["::/129"], "INVALID_ADDRESS"),
        (vec!["10.0.0.1/8"], vec![], "INVALID_ADDRESS"),
        (vec![""], vec![], "INVALID_ADDRESS"),
        (vec!["10.0.0.0/8"], vec!["10.0.0.0/8"], "INVALID_OPTION"),
        (vec!["::ffff:10.0.0.0/104"], vec!["10.0.0.0/8"], "INVALID_OPTION"),
        (vec!["10.0.0.1"], vec!["10.0.0.1/32"], "INVALID_OPTION"),
    ] {
        assert_eq!(with_lists(&allow, &deny).expect_err("invalid").code(), code, "{allow:?} {deny:?}");
        let reputation = with_lists(&["192.0.2.0/24"], &["198.51.100.0/24"]).expect("valid");
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let error = reputation.set_lists(&texts(&allow), &texts(&deny)).expect_err("invalid");
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
