//! Limiters whose counts a Redis server keeps. A call is asked here and answered later, on the thread's desk.

mod asking;
mod desk;
mod differences;
mod held;
mod layouts;
mod opening;
mod stats;

use napi::bindgen_prelude::Result;
use sluice_core::Instances;
use sluice_fleet::{Failure, FleetLimiter, LinkState, Source};

use self::asking::OperationKind;
pub(crate) use self::desk::PortDesk;
pub(crate) use self::differences::listen as listen_for_differences;
pub(crate) use self::held::{consume as consume_held, try_consume as try_consume_held};
pub(crate) use self::layouts::FleetCall;
use self::layouts::{AnswerKind, AskedKind, DecidedBy, FleetAnswer};
pub(crate) use self::opening::{NativeScope, attach, destroy, on_error_of, open};
pub(crate) use self::stats::NativeFleetFailures;
use crate::components::Component;
use crate::runtime::raw::Exports;
use crate::runtime::seam::{Coded, Declarations, Layout, codes};

static FLEETS: Instances<FleetLimiter> = Instances::new();

pub(crate) const COMPONENT: Component = Component {
    state: &FLEETS,
    export,
    declarations: Declarations {
        layouts: &[FleetCall::DESCRIPTION, FleetAnswer::DESCRIPTION, DecidedBy::DESCRIPTION],
        codes: &[
            OperationKind::DESCRIPTION,
            AskedKind::DESCRIPTION,
            AnswerKind::DESCRIPTION,
            Source::DESCRIPTION,
            Failure::DESCRIPTION,
            LinkState::DESCRIPTION,
        ],
        options: &[],
    },
};

fn export(exports: &Exports<'_>) -> Result<()> {
    asking::export(exports)?;
    held::export(exports)?;
    desk::export(exports)
}

codes! {
    /// Where a decision comes from.
    Source = "FLEET_SOURCE" {
        Redis = "redis",
        Lease = "lease",
        Local = "local",
        Allow = "allow",
        Deny = "deny",
    }
}

codes! {
    /// Why the server did not decide a call.
    Failure = "FLEET_FAILURE" {
        Timeout = "timeout",
        Away = "away",
        Full = "full",
        Late = "late",
        Refused = "refused",
        Foreign = "foreign",
    }
}

codes! {
    /// Whether the server can be asked.
    LinkState = "FLEET_STATE" {
        Idle = "idle",
        Connecting = "connecting",
        Ready = "ready",
        Away = "away",
    }
}
