//! `LoadShedder`: raw calls for requests, `#[napi]` for the rest.

mod calls;
mod event_loop;
mod opening;

use std::sync::Arc;

use napi::bindgen_prelude::Result;
use sluice_core::{Instances, LoadShedder, LoadShedderOptions, LocalShedder, Priority};

use self::calls::ShedCall;
use crate::components::Component;
use crate::runtime::raw::Exports;
use crate::runtime::seam::{Coded, Declarations, Layout, codes};
use crate::runtime::slab::Held;

pub(crate) use self::event_loop::ThreadLoop;

static SHEDDERS: Instances<LoadShedder> = Instances::new();

pub(crate) const COMPONENT: Component = Component {
    state: &SHEDDERS,
    export,
    declarations: Declarations {
        layouts: &[ShedCall::DESCRIPTION],
        codes: &[Priority::DESCRIPTION],
        options: &[("LoadShedder", LoadShedderOptions::FIELDS)],
    },
};

codes! {
    /// The priorities of requests.
    Priority = "PRIORITIES" {
        High = "high",
        Normal = "normal",
        Low = "low",
        Exempt = "exempt",
    }
}

fn export(exports: &Exports<'_>) -> Result<()> {
    calls::export(exports)
}

impl Held for LocalShedder {
    type Instance = LoadShedder;

    fn hold(shedder: Arc<LoadShedder>) -> Self {
        Self::new(shedder)
    }

    fn instance(&self) -> &Arc<LoadShedder> {
        self.shedder()
    }
}
