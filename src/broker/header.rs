//! The header of a message: numbers, in arrays that JavaScript and Rust share.

use napi::bindgen_prelude::Result;
use napi::sys;
use sluice_core::{HEADER_LENGTH, Header};

use crate::runtime::message_numbers::MOST_CROSSING;
use crate::runtime::raw::{Call, Exports};
use crate::runtime::seam::{Coded, Layout, codes, layout};

/// What a message is. Those from `Joined` on are events of the broker itself.
#[derive(Clone, Copy, Debug)]
pub(crate) enum MessageKind {
    /// A call.
    Request,
    /// Its result.
    Reply,
    /// Its error.
    Failure,
    /// A message that is not answered.
    Message,
    /// A call that its caller no longer awaits.
    Cancel,
    Joined,
    Left,
    Drained,
    LeaveRequested,
    Destroyed,
}

codes! {
    /// What a message is; those from `joined` on are events of the broker itself.
    MessageKind = "MESSAGE_KINDS" {
        Request = "request",
        Reply = "reply",
        Failure = "failure",
        Message = "message",
        Cancel = "cancel",
        Joined = "joined",
        Left = "left",
        Drained = "drained",
        LeaveRequested = "leaveRequested",
        Destroyed = "destroyed",
    }
}

layout! {
    /// The header of a message, in arrays of headers.
    pub(crate) struct MessageHeader = "MESSAGE_HEADER" from 0 => {
        /// Its kind, by its code, plus 32 times the codec of its payload. Of an event, the kind alone.
        kind,
        /// The number of the peer that sent it, or that the event is about.
        sender,
        /// The request's number. Of a peer that joined, Node's id of its thread.
        sequence,
        /// The request's slot in the table of its caller. Of a peer that joined, 1 when metadata follows.
        slot,
        /// The endpoint's number; of a cancelled request, the reason by its code.
        endpoint,
        /// When the call ends, in milliseconds of the clock; 0 for never.
        deadline,
    }
}

const _: () = assert!(MessageHeader::LENGTH == HEADER_LENGTH);

impl MessageHeader {
    /// The header of an event about a peer; 0 for none.
    pub(super) fn event(kind: MessageKind, peer: u32) -> Self {
        Self {
            kind: kind.code().into(),
            sender: peer.into(),
            sequence: 0.0,
            slot: 0.0,
            endpoint: 0.0,
            deadline: 0.0,
        }
    }
}

impl From<MessageHeader> for Header {
    fn from(header: MessageHeader) -> Self {
        // SAFETY: a `Layout` consists of `f64`s without padding, and both have the same size.
        unsafe { std::mem::transmute(header) }
    }
}

pub(super) fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function(
        "shareMessageHeaders(outgoing: Float64Array, incoming: Float64Array): void",
        share_message_headers,
    )
}

/// `shareMessageHeaders(outgoing, incoming)`: the arrays in which headers cross from now on.
unsafe extern "C" fn share_message_headers(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let shared = &call.port.message_numbers;
        shared.outgoing.set(call.pinned(0, MOST_CROSSING * HEADER_LENGTH)?);
        shared.incoming.set(call.pinned(1, MOST_CROSSING * HEADER_LENGTH)?);
        call.undefined()
    })
}
