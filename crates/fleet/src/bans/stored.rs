//! A ban as the server has it: `end pastBans quietPeriod failures reason`. Times are milliseconds; an end of -1 is none.

use sluice_core::SharedBan;
use sluice_core::runtime::clock::{MS, ceil_ms};

/// In place of an end.
const NEVER: i64 = -1;

/// A ban of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoredBan {
    /// By the clock of the server; `None` for a permanent ban.
    pub(super) end: Option<i64>,
    ban: SharedBan,
}

impl StoredBan {
    /// `None` for what the script does not write.
    pub(super) fn read(value: &str) -> Option<Self> {
        let mut parts = value.splitn(5, ' ');
        let end: i64 = parts.next()?.parse().ok()?;
        let bans = parts.next()?.parse().ok()?;
        let quiet_period = parts.next()?.parse::<u64>().ok()?.checked_mul(MS)?;
        let failures = parts.next()?.parse().ok()?;
        let reason = parts.next()?;
        let reason = reason.strip_prefix('=').map(Into::into);
        let ban = SharedBan { remaining: None, reason, failures, bans, quiet_period };
        Some(Self { end: (end != NEVER).then_some(end), ban })
    }

    /// The ban at this time of the server's clock; `None` where it has ended.
    pub(super) fn at(&self, now: i64) -> Option<SharedBan> {
        let remaining = match self.end {
            None => None,
            Some(end) if end <= now => return None,
            Some(end) => Some(end.abs_diff(now).saturating_mul(MS)),
        };
        Some(SharedBan { remaining, ..self.ban.clone() })
    }
}

/// Milliseconds until the end of a ban, as the script takes them.
pub(super) fn remaining_ms(remaining: Option<u64>) -> i64 {
    remaining.map_or(NEVER, |remaining| i64::try_from(ceil_ms(remaining)).unwrap_or(i64::MAX))
}

/// What follows the end in the value of a ban.
pub(super) fn rest_of(ban: &SharedBan) -> String {
    let SharedBan { bans, quiet_period, failures, reason, .. } = ban;
    let (mark, reason) = reason.as_deref().map_or(("-", ""), |reason| ("=", reason));
    format!("{bans} {} {failures} {mark}{reason}", ceil_ms(*quiet_period))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for reason in [None, Some(""), Some("wrong password"), Some("=- two\nlines")] {
            let ban = SharedBan {
                remaining: Some(90 * MS),
                reason: reason.map(Into::into),
                failures: 5,
                bans: 2,
                quiet_period: 600_000 * MS,
            };
            let value = format!("{} {}", 1_000 + remaining_ms(ban.remaining), rest_of(&ban));
            let stored = StoredBan::read(&value).expect("a ban");
            assert_eq!(stored.at(1_000), Some(ban));
            assert_eq!(stored.at(1_090), None, "its end");
        }
    }

    #[test]
    fn a_permanent_ban_has_no_end() {
        let value = format!("{} {}", remaining_ms(None), rest_of(&SharedBan::default()));
        let stored = StoredBan::read(&value).expect("a ban");
        assert_eq!((stored.end, stored.at(i64::MAX)), (None, Some(SharedBan::default())));
    }

    #[test]
    fn reads_nothing_else() {
        for value in ["", "7", "x 1 1 1 -", "1 1 1 1", "1 -1 1 1 -", "1 1 18446744073709551615 1 -"] {
            assert_eq!(StoredBan::read(value), None, "{value:?}");
        }
    }
}
