//! `Broker`. Messages cross in batches; `lib/broker/` interprets their headers and payloads.

mod delivery;
mod header;
mod inbox;
mod joining;
mod memberships;
mod routing;
mod shapes;
mod status;
mod taken;
mod text;

use napi::bindgen_prelude::Result;
use sluice_core::{Broker, BrokerOptions, Instances, SendRefusal};

use crate::components::Component;
use crate::runtime::raw::{Call, Exports};
use crate::runtime::seam::{Coded, Declarations, Layout};
use crate::runtime::thread;
pub(crate) use memberships::{Membership, Memberships};
pub(crate) use status::latencies;

static BROKERS: Instances<Broker> = Instances::new();

pub(crate) const COMPONENT: Component = Component {
    state: &BROKERS,
    export,
    declarations: Declarations {
        layouts: &[
            routing::RouteNumbers::DESCRIPTION,
            routing::RefusedSend::DESCRIPTION,
            delivery::ReservedNumbers::DESCRIPTION,
            taken::TakenNumbers::DESCRIPTION,
            header::MessageHeader::DESCRIPTION,
        ],
        codes: &[SendRefusal::DESCRIPTION, header::MessageKind::DESCRIPTION, inbox::WhenEmpty::DESCRIPTION],
        options: &[("Broker", BrokerOptions::FIELDS)],
    },
};

fn export(exports: &Exports<'_>) -> Result<()> {
    header::export(exports)?;
    routing::export(exports)?;
    delivery::export(exports)?;
    inbox::export(exports)
}

/// Runs `body` on a membership of this thread.
fn on<R>(handle: u32, body: impl FnOnce(&Membership) -> R) -> Result<R> {
    thread::current()?.memberships.with(handle, body)
}

/// Runs `body` on the membership whose handle is argument 0.
fn with<const N: usize, R>(call: &Call<'_, N>, body: impl FnOnce(&Membership) -> R) -> Result<R> {
    call.port.thread().memberships.with(call.u32(0)?, body)
}
