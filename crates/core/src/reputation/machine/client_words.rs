//! The history of a client as words, of which there is a fixed number: for memory that processes share.
//!
//! | word | |
//! |---|---|
//! | 0 | end of the last ban; 0 for none |
//! | 1, 2 | the client, its upper bits first |
//! | 3, 4 | `quiet_since`, `quiet_period` |
//! | 5 | `bans 32 : cause 2 : length of the reason plus 1, or 0 : 6` |
//! | 6 | failures that led to the ban |
//! | 7 to 10 | the first 32 bytes of the reason |
//! | 11 … | moments of failures, `milliseconds 44 : failures 20`; 0 for none |
//!
//! All zero is a new client. Any words are a history: another process may have written them.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::key_table::Words;
use crate::reputation::ban_events::BanCause;
use crate::reputation::client::Client;
use crate::reputation::history::{History, Moment};
use crate::reputation::policy::Policy;
use crate::reputation::verdict::BanTerm;
use crate::runtime::clock::{MS, ceil_ms};

/// Most moments of a client. Models have fewer words, each of which is a step.
pub(super) const MOST_MOMENTS: usize = if cfg!(any(sluice_loom, sluice_shuttle)) { 1 } else { 32 };
const REASON_WORDS: usize = if cfg!(any(sluice_loom, sluice_shuttle)) { 1 } else { 4 };

const UNTIL: usize = 0;
const ADDRESS: usize = 1;
const QUIET_SINCE: usize = 3;
const QUIET_PERIOD: usize = 4;
const MARKS: usize = 5;
const FAILURES: usize = 6;
const REASON: usize = 7;
pub(super) const FIRST_MOMENT: usize = REASON + REASON_WORDS;
const MOST_WORDS: usize = FIRST_MOMENT + MOST_MOMENTS;

const CAUSE_SHIFT: u32 = 32;
const REASON_SHIFT: u32 = 34;
const MOST_FAILURES: u64 = (1 << 20) - 1;
const CAUSES: [BanCause; 4] = [BanCause::Failures, BanCause::Rule, BanCause::Manual, BanCause::File];

/// The words of a client; those of moments that a reputation has no room for stay 0.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct ClientWords([u64; MOST_WORDS]);

impl Default for ClientWords {
    fn default() -> Self {
        Self([0; MOST_WORDS])
    }
}

impl AsRef<[u64]> for ClientWords {
    fn as_ref(&self) -> &[u64] {
        &self.0
    }
}

impl AsMut<[u64]> for ClientWords {
    fn as_mut(&mut self) -> &mut [u64] {
        &mut self.0
    }
}

impl Words for ClientWords {}

impl ClientWords {
    /// The words of a history with at most so many moments: of more, the oldest count at the time of the next one. A
    /// history that equals that of a new client is all zeros.
    pub(super) fn of(client: Client, history: &History, moments: usize) -> Self {
        let mut words = Self::default();
        if history.moments.is_empty() && history.bans == 0 && history.term.is_none() {
            return words;
        }
        let bits = client.bits();
        words.0[ADDRESS..ADDRESS + 2].copy_from_slice(&[(bits >> 64) as u64, bits as u64]);
        words.0[QUIET_SINCE] = history.quiet_since;
        words.0[QUIET_PERIOD] = history.quiet_period;
        words.0[MARKS] = history.bans.into();
        if let Some(term) = &history.term {
            words.set_term(term);
        }
        let kept = history.moments.len().min(moments);
        let (older, newer) = history.moments.as_slices();
        let mut rest = older.iter().chain(newer);
        let merged = rest
            .by_ref()
            .take(history.moments.len() - kept)
            .fold(0, |sum: u64, moment| sum.saturating_add(moment.failures));
        for (index, (word, moment)) in words.0[FIRST_MOMENT..].iter_mut().zip(rest).enumerate() {
            *word = moment_word(moment, if index == 0 { merged } else { 0 });
        }
        words
    }

    fn set_term(&mut self, term: &BanTerm) {
        self.0[UNTIL] = term.until;
        self.0[FAILURES] = term.failures;
        let cause = CAUSES.iter().position(|cause| *cause == term.cause).unwrap_or(0) as u64;
        let reason = term.reason.as_deref().map(cut);
        let length = reason.map_or(0, |reason| reason.len() as u64 + 1);
        self.0[MARKS] |= cause << CAUSE_SHIFT | length << REASON_SHIFT;
        for (word, bytes) in self.0[REASON..].iter_mut().zip(reason.unwrap_or_default().as_bytes().chunks(8))
        {
            let mut whole = [0; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            *word = u64::from_le_bytes(whole);
        }
    }

    /// When the last ban ends, or has ended; 0 without one.
    pub(super) fn until(&self) -> u64 {
        self.0[UNTIL]
    }

    pub(super) fn client(&self) -> Client {
        Client::from_bits(u128::from(self.0[ADDRESS]) << 64 | u128::from(self.0[ADDRESS + 1]))
    }

    pub(super) fn history(&self) -> History {
        History {
            moments: self.moments().collect::<VecDeque<_>>(),
            bans: self.bans(),
            quiet_since: self.0[QUIET_SINCE],
            // A period of 0 would divide by zero, whatever another process wrote.
            quiet_period: self.0[QUIET_PERIOD].max(1),
            term: self.term(),
        }
    }

    pub(super) fn term(&self) -> Option<BanTerm> {
        let marks = self.0[MARKS];
        let term = || BanTerm {
            until: self.until(),
            reason: self.reason(),
            failures: self.0[FAILURES],
            cause: CAUSES[(marks >> CAUSE_SHIFT) as usize % CAUSES.len()],
        };
        (self.until() > 0).then(term)
    }

    fn reason(&self) -> Option<Arc<str>> {
        let length = (self.0[MARKS] >> REASON_SHIFT) as usize % 64;
        let mut bytes = [0; REASON_WORDS * 8];
        for (place, word) in bytes.chunks_exact_mut(8).zip(&self.0[REASON..]) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        let bytes = bytes.get(..length.checked_sub(1)?)?;
        std::str::from_utf8(bytes).ok().map(Arc::from)
    }

    fn bans(&self) -> u32 {
        self.0[MARKS] as u32
    }

    fn moments(&self) -> impl Iterator<Item = Moment> {
        let words = self.0[FIRST_MOMENT..].iter().take_while(|word| **word != 0);
        words.map(|word| Moment { at: (word >> 20).saturating_mul(MS), failures: word & MOST_FAILURES })
    }

    /// Nanoseconds until nothing of it counts any more.
    pub(super) fn lifetime(&self, policy: &Policy, now: u64) -> u64 {
        let of_bans = match self.bans() {
            0 => 0,
            bans => self.0[QUIET_SINCE]
                .saturating_add(u64::from(bans).saturating_mul(self.0[QUIET_PERIOD].max(1))),
        };
        let last = self.moments().last().map_or(0, |moment| moment.at.saturating_add(policy.find_time));
        self.until().max(of_bans).max(last).saturating_sub(now)
    }

    /// What is lost with the client: past bans first, then failures, then how recent the last one is.
    pub(super) fn loss(&self) -> u64 {
        let failures = self.moments().fold(0, |sum: u64, moment| sum.saturating_add(moment.failures));
        let last_second = self.moments().last().map_or(0, |moment| moment.at / (1_000 * MS));
        u64::from(self.bans()).min((1 << 12) - 1) << 52
            | failures.min(MOST_FAILURES) << 32
            | last_second.min(u32::MAX.into())
    }
}

/// As many bytes of a reason as are kept.
fn cut(reason: &str) -> &str {
    let mut length = reason.len().min(REASON_WORDS * 8);
    while !reason.is_char_boundary(length) {
        length -= 1;
    }
    &reason[..length]
}

/// A moment, in whole milliseconds, with so many failures more.
fn moment_word(moment: &Moment, more: u64) -> u64 {
    let failures = moment.failures.saturating_add(more).clamp(1, MOST_FAILURES);
    ceil_ms(moment.at).min((1 << 44) - 1) << 20 | failures
}

#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::reputation::FOREVER;

    const NOW: u64 = 1_700_000_000_000 * MS;

    fn client() -> Client {
        Client::of(IpAddr::from([203, 0, 113, 7]), 64)
    }

    fn moments(count: u64) -> VecDeque<Moment> {
        (0..count).map(|index| Moment { at: NOW + index * MS, failures: index + 1 }).collect()
    }

    #[test]
    fn a_history_is_read_as_it_was_written() {
        let term = BanTerm {
            until: NOW + 7,
            reason: Some(Arc::from("password")),
            failures: 12,
            cause: BanCause::Rule,
        };
        for (bans, term, count) in
            [(3, Some(term), 0), (0, None, 32), (u32::MAX, Some(BanTerm::by_hand(FOREVER, None)), 5)]
        {
            let history = History { moments: moments(count), bans, quiet_since: NOW, quiet_period: MS, term };
            let words = ClientWords::of(client(), &history, 32);
            assert_eq!((words.history(), words.client()), (history, client()));
        }
        let empty = ClientWords::of(client(), &History::default(), 32);
        assert!(empty == ClientWords::default(), "a new client");
    }

    #[test]
    fn more_moments_than_there_is_room_for_count_at_the_next_one() {
        let history = History { moments: moments(5), ..History::default() };
        let kept = ClientWords::of(client(), &history, 3).history().moments;
        let of = |at, failures| Moment { at: NOW + at * MS, failures };
        assert_eq!(kept, [of(2, 1 + 2 + 3), of(3, 4), of(4, 5)]);
    }

    #[test]
    fn a_moment_is_rounded_up_to_a_millisecond() {
        let history = History { moments: [Moment { at: NOW + 1, failures: 1 }].into(), ..History::default() };
        assert_eq!(ClientWords::of(client(), &history, 3).history().moments[0].at, NOW + MS);
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        for (given, kept) in [
            ("", ""),
            (&*"x".repeat(40), &*"x".repeat(32)),
            ("1234567890123456789012345678901é", "1234567890123456789012345678901"),
        ] {
            let term = Some(BanTerm::by_hand(1, Some(given)));
            let words = ClientWords::of(client(), &History { term, ..History::default() }, 3);
            assert_eq!(words.term().expect("a ban").reason.as_deref(), Some(kept));
        }
    }

    #[test]
    fn any_words_are_a_history() {
        let policy = Policy {
            max_failures: 5,
            find_time: MS,
            ban_time_ms: 1,
            ban_factor: 2.0,
            max_ban_time_ms: 1,
            jitter: 0.0,
            most_moments: 5,
        };
        for bits in [u64::MAX, 1, u64::MAX << 32, 0x0123_4567_89ab_cdef, 1 << 63] {
            let words = ClientWords([bits; MOST_WORDS]);
            let history = words.history();
            let _ = (
                history.bans(NOW),
                history.failures(&policy, NOW),
                words.lifetime(&policy, NOW),
                words.loss(),
            );
            let _ = ClientWords::of(words.client(), &history, 5);
        }
    }
}
