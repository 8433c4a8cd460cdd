//! Records of one process.
//!
//! Free records form stacks (Treiber, "Systems Programming: Coping with Parallelism", 1986). Their heads have a count, so
//! that a head seen again is not mistaken for an unchanged one (ABA). A slot always uses the same stack, where it finds
//! the record that it freed last.

use std::io;
use std::sync::Arc;

use crossbeam_utils::CachePadded;

use super::{Name, Records, USES};
use crate::runtime::arena::Arena;
use crate::runtime::memory::MemoryUse;
use crate::runtime::planted::planted;
use crate::runtime::region::{PAGE, Region};
use crate::runtime::sync::{AtomicU64, Ordering, fence};

/// Records beyond one per slot: those that threads hold between taking and publishing.
const IN_FLIGHT: usize = if cfg!(any(sluice_loom, sluice_shuttle)) { 8 } else { 1_024 };
const STACKS: usize = 8;

/// The head of a stack: `count 32 | number 32` of its top.
#[derive(Clone, Copy)]
struct Head(u64);

impl Head {
    fn top(self) -> u64 {
        self.0 & u64::from(u32::MAX)
    }

    fn moved_to(self, top: u64) -> Self {
        let count = if planted!(HeadNotCounted) { 0 } else { (self.0 >> 32) + 1 };
        Self(count << 32 | top)
    }
}

pub(crate) struct StackedRecords {
    /// Each record: the one below it on its stack and the number of its use, then its words.
    memory: Region<AtomicU64>,
    length: usize,
    stacks: [CachePadded<AtomicU64>; STACKS],
    /// How many records were ever taken from the unused memory.
    fresh: CachePadded<AtomicU64>,
    in_use: Arc<MemoryUse>,
}

impl StackedRecords {
    pub(crate) fn new(slots: usize, limits: usize, arena: &Arena) -> io::Result<Self> {
        let length = 1 + limits;
        Ok(Self {
            memory: arena.region((slots + IN_FLIGHT) * length)?,
            length,
            stacks: Default::default(),
            fresh: CachePadded::default(),
            in_use: arena.in_use(),
        })
    }

    /// Bytes of a record.
    pub(crate) const fn bytes_each(limits: usize) -> usize {
        (1 + limits) * size_of::<AtomicU64>()
    }

    fn record(&self, number: u64) -> &[AtomicU64] {
        let start = (number - 1) as usize * self.length;
        &self.memory[start..start + self.length]
    }

    fn take_fresh(&self) -> Option<u64> {
        let most = (self.memory.len() / self.length) as u64;
        // Relaxed: each number is taken once, and nothing is published.
        let taken = self
            .fresh
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| (taken < most).then_some(taken + 1));
        let taken = taken.ok()?;
        self.count_pages(taken);
        Some(taken + 1)
    }

    /// Counts the pages that the record is the first to reach: records are first used in order.
    fn count_pages(&self, taken: u64) {
        let bytes = Self::bytes_each(self.length - 1) as u64;
        let pages = |records: u64| (records * bytes).div_ceil(PAGE as u64);
        let begun = pages(taken + 1) - pages(taken);
        if begun > 0 {
            self.in_use.add(begun * PAGE as u64);
        }
    }

    fn pop_any(&self) -> Option<u64> {
        (0..STACKS).find_map(|stack| self.pop(stack))
    }

    fn pop(&self, stack: usize) -> Option<u64> {
        let head = &self.stacks[stack];
        // Acquire: the link of the top was written before the top was pushed.
        let mut seen = Head(head.load(Ordering::Acquire));
        loop {
            let top = seen.top();
            if top == 0 {
                return None;
            }
            // It may belong to a later use by now; then the head has moved, and the exchange fails.
            let below = self.record(top)[0].load(Ordering::Relaxed) & u64::from(u32::MAX);
            let next = seen.moved_to(below);
            match head.compare_exchange_weak(seen.0, next.0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(top),
                Err(current) => seen = Head(current),
            }
        }
    }

    fn push(&self, stack: usize, name: Name) {
        let head = &self.stacks[stack];
        let link = &self.record(name.number())[0];
        let mut seen = Head(head.load(Ordering::Relaxed));
        loop {
            link.store(name.uses() << 32 | seen.top(), Ordering::Relaxed);
            let next = seen.moved_to(name.number());
            // Release: publishes the link with the top.
            match head.compare_exchange_weak(seen.0, next.0, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(current) => seen = Head(current),
            }
        }
    }
}

impl Records for StackedRecords {
    fn read(&self, name: u64, words: &mut [u64]) {
        let name = Name(name);
        if name.number() == 0 {
            return;
        }
        for (word, kept) in words.iter_mut().zip(&self.record(name.number())[1..]) {
            // Relaxed: the caller checks that the name is still published.
            *word = kept.load(Ordering::Relaxed);
        }
    }

    fn take(&self, words: &[u64], slot: usize, _: impl Fn(usize, u64) -> bool) -> Option<u64> {
        let number = self.pop(slot % STACKS).or_else(|| self.take_fresh()).or_else(|| self.pop_any())?;
        let [link, kept @ ..] = self.record(number) else { return None };
        // Release: a thread that reads a word of this use also sees that the use before is no longer published.
        fence(Ordering::Release);
        for (kept, word) in kept.iter().zip(words) {
            kept.store(*word, Ordering::Relaxed);
        }
        // Relaxed: only the holder writes it, and the stack or the slot publishes it.
        let uses = (link.load(Ordering::Relaxed) >> 32) + 1;
        link.store((uses % USES) << 32, Ordering::Relaxed);
        Some(Name::new(number, uses).0)
    }

    fn give_back(&self, name: u64, slot: usize) {
        let name = Name(name);
        if name.number() != 0 {
            self.push(slot % STACKS, name);
        }
    }

    #[cfg(all(test, any(sluice_loom, sluice_shuttle)))]
    fn in_use(&self) -> u64 {
        let free = (0..STACKS).map(|stack| {
            let mut top = Head(self.stacks[stack].load(Ordering::SeqCst)).top();
            let mut length = 0;
            while top != 0 {
                (top, length) = (Head(self.record(top)[0].load(Ordering::SeqCst)).top(), length + 1);
            }
            length
        });
        self.fresh.load(Ordering::SeqCst) - free.sum::<u64>()
    }
}

#[cfg(all(test, sluice_loom))]
mod models {
    use loom::thread;

    use super::*;

    const NONE: fn(usize, u64) -> bool = |_, _| unreachable!("stacks need no look at slots");

    /// While one thread looks below the top of a stack, another takes both and puts the first one back.
    #[test]
    fn a_record_has_one_holder() {
        loom::model(|| {
            let records = Arc::new(StackedRecords::new(0, 1, &Arena::default()).expect("room"));
            let [lower, upper] = [1, 2].map(|word| records.take(&[word], 0, NONE).expect("room"));
            records.give_back(lower, 0);
            records.give_back(upper, 0);
            let threads = [false, true].map(|gives_back| {
                let records = Arc::clone(&records);
                thread::spawn(move || {
                    let mut held = vec![records.take(&[3], 0, NONE).expect("room")];
                    if gives_back {
                        let first = held[0];
                        held = vec![records.take(&[4], 0, NONE).expect("room")];
                        records.give_back(first, 0);
                    }
                    held
                })
            });
            let held = threads.map(|thread| Name(thread.join().expect("no panic")[0]));
            assert_ne!(held[0].number(), held[1].number());
            assert_eq!(records.in_use(), 2);
        });
    }
}
