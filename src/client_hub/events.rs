//! Events of a hub for calls of this thread.

use napi::bindgen_prelude::Buffer;
use napi_derive::napi;
use sluice_core::HubEvent;

use super::calls::as_numbers;
use crate::runtime::numbers::double;

/// What became of calls that lead a run or wait for one. `bytes` has the value or the error.
#[napi(discriminant = "kind", discriminant_case = "camelCase", object_from_js = false)]
pub enum NativeHubEvent {
    /// The call is to run its initialiser.
    Lead { call: f64 },
    /// Another call leads now: this one took too long.
    Replaced { call: f64 },
    /// No call needs the result of this one.
    Abandoned { call: f64 },
    /// The run made a value.
    Made { calls: Vec<f64>, version: f64, bytes: Buffer },
    /// The run failed.
    Failed { calls: Vec<f64>, bytes: Buffer },
    /// The hub was destroyed.
    Closed { calls: Vec<f64> },
}

impl From<HubEvent> for NativeHubEvent {
    fn from(event: HubEvent) -> Self {
        match event {
            HubEvent::Lead { call } => Self::Lead { call: double(call) },
            HubEvent::Replaced { call } => Self::Replaced { call: double(call) },
            HubEvent::Abandoned { call } => Self::Abandoned { call: double(call) },
            HubEvent::Made { calls, value } => Self::Made {
                calls: as_numbers(&calls),
                version: double(value.version),
                bytes: Buffer::from(&*value.bytes),
            },
            HubEvent::Failed { calls, error } => {
                Self::Failed { calls: as_numbers(&calls), bytes: Buffer::from(&*error) }
            }
            HubEvent::Closed { calls } => Self::Closed { calls: as_numbers(&calls) },
        }
    }
}
