//! Verdicts on addresses, and bans.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::FOREVER;
use super::ban_events::BanCause;
use super::ranges::Listed;
use crate::runtime::clock::SetBack;

/// What decides about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReputationRule {
    /// Nothing: it is admitted.
    None,
    /// A ban, of the client or of a range around it.
    Ban,
    /// The deny list.
    Deny,
    /// The allow list.
    Allow,
}

/// The verdict on an address. Times are nanoseconds of the clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the address is refused.
    pub banned: bool,
    /// When the ban ends, [`FOREVER`] for a permanent one; `None` without a ban.
    pub until: Option<u64>,
    /// Failures counted within `findTime`. During an automatic ban, those that led to it.
    pub failures: u64,
    /// Automatic bans that are not forgotten.
    pub bans: u32,
    /// The reason of the ban in force, if one was given.
    pub reason: Option<Arc<str>>,
    /// What decides.
    pub rule: ReputationRule,
}

impl Verdict {
    /// The verdict: the lists decide first, then the ban that ends last.
    pub(super) fn of(record: Record, listed: Option<Listed>, around: Option<&BanTerm>) -> Self {
        let Record { failures, bans, term } = record;
        let rule = ReputationRule::None;
        let free = Self { banned: false, until: None, failures, bans, reason: None, rule };
        match (listed, later(term, around.cloned())) {
            (Some(Listed::Allow), _) => Self { rule: ReputationRule::Allow, ..free },
            (Some(Listed::Deny), _) => {
                Self { banned: true, until: Some(FOREVER), rule: ReputationRule::Deny, ..free }
            }
            (None, Some(BanTerm { until, reason, .. })) => {
                Self { banned: true, until: Some(until), reason, rule: ReputationRule::Ban, ..free }
            }
            (None, None) => free,
        }
    }

    /// Nanoseconds until the address is admitted: 0 for now, [`FOREVER`] for never.
    #[must_use]
    pub fn retry_after(&self, now: u64) -> u64 {
        match self.until {
            None => 0,
            Some(FOREVER) => FOREVER,
            Some(until) => until.saturating_sub(now),
        }
    }
}

/// A client's history, summed up at one moment.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) failures: u64,
    pub(super) bans: u32,
    pub(super) term: Option<BanTerm>,
}

/// A ban in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
    /// The banned range; of a client, its one address.
    pub range: IpNet,
    /// Whether it is of one client.
    pub is_client: bool,
    /// When it ends; [`FOREVER`] for never.
    pub until: u64,
    /// The reason, if one was given.
    pub reason: Option<Arc<str>>,
}

impl Ban {
    pub(super) fn of_client(client: IpAddr, BanTerm { until, reason, .. }: BanTerm) -> Self {
        Self { range: IpNet::from(client), is_client: true, until, reason }
    }

    pub(super) fn of_range(range: IpNet, BanTerm { until, reason, .. }: BanTerm) -> Self {
        Self { range, is_client: false, until, reason }
    }

    /// The banned client or range, as `ban` and `unban` take it.
    #[must_use]
    pub fn target(&self) -> String {
        if self.is_client { self.range.addr().to_string() } else { self.range.to_string() }
    }
}

/// A ban as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BanTerm {
    pub(super) until: u64,
    pub(super) reason: Option<Arc<str>>,
    /// The failures that led to it; 0 for a manual ban.
    pub(super) failures: u64,
    pub(super) cause: BanCause,
}

impl BanTerm {
    pub(super) fn by_hand(until: u64, reason: Option<&str>) -> Self {
        Self { until, reason: reason.map(Arc::from), failures: 0, cause: BanCause::Manual }
    }

    /// The clock was set back: the remaining time stays the same.
    pub(super) fn clock_was_set_back(&mut self, set_back: SetBack) {
        if self.until != FOREVER {
            self.until = set_back.moved(self.until);
        }
    }

    /// Whether it is in force; at its end it is not.
    pub(super) fn is_in_force(&self, now: u64) -> bool {
        now < self.until
    }
}

/// The ban that ends later; the first where both end together.
pub(super) fn later(first: Option<BanTerm>, second: Option<BanTerm>) -> Option<BanTerm> {
    match (first, second) {
        (Some(first), Some(second)) if second.until > first.until => Some(second),
        (None, second) => second,
        (first, _) => first,
    }
}
