//! How lists and banned ranges change: in this process, or for all processes of the machine.

use std::sync::Arc;

use ipnet::IpNet;

use super::{OfMachine, Reputation};
use crate::Result;
use crate::reputation::ban_watch::Target;
use crate::reputation::machine::FollowedRanges;
use crate::reputation::ranges::{Lists, Ranges};
use crate::reputation::verdict::BanTerm;

impl Reputation {
    /// Bans ranges; of two bans of a range the one that ends later holds.
    pub(super) fn ban_ranges(
        &self,
        bans: impl IntoIterator<Item = (IpNet, BanTerm)>,
        now: u64,
    ) -> Result<()> {
        let bans: Vec<_> = bans.into_iter().collect();
        if bans.is_empty() {
            return Ok(());
        }
        let banned: Vec<_> = bans.iter().map(|(range, _)| *range).collect();
        let ban = |ranges: Ranges| {
            Some(Ranges { bans: Arc::new(ranges.bans.with(bans.iter().cloned(), now)), ..ranges })
        };
        self.change_ranges(ban, &banned, now)
    }

    /// Ends the ban of exactly this range; false when there is none.
    /// A ban that ends after `until` stays.
    pub(super) fn unban_range(&self, range: &IpNet, until: u64, now: u64) -> Result<bool> {
        let was_banned = std::cell::Cell::new(false);
        let unban = |ranges: Ranges| {
            was_banned.set(false);
            if ranges.bans.of(range, now).is_none_or(|term| term.until > until) {
                return None;
            }
            let (bans, was) = ranges.bans.without(range, now);
            was_banned.set(was);
            was.then(|| Ranges { bans: Arc::new(bans), ..ranges })
        };
        self.change_ranges(unban, &[*range], now)?;
        Ok(was_banned.get())
    }

    pub(super) fn replace_lists(&self, lists: &Arc<Lists>) -> Result<()> {
        let now = self.machine.as_ref().map_or(0, |machine| machine.host.now());
        self.change_ranges(|ranges| Some(Ranges { lists: Arc::clone(lists), ..ranges }), &[], now)
    }

    /// Changes what is in force. `change` gives `None` where nothing changes; `targets` are the ranges whose bans may.
    fn change_ranges(
        &self,
        change: impl Fn(Ranges) -> Option<Ranges>,
        targets: &[IpNet],
        now: u64,
    ) -> Result<()> {
        let Some(machine) = &self.machine else {
            let change = |ranges: Ranges| change(ranges.clone()).unwrap_or(ranges);
            self.ranges.change_and(change, |ranges| self.notify_of(targets, ranges, now));
            return Ok(());
        };
        let changed = self.notifies(machine);
        machine.ranges.change(&FollowedRanges { ranges: &self.ranges, changed: &changed }, now, change)
    }

    /// Takes over what another process has brought into force.
    #[inline]
    pub(super) fn follow_ranges(&self, machine: &OfMachine) {
        machine.ranges.follow(&FollowedRanges { ranges: &self.ranges, changed: &self.notifies(machine) });
    }

    /// Whether the lists in force can be read.
    ///
    /// # Errors
    ///
    /// Their file is gone, changed, or refused. Those before stay in force in this process.
    pub(super) fn check_ranges(&self, machine: &OfMachine) -> Result<()> {
        machine.ranges.check(&FollowedRanges { ranges: &self.ranges, changed: &self.notifies(machine) })
    }

    /// Tells subscribers of every ban that changed between two moments.
    fn notifies(&self, machine: &OfMachine) -> impl Fn(&Ranges, &Ranges) {
        move |before: &Ranges, after: &Ranges| {
            if self.clients.watch().is_on() {
                let now = machine.host.now();
                let both = before.bans.in_force(0).chain(after.bans.in_force(0));
                let targets: Vec<_> = both.map(|(range, _)| range).collect();
                self.notify_of(&targets, after, now);
            }
        }
    }

    fn notify_of(&self, targets: &[IpNet], ranges: &Ranges, now: u64) {
        for range in targets {
            self.clients.watch().follow(Target::Range(*range), ranges.bans.of(range, now), now);
        }
    }
}
