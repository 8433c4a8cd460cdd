//! The rows of a mapping, and which process has which.

use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};

use super::clock_word::ClockWord;
use super::owner::Owner;
use super::presence::{Attached, Presence, Present};
use crate::runtime::arena::Arena;
use crate::runtime::planted::planted;
use crate::runtime::region::{CacheLine, Pinned, Region};
use crate::runtime::sync::{AtomicU64, Ordering};

/// Cache lines of a row: 1 KiB.
const LINES: usize = 16;

/// Of the first line of a row.
const OWNER: usize = 0;
const PID: usize = 1;
const SINCE: usize = 2;
const DEATHS: usize = 3;
/// What the process holds, as a [`Held`](super::Held). It is read with the owner.
const HELD: usize = 4;
/// Of the first row: how many rows were ever taken.
const TAKEN: usize = 5;

/// The line of the first row that says by which clock all processes decide.
const CLOCK_LINE: usize = 1;

/// Words of a cell, in which a process writes the config that it brings into force.
pub(crate) const CELL_WORDS: usize = 40;
/// Words of a small cell.
pub(crate) const SMALL_CELL_WORDS: usize = 16;
/// The cells of a row: the first line of each, and its words. A file may have two configs, with two cells each: the second
/// config is small.
const CELLS: [(usize, usize); 4] =
    [(4, CELL_WORDS), (9, CELL_WORDS), (2, SMALL_CELL_WORDS), (14, SMALL_CELL_WORDS)];
const _: () = assert!(CELL_WORDS.div_ceil(8) == 5 && SMALL_CELL_WORDS.div_ceil(8) == 2 && LINES == 16);

/// The owner word of a row: `epoch 62 : repair 1 : live 1`. All zero: no process ever had it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RowWord(u64);

const LIVE: u64 = 1;
const REPAIR: u64 = 2;
const EPOCH: u64 = 4;

impl RowWord {
    fn is_live(self) -> bool {
        self.0 & LIVE != 0
    }

    fn needs_repair(self) -> bool {
        self.0 & REPAIR != 0
    }

    fn epoch(self) -> u64 {
        self.0 / EPOCH
    }

    /// Of the next owner. If the one before is not known to be dead yet, it is now, and nothing it left is repaired.
    fn taken(self) -> Self {
        let repair = if self.0 & (REPAIR | LIVE) == 0 { 0 } else { REPAIR };
        Self((self.epoch().wrapping_add(1)).wrapping_mul(EPOCH) | repair | LIVE)
    }

    fn buried(self) -> Self {
        Self(self.0 & !LIVE | REPAIR)
    }

    fn repaired(self) -> Self {
        Self(self.0 & !REPAIR)
    }
}

/// The processes that share a mapping, and this one among them.
pub struct Processes {
    rows: Arc<Region<CacheLine>>,
    /// The bits of this process's name; 0 before it has a row.
    own: AtomicU64,
    /// Holds the kernel's lock of the row.
    lock: OnceLock<Arc<dyn Send + Sync>>,
    presence: Presence,
}

/// Rows whose owners died and left something to repair, as they were before the repair began.
#[derive(Debug)]
pub struct Repair(Vec<(usize, RowWord)>);

impl Repair {
    /// Whether there is anything to repair.
    #[must_use]
    pub fn is_needed(&self) -> bool {
        !self.0.is_empty()
    }
}

impl Processes {
    /// Most processes at once.
    pub const ROWS: usize = if cfg!(any(sluice_loom, sluice_shuttle)) { 2 } else { 64 };

    /// The rows of a mapping, of which this process has none yet.
    ///
    /// # Errors
    ///
    /// The mapping is too short.
    pub fn new(arena: &Arena) -> io::Result<Self> {
        let rows = Arc::new(arena.region(Self::ROWS * LINES)?);
        Ok(Self::of_rows(rows))
    }

    /// Another process that has the same rows.
    #[cfg(test)]
    pub(crate) fn with_same_rows(&self) -> Self {
        Self::of_rows(Arc::clone(&self.rows))
    }

    fn of_rows(rows: Arc<Region<CacheLine>>) -> Self {
        Self { rows, own: AtomicU64::new(0), lock: OnceLock::new(), presence: Presence::new() }
    }

    /// Keeps what holds the lock of the row for as long as anything uses the rows.
    pub fn keep(&self, lock: Arc<dyn Send + Sync>) {
        self.lock.get_or_init(|| lock);
    }

    /// Makes this process the owner of a row. Only for a process that holds the kernel's lock of the row: whatever owned
    /// the row before is dead.
    pub fn take(&self, row: usize, pid: u32, since: u64) {
        // Before the row is live, so that none that is live is beyond.
        self.word(0, TAKEN).fetch_max(row as u64 + 1, Ordering::SeqCst);
        let word = self.word(row, OWNER);
        let taken = |seen| Some(RowWord(seen).taken().0);
        let seen = RowWord(word.fetch_update(Ordering::SeqCst, Ordering::SeqCst, taken).unwrap_or_default());
        if seen.is_live() {
            self.word(row, DEATHS).fetch_add(1, Ordering::Relaxed);
        }
        // For people that read the file.
        self.word(row, PID).store(pid.into(), Ordering::Relaxed);
        self.word(row, SINCE).store(since, Ordering::Relaxed);
        self.own.store(Owner::new(row, seen.taken().epoch()).bits(), Ordering::SeqCst);
    }

    /// Begins a call that changes what other processes see: until it ends, this process does not give its row back. `None`
    /// once it is about to.
    pub(crate) fn enter(&self) -> Option<Present<'_>> {
        self.presence.enter()
    }

    /// As [`enter`](Self::enter), for calls that have their own way to know whether one is inside.
    pub(crate) fn stay(&self) -> Option<Attached> {
        self.presence.stay()
    }

    /// Lets no call of this process in any more. `depart` gives the row back: it is called once no call is inside, now or by
    /// the last one. False, and it is never called, where that was said before.
    pub fn leave(&self, depart: impl FnOnce() + Send + 'static) -> bool {
        self.presence.end(depart)
    }

    /// This process, once it has a row.
    pub fn own(&self) -> Option<Owner> {
        Owner::from_bits(self.own.load(Ordering::SeqCst))
    }

    /// Whether what this owner holds counts.
    #[must_use]
    pub fn is_live(&self, owner: Owner) -> bool {
        self.row_word(owner.row()).is_some_and(|word| word.is_live() && owner.is_of_epoch(word.epoch()))
    }

    /// Every owner that is not known to be dead.
    pub fn live(&self) -> impl Iterator<Item = Owner> {
        (0..self.taken()).filter_map(|row| {
            let word = self.row_word(row)?;
            word.is_live().then(|| Owner::new(row, word.epoch()))
        })
    }

    /// By which clock all processes decide.
    #[must_use]
    pub fn clock_word(&self) -> ClockWord {
        ClockWord::new(Pinned::within(&self.rows, CLOCK_LINE))
    }

    /// How many rows were ever taken.
    pub(crate) fn taken(&self) -> usize {
        usize::try_from(self.word(0, TAKEN).load(Ordering::SeqCst))
            .map_or(Self::ROWS, |rows| rows.min(Self::ROWS))
    }

    /// The word in which a row's owner counts what it holds.
    ///
    /// # Panics
    /// There is no such row.
    pub(crate) fn held(&self, row: usize) -> &AtomicU64 {
        self.word(row, HELD)
    }

    /// Says that an owner is dead: its row's lock was seen free after the row was seen live. False when it was known, or
    /// the row has a later owner.
    pub fn bury(&self, owner: Owner) -> bool {
        let Some(word) = self.row_word(owner.row()) else { return false };
        if !word.is_live() || !owner.is_of_epoch(word.epoch()) || planted!(DeathNotNoticed) {
            return false;
        }
        let owner_word = self.word(owner.row(), OWNER);
        let buried = owner_word.compare_exchange(word.0, word.buried().0, Ordering::SeqCst, Ordering::SeqCst);
        if buried.is_ok() {
            self.word(owner.row(), DEATHS).fetch_add(1, Ordering::Relaxed);
        }
        buried.is_ok()
    }

    /// What is to be repaired now. A process calls [`repaired`](Self::repaired) when that is done: if it dies before, the
    /// next one repeats the repair.
    #[must_use]
    pub fn to_repair(&self) -> Repair {
        let rows = (0..Self::ROWS).filter_map(|row| Some((row, self.row_word(row)?)));
        Repair(rows.filter(|(_, word)| word.needs_repair()).collect())
    }

    /// Everything that `repair` names was repaired. A row whose owner died meanwhile stays to be repaired.
    pub fn repaired(&self, repair: Repair) {
        for (row, word) in repair.0 {
            let _ = self.word(row, OWNER).compare_exchange(
                word.0,
                word.repaired().0,
                Ordering::SeqCst,
                Ordering::SeqCst,
            );
        }
    }

    /// The id and the start of the process that owns the row, by its own words. For people.
    #[must_use]
    pub fn describe(&self, owner: Owner) -> Option<(u64, u64)> {
        let read = |place| self.word(owner.row(), place).load(Ordering::Relaxed);
        (owner.row() < Self::ROWS).then(|| (read(PID), read(SINCE)))
    }

    /// How many processes were found dead since the file was made.
    #[must_use]
    pub fn deaths(&self) -> u64 {
        (0..Self::ROWS).map(|row| self.word(row, DEATHS).load(Ordering::Relaxed)).fold(0, u64::wrapping_add)
    }

    /// The words of one of the cells of a row; `None` where there is none.
    pub(crate) fn cell(&self, row: usize, cell: usize) -> Option<impl Iterator<Item = &AtomicU64>> {
        let (line, words) = CELLS.get(cell).copied().filter(|_| row < Self::ROWS)?;
        let first = row * LINES + line;
        let lines = self.rows.get(first..first + words.div_ceil(8))?;
        Some(lines.iter().flat_map(|line| &line.0).take(words))
    }

    fn row_word(&self, row: usize) -> Option<RowWord> {
        (row < Self::ROWS).then(|| RowWord(self.word(row, OWNER).load(Ordering::SeqCst)))
    }

    fn word(&self, row: usize, place: usize) -> &AtomicU64 {
        &self.rows[row * LINES].0[place]
    }
}

impl fmt::Debug for Processes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Processes").field("own", &self.own()).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
mod tests {
    use super::*;

    fn processes() -> Processes {
        Processes::new(&Arena::measure()).expect("room")
    }

    fn live(processes: &Processes) -> Vec<usize> {
        processes.live().map(Owner::row).collect()
    }

    #[test]
    fn an_owner_counts_until_it_is_found_dead() {
        let processes = processes();
        assert!(processes.own().is_none() && live(&processes).is_empty());
        processes.take(3, 77, 5);
        let owner = processes.own().expect("a row");
        assert_eq!((owner.row(), live(&processes), processes.describe(owner)), (3, vec![3], Some((77, 5))));
        assert!(processes.is_live(owner) && !processes.to_repair().is_needed());
        assert!(processes.bury(owner) && !processes.bury(owner), "found dead once");
        assert!(!processes.is_live(owner) && live(&processes).is_empty());
        assert_eq!(processes.deaths(), 1);
    }

    #[test]
    fn a_row_has_one_owner_after_the_other() {
        let processes = processes();
        processes.take(0, 1, 1);
        let first = processes.own().expect("a row");
        processes.take(0, 2, 2);
        let second = processes.own().expect("a row");
        assert!(processes.is_live(second) && !processes.is_live(first));
        assert!(!processes.bury(first), "the row has a later owner");
        assert_eq!(processes.deaths(), 1, "the first was not known to be dead");
        assert!(processes.to_repair().is_needed());
    }

    #[test]
    fn a_death_during_a_repair_is_repaired_again() {
        let processes = processes();
        processes.take(0, 1, 1);
        assert!(processes.bury(processes.own().expect("a row")));
        let repair = processes.to_repair();
        processes.take(0, 2, 2);
        assert!(processes.bury(processes.own().expect("a row")));
        processes.repaired(repair);
        let again = processes.to_repair();
        assert!(again.is_needed());
        processes.repaired(again);
        assert!(!processes.to_repair().is_needed());
    }

    #[test]
    fn any_words_of_another_process_are_harmless() {
        let processes = processes();
        for bits in [u64::MAX, 1, 1 << 22, 65 << 22, u64::MAX << 22] {
            let owner = Owner::from_bits(bits).expect("not 0");
            assert!(!processes.is_live(owner) && !processes.bury(owner));
        }
        processes
            .rows
            .iter()
            .flat_map(|line| &line.0)
            .for_each(|word| word.store(u64::MAX, Ordering::Relaxed));
        processes.take(63, 1, 1);
        assert!(processes.is_live(processes.own().expect("a row")));
        assert!(processes.to_repair().is_needed() && processes.deaths() > 0);
        assert!(processes.cell(64, 0).is_none() && processes.cell(0, 4).is_none());
        assert_eq!(processes.taken(), 64);
    }

    #[test]
    fn the_words_of_a_row_are_apart() {
        let processes = processes();
        processes.take(63, 1, 1);
        let cells = [CELL_WORDS, CELL_WORDS, SMALL_CELL_WORDS, SMALL_CELL_WORDS];
        for (cell, words) in cells.into_iter().enumerate() {
            let kept: Vec<_> = processes.cell(63, cell).expect("a cell").collect();
            assert_eq!(kept.len(), words);
            kept.iter().for_each(|word| assert_eq!(word.fetch_add(1, Ordering::Relaxed), 0));
        }
        assert_eq!(processes.held(63).fetch_add(1, Ordering::Relaxed), 0);
        assert_eq!(processes.clock_word().ahead_of_system(), None);
        assert_eq!((processes.taken(), live(&processes)), (64, vec![63]));
        assert!(!processes.to_repair().is_needed() && processes.deaths() == 0);
    }
}
