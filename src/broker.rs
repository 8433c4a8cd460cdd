//! `Broker`. Messages cross in batches; `lib/broker/` knows what their numbers and bytes mean.

mod drain;
mod memberships;
mod outgoing_queue;
mod text;

use std::sync::Arc;

use napi::bindgen_prelude::{BufferSlice, Env, Result};
use napi::sys;
use napi_derive::napi;
use sluice_core::{Broker, DEFAULT_INBOX, HEADER, Instances, Joining, Peer};

use crate::components::Component;
use crate::runtime::error;
use crate::runtime::instances;
use crate::runtime::message_numbers::MOST_CROSSING;
use crate::runtime::presence;
use crate::runtime::raw::{Call, Exports};
use crate::runtime::seam::{Coded, Declarations, Layout, layout};
use crate::runtime::thread;
pub(crate) use drain::{Backlog, MessageKind, TakenNumbers};
pub(crate) use memberships::{Membership, Memberships};
pub(crate) use outgoing_queue::{ReservedNumbers, RouteNumbers};

static BROKERS: Instances<Broker> = Instances::new();

pub(crate) const COMPONENT: Component = Component {
    state: &BROKERS,
    export,
    declarations: Declarations {
        layouts: &[
            RouteNumbers::DESCRIPTION,
            ReservedNumbers::DESCRIPTION,
            TakenNumbers::DESCRIPTION,
            MessageHeader::DESCRIPTION,
        ],
        codes: &[sluice_core::Unreserved::DESCRIPTION, MessageKind::DESCRIPTION],
        options: &[],
    },
};

layout! {
    /// The numbers of a message, in arrays of their own.
    pub(crate) struct MessageHeader = "MESSAGE_HEADER" from 0 => {
        /// Its kind, by its code, and 32 times its codec. Of news, the kind alone.
        kind,
        /// The peer that sent it, or that the news are of.
        sender,
        /// The request's number. Of a peer that joined, Node's id of its thread.
        sequence,
        /// The request's place in the table of its caller. Of a peer that joined, 1 when metadata follows.
        place,
        /// The endpoint's number; of a cancelled request, the reason by its code.
        endpoint,
        /// When the call ends, in milliseconds of the clock; 0 for never.
        deadline,
    }
}

const _: () = assert!(MessageHeader::LENGTH == HEADER);

#[napi(object)]
pub struct NativeJoining<'env> {
    pub id: Option<String>,
    pub metadata: Option<BufferSlice<'env>>,
    /// `None` attaches to whatever bound there is.
    pub inbox: Option<f64>,
    /// Whether another bound comes into force.
    pub reconfigures: bool,
}

#[napi(object)]
pub struct NativePeer<'env> {
    pub number: u32,
    pub id: String,
    pub thread_id: u32,
    pub metadata: Option<BufferSlice<'env>>,
    pub load: u32,
}

#[napi(object)]
pub struct NativeMembership<'env> {
    pub handle: u32,
    pub number: u32,
    pub id: String,
    /// Who was there before.
    pub others: Vec<NativePeer<'env>>,
}

#[napi(object)]
pub struct NativeEndpoint {
    pub name: String,
    /// Numbers of the peers that serve it.
    pub peers: Vec<u32>,
}

/// What goes on over all threads.
#[napi(object)]
pub struct NativeBrokerStats {
    pub peers: f64,
    pub endpoints: f64,
    pub waiting: f64,
    pub in_flight: f64,
    /// Messages that their receivers could not decode, since the broker was created.
    pub undecodable: f64,
}

/// Takes part in a broker, which it creates where there is none.
#[napi]
pub fn join_broker<'env>(
    env: &'env Env,
    name: String,
    joining: NativeJoining<'_>,
) -> Result<NativeMembership<'env>> {
    let port = thread::port_of(env)?;
    let broker = open(env, &name, joining.inbox.map(|inbox| inbox as u32), joining.reconfigures)?;
    let (waker, mailbox) = (port.waker(), port.mailbox());
    let (peer, others) = error::check(
        env,
        broker.join(Joining {
            id: joining.id,
            thread: port.thread().id,
            thread_id: presence::thread_id_of(port.thread().id).unwrap_or_default(),
            metadata: joining.metadata.map(|metadata| metadata.as_ref().into()).unwrap_or_default(),
            wake: Box::new(move || waker.wake()),
        }),
    )?;
    let others = others.iter().map(|other| describe(env, other)).collect::<Result<_>>()?;
    let (number, id) = (peer.info().number, peer.info().id.to_string());
    let handle =
        port.thread().memberships.join(Membership { broker, peer, mailbox, backlog: Backlog::default() });
    Ok(NativeMembership { handle, number, id, others })
}

/// Options that are left out are those there are.
fn open(env: &Env, name: &str, inbox: Option<u32>, reconfigures: bool) -> Result<Arc<Broker>> {
    match (inbox, BROKERS.get_if_set(name)) {
        (None, Some(broker)) => Ok(broker),
        _ => {
            let inbox = Some(inbox.unwrap_or(DEFAULT_INBOX));
            instances::open(env, &BROKERS, name, inbox, Some(reconfigures))
        }
    }
}

/// Another object of a thread that takes part already. Fails where it wants another bound.
#[napi]
pub fn attach_to_broker(env: Env, name: String, inbox: Option<f64>, reconfigures: bool) -> Result<()> {
    open(&env, &name, inbox.map(|inbox| inbox as u32), reconfigures).map(drop)
}

/// Messages that each peer takes before it has looked at one.
#[napi]
pub fn broker_inbox(handle: u32) -> Result<u32> {
    on(handle, |membership| membership.broker.inbox())
}

/// Requests with lower numbers were sent before everything was reset.
#[napi]
pub fn first_request_since_reset(handle: u32) -> Result<f64> {
    on(handle, |membership| membership.broker.first_since_reset() as f64)
}

/// Tells the others, where nothing that was sent has told them yet.
#[napi]
pub fn announce_in_broker(handle: u32) -> Result<()> {
    on(handle, |Membership { broker, peer, .. }| broker.announce(peer))
}

/// Takes part no longer; the handle is free.
#[napi]
pub fn leave_broker(handle: u32) -> Result<()> {
    if let Some(membership) = thread::current()?.memberships.leave(handle) {
        membership.broker.leave(&membership.peer);
    }
    Ok(())
}

/// Takes no more requests.
#[napi]
pub fn begin_to_leave_broker(handle: u32) -> Result<()> {
    on(handle, |Membership { broker, peer, .. }| broker.begin_to_leave(peer))
}

/// Whether nothing is asked of a peer that leaves.
#[napi]
pub fn has_finished_in_broker(handle: u32) -> Result<bool> {
    on(handle, |membership| membership.peer.has_finished())
}

#[napi]
pub fn ask_peer_to_leave(handle: u32, id: String) -> Result<bool> {
    on(handle, |membership| membership.broker.ask_to_leave(&id))
}

/// Serves an endpoint; its number.
#[napi]
pub fn serve_endpoint(env: Env, handle: u32, endpoint: String) -> Result<u32> {
    let served = on(handle, |Membership { broker, peer, .. }| broker.serve(peer, &endpoint))?;
    error::check(&env, served)
}

#[napi]
pub fn withdraw_endpoint(handle: u32, endpoint: String) -> Result<()> {
    on(handle, |Membership { broker, peer, .. }| broker.withdraw(peer, &endpoint))
}

/// The number of an endpoint that is or was served.
#[napi]
pub fn endpoint_number(handle: u32, endpoint: String) -> Result<Option<u32>> {
    on(handle, |membership| membership.broker.endpoint(&endpoint))
}

#[napi]
pub fn broker_peers(env: &Env, handle: u32) -> Result<Vec<NativePeer<'_>>> {
    let peers = on(handle, |membership| membership.broker.peers())?;
    peers.iter().map(|peer| describe(env, peer)).collect()
}

#[napi]
pub fn broker_endpoints(handle: u32) -> Result<Vec<NativeEndpoint>> {
    let endpoints = on(handle, |membership| membership.broker.endpoints())?;
    Ok(endpoints.into_iter().map(|(name, peers)| NativeEndpoint { name: name.to_string(), peers }).collect())
}

#[napi]
pub fn broker_stats(handle: u32) -> Result<NativeBrokerStats> {
    let stats = on(handle, |membership| membership.broker.stats())?;
    Ok(NativeBrokerStats {
        peers: stats.peers as f64,
        endpoints: stats.endpoints as f64,
        waiting: stats.waiting as f64,
        in_flight: stats.in_flight as f64,
        undecodable: stats.undecodable as f64,
    })
}

/// Counts a message that this thread could not decode.
#[napi]
pub fn count_undecodable_in_broker(handle: u32) -> Result<()> {
    on(handle, |membership| membership.broker.count_undecodable())
}

/// Gives back the places that this thread has reserved. It has delivered all its messages before.
#[napi]
pub fn give_back_unused_in_broker(handle: u32) -> Result<()> {
    on(handle, |Membership { broker, peer, .. }| broker.give_back_unused(peer))
}

/// Whether there is no such broker any more.
#[napi]
pub fn is_broker_destroyed(handle: u32) -> Result<bool> {
    on(handle, |membership| membership.broker.is_destroyed())
}

#[napi]
pub fn destroy_broker(name: String) -> bool {
    BROKERS.destroy(&name)
}

fn describe<'env>(env: &'env Env, peer: &Peer) -> Result<NativePeer<'env>> {
    let info = peer.info();
    let metadata =
        (!info.metadata.is_empty()).then(|| BufferSlice::copy_from(env, &info.metadata)).transpose()?;
    Ok(NativePeer {
        number: info.number,
        id: info.id.to_string(),
        thread_id: info.thread_id,
        metadata,
        load: peer.load(),
    })
}

/// Runs `body` on a part of this thread.
fn on<R>(handle: u32, body: impl FnOnce(&Membership) -> R) -> Result<R> {
    thread::current()?.memberships.with(handle, body)
}

/// Runs `body` on the part of argument 0.
fn with<const N: usize, R>(call: &Call<'_, N>, body: impl FnOnce(&Membership) -> R) -> Result<R> {
    call.port.thread().memberships.with(call.u32(0)?, body)
}

/// `brokerNumbers(outgoing: Float64Array, incoming: Float64Array)`: where numbers of messages cross.
unsafe extern "C" fn broker_numbers(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let shared = &call.port.message_numbers;
        shared.outgoing.set(call.pinned_floats(0, MOST_CROSSING * HEADER)?);
        shared.incoming.set(call.pinned_floats(1, MOST_CROSSING * HEADER)?);
        call.undefined()
    })
}

fn export(exports: &Exports<'_>) -> Result<()> {
    exports
        .function("brokerNumbers(outgoing: Float64Array, incoming: Float64Array): void", broker_numbers)?;
    outgoing_queue::export(exports)?;
    drain::export(exports)
}
