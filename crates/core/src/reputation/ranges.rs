//! Ranges of addresses: the allow list, the deny list, and banned ranges.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use prefix_trie::joint::JointPrefixMap;

use super::verdict::BanTerm;
use crate::client_key::cidr::parse_range;
use crate::runtime::clock::SetBack;
use crate::{Error, Result};

/// Ranges of a list that are printed with the options; a longer list is printed with a checksum.
const MOST_SHOWN: usize = 8;

/// Most recent bans: they are copied with each change.
const MOST_RECENT: usize = 128;

/// The list that decides about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listed {
    Allow,
    Deny,
}

/// Both lists in one map: no range is in both.
#[derive(Clone, Debug, Default)]
pub(super) struct Lists(JointPrefixMap<IpNet, Listed>);

impl Lists {
    /// Reads both lists. `owner` names them in errors.
    ///
    /// # Errors
    ///
    /// `INVALID_ADDRESS` for a text that is no range, `INVALID_OPTION` for a range in both lists.
    pub(super) fn parse(owner: &str, allow: &[String], deny: &[String]) -> Result<Self> {
        let mut ranges = JointPrefixMap::new();
        for text in allow {
            ranges.insert(parse_range(&format!("{owner} allow"), text)?, Listed::Allow);
        }
        for text in deny {
            let range = parse_range(&format!("{owner} deny"), text)?;
            if ranges.insert(range, Listed::Deny) == Some(Listed::Allow) {
                let accepted = "a range that is not in allow as well";
                return Err(Error::invalid_option(&format!("{owner} deny"), format!("{text:?}"), accepted));
            }
        }
        Ok(Self(ranges))
    }

    /// Both lists; `None` where a range is in both.
    pub(super) fn of_ranges(allow: &[IpNet], deny: &[IpNet]) -> Option<Self> {
        let mut ranges = JointPrefixMap::new();
        for range in allow {
            ranges.insert(*range, Listed::Allow);
        }
        let mut denies = deny.iter().map(|range| ranges.insert(*range, Listed::Deny));
        if denies.any(|before| before == Some(Listed::Allow)) { None } else { Some(Self(ranges)) }
    }

    /// The ranges of the allow list, and those of the deny list.
    pub(super) fn ranges(&self) -> [Vec<IpNet>; 2] {
        [Listed::Allow, Listed::Deny].map(|wanted| {
            self.0.iter().filter(|(_, listed)| **listed == wanted).map(|(range, _)| range).collect()
        })
    }

    /// The list with the longest prefix around the address.
    pub(super) fn decide(&self, address: IpAddr) -> Option<Listed> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get_lpm(&IpNet::from(address)).map(|(_, listed)| *listed)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of ranges in each list.
    pub(super) fn lengths(&self) -> [u64; 2] {
        let allowed = self.0.values().filter(|listed| **listed == Listed::Allow).count() as u64;
        [allowed, self.0.len() as u64 - allowed]
    }

    /// Both lists as the user would read them, in one order however they were given.
    pub(super) fn describe(&self) -> [String; 2] {
        [Listed::Allow, Listed::Deny].map(|wanted| {
            let ranges: Vec<_> = self
                .0
                .iter()
                .filter(|(_, listed)| **listed == wanted)
                .map(|(range, _)| range.to_string())
                .collect();
            let shown = ranges.iter().take(MOST_SHOWN).cloned().collect::<Vec<_>>().join(", ");
            match ranges.len() {
                0 => "none".to_owned(),
                n if n <= MOST_SHOWN => shown,
                n => format!(
                    "{shown}, … ({n} ranges, checksum {:08x})",
                    crc32fast::hash(ranges.join(",").as_bytes())
                ),
            }
        })
    }
}

type Bans = JointPrefixMap<IpNet, BanTerm>;

/// Banned ranges, each with its end.
///
/// Each change makes a copy. Most bans are settled, and shared by the copies; the few that changed last are kept apart, so
/// that a change copies only these.
#[derive(Clone, Debug, Default)]
pub(super) struct RangeBans {
    settled: Arc<Bans>,
    /// Takes precedence over a settled ban of the same range. A ban that `unban` ended has its end in the past.
    recent: Bans,
}

impl RangeBans {
    /// Whether there is no ban, of those that have ended neither.
    fn is_empty(&self) -> bool {
        self.settled.is_empty() && self.recent.is_empty()
    }

    /// The ban that ends last of those around an address.
    pub(super) fn around(&self, address: IpAddr, now: u64) -> Option<&BanTerm> {
        if self.is_empty() {
            return None;
        }
        let address = IpNet::from(address);
        let settled = self.settled.cover(&address).filter(|(range, _)| self.is_settled(range));
        let around = self.recent.cover(&address).chain(settled).map(|(_, term)| term);
        around.filter(|term| term.is_in_force(now)).max_by_key(|term| term.until)
    }

    /// The bans in force.
    pub(super) fn in_force(&self, now: u64) -> impl Iterator<Item = (IpNet, &BanTerm)> {
        let settled = self.settled.iter().filter(|(range, _)| self.is_settled(range));
        self.recent.iter().chain(settled).filter(move |(_, term)| term.is_in_force(now))
    }

    /// These bans and `more`; of two bans of a range the one that ends later holds.
    pub(super) fn with(&self, more: impl IntoIterator<Item = (IpNet, BanTerm)>, now: u64) -> Self {
        let mut bans = self.clone();
        for (range, term) in more {
            if self.of(&range, now).is_none_or(|current| current.until < term.until) {
                bans.recent.insert(range, term);
            }
        }
        bans.settle(now)
    }

    /// These bans without that of `range`, and whether there was one.
    pub(super) fn without(&self, range: &IpNet, now: u64) -> (Self, bool) {
        if self.of(range, now).is_none() {
            return (self.clone(), false);
        }
        let mut bans = self.clone();
        bans.recent.insert(*range, BanTerm::by_hand(0, None));
        (bans.settle(now), true)
    }

    /// These bans after the clock was set back: each keeps its remaining time.
    pub(super) fn after_set_back(&self, set_back: SetBack) -> Self {
        let mut settled = Bans::new();
        for (range, term) in self.in_force(set_back.before) {
            let mut term = term.clone();
            term.clock_was_set_back(set_back);
            settled.insert(range, term);
        }
        Self { settled: Arc::new(settled), recent: Bans::new() }
    }

    /// The ban in force of exactly this range.
    pub(super) fn of(&self, range: &IpNet, now: u64) -> Option<&BanTerm> {
        let term = self.recent.get(range).or_else(|| self.settled.get(range));
        term.filter(|term| term.is_in_force(now))
    }

    fn is_settled(&self, range: &IpNet) -> bool {
        self.recent.is_empty() || !self.recent.contains_key(range)
    }

    /// Settles all bans once many have changed, and drops those that have ended.
    fn settle(self, now: u64) -> Self {
        if self.recent.len() <= MOST_RECENT {
            return self;
        }
        let mut settled = Bans::new();
        for (range, term) in self.in_force(now) {
            settled.insert(range, term.clone());
        }
        Self { settled: Arc::new(settled), recent: Bans::new() }
    }
}

/// Lists and banned ranges at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranges {
    pub(super) lists: Arc<Lists>,
    pub(super) bans: Arc<RangeBans>,
}

impl Ranges {
    /// Whether they decide about no address.
    pub(super) fn is_empty(&self) -> bool {
        self.lists.is_empty() && self.bans.is_empty()
    }
}
