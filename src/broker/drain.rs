//! The receiving side: as much as one look takes out, as one text to parse and one array of numbers.

use std::cell::{Cell, RefCell};
use std::ptr;

use napi::bindgen_prelude::Result;
use napi::{check_status, sys};
use sluice_core::{Batch, Body, HEADER, Header, News, Parcel};

use super::{Membership, text, with};
use crate::runtime::clock::elapsed_ms;
use crate::runtime::message_numbers::MOST_CROSSING;
use crate::runtime::raw::{Call, Exports};
use crate::runtime::seam::{Coded, codes, layout};

/// Bytes that one look hands over at most, but for a single larger message: a receiver has other things to do.
const MOST_BYTES: usize = 256 * 1024;

/// What a message is; those from `Joined` on are news of the broker itself.
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
    /// A call that its caller no longer waits for.
    Cancel,
    Joined,
    Left,
    Room,
    AskedToLeave,
    Destroyed,
}

codes! {
    /// What a message is; those from `joined` on are news of the broker itself.
    MessageKind = "MESSAGE_KINDS" {
        Request = "request",
        Reply = "reply",
        Failure = "failure",
        Message = "message",
        Cancel = "cancel",
        Joined = "joined",
        Left = "left",
        Room = "room",
        AskedToLeave = "askedToLeave",
        Destroyed = "destroyed",
    }
}

pub(super) fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("takeMessages(handle: number, whenEmpty: number): string | [string | undefined, ...(string | Buffer)[]] | undefined", take_messages)?;
    exports.function("answeredRequests(handle: number, count: number): void", answered_requests)
}

layout! {
    /// What one look into the inbox took out.
    pub(crate) struct TakenNumbers = "TAKEN" from 0 => {
        /// Headers, in the array of incoming headers.
        headers,
        /// Now, in milliseconds of the clock.
        now,
    }
}

/// What an inbox does that is empty: waits for the waker, or lets other threads run and looks again. With 1 it stays awake.
const SLEEP: u32 = 0;
const LET_OTHERS_RUN: u32 = 2;

/// What was taken out of the inbox and not handed over yet.
#[derive(Default)]
pub(crate) struct Backlog {
    parcels: RefCell<Vec<Parcel>>,
    next: Cell<usize>,
    /// Kept for its memory.
    json: RefCell<Vec<u8>>,
}

impl Backlog {
    /// Looks into the inbox where nothing is left from before; false when nothing waits.
    fn fill(&self, member: &Membership, stays_awake: bool) -> bool {
        let mut parcels = self.parcels.borrow_mut();
        if self.next.get() == parcels.len() {
            parcels.clear();
            self.next.set(0);
            member.peer.take(&mut parcels, stays_awake);
        }
        !parcels.is_empty()
    }
}

/// `takeMessages(handle, whenEmpty)`: undefined when nothing waits. Else there are `numbers[0]` headers, it is
/// `numbers[1]`, and the result is the JSON text of an array; or an array of that text and of what is none, in order.
unsafe extern "C" fn take_messages(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let when_empty = call.u32(1)?;
        let taken = with(call, |member| {
            let found = member.backlog.fill(member, when_empty != SLEEP)
                || (when_empty == LET_OTHERS_RUN && {
                    // Whoever is to send may need this processor; then it has sent when we have it back.
                    std::thread::yield_now();
                    member.backlog.fill(member, true)
                });
            found.then(|| hand_over(call, member))
        })?;
        taken.unwrap_or_else(|| call.undefined())
    })
}

/// `answeredRequests(handle, count)`: so many answers are owed no more.
unsafe extern "C" fn answered_requests(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let count = call.u32(1)?;
        with(call, |member| member.broker.answered(&member.peer, count))?;
        call.undefined()
    })
}

fn hand_over(call: &Call<'_, 2>, member: &Membership) -> Result<sys::napi_value> {
    let mut parcels = member.backlog.parcels.borrow_mut();
    let mut json = member.backlog.json.borrow_mut();
    let mut taking = Taking::new(call, &mut json);
    let mut next = member.backlog.next.get();
    while let Some(parcel) = parcels.get(next).filter(|parcel| taking.has_room_for(parcel)) {
        taking.add(parcel)?;
        next += 1;
    }
    member.backlog.next.set(next);
    member.broker.taken_out(&member.peer, taking.messages);
    let result = taking.finish()?;
    if next == parcels.len() {
        // What was shared with other receivers, and large texts, are not kept until the next look.
        parcels.clear();
        member.backlog.next.set(0);
    }
    Ok(result)
}

/// What one look hands over, as it grows.
struct Taking<'a> {
    call: &'a Call<'a, 2>,
    json: &'a mut Vec<u8>,
    json_is_ascii: bool,
    extras: Vec<sys::napi_value>,
    headers: usize,
    messages: u32,
    bytes: usize,
}

impl<'a> Taking<'a> {
    fn new(call: &'a Call<'a, 2>, json: &'a mut Vec<u8>) -> Self {
        json.clear();
        Self { call, json, json_is_ascii: true, extras: Vec::new(), headers: 0, messages: 0, bytes: 0 }
    }

    fn has_room_for(&self, parcel: &Parcel) -> bool {
        let headers = match parcel {
            Parcel::Messages(batch) => batch.headers.len(),
            Parcel::News(_) => 1,
        };
        self.headers == 0 || (self.headers + headers <= MOST_CROSSING && self.bytes < MOST_BYTES)
    }

    fn add(&mut self, parcel: &Parcel) -> Result<()> {
        match parcel {
            Parcel::Messages(batch) => self.add_batch(batch),
            Parcel::News(news) => self.add_news(news),
        }
    }

    fn add_batch(&mut self, batch: &Batch) -> Result<()> {
        match &batch.body {
            Body::Json { text, is_ascii } => {
                self.json.push(if self.json.is_empty() { b'[' } else { b',' });
                self.json.extend_from_slice(text);
                self.json_is_ascii &= is_ascii;
                self.bytes += text.len();
            }
            Body::Text { text, is_ascii } => self.add_text(text, *is_ascii)?,
            Body::Bytes(bytes) => self.add_bytes(bytes)?,
        }
        self.messages += batch.messages();
        self.add_headers(&batch.headers);
        Ok(())
    }

    fn add_news(&mut self, news: &News) -> Result<()> {
        let mut header = [0.0; HEADER];
        let kind = |kind: MessageKind| f64::from(kind.code());
        match news {
            News::Joined(info) => {
                let has_metadata = f64::from(u8::from(!info.metadata.is_empty()));
                header[..4].copy_from_slice(&[
                    kind(MessageKind::Joined),
                    info.number.into(),
                    info.thread_id.into(),
                    has_metadata,
                ]);
                self.add_text(info.id.as_bytes(), info.id.is_ascii())?;
                if !info.metadata.is_empty() {
                    self.add_bytes(&info.metadata)?;
                }
            }
            News::Left(number) => header[..2].copy_from_slice(&[kind(MessageKind::Left), (*number).into()]),
            News::Room(number) => header[..2].copy_from_slice(&[kind(MessageKind::Room), (*number).into()]),
            News::AskedToLeave => header[0] = kind(MessageKind::AskedToLeave),
            News::Destroyed => header[0] = kind(MessageKind::Destroyed),
        }
        self.add_headers(&[header]);
        Ok(())
    }

    fn add_headers(&mut self, headers: &[Header]) {
        self.call.port.message_numbers.leave(self.headers, headers);
        self.headers += headers.len();
    }

    fn add_text(&mut self, text: &[u8], is_ascii: bool) -> Result<()> {
        self.bytes += text.len();
        self.extras.push(text::create(self.call.env, text, is_ascii)?);
        Ok(())
    }

    fn add_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        let (mut buffer, mut data) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: the environment runs this callback; the buffer has a copy of its own.
        check_status!(unsafe {
            sys::napi_create_buffer_copy(
                self.call.env,
                bytes.len(),
                bytes.as_ptr().cast(),
                &mut data,
                &mut buffer,
            )
        })?;
        self.bytes += bytes.len();
        self.extras.push(buffer);
        Ok(())
    }

    fn finish(self) -> Result<sys::napi_value> {
        self.call.port.write(TakenNumbers { headers: self.headers as f64, now: elapsed_ms() });
        if self.json.is_empty() {
            return self.array(self.call.undefined()?);
        }
        self.json.push(b']');
        let text = text::create(self.call.env, self.json, self.json_is_ascii)?;
        if self.json.capacity() > MOST_BYTES {
            *self.json = Vec::new();
        }
        if self.extras.is_empty() { Ok(text) } else { self.array(text) }
    }

    fn array(&self, text: sys::napi_value) -> Result<sys::napi_value> {
        let mut array = ptr::null_mut();
        // SAFETY: the environment runs this callback, in whose scope all these values are.
        check_status!(unsafe {
            sys::napi_create_array_with_length(self.call.env, self.extras.len() + 1, &mut array)
        })?;
        for (at, value) in (0..).zip(std::iter::once(&text).chain(&self.extras)) {
            // SAFETY: as above.
            check_status!(unsafe { sys::napi_set_element(self.call.env, array, at, *value) })?;
        }
        Ok(array)
    }
}
