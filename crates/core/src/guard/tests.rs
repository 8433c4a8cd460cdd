//! What the threads of a guard share.

use super::*;
use crate::{Error, Instances};

fn options() -> GuardOptions {
    let off = || PartName(None);
    let header = AddressSource::Header("x-forwarded-for".to_owned());
    GuardOptions::new(GuardPart::Options, GuardPart::Off, off(), off(), Vec::new(), header)
}

fn config(change: impl FnOnce(&mut GuardOptions)) -> GuardConfig {
    let mut options = options();
    change(&mut options);
    options.try_into().expect("valid")
}

fn same() -> GuardConfig {
    config(|_| ())
}

fn mismatch(change: impl FnOnce(&mut GuardOptions)) -> String {
    let guards = Instances::<Guard>::new();
    guards.open("api", Some(same())).expect("created");
    let error = guards.open("api", Some(config(change))).expect_err("a mismatch");
    assert!(matches!(error, Error::ConfigMismatch { .. }));
    error.to_string()
}

#[test]
fn threads_add_up_their_counts() {
    let guards = Instances::<Guard>::new();
    let guard = guards.open("api", Some(same())).expect("created");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let guard = guards.open("api", Some(same())).expect("attached");
                (0..1_000).for_each(|_| guard.count(GuardCounter::RefusedByBan));
            });
        }
    });
    assert_eq!(guard.sum(GuardCounter::RefusedByBan), 8_000);
    assert_eq!(guard.sum(GuardCounter::RefusedAtAccept), 0);
}

#[test]
fn limiters_of_all_threads_are_listed_once() {
    let guards = Instances::<Guard>::new();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let guards = &guards;
            scope.spawn(move || {
                let guard = guards.open("api", Some(same())).expect("open");
                guard.add_limiter("api".to_owned());
                guard.add_limiter(format!("api:GET /{thread}"));
            });
        }
    });
    let [guard] = &guards.all()[..] else { panic!("one guard") };
    assert_eq!(guard.name(), "api");
    assert_eq!(guard.limiters(), ["api", "api:GET /0", "api:GET /1", "api:GET /2", "api:GET /3"]);
}

#[test]
fn a_mismatch_names_the_option_and_both_values() {
    let probe = || RecordOptions::new(404, "probe".to_owned());
    let cases = [
        (mismatch(|o| o.rate_limit = GuardPart::Off), "rateLimit = options", "false"),
        (mismatch(|o| o.rate_limit = GuardPart::ByRequest), "rateLimit = options", "by request"),
        (mismatch(|o| o.connections = GuardPart::Options), "connections = false", "options"),
        (mismatch(|o| o.reputation = PartName(Some("bans".to_owned()))), "reputation = false", "\"bans\""),
        (
            mismatch(|o| o.record = vec![probe()]),
            "record = {}",
            r#"{"404":{"event":"probe","weight":1,"when":"always"}}"#,
        ),
        (mismatch(|o| o.trusted_proxies = vec!["::1".to_owned()]), "trustedProxies = []", "[\"::1\"]"),
        (
            mismatch(|o| o.client_address = AddressSource::Function),
            "clientAddress = \"x-forwarded-for\"",
            "a function",
        ),
        (mismatch(|o| o.dry_run = true), "dryRun = false", "true"),
    ];
    for (message, existing, given) in cases {
        assert!(message.contains(existing), "{message}");
        assert!(message.contains(&format!("given: {given}")), "{message}");
    }
}

#[test]
fn the_order_of_proxies_has_no_meaning() {
    let trusting = |proxies: [&str; 2]| config(|o| o.trusted_proxies = proxies.map(str::to_owned).to_vec());
    assert_eq!(trusting(["10.0.0.0/8", "::1"]), trusting(["::1", "10.0.0.0/8"]));
}

#[test]
fn options_that_may_change_are_seen_to_differ() {
    let known = same();
    assert!(!config(|o| o.dry_run = true).differs_from(&known));
    assert!(config(|o| o.trusted_proxies = vec!["::1".to_owned()]).differs_from(&known));
    assert!(
        config(|o| o.client_address = AddressSource::Header("forwarded".to_owned())).differs_from(&known)
    );
    assert!(config(|o| o.record = vec![RecordOptions::new(404, "probe".to_owned())]).differs_from(&known));
}

#[test]
fn an_option_out_of_range_is_an_error_that_names_it() {
    let refused = |change: fn(&mut GuardOptions)| {
        let mut options = options();
        change(&mut options);
        GuardConfig::try_from(options).expect_err("invalid").to_string()
    };
    assert_eq!(
        refused(|o| o.connections = GuardPart::ByRequest),
        "guard connections is \"byRequest\"; accepted: \"off\", \"options\""
    );
    assert_eq!(
        refused(|o| o.record = vec![RecordOptions::new(99, "early".to_owned())]),
        "guard record[99] status is 99; accepted: an integer from 100 to 599"
    );
}
