//! What waits for a thread, taken out when its bell rang.

use napi::bindgen_prelude::{Env, Result};
use napi_derive::napi;
use sluice_core::mailbox::{Delivery, Item};

use crate::security_monitor::NativeAlert;
use crate::thread;

/// One delivery; which fields are set depends on `kind`.
#[napi(object)]
pub struct NativeDelivery {
    pub subscription: u32,
    /// `change`, `close`, `alert`, `drained` or `clock`.
    pub kind: String,
    /// Events dropped just before this one.
    pub missed: f64,
    /// The key of a change, or the serial of a connection.
    pub key: Option<String>,
    pub version: Option<f64>,
    pub if_idle_ms: Option<f64>,
    pub alert: Option<NativeAlert>,
}

/// Everything that waits, in order.
#[napi]
pub fn take_deliveries(env: Env) -> Result<Vec<NativeDelivery>> {
    let deliveries = thread::port_of(&env)?.mailbox.take();
    Ok(deliveries.into_iter().map(Into::into).collect())
}

impl From<Delivery> for NativeDelivery {
    fn from(Delivery { subscription, missed, item }: Delivery) -> Self {
        let alert = match &item {
            Item::SecurityAlert(alert) => Some(NativeAlert::from(&**alert)),
            _ => None,
        };
        let (kind, key, version, if_idle_ms) = match item {
            Item::RegistryChange { key, version } => {
                ("change", Some(key.to_string()), Some(version as f64), None)
            }
            Item::CloseConnection { serial, if_idle_ms } => {
                ("close", Some(serial.to_string()), None, if_idle_ms.map(|ms| ms as f64))
            }
            Item::SecurityAlert(_) => ("alert", None, None, None),
            Item::Drained => ("drained", None, None, None),
            Item::ClockMoved => ("clock", None, None, None),
        };
        Self { subscription, kind: kind.to_owned(), missed: missed as f64, key, version, if_idle_ms, alert }
    }
}
