//! What each process of a machine holds open, and whether one more may be opened.
//!
//! Each process counts its own connections, in total in a word of its row, and of a client in a slot of a table whose key is
//! made of the client and the row. A count of the machine is the sum over the rows that live, so what a process held counts
//! no more as soon as it is found dead, whatever it was doing, and the slots that name it are free.
//!
//! To open: raise, then look. A connection is pending first; all counts are summed; then it is confirmed or given up. Of two
//! that raise at once, the one whose barrier comes later sees both, so a cap is never exceeded. Where the confirmed alone
//! fill a cap, the answer is a refusal. Where it takes the pending ones to fill it, the row that comes first looks again
//! until the others have given up, and those try again once it is confirmed: one of them gets the last place.

use std::io;
use std::result::Result;
use std::sync::Arc;

use crate::connection_tracker::refusal::Refusal;
use crate::key_table::{Overflow, Single, Step, Table};
use crate::machine::{Change, Held, HeldCount, Host, Owner, Processes};
use crate::runtime::arena::Arena;
use crate::runtime::key_hash::{KeyHash, KeyHasher};
use crate::runtime::planted::planted;
use crate::runtime::sync::{Mutex, Ordering, fence, pause, step_aside};

const IS_MODEL: bool = cfg!(any(sluice_loom, sluice_shuttle));

/// Locks of clients, of this process.
const LOCKS: usize = if IS_MODEL { 1 } else { 64 };
/// How often a connection is tried for the last place, and how often it looks each time: as long as no process stands still
/// between two instructions, one of them gets it.
const ATTEMPTS: usize = if IS_MODEL { 1 } else { 32 };
const LOOKS: usize = if IS_MODEL { 4 } else { 64 };
/// Looks before other threads are let run.
const QUICK_LOOKS: usize = if IS_MODEL { 0 } else { 32 };

/// The time does not matter: what is held is held until it is given back.
const NOW: u64 = 0;
/// For how long a slot is in use whose owner lives.
const HELD: u64 = 1 << 60;

/// Most that may be open.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Caps {
    pub(super) max: Option<u64>,
    pub(super) max_per_client: Option<u64>,
}

/// What a connection counts towards.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) in_total: bool,
    pub(super) client: Option<KeyHash>,
}

/// What a look at all counts says to a connection that is pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Room,
    /// Confirmed connections fill the cap.
    Full(Refusal),
    /// Pending ones fill it.
    Contended(Refusal),
}

/// The counts of all processes of a machine.
pub(super) struct Holdings {
    processes: Arc<Processes>,
    /// By client and row.
    clients: Arc<Table<Single>>,
    /// What makes the key of a row out of that of a client. They are as random as the seeds of the hash.
    rows: Vec<KeyHash>,
    /// What this process holds of a client is changed by one of its threads at a time. So its slot changes hands only while
    /// nothing is held.
    changing: [Mutex<()>; LOCKS],
    at_last_place: Mutex<()>,
}

impl Holdings {
    /// Room for so many clients, each in one process.
    pub(super) fn new(
        most: usize,
        arena: &Arena,
        processes: Arc<Processes>,
        hasher: &KeyHasher,
    ) -> io::Result<Self> {
        let clients = Arc::new(Table::new(most, Overflow::Deny, arena, |_| Ok(Single))?);
        let rows = (0..Processes::ROWS).map(|row| hasher.bytes(&row.to_le_bytes())).collect();
        let changing = std::array::from_fn(|_| Mutex::new(()));
        Ok(Self { processes, clients, rows, changing, at_last_place: Mutex::new(()) })
    }

    pub(super) fn processes(&self) -> &Processes {
        &self.processes
    }

    /// Open connections of all processes.
    pub(super) fn total(&self, own: Owner) -> HeldCount {
        self.sum(own, |row| self.total_of(row))
    }

    /// Open connections of a client in all processes.
    pub(super) fn of_client(&self, own: Owner, client: KeyHash) -> HeldCount {
        self.sum(own, |row| self.of_client_in(row, client))
    }

    /// Open connections of this process.
    pub(super) fn own_total(&self, own: Owner) -> u64 {
        self.total_of(own.row()).of(own).confirmed
    }

    /// Counts one connection more, or none.
    pub(super) fn try_open(
        &self,
        own: Owner,
        place: Place,
        caps: Caps,
        host: &dyn Host,
    ) -> Result<(), Refusal> {
        self.try_now(own, place, caps).or_else(|refusal| {
            // None is refused for what a dead process held.
            if host.look_after() { self.try_now(own, place, caps) } else { Err(refusal) }
        })
    }

    /// Counts one connection more, whatever the caps say.
    pub(super) fn open(&self, own: Owner, place: Place) {
        self.change(own, place, Change::RaiseConfirmed);
    }

    /// Counts one connection less.
    pub(super) fn close(&self, own: Owner, place: Place) {
        self.change(own, place, Change::Lower);
    }

    /// Mends what dead processes left: inserts that were begun.
    pub(super) fn repair(&self) -> u64 {
        self.clients.repair(NOW).0
    }

    fn try_now(&self, own: Owner, place: Place, caps: Caps) -> Result<(), Refusal> {
        match self.try_once(own, place, caps, 1)? {
            Look::Room => Ok(()),
            Look::Full(refusal) => Err(refusal),
            Look::Contended(_) => self.try_for_last_place(own, place, caps),
        }
    }

    /// One thread of a process at a time: within a process no other is asked to wait.
    fn try_for_last_place(&self, own: Owner, place: Place, caps: Caps) -> Result<(), Refusal> {
        let _one_at_a_time = self.at_last_place.lock();
        let mut contended = Refusal::Max;
        for attempt in 0..ATTEMPTS {
            match self.try_once(own, place, caps, LOOKS)? {
                Look::Room => return Ok(()),
                Look::Full(refusal) => return Err(refusal),
                Look::Contended(refusal) => contended = refusal,
            }
            wait(attempt * QUICK_LOOKS);
        }
        Err(contended)
    }

    /// Raises, looks at most so many times, and confirms or gives up.
    fn try_once(&self, own: Owner, place: Place, caps: Caps, looks: usize) -> Result<Look, Refusal> {
        let early = planted!(LookedBeforeRaised).then(|| self.look(own, place, caps, 1));
        if !self.change(own, place, Change::Raise) {
            // As many as a word counts, or as the table has slots for.
            return Err(Refusal::Max);
        }
        let look = early.unwrap_or_else(|| self.look_until(own, place, caps, looks));
        self.change(own, place, if look == Look::Room { Change::Confirm } else { Change::GiveUp });
        Ok(look)
    }

    fn look_until(&self, own: Owner, place: Place, caps: Caps, looks: usize) -> Look {
        let mut look = self.look(own, place, caps, 0);
        for turn in 1..looks {
            let Look::Contended(refusal) = look else { break };
            if !self.goes_first(own, place, refusal) {
                break;
            }
            wait(turn);
            look = self.look(own, place, caps, 0);
        }
        look
    }

    /// `more`: what the caller has not raised yet.
    fn look(&self, own: Owner, place: Place, caps: Caps, more: u64) -> Look {
        // Of two that raise, the one whose barrier is later sees what both raised.
        if !planted!(NoBarrierAfterRaise) {
            fence(Ordering::SeqCst);
        }
        let judge = |count: HeldCount, most: u64, refusal| {
            if count.confirmed >= most {
                Look::Full(refusal)
            } else if count.sum() + more > most {
                Look::Contended(refusal)
            } else {
                Look::Room
            }
        };
        let of_client = place.client.zip(caps.max_per_client).map_or(Look::Room, |(client, most)| {
            judge(self.of_client(own, client), most, Refusal::MaxPerClient)
        });
        match caps.max.filter(|_| place.in_total && of_client == Look::Room) {
            Some(max) => judge(self.total(own), max, Refusal::Max),
            None => of_client,
        }
    }

    /// Whether no row before this one has pending connections.
    fn goes_first(&self, own: Owner, place: Place, refusal: Refusal) -> bool {
        if planted!(LowestRowGivesWay) {
            return false;
        }
        let held = |row| match (refusal, place.client) {
            (Refusal::MaxPerClient, Some(client)) => self.of_client_in(row, client),
            _ => self.total_of(row),
        };
        let earlier = self.processes.live().filter(|other| other.row() < own.row());
        earlier.map(|other| held(other.row()).of(other).pending).sum::<u64>() == 0
    }

    /// What this process holds of each part of a place. False where it could not be raised, and nothing is changed.
    fn change(&self, own: Owner, place: Place, change: Change) -> bool {
        if place.in_total && !self.change_total(own, change) {
            return false;
        }
        let is_changed = place.client.is_none_or(|client| self.change_client(own, client, change));
        if !is_changed && place.in_total && change == Change::Raise {
            self.change_total(own, Change::GiveUp);
        }
        is_changed
    }

    fn change_total(&self, own: Owner, change: Change) -> bool {
        let next = |word| self.changed(Held::from_word(word), own, change).map(Held::word);
        // SeqCst, as are the exchanges of slots: the order of all changes does not depend on where they are.
        let word = self.processes.held(own.row());
        word.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next).is_ok()
    }

    fn change_client(&self, own: Owner, client: KeyHash, change: Change) -> bool {
        let key = self.key(client, own.row());
        let (_, low) = client.halves();
        let _one_at_a_time = self.changing[low as usize % LOCKS].lock();
        if matches!(change, Change::Lower | Change::GiveUp) {
            // The last one leaves no slot behind, which could be taken for a later one that is equal to it.
            let stays = |held: Held| held.changed(own, change).is_none_or(|next| next.of(own).sum() > 0);
            let reset = self.clients.reset_unless(key, |client| stays(Held::from_word(client.words[0])));
            if reset.is_none_or(|(_, is_removed)| is_removed) {
                return reset.is_some();
            }
        }
        let decide = |word: u64| match self.changed(Held::from_word(word), own, change) {
            Some(next) => Step::Write([next.word()], true),
            None => Step::Keep(false),
        };
        if matches!(change, Change::Raise | Change::RaiseConfirmed) {
            let lifetime = |words: &[u64; 1], _| self.lifetime(own, Held::from_word(words[0]));
            return self
                .clients
                .update(key, NOW, lifetime, |client, _| decide(client.words[0]))
                .unwrap_or(false);
        }
        self.clients.update_existing(key, |client| decide(client.words[0])).unwrap_or(false)
    }

    /// What a process that was taken for dead still wants to change belongs to the next owner of its row.
    fn changed(&self, held: Held, own: Owner, change: Change) -> Option<Held> {
        let is_of_later = held.owner().is_some_and(|owner| owner != own && self.processes.is_live(owner));
        if is_of_later && !planted!(HeldOfLaterOwnerChanged) { None } else { held.changed(own, change) }
    }

    fn lifetime(&self, own: Owner, held: Held) -> u64 {
        let is_in_use = held.owner().is_some_and(|owner| owner == own || self.processes.is_live(owner));
        if is_in_use { HELD } else { 0 }
    }

    /// Over all processes that live. This one counts for itself, also where others took it for dead.
    fn sum(&self, own: Owner, held: impl Fn(usize) -> Held) -> HeldCount {
        if planted!(DeadRowCounted) {
            return (0..self.processes.taken()).map(|row| held(row).count()).sum();
        }
        let others = self.processes.live().filter(|owner| *owner != own);
        others.chain([own]).map(|owner| held(owner.row()).of(owner)).sum()
    }

    fn total_of(&self, row: usize) -> Held {
        Held::from_word(self.processes.held(row).load(Ordering::SeqCst))
    }

    fn of_client_in(&self, row: usize, client: KeyHash) -> Held {
        let kept = self.clients.get(self.key(client, row)).unwrap_or_default();
        Held::from_word(kept.words[0])
    }

    fn key(&self, client: KeyHash, row: usize) -> KeyHash {
        let ((high, low), (row_high, row_low)) = (client.halves(), self.rows[row].halves());
        KeyHash::from_halves(high ^ row_high, low ^ row_low)
    }
}

/// Longer with each turn.
fn wait(turn: usize) {
    if turn < QUICK_LOOKS { pause() } else { step_aside() }
}

#[cfg(all(test, sluice_loom))]
mod models;
