//! Events of a semaphore for calls of this thread.

use napi_derive::napi;
use sluice_core::SemaphoreEvent;

use crate::runtime::numbers::double;

/// What became of calls that waited.
#[napi(discriminant = "kind", discriminant_case = "camelCase", object_from_js = false)]
pub enum NativeSemaphoreEvent {
    /// Permits were handed to the call, which has to take them.
    Granted { wait: f64 },
    /// There are fewer permits now than the calls ask for.
    Unmet { waits: Vec<f64>, permits: f64 },
    /// The semaphore was destroyed or reset.
    Closed { waits: Vec<f64>, is_reset: bool },
}

impl From<SemaphoreEvent> for NativeSemaphoreEvent {
    fn from(event: SemaphoreEvent) -> Self {
        match event {
            SemaphoreEvent::Granted { wait } => Self::Granted { wait: double(wait) },
            SemaphoreEvent::Unmet { waits, permits } => {
                Self::Unmet { waits: as_numbers(waits), permits: double(permits) }
            }
            SemaphoreEvent::Closed { waits, is_reset } => Self::Closed { waits: as_numbers(waits), is_reset },
        }
    }
}

fn as_numbers(waits: Vec<u64>) -> Vec<f64> {
    waits.into_iter().map(double).collect()
}
