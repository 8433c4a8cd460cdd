//! One attempt to charge a key that is where most keys are, in the state that most keys are in.

use super::Table;
use super::word::State;
use crate::key_table::cell::Single;
use crate::runtime::key_hash::KeyHash;
use crate::runtime::planted::planted;

/// What a call came to.
pub(crate) struct Charged {
    /// The key's word after the call.
    pub(crate) word: u64,
    pub(crate) is_refused: bool,
}

impl Table<Single> {
    /// Decides for a key by its word. `decide` gives the word after the call, or refuses it. `None`: the key is not found
    /// at the first look, is new, was blocked once, or another thread came between. Nothing was done then.
    #[inline(always)]
    pub(crate) fn charge_at_once(
        &self,
        key: KeyHash,
        decide: impl Fn(u64) -> Option<u64>,
    ) -> Option<Charged> {
        let found = self.slots.find_likely(&self.slots.candidates(key))?;
        let word = found.state.ordinary_word()?;
        if !planted!(QuickReadIgnoresTag) && !self.is_of_key(&found) {
            return None;
        }
        let Some(next) = decide(word) else { return Some(Charged { word, is_refused: true }) };
        let charged = State::value(next, false);
        if let Err(current) = found.slot.state.swap_if(found.state, charged) {
            let is_lost =
                !planted!(QuickOverwritesClaim) || found.slot.state.swap_if(current, charged).is_err();
            if is_lost {
                return None;
            }
        }
        if planted!(QuickChargeIgnoresTag) || self.is_of_key(&found) {
            return Some(Charged { word: next, is_refused: false });
        }
        self.roll_back(&found, charged);
        None
    }
}

#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
impl<C: super::Cell> Table<C> {
    /// The tag and the state of every slot that was ever used, and the watermark.
    pub(crate) fn all_words(&self) -> (Vec<[u64; 2]>, u64) {
        use crate::runtime::sync::Ordering::Relaxed;

        let words = self.slots.all().map(|slot| [slot.tag.0.load(Relaxed), slot.state.0.load(Relaxed)]);
        (words.collect(), self.watermark.load(Relaxed))
    }
}
