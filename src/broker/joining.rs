//! How a thread joins a broker, says what it serves, and leaves.

use std::sync::Arc;

use napi::bindgen_prelude::{BufferSlice, Env, Object, Result};
use napi_derive::napi;
use sluice_core::{Broker, BrokerConfig, BrokerOptions, JoinRequest};

use super::status::{NativePeer, describe};
use super::{BROKERS, Membership, on};
use crate::runtime::error;
use crate::runtime::instances;
use crate::runtime::options::Given;
use crate::runtime::presence;
use crate::runtime::thread;

#[napi(object)]
pub struct NativeJoinRequest<'env> {
    pub id: Option<String>,
    pub metadata: Option<BufferSlice<'env>>,
}

#[napi(object)]
pub struct NativeMembership<'env> {
    pub handle: u32,
    pub number: u32,
    pub id: String,
    /// The peers that joined before.
    pub others: Vec<NativePeer<'env>>,
}

/// Joins a broker, or creates it. Without options it accepts those in force.
#[napi]
pub fn join_broker<'env>(
    env: &'env Env,
    name: String,
    request: NativeJoinRequest<'_>,
    #[napi(ts_arg_type = "object | undefined")] options: Option<Object<'_>>,
    reconfigures: bool,
) -> Result<NativeMembership<'env>> {
    let port = thread::port_of(env)?;
    let broker = open(env, &name, options, reconfigures)?;
    let (waker, mailbox) = (port.waker(), port.mailbox());
    let joined = broker.join(JoinRequest {
        id: request.id,
        thread: port.thread().id,
        thread_id: presence::thread_id_of(port.thread().id).unwrap_or_default(),
        metadata: request.metadata.map(|metadata| metadata.as_ref().into()).unwrap_or_default(),
        wake: Box::new(move || waker.wake()),
    });
    let (peer, others) = error::check(env, joined)?;
    let others = others.iter().map(|other| describe(env, other)).collect::<Result<_>>()?;
    let (number, id) = (peer.info().number, peer.info().id.to_string());
    let handle = port.thread().memberships.join(Membership::new(broker, peer, mailbox));
    Ok(NativeMembership { handle, number, id, others })
}

/// Checks the options of another object of a thread that has joined.
#[napi]
pub fn attach_to_broker(
    env: Env,
    name: String,
    #[napi(ts_arg_type = "object | undefined")] options: Option<Object<'_>>,
    reconfigures: bool,
) -> Result<()> {
    open(&env, &name, options, reconfigures).map(drop)
}

/// Notifies the other peers that this one has joined, unless something that it sent has done so.
#[napi]
pub fn announce_in_broker(handle: u32) -> Result<()> {
    on(handle, |Membership { broker, peer, .. }| broker.announce(peer))
}

/// Leaves; the handle is free.
#[napi]
pub fn leave_broker(handle: u32) -> Result<()> {
    if let Some(membership) = thread::current()?.memberships.leave(handle) {
        membership.broker.leave(&membership.peer);
    }
    Ok(())
}

/// Stops accepting requests and messages.
#[napi]
pub fn start_leaving_broker(handle: u32) -> Result<()> {
    on(handle, |Membership { broker, peer, .. }| broker.start_leaving(peer))
}

/// Whether a peer that is leaving has nothing pending.
#[napi]
pub fn has_finished_in_broker(handle: u32) -> Result<bool> {
    on(handle, |membership| membership.peer.has_finished())
}

/// Asks another peer to finish its work and leave. False if there is no peer with this id.
#[napi]
pub fn request_peer_leave(handle: u32, id: String) -> Result<bool> {
    on(handle, |membership| membership.broker.request_leave(&id))
}

/// Serves an endpoint. Returns its number.
#[napi]
pub fn serve_endpoint(env: Env, handle: u32, endpoint: String) -> Result<u32> {
    let served = on(handle, |Membership { broker, peer, .. }| broker.serve(peer, &endpoint))?;
    error::check(&env, served)
}

#[napi]
pub fn withdraw_endpoint(handle: u32, endpoint: String) -> Result<()> {
    on(handle, |Membership { broker, peer, .. }| broker.withdraw(peer, &endpoint))
}

#[napi]
pub fn destroy_broker(name: String) -> bool {
    BROKERS.destroy(&name)
}

/// Without options a broker that exists is accepted as it is, and a new one has the defaults.
fn open(env: &Env, name: &str, options: Option<Object<'_>>, reconfigures: bool) -> Result<Arc<Broker>> {
    if options.is_none()
        && let Some(broker) = BROKERS.get_if_set(name)
    {
        return Ok(broker);
    }
    let options =
        options.map_or_else(|| Ok(BrokerOptions::new()), |given| BrokerOptions::read(&Given(given)));
    let config = error::check(env, options.and_then(BrokerConfig::try_from))?;
    instances::open(env, &BROKERS, name, Some(config), Some(reconfigures))
}
