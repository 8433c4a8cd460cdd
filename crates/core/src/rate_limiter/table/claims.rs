//! How a newcomer gets a slot, so that no key ever has two.
//!
//! 1. Claim: exchange the state of a slot that can be given away for a claim, which names the key and a version
//!    that the slot has not had. A claim holds no charge, so anybody may cancel or finish it and nothing is lost.
//! 2. Resolve: look at every other slot of the key. If it holds the key, or an earlier slot a claim for it, this
//!    claim is cancelled; a claim in a later slot is. Then write the tag.
//! 3. Confirm: exchange the claim for the client's first state. This decides and charges in one step.
//!
//! Of two claims for one key, whichever was made second sees the first when it looks. A thread that stands still
//! between the steps keeps nobody waiting: the same key finishes its claim, another key takes the slot.

use super::slots::{Candidates, Slot};
use super::word::{Kind, State, Tag};
use super::{Client, Full, Table};
use crate::rate_limiter::cell::{Cell, Step};
use crate::runtime::planted::planted;
use crate::runtime::sync::{Ordering, full_barrier, pause};

/// Each round that fails was undone by a step of another call. Two keys that take each other's claims for ever
/// are not possible in practice; this makes it not possible at all.
const ROUNDS: usize = 64;

/// A slot under a claim.
#[derive(Clone, Copy)]
pub(super) struct Claim<'a> {
    pub(super) slot: Slot<'a>,
    /// The tag to be written.
    pub(super) tag: Tag,
}

impl Claim<'_> {
    pub(super) fn state(&self) -> State {
        State::claim(self.tag)
    }

    fn stands(&self) -> bool {
        self.slot.state.load(Ordering::SeqCst) == self.state()
    }

    /// Exchanges the claim for the key's first state; false when somebody else has ended it.
    fn confirm(&self, first: State) -> bool {
        self.slot.state.swap_if(self.state(), first).is_ok()
    }
}

impl<C: Cell> Table<C> {
    /// Judges a client that was not found, and brings it in where that writes anything; blocked until
    /// `blocked_until`, if given.
    #[cold]
    #[inline(never)]
    pub(super) fn bring_in<R>(
        &self,
        key: &Candidates,
        now: u64,
        blocked_until: Option<u64>,
        lifetime: &impl Fn(&C::Words, u64) -> u64,
        decide: &mut impl FnMut(&Client<C::Words>, u64) -> Step<C::Words, R>,
    ) -> Result<R, Full> {
        let stranger = Client { words: C::Words::default(), blocked_until: 0 };
        for _ in 0..ROUNDS {
            if let Some(found) = self.slots.find(key) {
                let blocked = blocked_until.is_none_or(|until| self.extend_block(found, until));
                if blocked
                    && let Some(result) =
                        self.change(found, |client| decide(client, self.counts_from(client, now)))
                {
                    return Ok(result);
                }
                continue;
            }
            if let Some(claim) = self.standing_claim(key) {
                self.finish(&claim, key);
                continue;
            }
            let from = self.newcomers_count_from(now);
            match decide(&stranger, from) {
                Step::Keep(result) => return Ok(result),
                // As if never seen still: there is nothing to keep.
                Step::Write(words, result) if blocked_until.is_none() && lifetime(&words, from) == 0 => {
                    return Ok(result);
                }
                Step::Write(..) => {}
            }
            let Some(claim) = self.claim(key, from, lifetime)? else {
                pause();
                continue;
            };
            if !self.resolve(&claim, key) {
                continue;
            }
            // Again: it may have been raised for this very client, before the claim.
            let from = self.newcomers_count_from(now);
            if let Some(result) = self.confirm(&claim, blocked_until, decide(&stranger, from)) {
                return Ok(result);
            }
        }
        Err(Full { earliest_vacancy: now })
    }

    /// Charges the newcomer, whose claim stands alone.
    fn confirm<R>(
        &self,
        claim: &Claim<'_>,
        blocked_until: Option<u64>,
        step: Step<C::Words, R>,
    ) -> Option<R> {
        let slot = claim.slot;
        let Step::Write(words, result) = step else {
            self.cancel(claim);
            return None;
        };
        if blocked_until.is_some_and(|until| !self.block_ends.extend(slot, claim.tag, until)) {
            return None;
        }
        let Some(value) = self.cell.keep(&words, slot.index) else {
            self.cancel(claim);
            return None;
        };
        if claim.confirm(State::value(value, blocked_until.is_some())) {
            return Some(result);
        }
        self.cell.release(value, slot.index);
        None
    }

    /// A claim for the key in its earliest slot that has one.
    pub(super) fn standing_claim(&self, key: &Candidates) -> Option<Claim<'_>> {
        self.slots.of_key(key).find_map(|slot| match slot.state.load(Ordering::SeqCst).kind() {
            Kind::Claim(tag) if tag.is_of(key.fingerprint) => Some(Claim { slot, tag }),
            _ => None,
        })
    }

    /// Brings the key in for whoever claimed the slot, uncharged: both then charge it like anybody.
    pub(super) fn finish(&self, claim: &Claim<'_>, key: &Candidates) {
        if !planted!(ClaimNotFinished) && self.resolve(claim, key) {
            claim.confirm(State::FRESH);
        }
    }

    /// Makes sure that the claim is the only one for its key, and that the key is in no other slot. False when
    /// it is not, and the claim was cancelled; or when somebody else has ended it.
    pub(super) fn resolve(&self, claim: &Claim<'_>, key: &Candidates) -> bool {
        // The claim before the look at the others.
        if !planted!(NoBarrierAfterClaim) {
            full_barrier();
        }
        let mut is_before = true;
        for other in self.slots.of_key(key) {
            if other.index == claim.slot.index {
                is_before = false;
            } else if !planted!(ClaimNotChecked) && !self.yields(other, key, is_before) {
                self.cancel(claim);
                return false;
            }
        }
        self.write_tag(claim)
    }

    /// Whether another slot leaves the key to the claim. `is_before`: the other one comes first.
    fn yields(&self, other: Slot<'_>, key: &Candidates, is_before: bool) -> bool {
        loop {
            let state = other.state.load(Ordering::SeqCst);
            return match state.kind() {
                Kind::Value => !other.tag.load(Ordering::Acquire).is_of(key.fingerprint),
                Kind::Claim(tag) if tag.is_of(key.fingerprint) => {
                    if is_before {
                        return false;
                    }
                    if !self.cancel(&Claim { slot: other, tag }) {
                        continue;
                    }
                    true
                }
                _ => true,
            };
        }
    }

    /// Puts the claim's tag into its slot; false when somebody else has ended the claim.
    fn write_tag(&self, claim: &Claim<'_>) -> bool {
        loop {
            let tag = claim.slot.tag.load(Ordering::Acquire);
            if tag == claim.tag {
                return true;
            }
            // While the claim stands nobody writes a later tag, so an earlier one is replaced or was already.
            if !claim.stands() {
                return false;
            }
            claim.slot.tag.swap_if(tag, claim.tag);
        }
    }

    /// False when somebody else has ended the claim.
    pub(super) fn cancel(&self, claim: &Claim<'_>) -> bool {
        let free = if planted!(CancelLeavesValue) { State::FRESH } else { State::free(claim.tag.version()) };
        let cancelled = claim.slot.state.swap_if(claim.state(), free).is_ok();
        if cancelled {
            self.bound.leave();
        }
        cancelled
    }
}
