//! How a new key is inserted, so that no key ever has two slots.
//!
//! 1. Claim: exchange the state of an available slot for a claim, which names the key and a version that the slot has not
//!    had. A claim holds no charge, so any thread may cancel or finish it and nothing is lost.
//! 2. Resolve: check every other slot of the key. If one holds the key, or an earlier one a claim for it, cancel this
//!    claim; cancel claims in later slots. Then write the tag.
//! 3. Confirm: exchange the claim for the key's first state. This charges the key.
//!
//! Of two claims for one key, the one that was made second sees the first when it resolves. A thread that is suspended
//! between the steps delays no other thread: a call for the same key finishes its claim, another key may take the slot.

use std::ops::ControlFlow;

use super::slots::{Candidates, Slot};
use super::vacancy::Arrival;
use super::word::{Kind, State, Tag};
use super::{Client, Full, Table};
use crate::key_table::cell::{Cell, Step};
use crate::runtime::planted::planted;
use crate::runtime::sync::{Ordering, full_barrier, pause};

/// Attempts to insert a key. An attempt fails only through a step of another call, so two keys could keep cancelling each
/// other's claims in theory; this bound rules it out.
const ATTEMPTS: usize = 64;

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

    /// Exchanges the claim for the key's first state; false when another thread has ended the claim.
    fn confirm(&self, first: State) -> bool {
        self.slot.state.swap_if(self.state(), first).is_ok()
    }
}

impl<C: Cell> Table<C> {
    /// Decides for a key that was not found, and inserts it if that writes anything; blocked until `blocked_until`, if
    /// given.
    #[cold]
    #[inline(never)]
    pub(super) fn insert<R>(
        &self,
        key: &Candidates,
        now: u64,
        blocked_until: Option<u64>,
        lifetime: &impl Fn(&C::Words, u64) -> u64,
        decide: &mut impl FnMut(&Client<C::Words>, u64) -> Step<C::Words, R>,
    ) -> Result<R, Full> {
        for attempt in 0..ATTEMPTS {
            // The caller has just looked for the key. What came since, the survey and the check of the claim find.
            if attempt > 0
                && let ControlFlow::Break(charged) = self.look_again(key, now, blocked_until, decide)
            {
                match charged {
                    Some(result) => return Ok(result),
                    None => continue,
                }
            }
            if let Some(result) = self.try_insert(key, now, blocked_until, lifetime, decide)? {
                return Ok(result);
            }
        }
        Err(Full { earliest_vacancy: now })
    }

    /// Charges the key if it was inserted meanwhile, or finishes a claim for it; `Break(None)` when it must be looked for
    /// once more.
    fn look_again<R>(
        &self,
        key: &Candidates,
        now: u64,
        blocked_until: Option<u64>,
        decide: &mut impl FnMut(&Client<C::Words>, u64) -> Step<C::Words, R>,
    ) -> ControlFlow<Option<R>> {
        if planted!(NeverLooksAgain) {
            return ControlFlow::Continue(());
        }
        if let Some(found) = self.slots.find(key) {
            let blocked = blocked_until.is_none_or(|until| self.extend_block(found, until));
            if !blocked {
                return ControlFlow::Break(None);
            }
            let decide = |client: &Client<_>| decide(client, self.counts_from(client, now));
            return ControlFlow::Break(self.change(found, decide));
        }
        let Some(claim) = self.standing_claim(key) else { return ControlFlow::Continue(()) };
        self.finish(&claim, key);
        ControlFlow::Break(None)
    }

    /// Inserts a key that was not found; `None` when a step of another call came between.
    fn try_insert<R>(
        &self,
        key: &Candidates,
        now: u64,
        blocked_until: Option<u64>,
        lifetime: &impl Fn(&C::Words, u64) -> u64,
        decide: &mut impl FnMut(&Client<C::Words>, u64) -> Step<C::Words, R>,
    ) -> Result<Option<R>, Full> {
        let new = Client { words: C::Words::default(), blocked_until: 0 };
        let from = self.new_keys_count_from(now);
        let fresh = match decide(&new, from) {
            Step::Keep(result) => return Ok(Some(result)),
            Step::Write(words, result) => match lifetime(&words, from) {
                // The words equal those of a new key: there is nothing to keep.
                0 if blocked_until.is_none() => return Ok(Some(result)),
                fresh => fresh,
            },
        };
        let Some(claim) = self.claim(key, Arrival { now: from, fresh }, lifetime)? else {
            pause();
            return Ok(None);
        };
        if !self.resolve(&claim, key) {
            return Ok(None);
        }
        // Read again: the watermark may have been raised for this very key before the claim.
        let from = self.new_keys_count_from(now);
        Ok(self.confirm(&claim, blocked_until, decide(&new, from)))
    }

    /// Charges the new key, whose claim is the only one.
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
        let Some(value) = self.keep(&words, slot) else {
            self.cancel(claim);
            return None;
        };
        if claim.confirm(State::value(value, blocked_until.is_some())) {
            return Some(result);
        }
        self.cell.release(value, slot.index);
        None
    }

    /// The claim for the key in its earliest slot that has one.
    pub(super) fn standing_claim(&self, key: &Candidates) -> Option<Claim<'_>> {
        self.slots.of_key(key).find_map(|slot| match slot.state.load(Ordering::SeqCst).kind() {
            Kind::Claim(tag) if tag.is_of(key.fingerprint) => Some(Claim { slot, tag }),
            _ => None,
        })
    }

    /// Helps finish another thread's insert; charges nothing. Both threads then charge the key as any other.
    pub(super) fn finish(&self, claim: &Claim<'_>, key: &Candidates) {
        if !planted!(ClaimNotFinished) && self.resolve(claim, key) {
            claim.confirm(State::FRESH);
        }
    }

    /// Makes sure that the claim is the only one for its key, and that the key has no other slot. Otherwise cancels the
    /// claim and answers false, as when another thread has ended it.
    pub(super) fn resolve(&self, claim: &Claim<'_>, key: &Candidates) -> bool {
        // The claim before the reads of the other slots.
        if !planted!(NoBarrierAfterClaim) {
            full_barrier();
        }
        let mut is_before = true;
        for line in self.slots.lines_of(key) {
            for other in self.slots.of_line(line) {
                if other.index == claim.slot.index {
                    is_before = false;
                } else if !self.yields(other, key, is_before) {
                    self.cancel(claim);
                    return false;
                }
            }
        }
        self.write_tag(claim)
    }

    /// Whether another slot leaves the key to the claim. `is_before`: the other slot is the earlier one.
    fn yields(&self, other: Slot<'_>, key: &Candidates, is_before: bool) -> bool {
        if planted!(ClaimNotChecked) || planted!(OverflowIgnoresHome) && is_before {
            return true;
        }
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

    /// Writes the claim's tag to its slot; false when another thread has ended the claim.
    fn write_tag(&self, claim: &Claim<'_>) -> bool {
        loop {
            let tag = claim.slot.tag.load(Ordering::Acquire);
            if tag == claim.tag {
                return true;
            }
            // While the claim stands no thread writes a later tag, so this one is earlier and may be replaced.
            if !claim.stands() {
                return false;
            }
            claim.slot.tag.swap_if(tag, claim.tag);
        }
    }

    /// False when another thread has ended the claim.
    pub(super) fn cancel(&self, claim: &Claim<'_>) -> bool {
        let free = if planted!(CancelLeavesValue) { State::FRESH } else { State::free(claim.tag.version()) };
        let cancelled = claim.slot.state.swap_if(claim.state(), free).is_ok();
        if cancelled {
            self.bound.leave();
        }
        cancelled
    }
}
