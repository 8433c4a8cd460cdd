//! What a process holds of one client, in the word of a slot.
//!
//! The word is `end : 36 | asked : 1 | low : 5 | left : 20`. `end` is when the last unit lapses, in units of 2^14 ns, modulo
//! its field. `low` says at how many units more are asked for: below 2^low, once, which `asked` notes. Without units, a word
//! whose end is ahead refuses until then. 0 is a client of which nothing is known.

use super::planted::mistaken;

const LEFT_BITS: u32 = 20;
const LOW_BITS: u32 = 5;
const ASKED: u64 = 1 << (LEFT_BITS + LOW_BITS);
const END_SHIFT: u32 = LEFT_BITS + LOW_BITS + 1;
const END_MASK: u64 = (1 << (62 - END_SHIFT)) - 1;
const LEFT_MASK: u64 = (1 << LEFT_BITS) - 1;

/// Ends are kept in units of so many bits of a nanosecond.
const UNIT_BITS: u32 = 14;
const UNIT_MASK: u64 = (1 << UNIT_BITS) - 1;

/// Units that can be held of one client.
pub(super) const MOST_UNITS: u64 = LEFT_MASK;

/// No end is further ahead, in nanoseconds: six days. One that seems to be is an old one, as the field wraps after 13 days.
pub(super) const LONGEST: u64 = 6 * 86_400_000_000_000;

/// A refusal is trusted for this long at most, in nanoseconds: another machine may have reset the client.
pub(super) const LONGEST_REFUSAL: u64 = 1_000_000_000;

/// Units that are held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Those that can be spent now.
    pub units: u64,
    /// Nanoseconds until the last of them lapses; each lapses one emission interval before the next.
    pub ahead: u64,
}

/// What a call by a lease comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Its units were held.
    Admitted {
        /// What is held afterwards; its end is that of the units taken where none are.
        rest: Held,
        /// More should be asked for. Said once for each grant.
        is_low: bool,
    },
    /// The server has refused a call of cost 1, which holds for so many nanoseconds more.
    Refused {
        /// Nanoseconds.
        wait: u64,
    },
    /// Too little is held: the server decides.
    Missing,
}

/// The word of a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lease(u64);

impl Lease {
    #[inline]
    pub(super) const fn of(word: u64) -> Self {
        Self(word)
    }

    #[inline]
    pub(super) const fn word(self) -> u64 {
        self.0
    }

    /// A lease of these units; nothing where there are none.
    fn holding(held: Held, now: u64) -> Self {
        let Held { units, ahead } = held;
        if units == 0 || ahead == 0 {
            return Self(0);
        }
        let low = u64::from(u64::BITS - (units / 2).leading_zeros());
        Self(end_field(now, ahead) << END_SHIFT | low << LEFT_BITS | units)
    }

    #[inline]
    const fn left(self) -> u64 {
        self.0 & LEFT_MASK
    }

    /// Nanoseconds until the end; 0 once it is over.
    #[inline]
    fn ahead(self, now: u64) -> u64 {
        let units = (self.0 >> END_SHIFT).wrapping_sub(now >> UNIT_BITS) & END_MASK;
        if units == 0 || units > LONGEST >> UNIT_BITS {
            return 0;
        }
        (units << UNIT_BITS) - (now & UNIT_MASK)
    }

    /// What can be spent now. `interval` is 0 where all units lapse at the end.
    #[inline]
    pub(super) fn held(self, interval: u64, now: u64) -> Held {
        let (left, ahead) = (self.left(), self.ahead(now));
        let units = if ahead == 0 { 0 } else { spendable(left, ahead, interval) };
        Held { units, ahead }
    }

    /// How long calls are refused; 0 where they are not.
    #[inline]
    fn refusal(self, now: u64) -> u64 {
        let ahead = self.ahead(now);
        if self.left() > 0 || ahead > LONGEST_REFUSAL { 0 } else { ahead }
    }

    /// The word after spending so many units; why not, where they are not held.
    #[inline]
    pub(super) fn take(self, interval: u64, cost: u64, now: u64) -> (Self, Taken) {
        let Held { units, ahead } = self.held(interval, now);
        if cost > units {
            let wait = self.refusal(now);
            return (self, if wait > 0 { Taken::Refused { wait } } else { Taken::Missing });
        }
        let left = units - cost;
        let low = (self.0 >> LEFT_BITS) & ((1 << LOW_BITS) - 1);
        let is_low = self.0 & ASKED == 0 && left >> low == 0;
        let asked = if is_low { ASKED } else { 0 };
        let next = if left == 0 { 0 } else { (self.0 & !LEFT_MASK) | asked | left };
        (Self(next), Taken::Admitted { rest: Held { units: left, ahead }, is_low })
    }

    /// With units that end at `end`. Others may own the slots between those and what is held, so all are moved together,
    /// towards the present, unless that leaves less than either.
    pub(super) fn grant(self, interval: u64, (end, units): (u64, u64), now: u64) -> Self {
        let given = Held { units: units.min(MOST_UNITS), ahead: end.saturating_sub(now).min(LONGEST) };
        let held = self.held(interval, now);
        if mistaken!(AddedAtItsEnd) {
            let units = (held.units + given.units).min(MOST_UNITS);
            return Self::holding(Held { units, ahead: given.ahead }, now);
        }
        if held.units == 0 {
            return Self::holding(given, now);
        }
        let joined = Held {
            units: (held.units + given.units).min(MOST_UNITS),
            ahead: given.ahead.min(held.ahead.saturating_add(given.units.saturating_mul(interval))),
        };
        let worth = |held: &Held| spendable(held.units, held.ahead, interval);
        // The last of those that are worth most.
        let best = [held, given, joined].into_iter().max_by_key(worth).unwrap_or(joined);
        Self::holding(best, now)
    }

    /// Without so many of its last units; how many those were.
    pub(super) fn without(self, interval: u64, units: u64, now: u64) -> (Self, u64) {
        let held = self.held(interval, now);
        let units = units.min(held.units);
        let ahead = held.ahead.saturating_sub(units.saturating_mul(interval));
        (Self::holding(Held { units: held.units - units, ahead }, now), units)
    }

    /// Refuses for so long, where nothing is held.
    pub(super) fn refusing(self, interval: u64, wait: u64, now: u64) -> Self {
        if self.held(interval, now).units > 0 {
            return self;
        }
        let refusal = end_field(now, wait.min(LONGEST_REFUSAL)) << END_SHIFT;
        Self(refusal)
    }

    /// How long the word matters, in nanoseconds.
    pub(super) fn lifetime(self, now: u64) -> u64 {
        self.ahead(now)
    }
}

/// The field of an end, rounded down.
const fn end_field(now: u64, ahead: u64) -> u64 {
    ((now + ahead) >> UNIT_BITS) & END_MASK
}

/// Of `left` units whose last lapses in `ahead`, those that have not lapsed. A product in place of a division where it
/// says as much.
#[inline]
fn spendable(left: u64, ahead: u64, interval: u64) -> u64 {
    if interval == 0 || mistaken!(DoesNotLapse) || left.saturating_mul(interval) <= ahead {
        left
    } else {
        ahead / interval
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const NOW: u64 = 1_800_000_000_000 * MS;
    /// 100 a second.
    const T: u64 = 10 * MS;

    fn lease(units: u64, ahead: u64) -> Lease {
        Lease::default().grant(T, (NOW + ahead, units), NOW)
    }

    fn units(lease: Lease, later: u64) -> u64 {
        lease.held(T, NOW + later).units
    }

    #[test]
    fn units_lapse_one_by_one() {
        let lease = lease(5, 100 * MS);
        for (later, left) in [(0, 5), (49, 5), (51, 4), (61, 3), (89, 1), (91, 0), (500, 0)] {
            assert_eq!(units(lease, later * MS), left, "after {later} ms");
        }
    }

    #[test]
    fn units_of_a_window_lapse_together() {
        let lease = Lease::default().grant(0, (NOW + 100 * MS, 5), NOW);
        assert_eq!(lease.held(0, NOW + 99 * MS).units, 5);
        assert_eq!(lease.held(0, NOW + 101 * MS).units, 0);
    }

    #[test]
    fn says_once_that_little_is_left() {
        let (mut lease, mut said) = (lease(10, 1_000 * MS), Vec::new());
        for left in (0..10).rev() {
            let (next, taken) = lease.take(T, 1, NOW);
            let Taken::Admitted { rest, is_low } = taken else { panic!("{taken:?}") };
            assert_eq!(rest.units, left);
            said.push(is_low);
            lease = next;
        }
        assert_eq!(said.iter().filter(|said| **said).count(), 1);
        assert!(said[2], "below eight of ten");
        assert_eq!(lease.take(T, 1, NOW), (Lease(0), Taken::Missing));
    }

    #[test]
    fn joins_a_grant_without_slots_of_others() {
        // Two units until 20 ms, two more of which the last lapses at 200 ms: others own what lies between.
        let joined = lease(2, 20 * MS).grant(T, (NOW + 200 * MS, 2), NOW);
        assert_eq!(units(joined, 0), 3, "the last lapses after 40 ms, less what the word rounds");
        let near = lease(10, 200 * MS).grant(T, (NOW + 15 * MS, 1), NOW);
        assert_eq!(units(near, 0), 10, "joining would lose units");
    }

    #[test]
    fn gives_up_its_last_units() {
        let (rest, taken) = lease(5, 100 * MS).without(T, 3, NOW);
        assert_eq!((taken, units(rest, 0), units(rest, 62 * MS)), (3, 2, 0));
        assert_eq!(lease(5, 100 * MS).without(T, 9, NOW), (Lease(0), 5));
    }

    #[test]
    fn refuses_until_its_time_and_no_longer_than_a_second() {
        let refusing = Lease::default().refusing(T, 5_000 * MS, NOW);
        assert!(matches!(refusing.take(T, 1, NOW).1, Taken::Refused { wait } if wait <= 1_000 * MS));
        assert_eq!(refusing.take(T, 1, NOW + 1_000 * MS).1, Taken::Missing);
        let held = lease(1, 100 * MS);
        assert_eq!(held.refusing(T, 50 * MS, NOW), held, "what is held is not refused");
    }

    #[test]
    fn a_word_of_the_last_turn_of_the_field_is_over() {
        let turn = (END_MASK + 1) << UNIT_BITS;
        for (lease, interval) in [(lease(5, 100 * MS), T), (Lease::default().refusing(T, 900 * MS, NOW), T)] {
            for days in 1..7 {
                let later = NOW + days * 86_400_000 * MS;
                assert_eq!(lease.take(interval, 1, later).1, Taken::Missing, "after {days} days");
            }
            assert_eq!(lease.take(interval, 1, NOW + turn - LONGEST - 60_000 * MS).1, Taken::Missing);
        }
    }
}
