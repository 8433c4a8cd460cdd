//! Judging a client by all its limits, and telling what came of it.

use super::algorithm::Refused;
use super::cell::{Cell, Step, Words};
use super::options::{MAX_LIMITS, RateLimiterConfig, Rule};

/// What is to be told about one call. Times are nanoseconds.
///
/// It describes the limit that refuses longest, or else the one with the least remaining share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The call may pass.
    pub allowed: bool,
    /// Which of the limits is described.
    pub policy: usize,
    /// Units per window.
    pub limit: u64,
    /// Units that would still be admitted at once.
    pub remaining: u64,
    /// Until the client is as if never seen.
    pub reset_after: u64,
    /// Until the same call is admitted if nothing else comes; 0 when allowed, `None` when never.
    pub retry_after: Option<u64>,
    /// Until at least one unit more is available; 0 when none is missing.
    pub more_after: u64,
    /// Under `dryRun`: whether the call would have been refused. `None` when the limiter is live.
    pub would_refuse: Option<bool>,
    /// Which options it was decided by: raised by every `reconfigure`.
    pub generation: u64,
    /// When it was decided, and when each limit will have forgotten it: what undoing the charge takes.
    pub receipt: Receipt,
}

/// What is needed to take a charge back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// The time at which the call was judged.
    pub at: u64,
    /// The limit it was judged by, which may have been one for this call; of several limits, the first.
    pub limit: u64,
    /// For each limit, when it will have forgotten the charge.
    pub settles: [u64; MAX_LIMITS],
}

/// The outcome of one charge, before it is told to anybody.
pub(super) struct Charge {
    /// What refuses longest, and for how long.
    pub(super) refused: Option<(usize, Refused)>,
    /// The client's words after the call, the end of its block and the time it was judged by.
    words: Words,
    blocked_until: u64,
    now: u64,
}

/// Charges all limits of a client or none.
pub(super) fn charge(rules: &[Rule], cell: &Cell, cost: u64, now: u64) -> Charge {
    let blocked_until = cell.blocked_until();
    cell.update(|words| match judge(rules, words, blocked_until, now, cost) {
        Ok(next) => Step::Write(next, Charge { refused: None, words: next, blocked_until, now }),
        Err(refused) => Step::Keep(Charge { refused: Some(refused), words: *words, blocked_until, now }),
    })
}

/// What a call would come to; charges nothing.
pub(super) fn foresee(rules: &[Rule], words: Words, blocked_until: u64, now: u64, cost: u64) -> Charge {
    Charge { refused: judge(rules, &words, blocked_until, now, cost).err(), words, blocked_until, now }
}

/// The words after the call; or the limit that refuses longest. A block refuses whatever the limits say.
fn judge(
    rules: &[Rule],
    words: &Words,
    blocked_until: u64,
    now: u64,
    cost: u64,
) -> Result<Words, (usize, Refused)> {
    let mut next = *words;
    let mut refused: Option<(usize, Refused)> = None;
    for (index, rule) in rules.iter().enumerate() {
        match rule.algorithm.decide(words[index], now, cost) {
            Ok(word) => next[index] = word,
            Err(wait) if refused.is_none_or(|(_, longest)| wait > longest) => refused = Some((index, wait)),
            Err(_) => {}
        }
    }
    let block = blocked_until.saturating_sub(now);
    match refused {
        None if block == 0 => Ok(next),
        None => Err((tightest(rules, words, now), Refused::For(block))),
        Some((index, Refused::For(wait))) => Err((index, Refused::For(wait.max(block)))),
        Some(never) => Err(never),
    }
}

/// The limit with the least remaining share.
fn tightest(rules: &[Rule], words: &Words, now: u64) -> usize {
    let share = |index: usize| {
        let algorithm = &rules[index].algorithm;
        (u128::from(algorithm.remaining(words[index], now)), u128::from(algorithm.capacity()))
    };
    (1..rules.len()).fold(0, |best, index| {
        let ((least, of), (remaining, capacity)) = (share(best), share(index));
        if remaining * of < least * capacity { index } else { best }
    })
}

impl Charge {
    pub(super) fn describe(&self, config: &RateLimiterConfig) -> Decision {
        let Self { refused, words, blocked_until, now } = self;
        let (now, rules) = (*now, &config.rules);
        let block = blocked_until.saturating_sub(now);
        let policy = refused.map_or_else(|| tightest(rules, words, now), |(index, _)| index);
        let (Rule { algorithm, limit, .. }, word) = (&rules[policy], words[policy]);
        Decision {
            allowed: refused.is_none(),
            policy,
            limit: *limit,
            remaining: if block > 0 { 0 } else { algorithm.remaining(word, now) },
            reset_after: algorithm.reset_after(word, now).max(block),
            retry_after: match refused {
                None => Some(0),
                Some((_, Refused::For(wait))) => Some(*wait),
                Some((_, Refused::Ever)) => None,
            },
            more_after: match algorithm.decide(word, now, 1) {
                Err(Refused::For(wait)) => wait.max(block),
                _ if block > 0 => block,
                _ => algorithm.until_more(word, now),
            },
            would_refuse: None,
            generation: config.generation,
            receipt: self.receipt(rules),
        }
    }

    fn receipt(&self, rules: &[Rule]) -> Receipt {
        let mut receipt = Receipt { at: self.now, limit: rules[0].limit, ..Receipt::default() };
        for ((rule, word), settles) in rules.iter().zip(self.words).zip(&mut receipt.settles) {
            *settles = self.now + rule.algorithm.reset_after(word, self.now);
        }
        receipt
    }
}

impl Decision {
    /// Under `dryRun` nobody is refused, and what would have been is told.
    pub(super) fn pass_if_dry(mut self, config: &RateLimiterConfig) -> Self {
        if config.options.dry_run {
            self.would_refuse = Some(!self.allowed);
            (self.allowed, self.retry_after) = (true, Some(0));
        }
        self
    }
}
