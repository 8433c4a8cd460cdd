//! What dashboards, inspections and collectors read, and what starts it.

mod latencies;
mod reading;
mod watch;

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::time::Instant;

use sluice_core::observation::{MAX_KEY_BYTES, Measured, Observation, Observed, Reason, Sampler};
use sluice_core::runtime::clock;
use sluice_core::runtime::key_hash::hash_str;

use crate::components::Component;
use crate::runtime::raw::{Call, TextBuffer};
use crate::runtime::seam::{Coded, Declarations, codes};
use crate::runtime::thread::{self, Thread};

pub(crate) static OBSERVATION: Observation = Observation::new();

pub(crate) const COMPONENT: Component = Component {
    state: &OBSERVATION,
    export: latencies::export,
    declarations: Declarations {
        layouts: &[],
        codes: &[Reason::DESCRIPTION, Measured::DESCRIPTION],
        options: &[],
    },
};

codes! {
    /// What became of a call, and why.
    Reason = "OBSERVED_REASONS" {
        Admitted = "admitted",
        Quota = "quota",
        DryRun = "dryRun",
        Ban = "ban",
        Connections = "connections",
        Accept = "accept",
        Concurrency = "concurrency",
        Overload = "overload",
    }
}

codes! {
    /// What threads measure once something has asked for it.
    Measured = "MEASURED" {
        Decisions = "decisions",
        Calls = "calls",
    }
}

/// Where the text of a key is read to.
pub(crate) type KeyBuffer = TextBuffer<MAX_KEY_BYTES>;

/// The samplers of one thread. Refusals have their own, as there may be few among many admissions.
#[derive(Debug)]
pub(crate) struct Samplers {
    admitted: Sampler,
    refused: Sampler,
}

impl Default for Samplers {
    fn default() -> Self {
        let random = RandomState::new();
        Self { admitted: Sampler::new(random.hash_one(0)), refused: Sampler::new(random.hash_one(1)) }
    }
}

impl Samplers {
    /// Whether a call is skipped that is taken for one that is admitted.
    #[inline(always)]
    pub(crate) fn passes_admitted(&self) -> bool {
        self.admitted.skips()
    }

    /// The call that was skipped last was none of them.
    pub(crate) fn was_not_admitted(&self) {
        self.admitted.skip_one_more();
    }
}

/// How many calls the current one stands for; none where it is not sampled.
#[inline(always)]
pub(crate) fn sampled(thread: &Thread, reason: Reason) -> Option<u32> {
    let Samplers { admitted, refused } = &thread.samplers;
    let sampler = if reason == Reason::Admitted { admitted } else { refused };
    if sampler.skips() { None } else { Some(sampler.weight(nanos())) }
}

/// Lets the rankings see a refusal whose client is a text argument.
pub(crate) fn observe_text<const N: usize>(call: &Call<'_, N>, index: usize, reason: Reason, source: &str) {
    if !OBSERVATION.is_on() {
        return;
    }
    let Some(weight) = sampled(call.port.thread(), reason) else { return };
    let mut buffer = KeyBuffer::new();
    let Some(text) = call.text_start(index, &mut buffer) else { return };
    let observed = Observed { reason, source, key: hash_str(text), text };
    OBSERVATION.observe(&observed, weight, clock::now());
}

/// A clock that tests do not stop, for times that pass.
pub(crate) fn nanos() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// The current thread's id.
fn thread_id() -> napi::bindgen_prelude::Result<sluice_core::ThreadId> {
    Ok(thread::current()?.id)
}
