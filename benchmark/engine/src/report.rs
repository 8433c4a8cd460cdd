//! JSON rows with all samples of a case, so that ratios can be taken within a round.

use serde::Serialize;

use crate::contenders::{Locks, Measured};
use crate::harness::{Slice, nanos, tick};

/// One case. Lists have one number per round.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    section: &'static str,
    load: &'static str,
    contender: &'static str,
    threads: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<u32>,
    calls_per_second: Vec<f64>,
    p50: Vec<f64>,
    p95: Vec<f64>,
    p99: Vec<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    locks: Option<Locks>,
    /// Nanoseconds.
    waited_per_call: Vec<f64>,
    /// Share of the calls answered differently from an unbounded map.
    unlike: f64,
}

/// More than a bounded table can cause by evictions.
const MOST_UNLIKE: f64 = 0.01;

impl Row {
    pub fn new(section: &'static str, contender: &'static str, threads: usize, samples: &[Measured]) -> Self {
        let calls: u64 = samples.iter().map(|sample| sample.slice.calls).sum();
        let unlike = samples.iter().map(|sample| sample.unlike).sum::<u64>() as f64 / calls as f64;
        assert!(unlike <= MOST_UNLIKE, "{section}, {contender}: {unlike} of the calls were answered wrongly");
        let waited = samples.iter().map(|sample| nanos(sample.waited) / sample.slice.calls as f64);
        let waited = waited.map(to_tenths).collect();
        let slices: Vec<_> = samples.iter().map(|sample| &sample.slice).collect();
        Self { waited_per_call: waited, unlike, ..Self::of_slices(section, contender, threads, &slices) }
    }

    pub fn of_slices(
        section: &'static str,
        contender: &'static str,
        threads: usize,
        slices: &[&Slice],
    ) -> Self {
        let percentile = |share| slices.iter().map(|slice| to_tenths(slice.percentile(share))).collect();
        Self {
            section,
            load: "",
            contender,
            threads,
            keys: None,
            calls_per_second: slices.iter().map(|slice| slice.calls_per_second().round()).collect(),
            p50: percentile(0.5),
            p95: percentile(0.95),
            p99: percentile(0.99),
            locks: None,
            waited_per_call: Vec::new(),
            unlike: 0.0,
        }
    }

    pub fn on(self, load: &'static str) -> Self {
        Self { load, ..self }
    }

    pub fn of(self, keys: u32) -> Self {
        Self { keys: Some(keys), ..self }
    }

    pub fn with(self, locks: Locks) -> Self {
        Self { locks: Some(locks), ..self }
    }
}

fn to_tenths(nanos: f64) -> f64 {
    (nanos * 10.0).round() / 10.0
}

/// Emits the time that reading the processor's counter adds to every percentile.
pub fn clock() {
    let mut apart: Vec<_> =
        (0..10_001).map(|_| (tick(), tick())).map(|(one, two)| two.saturating_sub(one)).collect();
    apart.sort_unstable();
    emit(&serde_json::json!({ "section": "clock", "reading": nanos(apart[apart.len() / 2]) }));
}

pub fn emit(row: &impl Serialize) {
    println!("{}", serde_json::to_string(row).expect("numbers and names"));
}
