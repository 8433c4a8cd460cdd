//! Opening connections, and why they are refused.

use napi::bindgen_prelude::{Env, Result, Uint8Array};
use napi_derive::napi;
use sluice_core::runtime::clock;
use sluice_core::runtime::mailbox::Sink;
use sluice_core::{Connection, ConnectionOptions, Opened, Refusal};

use super::fleet::{self, NativePlace};
use super::tracker;
use crate::runtime::numbers::{ceil_ms, double, integer};
use crate::runtime::seam::{Coded, codes};
use crate::runtime::{error, thread};

/// How a connection is opened.
#[napi(object)]
pub struct NativeConnectionRequest {
    pub id: Option<String>,
    pub detail: Option<Uint8Array>,
    /// The subscription through which this thread is asked to close the connection's socket.
    pub subscription: Option<u32>,
    /// Whether limits per client apply.
    pub check_client: bool,
    /// Where other machines count it too, the place that was granted.
    pub place: Option<NativePlace>,
}

/// A connection that was opened, or why it was not.
#[napi(discriminant = "kind", discriminant_case = "camelCase", object_from_js = false)]
pub enum NativeOpened {
    Opened { serial: f64, id: String, client: Option<String>, opened_at: f64 },
    Refused { reason: String, retry_after_ms: f64 },
}

/// Why a connection does not count for a client.
#[napi(object, object_from_js = false)]
pub struct NativeRefusal {
    pub reason: String,
    /// Until the client may open again; 0 where that depends on others closing.
    pub retry_after_ms: f64,
}

/// The option that refused a connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reason {
    Max,
    MaxPerClient,
    Opens,
}

codes! {
    /// Why a connection was refused.
    Reason = "CONNECTION_REFUSALS" {
        Max = "max",
        MaxPerClient = "maxPerClient",
        Opens = "opens",
    }
}

/// Opens a connection. Its detail is not given back: the caller has it.
#[napi]
pub fn open_connection(
    env: Env,
    handle: u32,
    client: Option<String>,
    request: NativeConnectionRequest,
) -> Result<NativeOpened> {
    let (port, tracker) = (thread::port_of(&env)?, tracker(handle)?);
    let options = ConnectionOptions {
        thread: port.thread().id,
        id: request.id.as_deref(),
        detail: request.detail.map(|detail| detail.as_ref().into()),
        socket: request.subscription.map(|subscription| (port.mailbox() as Sink<_>, subscription)),
        check_client: request.check_client,
        place: request.place.map(|place| fleet::claim(&tracker, place)).transpose()?.flatten(),
    };
    let at = (clock::now(), clock::utc_ms());
    let opened = error::check(&env, tracker.open(client.as_deref(), options, at))?;
    Ok(match opened {
        Opened::Yes(connection) => NativeOpened::of(&connection),
        Opened::No(refusal) => {
            let NativeRefusal { reason, retry_after_ms } = refusal.into();
            NativeOpened::Refused { reason, retry_after_ms }
        }
    })
}

/// Counts the connection with this serial for `client`, which has a place where other machines count it too. Returns why it
/// may not, or nothing.
#[napi]
pub fn assign_connection(
    env: Env,
    handle: u32,
    serial: f64,
    client: String,
    place: Option<NativePlace>,
) -> Result<Option<NativeRefusal>> {
    let tracker = tracker(handle)?;
    let place = place.map(|place| fleet::claim(&tracker, place)).transpose()?.flatten();
    let Some(connection) = tracker.by_serial(integer(serial)) else { return Ok(None) };
    let refusal = error::check(&env, tracker.assign(&connection, &client, place, clock::now()))?;
    Ok(refusal.map(Into::into))
}

impl NativeOpened {
    fn of(connection: &Connection) -> Self {
        Self::Opened {
            serial: double(connection.serial),
            id: connection.id.to_string(),
            client: connection.current_client().as_deref().map(str::to_owned),
            opened_at: double(connection.opened_at),
        }
    }
}

impl From<Refusal> for NativeRefusal {
    fn from(refusal: Refusal) -> Self {
        let retry_after = match refusal {
            Refusal::Max | Refusal::MaxPerClient => 0,
            Refusal::Opens { retry_after } => retry_after,
        };
        Self { reason: Reason::of(refusal).text().to_owned(), retry_after_ms: ceil_ms(retry_after) }
    }
}

impl Reason {
    fn of(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Max => Self::Max,
            Refusal::MaxPerClient => Self::MaxPerClient,
            Refusal::Opens { .. } => Self::Opens,
        }
    }
}

/// The reason of a refusal, as a code of CONNECTION_REFUSALS.
pub(crate) fn code_of(refusal: Refusal) -> u32 {
    Reason::of(refusal).code()
}
