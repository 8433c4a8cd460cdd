//! What waits for a thread, taken out when its waker rang.

use napi::bindgen_prelude::{Env, Result};
use napi_derive::napi;
use sluice_core::RegistryChange;
use sluice_core::deliveries::{Delivery, Item};

use crate::circuit_breaker::NativeCircuitChange;
use crate::client_hub::NativeHubNews;
use crate::runtime::thread;
use crate::security_monitor::NativeAlert;

/// One delivery; which fields are set depends on `kind`.
#[napi(object)]
pub struct NativeDelivery {
    pub subscription: u32,
    /// `change`, `circuit`, `hub`, `close`, `alert`, `drained`, `lifecycle`, `moved`, `clock`, `memory`, `destroyed`,
    /// `listeners`, `reset` or `options`.
    pub kind: String,
    /// Events dropped just before this one.
    pub missed: f64,
    /// The key of a change, the peer of a circuit, or the serial of a connection.
    pub key: Option<String>,
    /// The version with a change, or the number of a lifecycle's state.
    pub version: Option<f64>,
    pub if_idle_ms: Option<f64>,
    pub circuit: Option<NativeCircuitChange>,
    pub alert: Option<NativeAlert>,
    pub hub: Option<NativeHubNews>,
}

/// Everything that waits, in order.
#[napi]
pub fn take_deliveries(env: Env) -> Result<Vec<NativeDelivery>> {
    let port = thread::port_of(&env)?;
    let mut deliveries = port.mailbox().take();
    let told = deliveries.len();
    deliveries.retain(|delivery| delivery.item != Item::MemoryMoved);
    if deliveries.len() < told {
        port.thread().report_memory();
    }
    Ok(deliveries.into_iter().map(Into::into).collect())
}

impl From<Delivery> for NativeDelivery {
    fn from(Delivery { subscription, missed, item }: Delivery) -> Self {
        let told = Self {
            subscription,
            kind: String::new(),
            missed: missed as f64,
            key: None,
            version: None,
            if_idle_ms: None,
            circuit: None,
            alert: None,
            hub: None,
        };
        let kind = |kind: &str| kind.to_owned();
        match item {
            Item::RegistryChange(RegistryChange { key, version }) => Self {
                kind: kind("change"),
                key: Some(key.to_string()),
                version: Some(version as f64),
                ..told
            },
            Item::CircuitChange(change) => Self {
                kind: kind("circuit"),
                key: Some(change.peer.to_string()),
                circuit: Some(change.into()),
                ..told
            },
            Item::SecurityAlert(alert) => {
                Self { kind: kind("alert"), alert: Some(NativeAlert::from(&*alert)), ..told }
            }
            Item::CloseConnection { serial, if_idle_ms } => Self {
                kind: kind("close"),
                key: Some(serial.to_string()),
                if_idle_ms: if_idle_ms.map(|ms| ms as f64),
                ..told
            },
            Item::Hub(news) => Self { kind: kind("hub"), hub: Some(news.into()), ..told },
            Item::Drained => Self { kind: kind("drained"), ..told },
            Item::LifecycleChange { state } => {
                Self { kind: kind("lifecycle"), version: Some(f64::from(state as u8)), ..told }
            }
            Item::LifecycleMoved => Self { kind: kind("moved"), ..told },
            Item::ClockMoved => Self { kind: kind("clock"), ..told },
            Item::MemoryMoved => Self { kind: kind("memory"), ..told },
            Item::Destroyed => Self { kind: kind("destroyed"), ..told },
            Item::ListenersChanged => Self { kind: kind("listeners"), ..told },
            Item::Reset => Self { kind: kind("reset"), ..told },
            Item::OptionsChanged => Self { kind: kind("options"), ..told },
        }
    }
}
