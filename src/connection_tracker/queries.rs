//! What can be asked of a tracker: one connection, a list of them, counts.

use std::collections::HashMap;
use std::sync::Arc;

use napi::bindgen_prelude::{BufferSlice, Env, Result};
use napi_derive::napi;
use sluice_core::{Connection, ThreadId};

use super::{shared, tracker};
use crate::machine::NativeMachineStats;
use crate::runtime::numbers::{double, integer};
use crate::runtime::{error, presence};

/// An open connection.
#[napi(object)]
pub struct NativeConnection<'env> {
    pub serial: f64,
    pub id: String,
    /// As the tracker counts it; none for a socket without an address.
    pub client: Option<String>,
    pub opened_at: f64,
    pub detail: Option<BufferSlice<'env>>,
}

/// A client, and its open connections over all threads.
#[napi(object, object_from_js = false)]
pub struct NativeClientCount {
    pub client: String,
    pub count: f64,
}

/// Counts over all threads; open connections by Node's id of their thread.
#[napi(object)]
pub struct NativeConnectionTrackerStats {
    pub count: f64,
    pub opened: f64,
    pub closed: f64,
    pub refused_max: f64,
    pub refused_max_per_client: f64,
    pub refused_opens: f64,
    pub refused_banned: f64,
    pub without_address: f64,
    pub messages_allowed: f64,
    pub messages_refused: f64,
    pub bytes_allowed: f64,
    pub bytes_refused: f64,
    pub per_thread: HashMap<String, f64>,
    /// Where processes share the tracker.
    pub machine: Option<NativeMachineStats>,
}

/// The open connection with this id, in whatever thread it was opened.
#[napi]
pub fn connection_by_id(env: &Env, handle: u32, id: String) -> Result<Option<NativeConnection<'_>>> {
    let connection = error::check(env, tracker(handle)?.by_id(&id))?;
    connection.map(|connection| NativeConnection::of(env, &connection)).transpose()
}

/// Open connections, oldest first.
#[napi]
pub fn list_connections(
    env: &Env,
    handle: u32,
    limit: f64,
    client: Option<String>,
) -> Result<Vec<NativeConnection<'_>>> {
    let connections = error::check(env, tracker(handle)?.list(integer(limit), client.as_deref()))?;
    connections.iter().map(|connection| NativeConnection::of(env, connection)).collect()
}

/// The clients with most open connections. Costs one pass over all connections.
#[napi]
pub fn busiest_clients(env: Env, handle: u32, most: u32) -> Result<Vec<NativeClientCount>> {
    let clients = error::check(&env, tracker(handle)?.busiest(most as usize))?;
    let describe = |(client, count): (Arc<str>, u64)| NativeClientCount {
        client: client.as_ref().to_owned(),
        count: double(count),
    };
    Ok(clients.into_iter().map(describe).collect())
}

/// Costs one pass over all connections.
#[napi]
pub fn connection_tracker_stats(env: Env, handle: u32) -> Result<NativeConnectionTrackerStats> {
    let tracker = tracker(handle)?;
    let machine = shared::stats(&tracker);
    let stats = error::check(&env, tracker.stats())?;
    let by_thread = |(thread, count): (&ThreadId, &u64)| {
        Some((presence::thread_id_of(*thread)?.to_string(), double(*count)))
    };
    Ok(NativeConnectionTrackerStats {
        count: double(stats.count),
        opened: double(stats.opened),
        closed: double(stats.closed),
        refused_max: double(stats.refused_max),
        refused_max_per_client: double(stats.refused_max_per_client),
        refused_opens: double(stats.refused_opens),
        refused_banned: double(stats.refused_banned),
        without_address: double(stats.without_address),
        messages_allowed: double(stats.messages_allowed),
        messages_refused: double(stats.messages_refused),
        bytes_allowed: double(stats.bytes_allowed),
        bytes_refused: double(stats.bytes_refused),
        per_thread: stats.per_thread.iter().filter_map(by_thread).collect(),
        machine,
    })
}

impl<'env> NativeConnection<'env> {
    fn of(env: &'env Env, connection: &Connection) -> Result<Self> {
        let detail = connection.detail.as_deref();
        Ok(Self {
            serial: double(connection.serial),
            id: connection.id.to_string(),
            client: connection.current_client().as_deref().map(str::to_owned),
            opened_at: double(connection.opened_at),
            detail: detail.map(|detail| BufferSlice::copy_from(env, detail)).transpose()?,
        })
    }
}
