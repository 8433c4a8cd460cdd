//! What becomes of the call that is out.

use sluice_core::Refusal;

use super::{Ask, Book};

/// A question that the server says it did not run is sent once more.
const MOST_TRIES: u8 = 2;

/// What becomes of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::connections) enum Verdict {
    /// By the number of its place.
    Granted(u64),
    Refused(Refusal),
    /// The key holds something else.
    Foreign,
}

/// What the server has granted: in the order of the entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::connections) struct Grants {
    pub(in crate::connections) plain: u64,
    pub(in crate::connections) entries: Vec<Grant>,
}

/// What the server has granted of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::connections) struct Grant {
    /// `None`: the key holds something else.
    pub(in crate::connections) opened: Option<u64>,
    pub(in crate::connections) joined: u64,
    /// Why no more were opened.
    pub(in crate::connections) cap: Refusal,
}

impl Book {
    /// The call that is out was answered.
    pub(in crate::connections) fn settle(&mut self, mut grants: Grants) -> Vec<(Ask, Verdict)> {
        let Some(out) = self.out.take() else { return Vec::new() };
        let mut settled = Vec::with_capacity(out.asks.len());
        for (ask, place) in out.asks {
            let grant = place.and_then(|place| grants.entries.get_mut(place));
            let verdict = match take_one(&ask, grant, &mut grants.plain) {
                Ok(()) => Verdict::Granted(self.hold(ask.holding.clone(), ask.thread)),
                Err(verdict) => verdict,
            };
            settled.push((ask, verdict));
        }
        // What was granted to questions that were answered meanwhile goes back.
        self.total_is_dirty |= grants.plain > 0;
        for (client, grant) in out.clients.iter().zip(&grants.entries) {
            // Where the key holds something else, saying it again at once changes nothing: the next beat does.
            if grant.opened.is_some_and(|opened| opened > 0) || grant.joined > 0 {
                self.mark(client);
            }
            self.forget_if_clean(client);
        }
        settled
    }

    /// The call that is out may have been run or not: what it asked for.
    pub(in crate::connections) fn lost(&mut self) -> Vec<Ask> {
        let Some(out) = self.out.take() else { return Vec::new() };
        for client in &out.clients {
            self.mark(client);
        }
        self.total_is_dirty = true;
        out.asks.into_iter().map(|(ask, _)| ask).collect()
    }

    /// The call that is out was not run: what it asked for is asked again. Those that were asked often enough.
    pub(in crate::connections) fn not_run(&mut self) -> Vec<Ask> {
        let again = |ask: Ask| Ask { tries: ask.tries + 1, ..ask };
        let (again, over): (Vec<_>, Vec<_>) =
            self.lost().into_iter().map(again).partition(|ask| ask.tries < MOST_TRIES);
        for ask in again.into_iter().rev() {
            self.waiting.push_front(ask);
        }
        over
    }
}

/// Takes one of what was granted.
fn take_one(ask: &Ask, grant: Option<&mut Grant>, plain: &mut u64) -> Result<(), Verdict> {
    let (left, refusal) = match grant {
        None => (plain, Refusal::Max),
        Some(Grant { opened: None, .. }) => return Err(Verdict::Foreign),
        Some(Grant { opened: Some(opened), cap, .. }) if ask.holding.in_total => (opened, *cap),
        Some(Grant { joined, .. }) => (joined, Refusal::MaxPerClient),
    };
    if *left == 0 {
        return Err(Verdict::Refused(refusal));
    }
    *left -= 1;
    Ok(())
}
