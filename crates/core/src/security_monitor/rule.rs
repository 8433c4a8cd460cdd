//! Rules: when a client's events raise an alert.

use std::sync::Arc;

use super::window::{DetailWindow, EventWindow};
use crate::runtime::key_hash::KeyHash;

/// What a rule does when a client meets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It raises an alert.
    Alert,
    /// It raises an alert and bans the client.
    Ban,
}

impl Action {
    /// The texts that stand for the actions in options.
    pub(super) const TEXTS: [&str; 2] = [Self::Alert.text(), Self::Ban.text()];

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Ban => "ban",
        }
    }
}

/// A valid rule. Times are nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// The key of the rule's state in clients. A rule that counts differently has another id.
    pub(super) id: u32,
    pub(super) name: Arc<str>,
    pub(super) event: Arc<str>,
    pub(super) count: usize,
    pub(super) window: u64,
    pub(super) distinct: bool,
    pub(super) mute: u64,
    pub(super) action: Action,
}

/// The verdict of a rule on an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The rule is not met.
    Below,
    /// The rule is met but muted, after a recent alert.
    Muted,
    /// The rule is met.
    Alert,
}

/// The state of a rule for one client.
#[derive(Debug)]
pub(super) struct RuleState {
    seen: Seen,
    muted_until: u64,
    nearness: Nearness,
}

#[derive(Debug)]
enum Seen {
    Events(EventWindow),
    Details(DetailWindow),
}

/// How near a client was to an alert at its last event, valid while that event is in the window. Kept so that clients are
/// compared without reading their windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Nearness {
    /// The events in the window, in thousandths of the rule's count.
    heat: usize,
    until: u64,
}

/// The heat of a muted client: below a client near its first alert, above one with few events.
const MUTED: usize = 500;

impl Nearness {
    pub(super) fn heat(self, now: u64) -> usize {
        if now < self.until { self.heat } else { 0 }
    }

    /// The hotter of two; of equals the one that is valid longer.
    pub(super) fn or(self, other: Self, now: u64) -> Self {
        if (self.heat(now), self.until) < (other.heat(now), other.until) { other } else { self }
    }

    /// The clock was set back: it is valid until `latest` at most.
    pub(super) fn cut(&mut self, latest: u64) {
        self.until = self.until.min(latest);
    }
}

impl Rule {
    /// Whether both count alike, so that the state of one is valid for the other.
    pub(super) fn counts_as(&self, other: &Self) -> bool {
        let counted = |rule: &Self| (rule.count, rule.window, rule.distinct);
        self.name == other.name && self.event == other.event && counted(self) == counted(other)
    }

    pub(super) fn new_state(&self) -> RuleState {
        let seen = match self.distinct {
            false => Seen::Events(EventWindow::default()),
            true => Seen::Details(DetailWindow::default()),
        };
        RuleState { seen, muted_until: 0, nearness: Nearness::default() }
    }

    /// Counts an event and judges it. A rule that counts different details ignores an event without one.
    pub(super) fn judge(&self, state: &mut RuleState, detail: Option<KeyHash>, now: u64) -> Verdict {
        let found = match (&mut state.seen, detail) {
            (Seen::Events(window), _) => window.add(now, self.window, self.count),
            (Seen::Details(window), Some(detail)) => window.add(detail, now, self.window, self.count),
            (Seen::Details(_), None) => return Verdict::Below,
        };
        let verdict = if found < self.count {
            Verdict::Below
        } else if now < state.muted_until {
            Verdict::Muted
        } else {
            state.muted_until = now + self.mute;
            Verdict::Alert
        };
        let heat = if now < state.muted_until { MUTED } else { found * 1_000 / self.count };
        state.nearness = Nearness { heat, until: now + self.window };
        verdict
    }

    /// The clock was set back: no event is later than `now`, and the rule is muted for at most its `mute`.
    pub(super) fn clock_was_set_back(&self, state: &mut RuleState, now: u64) {
        match &mut state.seen {
            Seen::Events(window) => window.cut(now),
            Seen::Details(window) => window.cut(now),
        }
        state.muted_until = state.muted_until.min(now + self.mute);
        state.nearness.cut(now + self.window);
    }
}

impl RuleState {
    /// The state of a new client; keeps the memory.
    pub(super) fn clear(&mut self) {
        match &mut self.seen {
            Seen::Events(window) => window.clear(),
            Seen::Details(window) => window.clear(),
        }
        self.muted_until = 0;
        self.nearness = Nearness::default();
    }

    pub(super) fn nearness(&self) -> Nearness {
        self.nearness
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::key_hash::hash_bytes;

    fn rule(count: usize, window: u64, mute: u64) -> Rule {
        let (name, event) = ("rule".into(), "event".into());
        Rule { id: 0, name, event, count, window, distinct: false, mute, action: Action::Alert }
    }

    fn judge_at(rule: &Rule, times: &[u64]) -> Vec<Verdict> {
        let mut state = rule.new_state();
        times.iter().map(|now| rule.judge(&mut state, None, *now)).collect()
    }

    #[test]
    fn is_met_by_the_event_that_reaches_the_count() {
        use Verdict::{Alert, Below, Muted};
        assert_eq!(judge_at(&rule(3, 100, 100), &[0, 1, 2, 3]), [Below, Below, Alert, Muted]);
        assert_eq!(judge_at(&rule(1, 100, 100), &[0, 99, 100]), [Alert, Muted, Alert]);
        assert_eq!(judge_at(&rule(2, 100, 100), &[0, 100, 199]), [Below, Below, Alert]);
    }

    #[test]
    fn events_while_muted_count_afterwards() {
        use Verdict::{Alert, Below, Muted};
        assert_eq!(
            judge_at(&rule(2, 100, 30), &[0, 10, 20, 39, 40, 69, 70]),
            [Below, Alert, Muted, Muted, Alert, Muted, Alert]
        );
        assert_eq!(judge_at(&rule(2, 10, 500), &[0, 1, 501, 502]), [Below, Alert, Below, Alert]);
        assert_eq!(judge_at(&rule(2, 100, 0), &[0, 1, 2]), [Below, Alert, Alert]);
    }

    #[test]
    fn a_client_is_nearest_just_before_its_alert() {
        let rule = rule(4, 100, 50);
        let mut state = rule.new_state();
        let heats = [0, 1, 2, 3].map(|now| {
            rule.judge(&mut state, None, now);
            state.nearness().heat(now)
        });
        assert_eq!(heats, [250, 500, 750, MUTED]);
        assert_eq!([102, 103].map(|now| state.nearness().heat(now)), [MUTED, 0]);
    }

    #[test]
    fn a_distinct_rule_ignores_an_event_without_detail() {
        let rule = Rule { distinct: true, ..rule(2, 100, 0) };
        let mut state = rule.new_state();
        let one = Some(hash_bytes(b"one"));
        let verdicts = [one, None, one, None, Some(hash_bytes(b"other")), None, one]
            .map(|detail| rule.judge(&mut state, detail, 0));
        use Verdict::{Alert, Below};
        assert_eq!(verdicts, [Below, Below, Below, Below, Alert, Below, Alert]);
    }

    #[test]
    fn a_clock_set_back_mutes_no_client_for_longer() {
        let rule = rule(1, 100, 100);
        let mut state = rule.new_state();
        assert_eq!(rule.judge(&mut state, None, 1_000_000), Verdict::Alert);
        rule.clock_was_set_back(&mut state, 10);
        assert_eq!(rule.judge(&mut state, None, 109), Verdict::Muted);
        assert_eq!(rule.judge(&mut state, None, 110), Verdict::Alert);
    }
}
