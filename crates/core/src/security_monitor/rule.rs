//! When a client meets a rule.

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

/// A rule, ready to judge. Times are nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// Clients keep what a rule knows of them under this number, which a rule that counts otherwise has not.
    pub(super) id: u32,
    pub(super) name: Arc<str>,
    pub(super) event: Arc<str>,
    pub(super) count: usize,
    pub(super) window: u64,
    pub(super) distinct: bool,
    pub(super) mute: u64,
    pub(super) action: Action,
}

/// What an event is to a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing yet.
    Below,
    /// It meets the rule, which was met shortly before.
    Muted,
    /// It meets the rule.
    Alert,
}

/// What a rule knows of one client.
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

/// How near a client was to an alert at its last event, and until when that says anything: while that event is in the
/// window. Kept so that clients can be compared without looking into their windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Nearness {
    /// Found of those it takes, in thousandths.
    heat: usize,
    until: u64,
}

/// One that has had its alert is of less interest than one that is about to cause its first, and of more than one that
/// hardly did anything.
const MUTED: usize = 500;

impl Nearness {
    pub(super) fn heat(self, now: u64) -> usize {
        if now < self.until { self.heat } else { 0 }
    }

    /// The hotter of two; of equals that which lasts.
    pub(super) fn or(self, other: Self, now: u64) -> Self {
        if (self.heat(now), self.until) < (other.heat(now), other.until) { other } else { self }
    }

    /// The clock was set back: what lies later is over at `latest`.
    pub(super) fn cut(&mut self, latest: u64) {
        self.until = self.until.min(latest);
    }
}

impl Rule {
    /// Whether both count alike, so that what one knows of a client is true for the other.
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

    /// Counts an event and judges it. Without a detail it is nothing to a rule that counts different ones.
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

    /// The clock was set back: nothing is later than `now`, and no silence longer than the rule's.
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
    /// As of a client never seen; the memory stays.
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
    fn is_met_by_the_event_that_makes_the_count() {
        use Verdict::{Alert, Below, Muted};
        assert_eq!(judge_at(&rule(3, 100, 100), &[0, 1, 2, 3]), [Below, Below, Alert, Muted]);
        assert_eq!(judge_at(&rule(1, 100, 100), &[0, 99, 100]), [Alert, Muted, Alert]);
        assert_eq!(judge_at(&rule(2, 100, 100), &[0, 100, 199]), [Below, Below, Alert]);
    }

    #[test]
    fn after_its_silence_what_is_in_the_window_counts() {
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
    fn an_event_without_detail_is_none_of_the_different_ones() {
        let rule = Rule { distinct: true, ..rule(2, 100, 0) };
        let mut state = rule.new_state();
        let one = Some(hash_bytes(b"one"));
        let verdicts = [one, None, one, None, Some(hash_bytes(b"other")), None, one]
            .map(|detail| rule.judge(&mut state, detail, 0));
        use Verdict::{Alert, Below};
        assert_eq!(verdicts, [Below, Below, Below, Below, Alert, Below, Alert]);
    }

    #[test]
    fn a_clock_set_back_silences_nobody_for_longer() {
        let rule = rule(1, 100, 100);
        let mut state = rule.new_state();
        assert_eq!(rule.judge(&mut state, None, 1_000_000), Verdict::Alert);
        rule.clock_was_set_back(&mut state, 10);
        assert_eq!(rule.judge(&mut state, None, 109), Verdict::Muted);
        assert_eq!(rule.judge(&mut state, None, 110), Verdict::Alert);
    }
}
