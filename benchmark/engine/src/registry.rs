//! Read-mostly values that every request reads.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::{Arc, RwLock};
use std::time::Instant;

use rapidhash::fast::RandomState;
use sluice_core::Registry;

use crate::clients::at_random;
use crate::harness::{Caller, Slice, for_a_while};
use crate::report::{Row, emit};
use crate::rounds::Plan;

const KEYS: u32 = 1_000;
/// Reads of each key after it is written once.
const READS_PER_WRITE: usize = 100;
/// Number of reads in an order; a power of two.
const LENGTH: usize = 1 << 14;
const VALUE: &[u8] = b"{\"plan\":\"pro\",\"limit\":1000}";

/// A map of values. A value that was read stays valid while other threads write.
trait Values: Send + Sync {
    fn new() -> Self;
    fn set(&self, key: &str);
    fn read(&self, key: &str) -> usize;
    /// The total length of all values of one version.
    fn read_all(&self) -> usize;

    fn fill(&self, keys: &[String]) {
        for key in keys {
            self.set(key);
        }
    }
}

struct InRwLock(RwLock<HashMap<String, Arc<[u8]>, RandomState>>);

impl Values for InRwLock {
    fn new() -> Self {
        Self(RwLock::default())
    }

    fn set(&self, key: &str) {
        self.0.write().expect("not poisoned").insert(key.to_owned(), VALUE.into());
    }

    fn read(&self, key: &str) -> usize {
        let value = self.0.read().expect("not poisoned").get(key).cloned();
        value.map_or(0, |value| value.len())
    }

    fn read_all(&self) -> usize {
        self.0.read().expect("not poisoned").values().map(|value| value.len()).sum()
    }
}

struct Sluice(Registry);

impl Values for Sluice {
    fn new() -> Self {
        Self(Registry::new("benchmark"))
    }

    fn set(&self, key: &str) {
        self.0.set(key, VALUE.into()).expect("open");
    }

    fn read(&self, key: &str) -> usize {
        self.0.get(key).expect("open").map_or(0, |entry| entry.value.len())
    }

    fn read_all(&self) -> usize {
        self.0.snapshot().expect("open").entries.values().map(|entry| entry.value.len()).sum()
    }
}

/// The registry of sluice, filled in one write, as its documentation recommends.
struct SluiceAtOnce(Sluice);

impl Values for SluiceAtOnce {
    fn new() -> Self {
        Self(Sluice::new())
    }

    fn set(&self, key: &str) {
        self.0.set(key);
    }

    fn read(&self, key: &str) -> usize {
        self.0.read(key)
    }

    fn read_all(&self) -> usize {
        self.0.read_all()
    }

    fn fill(&self, keys: &[String]) {
        let values = keys.iter().map(|key| (key.clone(), VALUE.into())).collect();
        self.0.0.replace_all(values).expect("open");
    }
}

/// An operation on a map with a number of threads.
struct Case<'a> {
    load: &'static str,
    contender: &'static str,
    threads: usize,
    run: Box<dyn Fn() -> Slice + 'a>,
}

pub fn measure(plan: &Plan) {
    let keys: Vec<_> = (0..KEYS).map(|i| format!("tenant-{i}")).collect();
    let random: Vec<_> = at_random(0, KEYS, LENGTH).into_iter().map(|i| &*keys[i as usize]).collect();
    let in_order: Vec<_> = keys.iter().map(|key| &**key).cycle().take(LENGTH).collect();
    let (sluice, locked) = (Sluice::new(), InRwLock::new());
    sluice.fill(&keys);
    locked.fill(&keys);
    let mut cases = Vec::new();
    cases.extend(cases_of("sluice", plan, &sluice, &keys, (&random, &in_order)));
    cases.extend(cases_of("RwLock<HashMap>", plan, &locked, &keys, (&random, &in_order)));
    let run = Box::new(|| write_once::<SluiceAtOnce>(&keys));
    cases.push(Case { load: WRITE_ONCE, contender: "sluice, replaceAll", threads: 1, run });
    let samples = plan.interleaved(cases.len(), |case| (cases[case].run)());
    for (case, slices) in cases.iter().zip(&samples) {
        let slices: Vec<_> = slices.iter().collect();
        emit(&Row::of_slices("registry", case.contender, case.threads, &slices).on(case.load));
    }
}

const WRITE_ONCE: &str = "write once, read many";

fn cases_of<'a, V: Values>(
    contender: &'static str,
    plan: &'a Plan,
    values: &'a V,
    keys: &'a [String],
    (random, in_order): (&'a [&'a str], &'a [&'a str]),
) -> Vec<Case<'a>> {
    let reads = |keys, threads: usize| {
        move || {
            let mut readers: Vec<_> =
                (0..threads).map(|thread| Reads { values, keys, next: thread * LENGTH / threads }).collect();
            for_a_while(&mut readers, plan.slice)
        }
    };
    let case = |load, run| Case { load, contender, threads: 1, run };
    let mut cases = vec![
        case("sequential reads", Box::new(reads(in_order, 1))),
        case("get all", Box::new(|| for_a_while(&mut [ReadsAll(values)], plan.slice))),
        case(WRITE_ONCE, Box::new(|| write_once::<V>(keys))),
    ];
    cases.extend(plan.threads.iter().map(|&threads| Case {
        load: "concurrent reads",
        contender,
        threads,
        run: Box::new(reads(random, threads)),
    }));
    cases
}

/// Reads one key after another.
#[repr(align(128))]
struct Reads<'a, V> {
    values: &'a V,
    keys: &'a [&'a str],
    next: usize,
}

impl<V: Values> Caller for Reads<'_, V> {
    fn call(&mut self) {
        black_box(self.values.read(self.keys[self.next & (LENGTH - 1)]));
        self.next += 1;
    }
}

/// Reads all values again and again.
#[repr(align(128))]
struct ReadsAll<'a, V>(&'a V);

impl<V: Values> Caller for ReadsAll<'_, V> {
    fn call(&mut self) {
        black_box(self.0.read_all());
    }
}

/// Writes every key once and reads it many times; the slice counts both.
fn write_once<V: Values>(keys: &[String]) -> Slice {
    let started = Instant::now();
    let values = V::new();
    values.fill(keys);
    for _ in 0..READS_PER_WRITE {
        for key in keys {
            black_box(values.read(key));
        }
    }
    let calls = keys.len() * (1 + READS_PER_WRITE);
    Slice { calls: calls as u64, elapsed: started.elapsed(), ticks: Vec::new() }
}
