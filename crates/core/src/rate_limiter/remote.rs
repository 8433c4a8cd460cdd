//! Keys whose state lies elsewhere: a server that many machines ask decides, and this process describes the decision.

use super::algorithm::{Algorithm, Refused};
use super::call::Call;
use super::config::{RateLimiterConfig, Rule};
use super::contents::with_table;
use super::decision::{Charge, Decision, Receipt, each, foresee, lifetime};
use super::limiter::RateLimiter;
use super::options::MAX_LIMITS;
use crate::Result;
use crate::key_table::{Client, Step, Words};
use crate::runtime::key_hash::KeyHash;
use crate::runtime::sharded_counters::Count;

/// A limit in the terms of its algorithm. Times are nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// A bucket that refills evenly.
    Gcra {
        /// Between two units at the sustained rate.
        emission_interval: u64,
        /// Units that may arrive at once.
        burst: u64,
    },
    /// A count per window, which starts with the key's first call.
    FixedWindow {
        /// Units per window.
        limit: u64,
        /// Its length.
        window: u64,
    },
    /// The counts of two aligned windows, weighted by time.
    SlidingWindow {
        /// Units per window.
        limit: u64,
        /// Its length.
        window: u64,
    },
}

/// What a server knows of a key by one limit. Times are nanoseconds from the server's now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoteWord {
    /// GCRA: until the bucket is full again.
    Debt(u64),
    /// Fixed window: units used, and until the window ends.
    Running {
        /// Units used.
        count: u64,
        /// Until its end.
        left: u64,
    },
    /// Sliding window: units used in the window before and in the current one.
    Counts {
        /// In the window before.
        previous: u64,
        /// In the current one.
        current: u64,
    },
}

/// What a server knows of a key. Times are nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct RemoteState<'a> {
    /// The server's clock, since 1970.
    pub now: u64,
    /// Until the end of the key's block; 0 for none.
    pub block: u64,
    /// Of each limit, in their order.
    pub words: &'a [RemoteWord],
}

/// What a server decided about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteVerdict {
    /// Whether it admitted the call.
    pub allowed: bool,
    /// Units the call asked for.
    pub cost: u64,
    /// Units that the server charged to the key, the call's own among them, since the state that it reported.
    pub charged: u64,
}

impl RateLimiterConfig {
    /// The limits, in their order.
    #[must_use]
    pub fn rates(&self) -> Vec<Rate> {
        self.rules.iter().map(|rule| rule.algorithm.rate()).collect()
    }

    /// Units per window of the first limit.
    #[must_use]
    pub fn first_limit(&self) -> u64 {
        self.rules[0].limit
    }

    /// This config with another limit, for one call.
    ///
    /// # Errors
    ///
    /// An invalid limit, or a config of several limits.
    pub fn for_limit(&self, limit: u64) -> Result<Self> {
        self.with_limit(limit)
    }

    /// Describes the decision of a server, as if the key were in the table of this process.
    #[must_use]
    pub fn describe_remote(&self, state: &RemoteState<'_>, verdict: RemoteVerdict) -> Decision {
        let RemoteVerdict { allowed, cost, charged } = verdict;
        let Client { mut words, blocked_until } = self.client_of(state);
        if charged > 0 {
            let charge = |rule: &Rule, word| rule.algorithm.penalize(word, state.now, charged);
            words = each(&self.rules, words, charge);
        }
        let client = Client { words, blocked_until };
        let outcome = if allowed {
            Charge::of_admitted(client, state.now)
        } else {
            let mut foreseen = foresee(&self.rules, client, cost, state.now);
            // The server may round the elapsed time down further, and so refuse a moment longer.
            foreseen.refused.get_or_insert((0, Refused::For(1)));
            foreseen
        };
        outcome.describe(self).pass_if_dry(self)
    }

    /// The decision on a call of cost 1, which the server was not asked to charge.
    #[must_use]
    pub fn foresee_remote(&self, state: &RemoteState<'_>) -> Decision {
        foresee(&self.rules, self.client_of(state), 1, state.now).describe(self).pass_if_dry(self)
    }

    fn client_of(&self, state: &RemoteState<'_>) -> Client<[u64; MAX_LIMITS]> {
        let mut words = [0; MAX_LIMITS];
        for ((rule, word), known) in self.rules.iter().zip(&mut words).zip(state.words) {
            *word = rule.algorithm.word_of(*known, state.now);
        }
        Client { words, blocked_until: if state.block > 0 { state.now + state.block } else { 0 } }
    }

    /// The decision that replaces a server's, where the server cannot be asked. A refusal may be retried after
    /// `retry_after` nanoseconds.
    #[must_use]
    pub fn describe_unasked(&self, allowed: bool, retry_after: u64) -> Decision {
        let capacity = self.rules[0].algorithm.capacity();
        let wait = if allowed { 0 } else { retry_after };
        Decision {
            allowed,
            policy: 0,
            limit: self.rules[0].limit,
            remaining: if allowed { capacity } else { 0 },
            reset_after: wait,
            retry_after: Some(wait),
            more_after: wait,
            would_refuse: None,
            generation: self.generation,
            receipt: Receipt::default(),
        }
        .pass_if_dry(self)
    }
}

impl RateLimiter {
    /// Takes over what a server knows of a key, with the units charged since to each limit, where that leaves less than this
    /// process has counted. Without the server, the process then goes on from there.
    ///
    /// # Errors
    ///
    /// The limiter is destroyed.
    pub fn learn(
        &self,
        key: KeyHash,
        state: &RemoteState<'_>,
        charged: &[u64; MAX_LIMITS],
        now: u64,
    ) -> Result<()> {
        self.call(|call| call.learn(key, state, charged, now))
    }
}

impl<C: Count> Call<'_, C> {
    fn learn(&self, key: KeyHash, state: &RemoteState<'_>, charged: &[u64; MAX_LIMITS], now: u64) {
        let rules = &self.config.rules;
        with_table!(self.contents, table => {
            let adopt = |client: &Client<_>, now| {
                let words = with_less(rules, client.words, (state.words, charged), now);
                if words == client.words { Step::Keep(None) } else { Step::Write(words, Some(words)) }
            };
            // A table without room counts nothing of the key either way.
            let written = table.update(key, now, |words, now| lifetime(rules, words, now), adopt);
            self.settle(table, key, now, written.ok().flatten());
        });
        if state.block > 0 {
            self.block(key, now + state.block, now);
        }
    }
}

/// Of each limit the word that leaves less: what is known here, or what a server knows and has charged since.
fn with_less<W: Words>(
    rules: &[Rule],
    mut words: W,
    (of_server, charged): (&[RemoteWord], &[u64; MAX_LIMITS]),
    now: u64,
) -> W {
    let known = of_server.iter().zip(charged);
    for ((rule, word), (known, charged)) in rules.iter().zip(words.as_mut()).zip(known) {
        let mut other = rule.algorithm.word_of(*known, now);
        if *charged > 0 {
            other = rule.algorithm.penalize(other, now, *charged);
        }
        if rule.algorithm.remaining(other, now) < rule.algorithm.remaining(*word, now) {
            *word = other;
        }
    }
    words
}

impl Algorithm {
    fn rate(&self) -> Rate {
        match self {
            Self::Gcra(rate) => Rate::Gcra { emission_interval: rate.emission_interval, burst: rate.burst },
            Self::FixedWindow(rate) => Rate::FixedWindow { limit: rate.capacity(), window: rate.window() },
            Self::SlidingWindow(rate) => {
                Rate::SlidingWindow { limit: rate.capacity(), window: rate.window() }
            }
        }
    }

    /// The word of this process for what a server knows; that of a new key where the server means another algorithm.
    fn word_of(&self, known: RemoteWord, now: u64) -> u64 {
        match (self, known) {
            (Self::Gcra(rate), RemoteWord::Debt(debt)) if debt > 0 => now + debt.min(rate.tolerance()),
            (Self::FixedWindow(rate), RemoteWord::Running { count, left }) if count > 0 => {
                rate.word_ending(now + left, count)
            }
            (Self::SlidingWindow(rate), RemoteWord::Counts { previous, current }) => {
                rate.word_at(now, previous, current)
            }
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate_limiter::{AlgorithmKind, RateLimiter, RateLimiterOptions};
    use crate::runtime::clock::MS;
    use crate::runtime::key_hash::hash_str;

    const NOW: u64 = 1_800_000_000_000 * MS;

    fn config(kind: AlgorithmKind) -> RateLimiterConfig {
        RateLimiterOptions::by(kind, 10, 1_000).try_into().expect("valid")
    }

    /// What a server knows after `used` units, `later` nanoseconds ago, says what the process itself would.
    fn compare(kind: AlgorithmKind, later: u64, word: impl Fn(u64) -> RemoteWord) {
        for used in 1..=10 {
            let (config, key) = (config(kind), hash_str("client"));
            let limiter = RateLimiter::new("same", config.clone());
            assert!(limiter.try_consume(key, used, NOW).expect("open"));
            let words = [word(used)];
            let state = RemoteState { now: NOW + later, block: 0, words: &words };
            let mine = limiter.consume(key, 2, NOW + later).expect("open");
            let charged = if mine.allowed { 2 } else { 0 };
            let verdict = RemoteVerdict { allowed: mine.allowed, cost: 2, charged };
            assert_eq!(config.describe_remote(&state, verdict), mine, "{kind:?} after {used}");
        }
    }

    #[test]
    fn describes_what_the_process_would_have_decided() {
        let later = 50 * MS;
        compare(AlgorithmKind::Gcra, later, |used| RemoteWord::Debt(used * 100 * MS - later));
        compare(AlgorithmKind::FixedWindow, later, |used| RemoteWord::Running {
            count: used,
            left: 1_000 * MS - later,
        });
        compare(AlgorithmKind::SlidingWindow, later, |used| RemoteWord::Counts {
            previous: 0,
            current: used,
        });
    }

    #[test]
    fn goes_on_from_what_the_server_knew() {
        let (later, key) = (50 * MS, hash_str("client"));
        for (kind, word) in [
            (AlgorithmKind::Gcra, RemoteWord::Debt(600 * MS)),
            (AlgorithmKind::FixedWindow, RemoteWord::Running { count: 6, left: 900 * MS }),
            (AlgorithmKind::SlidingWindow, RemoteWord::Counts { previous: 0, current: 6 }),
        ] {
            let limiter = RateLimiter::new("local", config(kind));
            let words = [word];
            let state = RemoteState { now: NOW / 2, block: 0, words: &words };
            limiter.learn(key, &state, &[1; MAX_LIMITS], NOW).expect("open");
            assert_eq!(limiter.peek(key, NOW).expect("open").remaining, 3, "{kind:?}");
            assert!(limiter.try_consume(key, 3, NOW).expect("open"));
            // What the process has counted itself is not forgotten.
            limiter.learn(key, &state, &[0; MAX_LIMITS], NOW).expect("open");
            assert!(!limiter.try_consume(key, 1, NOW + later).expect("open"), "{kind:?}");
            assert_eq!(limiter.stats(NOW).expect("open").allowed, 1, "what is learned is no call");
        }
        let limiter = RateLimiter::new("blocked", config(AlgorithmKind::Gcra));
        let state = RemoteState { now: NOW, block: 700 * MS, words: &[RemoteWord::Debt(0)] };
        limiter.learn(key, &state, &[0; MAX_LIMITS], NOW).expect("open");
        assert!(!limiter.try_consume(key, 1, NOW + 600 * MS).expect("open"));
        assert!(limiter.try_consume(key, 1, NOW + 700 * MS).expect("open"));
    }

    #[test]
    fn a_block_refuses_until_its_end() {
        let words = [RemoteWord::Debt(0)];
        let state = RemoteState { now: NOW, block: 700 * MS, words: &words };
        let verdict = RemoteVerdict { allowed: false, cost: 1, charged: 0 };
        let decision = config(AlgorithmKind::Gcra).describe_remote(&state, verdict);
        assert_eq!((decision.allowed, decision.retry_after), (false, Some(700 * MS)));
    }

    #[test]
    fn a_refusal_of_the_server_stays_one() {
        let words = [RemoteWord::Debt(0)];
        let state = RemoteState { now: NOW, block: 0, words: &words };
        let verdict = RemoteVerdict { allowed: false, cost: 1, charged: 0 };
        assert!(!config(AlgorithmKind::Gcra).describe_remote(&state, verdict).allowed);
    }

    #[test]
    fn without_a_server_a_refusal_may_be_retried() {
        let config = config(AlgorithmKind::Gcra);
        let refused = config.describe_unasked(false, 1_000 * MS);
        assert_eq!((refused.allowed, refused.remaining, refused.retry_after), (false, 0, Some(1_000 * MS)));
        let allowed = config.describe_unasked(true, 1_000 * MS);
        assert_eq!((allowed.allowed, allowed.remaining, allowed.retry_after), (true, 10, Some(0)));
    }
}
