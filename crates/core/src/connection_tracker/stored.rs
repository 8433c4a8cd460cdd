//! The options of a tracker as a file of shared state keeps them: for people, and once more to be read back.

use super::config_words::{WORDS, from_words, to_words};
use super::options::{ConnectionTrackerConfig, ConnectionTrackerOptions};
use crate::runtime::instances::OptionList;

/// The option that the file says itself.
const OF_A_PROCESS: &str = "scope";
/// The option that is read back. It says what the others say.
const CREATION: &str = "creation";

impl ConnectionTrackerConfig {
    /// The options in which all processes agree that share a tracker.
    #[must_use]
    pub fn stored(&self) -> OptionList {
        let mut list = self.list();
        list.retain(|(option, _)| *option != OF_A_PROCESS);
        let numbers = to_words(&self.options).map(|word| word.to_string()).join(" ");
        list.push((CREATION, format!("{} {} {numbers}", self.options.clients, self.options.ipv6_prefix)));
        list
    }

    /// What is fixed at creation, in all processes that share a tracker.
    #[must_use]
    pub fn stored_fixed(&self) -> OptionList {
        let ConnectionTrackerOptions { clients, ipv6_prefix, opens, .. } = &self.options;
        let opens = if opens.is_some() { "a quota" } else { "none" };
        vec![
            ("clients", format!("{clients:?}")),
            ("ipv6Prefix", ipv6_prefix.to_string()),
            ("opens", opens.to_owned()),
        ]
    }

    /// The config of which a file keeps these options; `None` where they are those of none.
    #[must_use]
    pub fn of_stored(stored: &[(String, String)]) -> Option<Self> {
        let (_, text) = stored.iter().find(|(option, _)| option == CREATION)?;
        let mut texts = text.split(' ');
        let (clients, ipv6_prefix) = (texts.next()?.to_owned(), texts.next()?.parse().ok()?);
        let words: Option<Vec<u64>> = texts.map(|word| word.parse().ok()).collect();
        let words: [u64; WORDS] = words?.try_into().ok()?;
        let other = ConnectionTrackerOptions { clients, ipv6_prefix, ..ConnectionTrackerOptions::default() };
        from_words(&words, &other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Quota;

    fn stored(options: ConnectionTrackerOptions) -> Vec<(String, String)> {
        let config = ConnectionTrackerConfig::try_from(options).expect("valid");
        config.stored().into_iter().map(|(option, value)| (option.to_owned(), value)).collect()
    }

    #[test]
    fn options_are_read_as_they_were_stored() {
        let options = ConnectionTrackerOptions {
            max: Some(7),
            clients: "opaque".to_owned(),
            opens: Some(Quota { limit: 5, window_ms: 1_000, burst: Some(2) }),
            ..ConnectionTrackerOptions::default()
        };
        for options in [options, ConnectionTrackerOptions::default()] {
            let read = ConnectionTrackerConfig::of_stored(&stored(options.clone())).expect("its own");
            assert_eq!(read.options, options);
        }
    }

    #[test]
    fn other_texts_are_options_of_no_tracker() {
        let read = |text: &str| ConnectionTrackerConfig::of_stored(&[(CREATION.to_owned(), text.to_owned())]);
        let zeros = ["0"; WORDS].join(" ");
        assert!(read(&format!("ip 64 {zeros}")).is_some());
        for text in [
            String::new(),
            "ip".to_owned(),
            "ip 64".to_owned(),
            format!("ip 64 {zeros} 0"),
            format!("ip 129 {zeros}"),
            format!("ip x {zeros}"),
            format!("names 64 {zeros}"),
            format!("ip 64 {} -1", &zeros[2..]),
        ] {
            assert!(read(&text).is_none(), "{text}");
        }
        assert!(ConnectionTrackerConfig::of_stored(&[]).is_none());
    }
}
