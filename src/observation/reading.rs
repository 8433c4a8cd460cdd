//! What JavaScript reads of the observation, and adds to it.

use std::sync::OnceLock;

use napi::bindgen_prelude::{Buffer, Result, Uint32Array};
use napi_derive::napi;
use sluice_core::observation::{Note, Ranked, Recent, ThreadLoad};
use sluice_core::runtime::clock;

use super::watch::record;
use super::{OBSERVATION, thread_id};
use crate::components;
use crate::runtime::numbers::{double, integer};
use crate::runtime::seam::Coded;

/// The counts per second of one guard or limiter.
#[napi(object, object_from_js = false)]
pub struct NativeSeries {
    pub name: String,
    /// The second of the first row, since 1970.
    pub first: f64,
    /// The rows, one after the other.
    pub rows: Uint32Array,
}

/// The newest counts per second.
#[napi(object, object_from_js = false)]
pub struct NativeHistory {
    pub guards: Vec<NativeSeries>,
    pub limiters: Vec<NativeSeries>,
}

/// A client of a ranking.
#[napi(object, object_from_js = false)]
pub struct NativeRanked {
    /// By its code in `OBSERVED_REASONS`.
    pub reason: u32,
    pub source: String,
    pub key: String,
    pub is_whole: bool,
    /// Calls per minute, the current one last.
    pub minutes: Vec<u32>,
    pub refused: u32,
    pub error: u32,
    /// UTC milliseconds.
    pub since: f64,
    pub last: f64,
}

/// The clients with most refusals, and those with most calls.
#[napi(object, object_from_js = false)]
pub struct NativeRankings {
    pub offenders: Vec<NativeRanked>,
    pub clients: Vec<NativeRanked>,
}

/// A note of the journal.
#[napi(object, object_from_js = false)]
pub struct NativeNote {
    pub number: f64,
    pub text: String,
}

/// How busy a thread is.
#[napi(object)]
pub struct NativeThreadLoad {
    pub thread_id: u32,
    pub utilization: f64,
    pub mean_delay_ms: f64,
    pub p99_delay_ms: f64,
    pub max_delay_ms: f64,
    pub heap_bytes: f64,
    pub at_ms: f64,
}

/// The names of all instances of one kind.
#[napi(object, object_from_js = false)]
pub struct NativeNames {
    pub kind: String,
    pub names: Vec<String>,
}

/// The names of all instances of the process, by kind.
#[napi]
pub fn instance_names() -> Vec<NativeNames> {
    components::names().map(|(kind, names)| NativeNames { kind: kind.to_owned(), names }).collect()
}

/// The counts per second since a second, up to now.
#[napi]
pub fn read_history(since: f64) -> NativeHistory {
    record();
    let (history, since) = (OBSERVATION.history.lock(), integer(since));
    NativeHistory {
        guards: history.guards(since).into_iter().map(Into::into).collect(),
        limiters: history.limiters(since).into_iter().map(Into::into).collect(),
    }
}

/// At most `most` clients of each ranking.
#[napi]
pub fn read_rankings(most: u32) -> NativeRankings {
    let (now, most) = (clock::now(), most as usize);
    let offenders = OBSERVATION.offenders.lock().top(most, now);
    let clients = OBSERVATION.clients.lock().top(most, now);
    let all = |ranked: Vec<Ranked>| ranked.into_iter().map(Into::into).collect();
    NativeRankings { offenders: all(offenders), clients: all(clients) }
}

/// Removes a client of a limiter or a guard from the ranking of refused ones, where it was let in.
#[napi]
pub fn forget_offender(source: String, key: String) -> bool {
    OBSERVATION.offenders.lock().forget(&source, &key)
}

/// Adds a note; false where the journal has it, or one of the change with that number.
#[napi]
pub fn add_note(text: String, change: Option<f64>) -> bool {
    OBSERVATION.journal.lock().add(text, change.map(integer))
}

/// The notes after a number, the oldest first.
#[napi]
pub fn read_notes(since: f64) -> Vec<NativeNote> {
    OBSERVATION.journal.lock().since(integer(since)).into_iter().map(Into::into).collect()
}

/// Reports how busy this thread is.
#[napi]
pub fn report_thread_load(load: NativeThreadLoad) -> Result<()> {
    OBSERVATION.threads.lock().report(thread_id()?, load.into());
    Ok(())
}

/// The latest report of each thread.
#[napi]
pub fn read_thread_loads() -> Vec<NativeThreadLoad> {
    OBSERVATION.threads.lock().all().into_iter().map(Into::into).collect()
}

/// A secret of the process: the first that any thread proposes.
#[napi]
pub fn observation_secret(proposed: Buffer) -> Buffer {
    static SECRET: OnceLock<Vec<u8>> = OnceLock::new();
    SECRET.get_or_init(|| proposed.to_vec()).clone().into()
}

impl<const N: usize> From<Recent<N>> for NativeSeries {
    fn from(Recent { name, first, rows }: Recent<N>) -> Self {
        Self { name, first: double(first), rows: rows.concat().into() }
    }
}

impl From<Ranked> for NativeRanked {
    fn from(ranked: Ranked) -> Self {
        let (since, last) = ranked.seen;
        Self {
            reason: ranked.reason.code(),
            source: ranked.source,
            key: ranked.text,
            is_whole: ranked.is_whole,
            minutes: ranked.minutes.to_vec(),
            refused: ranked.refused,
            error: ranked.error,
            since: double(clock::utc_ms_of(since)),
            last: double(clock::utc_ms_of(last)),
        }
    }
}

impl From<Note> for NativeNote {
    fn from(Note { number, text, .. }: Note) -> Self {
        Self { number: double(number), text }
    }
}

impl From<NativeThreadLoad> for ThreadLoad {
    fn from(load: NativeThreadLoad) -> Self {
        let NativeThreadLoad { thread_id, utilization, heap_bytes, at_ms, .. } = load;
        let delay_ms = [load.mean_delay_ms, load.p99_delay_ms, load.max_delay_ms];
        Self { thread_id, utilization, delay_ms, heap_bytes, at_ms }
    }
}

impl From<ThreadLoad> for NativeThreadLoad {
    fn from(load: ThreadLoad) -> Self {
        let ThreadLoad { thread_id, utilization, heap_bytes, at_ms, .. } = load;
        let [mean_delay_ms, p99_delay_ms, max_delay_ms] = load.delay_ms;
        Self { thread_id, utilization, mean_delay_ms, p99_delay_ms, max_delay_ms, heap_bytes, at_ms }
    }
}
