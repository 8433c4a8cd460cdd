//! What is known of one client.

use std::net::IpAddr;

use smallvec::SmallVec;

use super::events::{Event, EventId};
use super::rule::{Nearness, Rule, RuleState, Verdict};
use crate::runtime::key_hash::KeyHash;

/// One client: what it did since it was first seen, and what rules know of it.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) address: IpAddr,
    last_seen: u64,
    nearness: Nearness,
    /// Most clients cause one event, which one or two rules judge: what that takes is in one piece of memory.
    counts: SmallVec<[(EventId, u64); 1]>,
    /// By the number of the rule; only of rules whose event it caused.
    rules: SmallVec<[(u32, RuleState); 2]>,
}

/// What rules say of one event.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    /// Indices of the rules that it meets.
    pub(super) alerts: Vec<usize>,
    /// How many it would meet, were they not silent.
    pub(super) muted: u64,
}

/// How much is lost when a client is forgotten: first by how near it is to an alert, then by when it was seen last.
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

    /// Another client, never seen, in the memory of this one.
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
        // A thread may come here with a time that it read before the last one did.
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

    /// Its events, in the order of their first.
    pub(super) fn counts(&self) -> &[(EventId, u64)] {
        &self.counts
    }

    pub(super) fn total(&self) -> u64 {
        self.counts.iter().map(|(_, count)| count).sum()
    }

    /// The clock was set back, by hand, in a test.
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
            // Of rules that are no more nothing need be known.
            self.rules.retain(|(id, _)| rules.iter().any(|rule| rule.id == *id));
            self.rules.push((rule.id, rule.new_state()));
            self.rules.len() - 1
        });
        &mut self.rules[place].1
    }
}
