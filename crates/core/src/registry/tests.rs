//! What a registry promises, read from its methods.

use super::*;
use crate::deliveries::{Item, Mailbox};
use crate::runtime::Instance;
use crate::runtime::mailbox::EventSink;

fn value(text: &str) -> Box<[u8]> {
    text.as_bytes().into()
}

fn read(registry: &Registry, key: &str) -> Option<String> {
    let entry = registry.get(key).expect("open")?;
    Some(String::from_utf8(entry.value.to_vec()).expect("text"))
}

#[test]
fn every_change_raises_the_version() {
    let registry = Registry::new("r");
    assert_eq!(registry.set("a", value("1")), Ok(Change { done: true, version: 1 }));
    assert_eq!(registry.set("a", value("1")), Ok(Change { done: true, version: 2 }));
    assert_eq!(registry.set_if_absent("a", value("9")), Ok(Change { done: false, version: 2 }));
    assert_eq!(registry.set_if_absent("b", value("2")), Ok(Change { done: true, version: 3 }));
    assert_eq!(registry.delete("c"), Ok(Change { done: false, version: 3 }));
    assert_eq!(registry.delete("a"), Ok(Change { done: true, version: 4 }));
    assert_eq!((read(&registry, "a"), read(&registry, "b")), (None, Some("2".into())));
}

#[test]
fn compare_and_set_notices_a_value_that_came_back() {
    let registry = Registry::new("r");
    let first = registry.set("a", value("x")).expect("open").version;
    registry.delete("a").expect("open");
    registry.set("a", value("x")).expect("open");
    assert!(!registry.compare_and_set("a", Some(first), value("y")).expect("open").done);
    assert!(!registry.compare_and_set("a", None, value("y")).expect("open").done);
    assert!(registry.compare_and_set("b", None, value("y")).expect("open").done);
}

#[test]
fn replace_all_keeps_what_did_not_change() {
    let registry = Registry::new("r");
    for key in ["same", "other", "gone"] {
        registry.set(key, value(key)).expect("open");
    }
    let same = registry.get("same").expect("open").expect("set").version;
    let values =
        vec![("same".into(), value("same")), ("other".into(), value("new")), ("added".into(), value("a"))];
    let version = registry.replace_all(values).expect("open");
    assert_eq!(version, 4);
    assert_eq!(registry.get("same").expect("open").expect("kept").version, same);
    assert_eq!(registry.get("other").expect("open").expect("set").version, version);
    assert_eq!((read(&registry, "gone"), read(&registry, "added")), (None, Some("a".into())));
}

#[test]
fn sends_every_change_in_order_until_the_subscription_ends() {
    let registry = Registry::new("r");
    let mailbox = Arc::new(Mailbox::new(ThreadId(1), Box::new(|| ())));
    registry.subscribe(Arc::<Mailbox>::clone(&mailbox), 7).expect("open");
    registry.set("a", value("1")).expect("open");
    registry.set_if_absent("a", value("2")).expect("open");
    registry.replace_all(vec![("b".into(), value("1"))]).expect("open");
    registry.unsubscribe(ThreadId(1), 7);
    registry.set("c", value("1")).expect("open");
    let sent: Vec<_> = mailbox.take().into_iter().map(|delivery| delivery.item).collect();
    let change = |key: &str, version| Item::RegistryChange(RegistryChange { key: key.into(), version });
    assert_eq!(sent, [change("a", 1), change("a", 2), change("b", 2)]);
}

#[test]
fn concurrent_updates_all_count() {
    let registry = Registry::new("r");
    registry.set("n", value("0")).expect("open");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..250 {
                    while {
                        let entry = registry.get("n").expect("open").expect("set");
                        let n: u64 =
                            std::str::from_utf8(&entry.value).expect("text").parse().expect("number");
                        let next = value(&(n + 1).to_string());
                        !registry.compare_and_set("n", Some(entry.version), next).expect("open").done
                    } {}
                }
            });
        }
    });
    assert_eq!(read(&registry, "n"), Some("1000".into()));
}

#[test]
fn refuses_when_closed() {
    let registry = Registry::new("r");
    registry.close();
    assert_eq!(registry.get("a").expect_err("closed").code(), "CLOSED");
    assert_eq!(registry.set("a", value("1")).expect_err("closed").code(), "CLOSED");
}

/// A subscriber that takes a millisecond for each event and says when the first has come, so that other threads get a
/// turn between two events of a version.
#[derive(Debug)]
struct SlowSink(Arc<AtomicBool>);

impl EventSink<RegistryChange> for SlowSink {
    fn thread(&self) -> ThreadId {
        ThreadId(2)
    }

    fn push(&self, _: SubscriptionId, _: RegistryChange) -> bool {
        self.0.store(true, Ordering::Release);
        std::thread::sleep(std::time::Duration::from_millis(1));
        true
    }

    fn destroyed(&self, _: SubscriptionId) {}
}

/// Without the writers' lock, the late subscriber gets the last of the 32 changes of the version.
#[test]
fn a_subscription_sees_all_changes_of_a_version_or_none() {
    let registry = Registry::new("r");
    let has_begun = Arc::new(AtomicBool::new(false));
    registry.subscribe(Arc::new(SlowSink(Arc::clone(&has_begun))), 1).expect("open");
    let mailbox = Arc::new(Mailbox::new(ThreadId(1), Box::new(|| ())));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let entries = (0..32).map(|key| (key.to_string(), value("v"))).collect();
            registry.replace_all(entries).expect("open");
        });
        while !has_begun.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        registry.subscribe(Arc::<Mailbox>::clone(&mailbox), 7).expect("open");
    });
    assert_eq!(mailbox.take(), []);
}
