//! Options by which processes use one limiter or reputation, where they differ.

mod announcing;

use std::collections::HashSet;
use std::sync::OnceLock;
use std::time::Duration;

use parking_lot::Mutex;
use redis::Value;

pub(crate) use self::announcing::Announcing;

/// The script that keeps the options of all processes.
pub(crate) const SCRIPT: &str = include_str!("scripts/options.lua");

/// How long a limiter is used before its process says which options it has: one that is used for a moment says nothing.
pub(crate) const SAID_AFTER: Duration = Duration::from_secs(3);
/// How often a process says which options it has.
pub(crate) const SAID_EVERY: Duration = Duration::from_secs(20);
/// When it does so for the second time: others that started together with it have said theirs then.
pub(crate) const SAID_AGAIN: Duration = Duration::from_secs(1);
/// For how many milliseconds they count.
pub(crate) const COUNT_FOR_MS: u64 = 60_000;

/// Another process has other options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// `RateLimiter` or `Reputation`.
    pub kind: &'static str,
    /// The name of the instance.
    pub name: String,
    /// The options of this process.
    pub own: String,
    /// Those of another one.
    pub other: String,
}

#[derive(Default)]
struct Found {
    /// Each is reported once.
    known: HashSet<(&'static str, String)>,
    unreported: Vec<Difference>,
}

static FOUND: Mutex<Option<Found>> = Mutex::new(None);
static ON_FOUND: OnceLock<fn()> = OnceLock::new();

/// Has `notify` called where differences were found. Once for the process.
pub fn on_difference(notify: fn()) {
    ON_FOUND.get_or_init(|| notify);
}

/// The differences found since the last call; those of one limiter or reputation once.
pub fn take_differences() -> Vec<Difference> {
    FOUND.lock().as_mut().map(|found| std::mem::take(&mut found.unreported)).unwrap_or_default()
}

/// Reports a difference.
fn found(difference: Difference) {
    {
        let mut found = FOUND.lock();
        let found = found.get_or_insert_default();
        if !found.known.insert((difference.kind, difference.name.clone())) {
            return;
        }
        found.unreported.push(difference);
    }
    if let Some(notify) = ON_FOUND.get() {
        notify();
    }
}

/// Reports what the reply of the script says of options that differ from those of this process.
pub(crate) fn compare(kind: &'static str, name: &str, own: String, reply: &Value) {
    if let Some(other) = other_of(reply) {
        found(Difference { kind, name: name.to_owned(), own, other });
    }
}

/// The options of another process, in the reply of the script; `None` where none differ.
fn other_of(reply: &Value) -> Option<String> {
    match reply.as_sequence()? {
        [_, Value::BulkString(other)] if !other.is_empty() => String::from_utf8(other.clone()).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_server::TestServer;

    #[test]
    fn a_difference_is_reported_once() {
        let difference = |name: &str, other: &str| Difference {
            kind: "RateLimiter",
            name: name.to_owned(),
            own: "1".to_owned(),
            other: other.to_owned(),
        };
        found(difference("a difference", "2"));
        found(difference("a difference", "3"));
        let taken: Vec<_> =
            take_differences().into_iter().filter(|difference| difference.name == "a difference").collect();
        assert_eq!(taken, [difference("a difference", "2")]);
    }

    #[test]
    fn the_script_tells_of_others_until_they_are_gone() {
        for server in TestServer::start_each() {
            let mut connection = server.connection();
            let mut say = |own: &str| {
                let mut call = redis::cmd("EVAL");
                call.arg(SCRIPT).arg(1).arg("options").arg(0).arg(own).arg(COUNT_FOR_MS);
                other_of(&call.query(&mut connection).expect("a reply"))
            };
            assert_eq!(say("100 per 1000 ms"), None);
            assert_eq!(say("100 per 1000 ms"), None, "its own");
            assert_eq!(say("200 per 1000 ms").as_deref(), Some("100 per 1000 ms"));
            assert_eq!(say("100 per 1000 ms").as_deref(), Some("200 per 1000 ms"));
            // Last seen a millisecond after 1970.
            let old = redis::cmd("SET").arg("options").arg("1 200 per 1000 ms").to_owned();
            old.exec(&mut connection).expect("set");
            let mut call = redis::cmd("EVAL");
            call.arg(SCRIPT).arg(1).arg("options").arg(0).arg("100 per 1000 ms").arg(COUNT_FOR_MS);
            assert_eq!(other_of(&call.query(&mut connection).expect("a reply")), None, "gone");
        }
    }
}
