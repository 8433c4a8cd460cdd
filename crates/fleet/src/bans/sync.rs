//! Reading all bans of the server, page by page, while changes go on.

use std::collections::HashSet;

use redis::Value;

/// What was seen so far. A ban that a message tells of meanwhile is seen, too.
#[derive(Debug, Default)]
pub(super) struct Sync {
    pub(super) seen: HashSet<String>,
}

/// A part of the bans.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// Where the next begins; 0 after the last.
    pub(super) next: u64,
    /// Targets and their values.
    pub(super) entries: Vec<(String, String)>,
}

impl Page {
    /// `None` for what is no page. Entries that cannot be read are left out.
    pub(super) fn read(value: &Value) -> Option<Self> {
        let [next, entries] = value.as_sequence()? else { return None };
        let next = text(next)?.parse().ok()?;
        let entries = entries.as_sequence()?.chunks_exact(2);
        let entries = entries.filter_map(|pair| Some((text(&pair[0])?, text(&pair[1])?)));
        // Fields of the hash that are no bans.
        let entries = entries.filter(|(target, _)| !target.starts_with('#')).collect();
        Some(Self { next, entries })
    }
}

/// A change, as the script publishes it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) version: u64,
    /// The server's clock.
    pub(super) now: i64,
    pub(super) process: String,
    pub(super) target: String,
    /// Empty where a ban was lifted.
    pub(super) value: String,
}

impl Message {
    /// `None` for what the script does not publish.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut parts = text.splitn(5, ' ');
        let (version, now) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let mut text = || parts.next().map(str::to_owned);
        Some(Self { version, now, process: text()?, target: text()?, value: text()? })
    }
}

pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        Value::SimpleString(text) => Some(text.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn reads_pages_and_leaves_out_what_is_no_ban() {
        let fields = ["#epoch", "e", "203.0.113.7", "9 0 0 0 -", "#version", "3"].map(bulk).to_vec();
        let page = Page::read(&Value::Array(vec![bulk("17"), Value::Array(fields)])).expect("a page");
        let entries = vec![("203.0.113.7".to_owned(), "9 0 0 0 -".to_owned())];
        assert_eq!(page, Page { next: 17, entries });
        assert_eq!(Page::read(&Value::Array(vec![bulk("x"), Value::Array(Vec::new())])), None);
        assert_eq!(Page::read(&Value::Nil), None);
    }

    #[test]
    fn reads_messages() {
        let message = Message::read("7 1000 abc 10.0.0.0/8 2000 0 0 0 =two words").expect("a message");
        assert_eq!((message.version, message.now, &*message.process), (7, 1_000, "abc"));
        assert_eq!((&*message.target, &*message.value), ("10.0.0.0/8", "2000 0 0 0 =two words"));
        assert_eq!(Message::read("7 1000 abc 10.0.0.0/8 ").expect("a message").value, "");
        assert_eq!(Message::read("7 1000 abc"), None);
        assert_eq!(Message::read("x 1000 abc t v"), None);
    }
}
