//! `SecurityMonitor`: rules, alerts, history, bounds and contention.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sluice_core::deliveries::{Item, Mailbox};
use sluice_core::{
    Action, Alert, HistoryQuery, Instance, RuleOptions, SecurityMonitor, SecurityMonitorConfig,
    SecurityMonitorOptions, ThreadId,
};

const SECOND: u64 = 1_000_000_000;

fn rule(name: &str, event: &str, count: u64) -> RuleOptions {
    RuleOptions {
        name: name.to_owned(),
        event: event.to_owned(),
        count,
        window_ms: 60_000,
        distinct: false,
        mute_ms: None,
        action: Action::Alert,
    }
}

fn config(options: SecurityMonitorOptions) -> SecurityMonitorConfig {
    options.try_into().expect("valid")
}

fn monitor(rules: Vec<RuleOptions>) -> SecurityMonitor {
    SecurityMonitor::new("test", config(SecurityMonitorOptions::new(rules)))
}

/// Carries out no ban.
fn no_ban(_: &str, _: &Alert) -> bool {
    false
}

fn record_detail(monitor: &SecurityMonitor, event: &str, ip: &str, detail: Option<&str>, now: u64) {
    let event = monitor.event(event).expect("open");
    monitor.record(event, ip, detail, (now, now / 1_000_000), no_ban).expect("recorded");
}

fn record(monitor: &SecurityMonitor, event: &str, ip: &str, now: u64) {
    record_detail(monitor, event, ip, None, now);
}

fn counts(counts: sluice_core::Result<Vec<(Arc<str>, u64)>>) -> Vec<(String, u64)> {
    counts.expect("open").into_iter().map(|(event, count)| (event.to_string(), count)).collect()
}

fn subscribe(monitor: &SecurityMonitor) -> Arc<Mailbox> {
    let mailbox = Arc::new(Mailbox::new(ThreadId(1), Box::new(|| ())));
    monitor.subscribe(Arc::<Mailbox>::clone(&mailbox), 7).expect("open");
    mailbox
}

/// The alerts delivered since the last call.
fn alerts(mailbox: &Mailbox) -> Vec<Alert> {
    let alert = |item| match item {
        Item::SecurityAlert(alert) => Some(Alert::clone(&alert)),
        _ => None,
    };
    mailbox.take().into_iter().filter_map(|delivery| alert(delivery.item)).collect()
}

#[test]
fn eight_threads_meet_a_rule_once_and_count_exactly() {
    const EACH: u64 = 50_000;
    for count in [1, 7, 1_000, 10_000] {
        let bans = RuleOptions { action: Action::Ban, ..rule("ban", "login", count) };
        let rules = vec![rule("alert", "login", count), bans];
        let reputation = Some("clients".to_owned());
        let options = SecurityMonitorOptions { reputation, ..SecurityMonitorOptions::new(rules) };
        let monitor = SecurityMonitor::new("test", config(options));
        let mailbox = subscribe(&monitor);
        let banned = AtomicUsize::new(0);
        let gate = std::sync::Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let event = monitor.event("login").expect("open");
                    gate.wait();
                    for now in 0..EACH {
                        let ban = |reputation: &str, alert: &Alert| {
                            assert_eq!((reputation, &*alert.client), ("clients", "203.0.113.7"));
                            banned.fetch_add(1, Ordering::Relaxed);
                            true
                        };
                        monitor.record(event, "203.0.113.7", None, (now, 0), ban).expect("recorded");
                    }
                });
            }
        });
        let rules: Vec<_> =
            alerts(&mailbox).into_iter().map(|alert| (alert.rule.to_string(), alert.count)).collect();
        assert_eq!(rules, [("alert".to_owned(), count), ("ban".to_owned(), count)]);
        assert_eq!(banned.load(Ordering::Relaxed), 1);
        assert_eq!(counts(monitor.counts()), [("login".to_owned(), 8 * EACH)]);
        assert_eq!(counts(monitor.counts_for("203.0.113.7")), [("login".to_owned(), 8 * EACH)]);
        let stats = monitor.stats().expect("open");
        assert_eq!((stats.recorded, stats.alerts, stats.bans, stats.bans_failed), (8 * EACH, 2, 1, 0));
        assert_eq!(stats.muted, 2 * (8 * EACH - count));
        assert_eq!((stats.history_size, stats.history_forgotten), (10_000, 8 * EACH - 10_000));
    }
}

/// Planted bug, tried on two cores: with a client looked up under one lock and inserted under another there were 20 001
/// clients and 19 999 alerts in the fifth run. The models find it in every run.
#[test]
fn eight_threads_insert_each_client_once() {
    const CLIENTS: u32 = 20_000;
    let monitor = monitor(vec![RuleOptions { mute_ms: Some(0), ..rule("all", "login", 8) }]);
    let gate = std::sync::Barrier::new(8);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let event = monitor.event("login").expect("open");
                gate.wait();
                for client in 0..CLIENTS {
                    let ip = std::net::Ipv4Addr::from(0x0a00_0000 + client).to_string();
                    monitor.record(event, &ip, None, (0, 0), no_ban).expect("recorded");
                }
            });
        }
    });
    let stats = monitor.stats().expect("open");
    assert_eq!((stats.alerts, stats.clients, stats.evictions), (CLIENTS.into(), CLIENTS.into(), 0));
    let top = monitor.top(CLIENTS as usize).expect("open");
    assert!(top.len() == CLIENTS as usize && top.iter().all(|(_, count)| *count == 8));
}

#[test]
fn an_alert_has_rule_event_client_count_time_and_detail() {
    let monitor = monitor(vec![rule("guessing", "login", 2)]);
    let mailbox = subscribe(&monitor);
    record_detail(&monitor, "login", "::ffff:203.0.113.7", Some("alice"), SECOND);
    record_detail(&monitor, "login", "203.0.113.7:443", Some("bob"), 2 * SECOND);
    let [alert] = &alerts(&mailbox)[..] else { panic!("one alert") };
    assert_eq!((&*alert.rule, &*alert.event, &*alert.client), ("guessing", "login", "203.0.113.7"));
    assert_eq!((alert.count, alert.at), (2, 2_000));
    let detail = alert.detail.as_ref().expect("given");
    assert_eq!((&*detail.text, detail.is_cut), ("bob", false));
}

#[test]
fn each_rule_counts_its_own_event_for_each_client() {
    let sweep = RuleOptions { distinct: true, ..rule("sweep", "probe", 3) };
    let monitor = monitor(vec![rule("one", "login", 3), rule("two", "login", 2), sweep]);
    let mailbox = subscribe(&monitor);
    record(&monitor, "login", "203.0.113.1", 0);
    record(&monitor, "login", "203.0.113.2", 0);
    record(&monitor, "probe", "203.0.113.1", 0);
    record(&monitor, "other", "203.0.113.1", 0);
    assert_eq!(alerts(&mailbox), []);
    record(&monitor, "login", "203.0.113.1", 0);
    record(&monitor, "login", "203.0.113.1", 0);
    for path in ["/a", "/b", "/b", "/a", "/c"] {
        record_detail(&monitor, "probe", "203.0.113.2", Some(path), 0);
    }
    let rules: Vec<_> =
        alerts(&mailbox).into_iter().map(|alert| (alert.rule.to_string(), alert.client)).collect();
    let alert = |rule: &str, client: &str| (rule.to_owned(), client.to_owned());
    assert_eq!(
        rules,
        [alert("two", "203.0.113.1"), alert("one", "203.0.113.1"), alert("sweep", "203.0.113.2")]
    );
}

/// Threads read the clock before they take the client's lock, so times can arrive out of order.
#[test]
fn an_event_with_an_earlier_time_counts_at_the_time_of_the_last_one() {
    let always = RuleOptions { mute_ms: Some(0), ..rule("always", "login", 1) };
    let monitor = monitor(vec![always, rule("three", "login", 3)]);
    let mailbox = subscribe(&monitor);
    for now in [100 * SECOND, 99 * SECOND, 159 * SECOND] {
        record(&monitor, "login", "203.0.113.7", now);
    }
    let rules: Vec<_> = alerts(&mailbox).into_iter().map(|alert| alert.rule.to_string()).collect();
    assert_eq!(rules, ["always", "always", "always", "three"]);
    assert_eq!(monitor.stats().expect("open").muted, 0);
}

#[test]
fn a_ban_is_requested_once_before_its_alert_is_delivered() {
    let bans = RuleOptions { action: Action::Ban, mute_ms: Some(0), ..rule("ban", "login", 2) };
    let reputation = Some("clients".to_owned());
    let options = SecurityMonitorOptions { reputation, ..SecurityMonitorOptions::new(vec![bans]) };
    let monitor = SecurityMonitor::new("test", config(options));
    let mailbox = subscribe(&monitor);
    let event = monitor.event("login").expect("open");
    let asked = RefCell::new(Vec::new());
    for carried_out in [true, true, false] {
        let ban = |_: &str, alert: &Alert| {
            asked.borrow_mut().push((alert.clone(), alerts(&mailbox).len()));
            carried_out
        };
        monitor.record(event, "203.0.113.7", None, (0, 0), ban).expect("recorded");
    }
    let delivered: Vec<_> = asked.borrow().iter().map(|(_, alerts)| *alerts).collect();
    assert_eq!(delivered, [0, 1], "the alert of the second event precedes the ban request of the third");
    let stats = monitor.stats().expect("open");
    assert_eq!((stats.bans, stats.bans_failed, stats.alerts), (2, 1, 2));
}

#[test]
fn history_is_newest_first_and_counts_dropped_events() {
    let options = SecurityMonitorOptions { history: 4, ..SecurityMonitorOptions::new(Vec::new()) };
    let monitor = SecurityMonitor::new("test", config(options));
    for (index, event) in ["a", "b", "a", "c", "a", "b"].into_iter().enumerate() {
        let ip = format!("203.0.113.{}", index % 2);
        record_detail(&monitor, event, &ip, Some(event), index as u64 * SECOND);
    }
    let ask = |query| {
        let (entries, forgotten) = monitor.history(query).expect("open");
        assert_eq!(forgotten, 2);
        entries
            .into_iter()
            .map(|entry| (entry.sequence, entry.event.to_string(), entry.at))
            .collect::<Vec<_>>()
    };
    let entry = |sequence, event: &str| (sequence, event.to_owned(), sequence * 1_000);
    let all = HistoryQuery::default();
    assert_eq!(ask(all), [entry(5, "b"), entry(4, "a"), entry(3, "c"), entry(2, "a")]);
    assert_eq!(ask(HistoryQuery { limit: Some(1), ..all }), [entry(5, "b")]);
    assert_eq!(ask(HistoryQuery { event: Some("a"), ..all }), [entry(4, "a"), entry(2, "a")]);
    assert_eq!(ask(HistoryQuery { event: Some("z"), ..all }), []);
    let of_one = HistoryQuery { ip: Some("::ffff:203.0.113.1"), ..all };
    assert_eq!(ask(of_one), [entry(5, "b"), entry(3, "c")]);
    assert_eq!(ask(HistoryQuery { event: Some("b"), limit: Some(5), ..of_one }), [entry(5, "b")]);
}

#[test]
fn top_is_sorted_by_events_then_by_address() {
    let monitor = monitor(Vec::new());
    for (client, events) in [(4, 1), (3, 2), (2, 2), (1, 5)] {
        (0..events).for_each(|_| record(&monitor, "a", &format!("203.0.113.{client}"), 0));
    }
    record(&monitor, "b", "203.0.113.3", 0);
    let top = |limit| {
        let top = monitor.top(limit).expect("open");
        top.into_iter().map(|(client, count)| format!("{client}: {count}")).collect::<Vec<_>>()
    };
    assert_eq!(top(3), ["203.0.113.1: 5", "203.0.113.3: 3", "203.0.113.2: 2"]);
    assert_eq!(top(100).len(), 4);
    assert_eq!(counts(monitor.counts_for("203.0.113.3")), [("a".to_owned(), 2), ("b".to_owned(), 1)]);
    assert_eq!(counts(monitor.counts_for("203.0.113.9")), []);
}

#[test]
fn a_flood_of_clients_is_bounded_and_keeps_clients_close_to_a_rule() {
    let options = SecurityMonitorOptions {
        max_clients: 10_000,
        ..SecurityMonitorOptions::new(vec![rule("r", "login", 5)])
    };
    let monitor = SecurityMonitor::new("test", config(options));
    let mailbox = subscribe(&monitor);
    for near in 0..100 {
        (0..4).for_each(|_| record(&monitor, "login", &format!("203.0.113.{near}"), 0));
    }
    let event = monitor.event("login").expect("open");
    for client in 0..1_000_000_u32 {
        let ip = std::net::Ipv4Addr::from(0x0a00_0000 + client).to_string();
        monitor.record(event, &ip, None, (SECOND, 0), no_ban).expect("recorded");
    }
    let stats = monitor.stats().expect("open");
    assert_eq!((stats.clients, stats.evictions), (10_000, 1_000_000 + 100 - 10_000));
    assert_eq!(alerts(&mailbox), []);
    (0..100).for_each(|near| record(&monitor, "login", &format!("203.0.113.{near}"), 2 * SECOND));
    assert_eq!(alerts(&mailbox).len(), 100, "each needed one more event");
}

#[test]
fn an_error_changes_nothing() {
    let monitor = monitor(vec![rule("r", "login", 1)]);
    let event = monitor.event("login").expect("open");
    let error = monitor.record(event, "not an address", None, (0, 0), no_ban).expect_err("no address");
    assert_eq!(error.code(), "INVALID_ADDRESS");
    let foreign = sluice_core::EventId(9);
    let error = monitor.record(foreign, "203.0.113.7", None, (0, 0), no_ban).expect_err("no event");
    assert_eq!(error.code(), "INVALID_VALUE");
    assert_eq!(
        monitor.history(HistoryQuery { ip: Some("x"), ..HistoryQuery::default() }).expect_err("x").code(),
        "INVALID_ADDRESS"
    );
    assert_eq!(monitor.counts_for("x").expect_err("x").code(), "INVALID_ADDRESS");
    let stats = monitor.stats().expect("open");
    assert_eq!((stats.recorded, stats.alerts, stats.clients, stats.history_size), (0, 0, 0, 0));
}

#[test]
fn the_number_of_event_names_is_bounded() {
    let monitor = monitor(Vec::new());
    for index in 0..sluice_core::MAX_EVENTS {
        record(&monitor, &format!("event {index}"), "203.0.113.7", 0);
    }
    let error = monitor.event("one more").expect_err("too many");
    assert_eq!(error.code(), "INVALID_VALUE");
    assert!(error.to_string().starts_with("event is \"one more\"; accepted: one of at most 1024"), "{error}");
    record(&monitor, "event 5", "203.0.113.7", 0);
    assert_eq!(monitor.stats().expect("open").recorded, sluice_core::MAX_EVENTS as u64 + 1);
}

#[test]
fn invalid_rules_are_errors() {
    let valid = || rule("r", "login", 5);
    let refused = |rules: Vec<RuleOptions>| {
        SecurityMonitorConfig::try_from(SecurityMonitorOptions::new(rules)).expect_err("invalid").to_string()
    };
    for (rules, message) in [
        (
            vec![RuleOptions { count: 0, ..valid() }],
            "rules[0] count is 0; accepted: an integer from 1 to 10000",
        ),
        (
            vec![RuleOptions { count: 10_001, ..valid() }],
            "rules[0] count is 10001; accepted: an integer from 1 to 10000",
        ),
        (
            vec![RuleOptions { count: 1_001, distinct: true, ..valid() }],
            "rules[0] count is 1001; accepted: an integer from 1 to 1000",
        ),
        (vec![RuleOptions { window_ms: 0, ..valid() }], "rules[0] window is 0"),
        (vec![RuleOptions { mute_ms: Some(u64::MAX), ..valid() }], "rules[0] mute is"),
        (vec![valid(), valid()], "rules[1] name is \"r\"; accepted: a name of its own"),
        (
            vec![RuleOptions { action: Action::Ban, ..valid() }],
            "rules[0] action is \"ban\"; accepted: \"alert\", or",
        ),
        (vec![valid(); 65], "rules is 65 rules; accepted: at most 64 rules"),
    ] {
        let refusal = refused(rules);
        assert!(refusal.starts_with(&format!("SecurityMonitor {message}")), "{refusal}");
    }
}

#[test]
fn every_call_is_closed_after_close() {
    let monitor = monitor(vec![rule("r", "login", 1)]);
    let event = monitor.event("login").expect("open");
    monitor.close();
    let closed = [
        monitor.event("login").err(),
        monitor.record(event, "203.0.113.7", None, (0, 0), no_ban).err(),
        monitor.history(HistoryQuery::default()).err(),
        monitor.counts().err(),
        monitor.counts_for("203.0.113.7").err(),
        monitor.top(1).err(),
        monitor.stats().err(),
    ];
    assert!(closed.iter().all(|error| error.as_ref().is_some_and(|error| error.code() == "CLOSED")));
}

#[test]
fn a_thread_that_ended_or_unsubscribed_receives_no_alert() {
    let monitor = monitor(vec![RuleOptions { mute_ms: Some(0), ..rule("r", "login", 1) }]);
    let mailbox = subscribe(&monitor);
    record(&monitor, "login", "203.0.113.7", 0);
    monitor.thread_ended(ThreadId(1));
    record(&monitor, "login", "203.0.113.7", 0);
    assert_eq!(alerts(&mailbox).len(), 1);
    monitor.subscribe(Arc::<Mailbox>::clone(&mailbox), 8).expect("open");
    monitor.unsubscribe(ThreadId(1), 8);
    record(&monitor, "login", "203.0.113.7", 0);
    assert_eq!(alerts(&mailbox), []);
}
