//! What the server is known to have, and how its changes are followed here.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use sluice_core::runtime::clock::{self, MS};
use sluice_core::{FOREVER, Reputation, SharedBan};

use super::changes::Changes;
use super::sink::following;
use super::stored::StoredBan;

/// Ends that differ by less are equal: a ban travels, and clocks drift.
const EQUAL: u64 = 1_000 * MS;

/// How long the end of a ban is remembered, in ms: until then it may still be in force here.
const REMEMBERED: i64 = 60_000;

/// The bans of the server as this process has followed them.
#[derive(Debug, Default)]
pub(super) struct Replica {
    /// Whose data it is: another where the server has lost its data.
    pub(super) epoch: Option<String>,
    /// Changes since then.
    pub(super) version: u64,
    /// When bans end by the clock of the server, `None` for permanent ones.
    ends: HashMap<String, Option<i64>>,
    /// When bans have ended, a moment ago.
    ended: HashMap<String, i64>,
}

/// Where the server said what it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    /// In a message, or among all bans.
    Unasked,
    /// In the answer to a change of this process.
    InAnswer,
}

/// What a replica changes: the bans of this process, except those that are about to change on the server.
pub(super) struct Own<'a> {
    pub(super) reputation: &'a Arc<Reputation>,
    pub(super) changes: &'a Mutex<Changes>,
}

impl Replica {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Drops the bans that have ended by this time of the server's clock, and their ends once they are old.
    pub(super) fn forget_ended(&mut self, now: i64) {
        let ended = &mut self.ended;
        self.ends.retain(|target, end| match *end {
            Some(end) if end <= now => {
                ended.insert(target.clone(), end);
                false
            }
            _ => true,
        });
        ended.retain(|_, end| *end > now - REMEMBERED);
    }

    /// The server has a ban that ends then. When the one before it ends, where there was one.
    fn put(&mut self, target: &str, end: Option<i64>) -> Option<Option<i64>> {
        self.ended.remove(target);
        self.ends.insert(target.to_owned(), end)
    }

    /// The server has no ban.
    fn remove(&mut self, target: &str) {
        self.ended.remove(target);
        self.ends.remove(target);
    }

    /// The server has other data than the one that was followed.
    pub(super) fn begin(&mut self, epoch: String) {
        *self = Self { epoch: Some(epoch), ..Self::default() };
    }

    /// Whether the server is known to have had a ban that has not ended by now.
    pub(super) fn had(&self, target: &str, now: i64) -> bool {
        self.ends.get(target).is_some_and(|end| end.is_none_or(|end| end > now))
    }

    /// The server has a ban, or none, at this time of its clock. Whether anything is different here now.
    pub(super) fn follow(&mut self, own: &Own<'_>, target: &str, value: &str, now: i64) -> bool {
        self.follow_from(own, (target, value), now, Said::Unasked)
    }

    /// As [`follow`](Self::follow), of what the server has after the last change of this process.
    pub(super) fn follow_answer(&mut self, own: &Own<'_>, target: &str, value: &str, now: i64) -> bool {
        self.follow_from(own, (target, value), now, Said::InAnswer)
    }

    fn follow_from(&mut self, own: &Own<'_>, (target, value): (&str, &str), now: i64, said: Said) -> bool {
        let Ok(target) = own.reputation.name_of(target) else { return false };
        if own.changes.lock().has(&target) {
            return false;
        }
        match StoredBan::read(value) {
            Some(stored) => match stored.at(now) {
                Some(ban) => self.follow_ban(own, &target, (stored.end, &ban), said),
                // It ends here by itself.
                None => false,
            },
            None => self.follow_lift(own, &target),
        }
    }

    /// The server has what this process sent.
    pub(super) fn note(&mut self, target: &str, value: &str) {
        match StoredBan::read(value) {
            Some(stored) => drop(self.put(target, stored.end)),
            None => self.remove(target),
        }
    }

    fn follow_lift(&mut self, own: &Own<'_>, target: &str) -> bool {
        self.remove(target);
        let now = clock::now();
        // Fails where the reputation was destroyed meanwhile.
        let Ok(Some(here)) = own.reputation.ban_of(target, now) else { return false };
        lift(own, target, here.remaining, now)
    }

    fn follow_ban(
        &mut self,
        own: &Own<'_>,
        target: &str,
        (end, ban): (Option<i64>, &SharedBan),
        said: Said,
    ) -> bool {
        let known = self.put(target, end);
        // What an earlier answer said was noted only, as the change that is answered now came after it.
        if known == Some(end) && said == Said::Unasked {
            return false;
        }
        let now = clock::now();
        let Ok(here) = own.reputation.ban_of(target, now) else { return false };
        let here = here.map(|here| here.remaining.unwrap_or(u64::MAX));
        let there = ban.remaining.unwrap_or(u64::MAX);
        match here {
            Some(here) if here.abs_diff(there) < EQUAL => return false,
            Some(here) if here > there && known.is_none() => {
                // Of two bans the later end holds, and the server does not have it.
                own.changes.lock().banned(target.to_owned());
                return false;
            }
            Some(here) if here > there => {
                lift(own, target, (here != u64::MAX).then_some(here), now);
            }
            _ => {}
        }
        following(|| own.reputation.take_over(target, ban, now)).unwrap_or(false)
    }

    /// All bans of the server were followed; `seen` are those. What is different here: bans that were lifted elsewhere are
    /// lifted, and those that the server does not have are sent. The number of those that were lifted.
    pub(super) fn settle(&mut self, own: &Own<'_>, is_seen: impl Fn(&str) -> bool, now: i64) -> u64 {
        let mut lifted = 0;
        for ban in own.reputation.bans(clock::now()).unwrap_or_default() {
            let target = ban.target();
            if is_seen(&target) || own.changes.lock().has(&target) {
                continue;
            }
            if self.had(&target, now) {
                lifted += u64::from(self.follow_lift(own, &target));
            } else if !self.ends.contains_key(&target) && !self.ended.contains_key(&target) {
                own.changes.lock().banned(target);
            }
        }
        self.ends.retain(|target, _| is_seen(target));
        self.ended.retain(|target, _| is_seen(target));
        lifted
    }
}

/// Lifts a ban that has so much time left. One that a thread makes at this moment, and that ends later, stays and is sent.
fn lift(own: &Own<'_>, target: &str, remaining: Option<u64>, now: u64) -> bool {
    if own.changes.lock().has(target) {
        return false;
    }
    let until = remaining.map_or(FOREVER, |remaining| now.saturating_add(remaining));
    following(|| own.reputation.lift(target, until, now)).unwrap_or(false)
}

#[cfg(test)]
mod tests;
