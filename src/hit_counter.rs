//! `HitCounter`: raw calls for requests, `#[napi]` for the rest.

mod calls;
mod numbers;
mod opening;

use napi::bindgen_prelude::Result;
use sluice_core::{HitCounter, HitCounterOptions, Instances};

use self::numbers::{HitCall, HitIntegers, HitNumbers, LargeHitCall};
use crate::components::Component;
use crate::runtime::raw::Exports;
use crate::runtime::seam::{Declarations, Layout};

static COUNTERS: Instances<HitCounter> = Instances::new();

pub(crate) const COMPONENT: Component = Component {
    state: &COUNTERS,
    export,
    declarations: Declarations {
        layouts: &[
            HitCall::DESCRIPTION,
            HitIntegers::DESCRIPTION,
            HitNumbers::DESCRIPTION,
            LargeHitCall::DESCRIPTION,
        ],
        codes: &[],
        options: &[("HitCounter", HitCounterOptions::FIELDS)],
    },
};

fn export(exports: &Exports<'_>) -> Result<()> {
    calls::export(exports)
}
