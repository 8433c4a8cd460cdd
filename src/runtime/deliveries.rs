//! What a thread takes out of its mailbox, as JavaScript sees it.

use napi::bindgen_prelude::{Env, Result};
use napi_derive::napi;
use sluice_core::RegistryChange;
use sluice_core::deliveries::{Delivery, Item};

use crate::circuit_breaker::NativeCircuitChange;
use crate::client_hub::NativeHubEvent;
use crate::reputation::NativeBanEvent;
use crate::runtime::numbers::double;
use crate::runtime::seam::Coded;
use crate::runtime::thread;
use crate::security_monitor::NativeAlert;
use crate::semaphore::NativeSemaphoreEvent;

/// One delivery. `subscription` says what it is for; 0 is the process. `missed` counts events of the subscription that
/// were dropped just before this one.
#[napi(discriminant = "kind", discriminant_case = "camelCase", object_from_js = false)]
pub enum NativeDelivery {
    /// A key of a registry has another value, or none, by the registry's `version`.
    Change { subscription: u32, missed: f64, key: String, version: f64 },
    /// The circuit of a target has another state.
    Circuit { subscription: u32, missed: f64, peer: String, circuit: NativeCircuitChange },
    /// A rule of a security monitor matched.
    Alert { subscription: u32, missed: f64, alert: NativeAlert },
    /// A ban began, was lifted, or ended.
    Ban { subscription: u32, missed: f64, ban: NativeBanEvent },
    /// A lifecycle has another state.
    Lifecycle { subscription: u32, missed: f64, state: String },
    /// A connection is to be closed; with `ifIdleMs` only if nothing was transferred for so long.
    Close { subscription: u32, serial: String, if_idle_ms: Option<f64> },
    /// What became of pending calls at a hub.
    Hub { subscription: u32, hub: NativeHubEvent },
    /// What became of calls that wait at a semaphore.
    Semaphore { subscription: u32, semaphore: NativeSemaphoreEvent },
    /// No connection of a tracker is open.
    Drained { subscription: u32 },
    /// Something of a lifecycle changed that a member acts on.
    Moved { subscription: u32 },
    /// The instance of the subscription was destroyed.
    Destroyed { subscription: u32 },
    /// A cluster worker opened a port, or leaves its cluster.
    Listeners { subscription: u32 },
    /// Another thread is to serve the inspection of the process.
    Inspection { subscription: u32 },
    /// A test moved the clock.
    Clock { subscription: u32 },
    /// A test emptied every instance.
    Reset { subscription: u32 },
    /// An instance has other options.
    Options { subscription: u32 },
    /// Something is measured from now on that was not before.
    Measured { subscription: u32 },
    /// Another process of the fleet was found to have other options.
    Differences { subscription: u32 },
}

/// Everything pending, in order.
#[napi]
pub fn take_deliveries(env: Env) -> Result<Vec<NativeDelivery>> {
    let port = thread::port_of(&env)?;
    let deliveries = port.mailbox().take();
    if deliveries.iter().any(|delivery| delivery.item == Item::MemoryMoved) {
        port.thread().report_memory();
    }
    Ok(deliveries.into_iter().filter_map(native).collect())
}

/// `None` for what is not for JavaScript.
fn native(Delivery { subscription, missed, item }: Delivery) -> Option<NativeDelivery> {
    let missed = double(missed);
    Some(match item {
        Item::RegistryChange(RegistryChange { key, version }) => {
            NativeDelivery::Change { subscription, missed, key: key.to_string(), version: double(version) }
        }
        Item::CircuitChange(change) => {
            let peer = change.peer.to_string();
            NativeDelivery::Circuit { subscription, missed, peer, circuit: change.into() }
        }
        Item::SecurityAlert(alert) => NativeDelivery::Alert { subscription, missed, alert: (&*alert).into() },
        Item::BanEvent(event) => NativeDelivery::Ban { subscription, missed, ban: (&*event).into() },
        Item::LifecycleChange { state } => {
            NativeDelivery::Lifecycle { subscription, missed, state: state.text().to_owned() }
        }
        Item::CloseConnection { serial, if_idle_ms } => NativeDelivery::Close {
            subscription,
            serial: serial.to_string(),
            if_idle_ms: if_idle_ms.map(double),
        },
        Item::Hub(event) => NativeDelivery::Hub { subscription, hub: event.into() },
        Item::Semaphore(event) => NativeDelivery::Semaphore { subscription, semaphore: event.into() },
        Item::Drained => NativeDelivery::Drained { subscription },
        Item::LifecycleMoved => NativeDelivery::Moved { subscription },
        Item::Destroyed => NativeDelivery::Destroyed { subscription },
        Item::ListenersChanged => NativeDelivery::Listeners { subscription },
        Item::InspectionMoved => NativeDelivery::Inspection { subscription },
        Item::ClockMoved => NativeDelivery::Clock { subscription },
        Item::Reset => NativeDelivery::Reset { subscription },
        Item::OptionsChanged => NativeDelivery::Options { subscription },
        Item::MeasuredChanged => NativeDelivery::Measured { subscription },
        Item::DifferencesFound => NativeDelivery::Differences { subscription },
        Item::MemoryMoved => return None,
    })
}
