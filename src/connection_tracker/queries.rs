//! What can be asked of a tracker: one connection, a list of them, counts.

use std::collections::HashMap;

use napi::bindgen_prelude::{BufferSlice, Env, Result};
use napi_derive::napi;
use sluice_core::{Connection, ThreadId};

use super::tracker;
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
    let connections = error::check(env, tracker(handle)?.list(limit as usize, client.as_deref()))?;
    connections.iter().map(|connection| NativeConnection::of(env, connection)).collect()
}

/// Costs one pass over all connections.
#[napi]
pub fn connection_tracker_stats(env: Env, handle: u32) -> Result<NativeConnectionTrackerStats> {
    let stats = error::check(&env, tracker(handle)?.stats())?;
    let by_thread = |(thread, count): (&ThreadId, &u64)| {
        Some((presence::thread_id_of(*thread)?.to_string(), *count as f64))
    };
    Ok(NativeConnectionTrackerStats {
        count: stats.count as f64,
        opened: stats.opened as f64,
        closed: stats.closed as f64,
        refused_max: stats.refused_max as f64,
        refused_max_per_client: stats.refused_max_per_client as f64,
        refused_opens: stats.refused_opens as f64,
        refused_banned: stats.refused_banned as f64,
        without_address: stats.without_address as f64,
        messages_allowed: stats.messages_allowed as f64,
        messages_refused: stats.messages_refused as f64,
        bytes_allowed: stats.bytes_allowed as f64,
        bytes_refused: stats.bytes_refused as f64,
        per_thread: stats.per_thread.iter().filter_map(by_thread).collect(),
    })
}

impl<'env> NativeConnection<'env> {
    fn of(env: &'env Env, connection: &Connection) -> Result<Self> {
        let detail = connection.detail.as_deref();
        Ok(Self {
            serial: connection.serial as f64,
            id: connection.id.to_string(),
            client: connection.current_client().as_deref().map(str::to_owned),
            opened_at: connection.opened_at as f64,
            detail: detail.map(|detail| BufferSlice::copy_from(env, detail)).transpose()?,
        })
    }
}
