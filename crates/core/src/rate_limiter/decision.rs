//! Judging a client by all its limits, and telling what came of it.

use super::algorithm::Refused;
use super::cell::{Step, Words};
use super::config::{RateLimiterConfig, Rule};
use super::options::MAX_LIMITS;
use super::table::Client;

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
#[derive(Default)]
pub(super) struct Charge<W> {
    /// What refuses longest, and for how long.
    pub(super) refused: Option<(usize, Refused)>,
    /// The client after the call, and the time it was judged by.
    client: Client<W>,
    now: u64,
}

/// Charges all limits of a client or none. What came of it is left in `charge`, where it stays in registers.
#[inline]
pub(super) fn charge<W: Words>(
    rules: &[Rule],
    client: &Client<W>,
    cost: u64,
    now: u64,
    charge: &mut Charge<W>,
) -> Step<W, ()> {
    match judge(rules, client, cost, now) {
        Ok(words) => {
            *charge = Charge { refused: None, client: Client { words, ..*client }, now };
            Step::Write(words, ())
        }
        Err(refused) => {
            *charge = Charge { refused: Some(refused), client: *client, now };
            Step::Keep(())
        }
    }
}

/// What a call would come to; charges nothing.
pub(super) fn foresee<W: Words>(rules: &[Rule], client: Client<W>, cost: u64, now: u64) -> Charge<W> {
    Charge { refused: judge(rules, &client, cost, now).err(), client, now }
}

/// The words after the call if nothing refuses it: as [`judge`], without reasons.
#[inline]
pub(super) fn admit<W: Words>(rules: &[Rule], client: &Client<W>, cost: u64, now: u64) -> Option<W> {
    let mut next = client.words;
    for (rule, word) in rules.iter().zip(next.as_mut()) {
        *word = rule.algorithm.decide(*word, now, cost).ok()?;
    }
    (client.blocked_until <= now).then_some(next)
}

/// The words after the call; or the limit that refuses longest. A block refuses whatever the limits say.
fn judge<W: Words>(rules: &[Rule], client: &Client<W>, cost: u64, now: u64) -> Result<W, (usize, Refused)> {
    let words = client.words.as_ref();
    let mut next = client.words;
    let mut refused: Option<(usize, Refused)> = None;
    for (index, (rule, next)) in rules.iter().zip(next.as_mut()).enumerate() {
        match rule.algorithm.decide(*next, now, cost) {
            Ok(word) => *next = word,
            Err(wait) if refused.is_none_or(|(_, longest)| wait > longest) => refused = Some((index, wait)),
            Err(_) => {}
        }
    }
    let block = client.blocked_until.saturating_sub(now);
    match refused {
        None if block == 0 => Ok(next),
        None => Err((tightest(rules, words, now), Refused::For(block))),
        Some((index, Refused::For(wait))) => Err((index, Refused::For(wait.max(block)))),
        Some(never) => Err(never),
    }
}

/// The limit with the least remaining share.
fn tightest(rules: &[Rule], words: &[u64], now: u64) -> usize {
    let share = |index: usize| {
        let algorithm = &rules[index].algorithm;
        (u128::from(algorithm.remaining(words[index], now)), u128::from(algorithm.capacity()))
    };
    (1..rules.len()).fold(0, |best, index| {
        let ((least, of), (remaining, capacity)) = (share(best), share(index));
        if remaining * of < least * capacity { index } else { best }
    })
}

impl<W: Words> Charge<W> {
    /// The words that an admitted call has written.
    pub(super) fn written(&self) -> Option<W> {
        self.refused.is_none().then_some(self.client.words)
    }

    #[inline(always)]
    pub(super) fn describe(&self, config: &RateLimiterConfig) -> Decision {
        let Self { refused, client, now } = self;
        let (now, rules, words) = (*now, &config.rules, client.words.as_ref());
        let Client { blocked_until, .. } = client;
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
        for ((rule, word), settles) in rules.iter().zip(self.client.words.as_ref()).zip(&mut receipt.settles)
        {
            *settles = self.now + rule.algorithm.reset_after(*word, self.now);
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
