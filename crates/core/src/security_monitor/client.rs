//! The state of one client.

use std::net::IpAddr;

use smallvec::SmallVec;

use super::events::{Event, EventId};
use super::rule::{Nearness, Rule, RuleState, Verdict};
use crate::runtime::key_hash::KeyHash;

/// One client: its events since it is tracked, and the state of each rule.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) address: IpAddr,
    last_seen: u64,
    nearness: Nearness,
    /// Sized for the usual client, which causes one event that one or two rules judge.
    counts: SmallVec<[(EventId, u64); 1]>,
    /// By the rule's id; only for rules whose event the client has caused.
    rules: SmallVec<[(u32, RuleState); 2]>,
}

/// The verdicts of all rules on one event.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    /// Indices of the rules that raise an alert.
    pub(super) alerts: Vec<usize>,
    /// How many rules are met but muted.
    pub(super) muted: u64,
}

/// In which order clients are evicted, the lowest first: by how near they are to an alert, then by when they were last
/// seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EvictionRank {
    heat: usize,
    last_seen: u64,
}

impl Client {
    pub(super) fn new(address: IpAddr) -> Self {
        Self {
            address,
            last_seen: 0,
            nearness: Nearness::default(),
            counts: SmallVec::new(),
            rules: SmallVec::new(),
        }
    }

    /// A new client in the memory of this one.
    pub(super) fn renamed(mut self, address: IpAddr) -> Self {
        self.address = address;
        self.last_seen = 0;
        self.nearness = Nearness::default();
        self.counts.clear();
        self.rules.iter_mut().for_each(|(_, state)| state.clear());
        self
    }

    /// Counts an event and has it judged by each of its rules.
    pub(super) fn record(
        &mut self,
        event: &Event,
        detail: Option<KeyHash>,
        rules: &[Rule],
        now: u64,
    ) -> Verdicts {
        // Another thread may have read the clock later but come here earlier.
        let now = now.max(self.last_seen);
        self.last_seen = now;
        self.count(event.id);
        let mut verdicts = Verdicts::default();
        for index in &event.rules {
            let rule = &rules[*index];
            match rule.judge(self.state_of(rule, rules), detail, now) {
                Verdict::Below => {}
                Verdict::Muted => verdicts.muted += 1,
                Verdict::Alert => verdicts.alerts.push(*index),
            }
        }
        self.nearness = self.nearest(now);
        verdicts
    }

    pub(super) fn rank(&self, now: u64) -> EvictionRank {
        EvictionRank { heat: self.nearness.heat(now), last_seen: self.last_seen }
    }

    /// Its events, in the order in which they first occurred.
    pub(super) fn counts(&self) -> &[(EventId, u64)] {
        &self.counts
    }

    pub(super) fn total(&self) -> u64 {
        self.counts.iter().map(|(_, count)| count).sum()
    }

    /// A test set the clock back.
    pub(super) fn clock_was_set_back(&mut self, rules: &[Rule], now: u64) {
        self.last_seen = self.last_seen.min(now);
        for (id, state) in &mut self.rules {
            if let Some(rule) = rules.iter().find(|rule| rule.id == *id) {
                rule.clock_was_set_back(state, now);
            }
        }
        self.nearness = self.nearest(now);
    }

    fn nearest(&self, now: u64) -> Nearness {
        let states = self.rules.iter().map(|(_, state)| state.nearness());
        states.fold(Nearness::default(), |nearest, other| nearest.or(other, now))
    }

    fn count(&mut self, event: EventId) {
        match self.counts.iter_mut().find(|(id, _)| *id == event) {
            Some((_, count)) => *count += 1,
            None => self.counts.push((event, 1)),
        }
    }

    fn state_of(&mut self, rule: &Rule, rules: &[Rule]) -> &mut RuleState {
        let known = self.rules.iter().position(|(id, _)| *id == rule.id);
        let place = known.unwrap_or_else(|| {
            // The state of removed rules is dropped.
            self.rules.retain(|(id, _)| rules.iter().any(|rule| rule.id == *id));
            self.rules.push((rule.id, rule.new_state()));
            self.rules.len() - 1
        });
        &mut self.rules[place].1
    }
}
