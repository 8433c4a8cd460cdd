//! Deciding a call by all limits of its key, and describing the outcome.

use super::algorithm::{Algorithm, Refused};
use super::config::{RateLimiterConfig, Rule};
use super::options::MAX_LIMITS;
use crate::key_table::{Client, Full, Step, Words};

/// The outcome of one call. Times are nanoseconds.
///
/// It describes the limit that refuses longest, or else the one with the least remaining share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The call is admitted.
    pub allowed: bool,
    /// Which of the limits is described.
    pub policy: usize,
    /// Units per window.
    pub limit: u64,
    /// Units that would still be admitted at once.
    pub remaining: u64,
    /// Until the key has its full quota.
    pub reset_after: u64,
    /// Until the same call is admitted if nothing else arrives; 0 when allowed, `None` when never.
    pub retry_after: Option<u64>,
    /// Until at least one unit more is available; 0 when none is missing.
    pub more_after: u64,
    /// Under `dryRun`: whether the call would have been refused. `None` when the limiter is live.
    pub would_refuse: Option<bool>,
    /// The generation of the options that decided: raised by every `reconfigure`.
    pub generation: u64,
    /// What taking the charge back requires.
    pub receipt: Receipt,
}

/// What is needed to take a charge back. Times are nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// The time by which the call was decided.
    pub at: u64,
    /// The limit that decided, which may have been one for this call; of several limits, the first.
    pub limit: u64,
    /// For each limit, when the key has its full quota again if nothing else arrives.
    pub settles: [u64; MAX_LIMITS],
}

/// The outcome of one charge, before it is described.
#[derive(Default)]
pub(super) struct Charge<W> {
    /// What refuses longest, and for how long.
    pub(super) refused: Option<(usize, Refused)>,
    /// The key's state after the call, and the time that decided.
    client: Client<W>,
    now: u64,
}

/// Charges all limits of a key or none. The outcome is left in `charge`, where it stays in registers.
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

/// The outcome that a call would have; charges nothing.
pub(super) fn foresee<W: Words>(rules: &[Rule], client: Client<W>, cost: u64, now: u64) -> Charge<W> {
    Charge { refused: judge(rules, &client, cost, now).err(), client, now }
}

/// The words after the call; `None` when it is refused. As [`judge`], without the reason.
#[inline]
pub(super) fn admit<W: Words>(rules: &[Rule], client: &Client<W>, cost: u64, now: u64) -> Option<W> {
    let mut next = client.words;
    for (rule, word) in rules.iter().zip(next.as_mut()) {
        *word = rule.algorithm.decide(*word, now, cost).ok()?;
    }
    (client.blocked_until <= now).then_some(next)
}

/// The words after the call, or the limit that refuses longest. A block refuses whatever the limits decide.
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

/// Nanoseconds until the words equal those of a new key.
pub(super) fn lifetime(rules: &[Rule], words: impl AsRef<[u64]>, now: u64) -> u64 {
    let resets = rules.iter().zip(words.as_ref()).map(|(rule, word)| rule.algorithm.reset_after(*word, now));
    resets.fold(0, u64::max)
}

/// The words after the same operation on the word of each limit.
pub(super) fn each<W: Words>(rules: &[Rule], mut words: W, operation: impl Fn(&Rule, u64) -> u64) -> W {
    for (rule, word) in rules.iter().zip(words.as_mut()) {
        *word = operation(rule, *word);
    }
    words
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
    /// The outcome of a call that was admitted elsewhere, and left the key as `client`.
    pub(super) fn of_admitted(client: Client<W>, now: u64) -> Self {
        Self { refused: None, client, now }
    }

    /// The words that the call has written, if it was admitted.
    pub(super) fn written(&self) -> Option<W> {
        self.refused.is_none().then_some(self.client.words)
    }

    #[inline(always)]
    pub(super) fn describe(&self, config: &RateLimiterConfig) -> Decision {
        let Self { refused, client, now } = self;
        let (rules, words) = (&config.rules, client.words.as_ref());
        let policy = refused.map_or_else(|| tightest(rules, words, *now), |(index, _)| index);
        let outcome = Outcome {
            word: words[policy],
            now: *now,
            refused: refused.map(|(_, refused)| refused),
            block: client.blocked_until.saturating_sub(*now),
        };
        let Rule { algorithm, limit, .. } = &rules[policy];
        let described = Described { policy, limit: *limit, algorithm, generation: config.generation };
        described.decision(&outcome, self.receipt(rules))
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

/// The outcome of a call by one limit.
pub(super) struct Outcome {
    /// The key's word after the call.
    pub(super) word: u64,
    pub(super) now: u64,
    pub(super) refused: Option<Refused>,
    /// Nanoseconds for which the key is blocked.
    pub(super) block: u64,
}

/// The limit that a decision describes.
pub(super) struct Described<'a> {
    pub(super) policy: usize,
    pub(super) limit: u64,
    pub(super) algorithm: &'a Algorithm,
    pub(super) generation: u64,
}

impl Described<'_> {
    #[inline(always)]
    pub(super) fn decision(&self, outcome: &Outcome, receipt: Receipt) -> Decision {
        let Outcome { word, now, refused, block } = *outcome;
        let (remaining, more_after) =
            (self.algorithm.remaining(word, now), self.algorithm.until_more(word, now));
        Decision {
            allowed: refused.is_none(),
            policy: self.policy,
            limit: self.limit,
            remaining: if block > 0 { 0 } else { remaining },
            reset_after: self.algorithm.reset_after(word, now).max(block),
            retry_after: match refused {
                None => Some(0),
                Some(Refused::For(wait)) => Some(wait),
                Some(Refused::Ever) => None,
            },
            // The end of a block makes available what remains.
            more_after: if block > 0 && remaining > 0 { block } else { more_after.max(block) },
            would_refuse: None,
            generation: self.generation,
            receipt,
        }
    }
}

impl Decision {
    /// For a new key that found the table full. When the first slot is freed is all that is known.
    pub(super) fn of_full_table(full: &Full, config: &RateLimiterConfig, refused: bool, now: u64) -> Self {
        let wait = if refused { full.earliest_vacancy.saturating_sub(now) } else { 0 };
        let Rule { limit, algorithm, .. } = &config.rules[0];
        Self {
            allowed: !refused,
            policy: 0,
            limit: *limit,
            remaining: if refused { 0 } else { algorithm.capacity() },
            reset_after: wait,
            retry_after: Some(wait),
            more_after: wait,
            would_refuse: None,
            generation: config.generation,
            receipt: Receipt::default(),
        }
    }

    /// Under `dryRun` every call is admitted, and the decision says which would have been refused.
    pub(super) fn pass_if_dry(mut self, config: &RateLimiterConfig) -> Self {
        if config.options.dry_run {
            self.would_refuse = Some(!self.allowed);
            (self.allowed, self.retry_after) = (true, Some(0));
        }
        self
    }
}
