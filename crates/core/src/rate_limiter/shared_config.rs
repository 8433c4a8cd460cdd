//! The config that several processes bring into force for each other.
//!
//! A process writes the words of a config to a cell of its own row, the one of the two that is not in force, and exchanges
//! the epoch, which names the cell. Of two processes the second starts again from the config of the first. A process
//! whose config is of another epoch copies the words of the cell, and reads the epoch again: as long as that stands, no
//! process writes the cell. Nothing is locked that another process could wait for.

use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::config_epoch::{AtomicConfigEpoch, ConfigEpoch, Place};
use crate::machine::{CELL_WORDS, Processes};
use crate::runtime::arena::{Arena, Word};
use crate::runtime::planted::planted;
use crate::runtime::sync::{AtomicU64, Mutex, Ordering, fence};

/// The words of a config.
pub(crate) type ConfigWords = [u64; CELL_WORDS];

/// A config that processes bring into force for each other.
pub(crate) trait InCells: Clone {
    /// The first of the two cells of a row in which it is written.
    const FIRST_CELL: usize;

    /// How many words it takes.
    fn count_words(&self) -> usize;

    /// What of it may change.
    fn to_words(&self) -> ConfigWords;

    /// The config that the words stand for, where `created` is that of creation; `None` if they stand for none.
    fn from_words(words: &ConfigWords, created: &Self, generation: u64) -> Option<Self>;

    /// How often it was replaced before.
    fn generation(&self) -> u64;

    /// The same, as that of another generation.
    fn at_generation(&self, generation: u64) -> Self;
}

pub(crate) struct SharedConfig<C> {
    processes: Arc<Processes>,
    /// Generation 0, on which all words are based.
    created: C,
    /// The highest generation to which all keys were adapted.
    adopted: Word,
    /// The epoch of the config that this process has.
    followed: Mutex<ConfigEpoch>,
}

impl<C: InCells> SharedConfig<C> {
    pub(crate) fn new(created: C, arena: &Arena, processes: Arc<Processes>) -> io::Result<Self> {
        let followed = Mutex::new(ConfigEpoch::default());
        Ok(Self { processes, created, adopted: arena.word()?, followed })
    }

    /// Takes over the config that another process brought into force.
    pub(crate) fn follow(&self, epoch: &AtomicConfigEpoch, config: &ArcSwap<C>) {
        self.follow_locked(&mut self.followed.lock(), epoch, config);
    }

    fn follow_locked(&self, followed: &mut ConfigEpoch, epoch: &AtomicConfigEpoch, config: &ArcSwap<C>) {
        loop {
            let in_force = epoch.get();
            if *followed == in_force {
                return;
            }
            let generation = in_force.generation();
            let words = in_force.place().map(|place| self.read(place));
            if !planted!(CellNotReadAgain) && epoch.get() != in_force {
                continue;
            }
            let read = match words {
                None => Some(self.created.clone()),
                Some(words) => words.and_then(|words| C::from_words(&words, &self.created, generation)),
            };
            // Words that are no config, which no process writes, leave the one before in force.
            let before = || config.load().at_generation(generation);
            config.store(Arc::new(read.unwrap_or_else(before)));
            *followed = in_force;
            return;
        }
    }

    /// Whether this process has cells to write a config to.
    pub(crate) fn can_replace(&self) -> bool {
        self.processes.own().is_some() && self.processes.enter().is_some()
    }

    /// Brings a config into force in the place of `loaded`; false when another process came first.
    pub(crate) fn replace(
        &self,
        epoch: &AtomicConfigEpoch,
        in_force: &ArcSwap<C>,
        loaded: &C,
        config: &C,
    ) -> bool {
        // The cell is this process's until its words are in force.
        let Some(_present) = self.processes.enter() else { return false };
        let mut followed = self.followed.lock();
        let seen = epoch.get();
        if *followed != seen || loaded.generation() != seen.generation() {
            return false;
        }
        let Some(own) = self.processes.own() else { return false };
        let is_taken = seen.place() == Some(Place { row: own.row(), cell: 0 });
        let place = Place { row: own.row(), cell: usize::from(is_taken && !planted!(CellInForceWritten)) };
        self.write(place, &config.to_words());
        let replaced = epoch.swap_if(seen, seen.next_in(place));
        // As other processes read it.
        self.follow_locked(&mut followed, epoch, in_force);
        replaced
    }

    pub(crate) fn was_adopted(&self, generation: u64) {
        self.adopted.fetch_max(generation, Ordering::SeqCst);
    }

    pub(crate) fn is_to_adopt(&self, epoch: ConfigEpoch) -> bool {
        self.adopted.load(Ordering::SeqCst) < epoch.generation()
    }

    fn read(&self, place: Place) -> Option<ConfigWords> {
        let mut words = [0; CELL_WORDS];
        for (word, kept) in words.iter_mut().zip(self.cell(place)?) {
            // Relaxed: the caller reads the epoch again.
            *word = kept.load(Ordering::Relaxed);
        }
        // If a word was of a later config, the epoch is later: pairs with the fence of `write`.
        fence(Ordering::Acquire);
        Some(words)
    }

    fn write(&self, place: Place, words: &ConfigWords) {
        // A process that reads a word of this config also sees that the one before in this cell is not in force.
        fence(Ordering::Release);
        for (kept, word) in self.cell(place).into_iter().flatten().zip(words) {
            // Relaxed: the exchange of the epoch publishes it.
            kept.store(*word, Ordering::Relaxed);
        }
    }

    /// The words of a cell that a config takes.
    fn cell(&self, place: Place) -> Option<impl Iterator<Item = &AtomicU64>> {
        let count = self.created.count_words();
        self.processes.cell(place.row, C::FIRST_CELL + place.cell).map(|words| words.take(count))
    }
}

#[cfg(all(test, sluice_loom))]
mod models {
    use loom::thread;

    use super::*;
    use crate::rate_limiter::{RateLimiterConfig, RateLimiterOptions};

    /// One process: its config, of an epoch that all of them share.
    struct Process {
        shared: SharedConfig<RateLimiterConfig>,
        epoch: AtomicConfigEpoch,
        config: ArcSwap<RateLimiterConfig>,
    }

    /// The limit and the window are one number, so that half a config is noticed.
    fn options(number: u64) -> RateLimiterOptions {
        RateLimiterOptions::single(number, number)
    }

    impl Process {
        fn new(row: usize, processes: Processes, epoch: &AtomicConfigEpoch) -> Self {
            processes.take(row, 1, 1);
            let created = RateLimiterConfig::try_from(options(10)).expect("valid");
            let config = ArcSwap::from_pointee(created.clone());
            let shared = SharedConfig::new(created, &Arena::measure(), Arc::new(processes)).expect("room");
            Self { shared, epoch: epoch.clone(), config }
        }

        fn number(&self) -> u64 {
            self.shared.follow(&self.epoch, &self.config);
            let quota = self.config.load().options.limits[0].quota;
            assert_eq!(quota.limit, quota.window_ms, "half of one config, half of another");
            quota.limit
        }

        fn reconfigure(&self, number: u64) {
            loop {
                self.number();
                let loaded = self.config.load_full();
                let config = loaded.replaced_by(options(number)).expect("changeable");
                if self.shared.replace(&self.epoch, &self.config, &loaded, &config) {
                    return;
                }
            }
        }
    }

    fn two() -> [Process; 2] {
        let (first, epoch) =
            (Processes::new(&Arena::measure()).expect("room"), AtomicConfigEpoch::of_process());
        let second = first.with_same_rows();
        [Process::new(0, first, &epoch), Process::new(1, second, &epoch)]
    }

    fn check(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(preemptions);
        builder.check(model);
    }

    /// A process is suspended while it reads a config, and another one brings three more into force.
    #[test]
    fn a_config_of_another_process_is_read_whole() {
        check(2, || {
            let [writer, reader] = two();
            writer.reconfigure(20);
            let writes = thread::spawn(move || [30, 40, 50].map(|number| writer.reconfigure(number)));
            let reads = thread::spawn(move || {
                let read = reader.number();
                assert!([20, 30, 40, 50].contains(&read));
                reader
            });
            writes.join().expect("no panic");
            assert_eq!(reads.join().expect("no panic").number(), 50, "the last one is found");
        });
    }

    /// Of two that reconfigure at once one is the last, for both.
    #[test]
    fn two_processes_agree_in_the_config() {
        check(2, || {
            let processes = two();
            let threads = processes.into_iter().zip([20, 30]).map(|(process, number)| {
                thread::spawn(move || {
                    process.reconfigure(number);
                    process
                })
            });
            let threads: Vec<_> = threads.collect();
            let processes: Vec<_> =
                threads.into_iter().map(|thread| thread.join().expect("no panic")).collect();
            assert_eq!(processes[0].number(), processes[1].number());
            assert_eq!(processes[0].config.load().generation, 2);
        });
    }
}
