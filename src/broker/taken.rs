//! Messages on their way to JavaScript: one array of headers, one JSON text, and the payloads that are not JSON.

use std::ptr;

use napi::bindgen_prelude::Result;
use napi::{check_status, sys};
use sluice_core::{Batch, Body, BrokerEvent, Header, InboxItem, PeerInfo};

use super::header::{MessageHeader, MessageKind};
use super::text;
use crate::runtime::clock::elapsed_ms;
use crate::runtime::message_numbers::MOST_CROSSING;
use crate::runtime::numbers::double;
use crate::runtime::raw::Call;
use crate::runtime::seam::layout;

/// Bytes after which nothing more is added. One larger message is handed over by itself.
const MOST_BYTES: usize = 256 * 1024;

layout! {
    /// What one call of `takeMessages` took.
    pub(crate) struct TakenNumbers = "TAKEN" from 0 => {
        /// Headers, in the array of incoming headers.
        headers,
        /// Now, in milliseconds of the clock.
        now,
    }
}

/// What one call of `takeMessages` returns, as it grows.
pub(super) struct Taken<'a> {
    call: &'a Call<'a, 2>,
    json: &'a mut Vec<u8>,
    json_is_ascii: bool,
    /// Payloads that are not JSON.
    values: Vec<sys::napi_value>,
    headers: usize,
    messages: u32,
    bytes: usize,
}

impl<'a> Taken<'a> {
    pub(super) fn new(call: &'a Call<'a, 2>, json: &'a mut Vec<u8>) -> Self {
        json.clear();
        Self { call, json, json_is_ascii: true, values: Vec::new(), headers: 0, messages: 0, bytes: 0 }
    }

    /// How many messages hold capacity in the inbox.
    pub(super) fn messages(&self) -> u32 {
        self.messages
    }

    pub(super) fn has_room_for(&self, item: &InboxItem) -> bool {
        let headers = match item {
            InboxItem::Messages(batch) => batch.headers.len(),
            InboxItem::Event(_) => 1,
        };
        self.headers == 0 || (self.headers + headers <= MOST_CROSSING && self.bytes < MOST_BYTES)
    }

    pub(super) fn add(&mut self, item: &InboxItem) -> Result<()> {
        match item {
            InboxItem::Messages(batch) => self.add_batch(batch),
            InboxItem::Event(event) => self.add_event(event),
        }
    }

    pub(super) fn finish(self) -> Result<sys::napi_value> {
        self.call.port.write(TakenNumbers { headers: double(self.headers), now: elapsed_ms() });
        if self.json.is_empty() {
            return self.array(self.call.undefined()?);
        }
        self.json.push(b']');
        let text = text::create(self.call.env, self.json, self.json_is_ascii)?;
        if self.json.capacity() > MOST_BYTES {
            *self.json = Vec::new();
        }
        if self.values.is_empty() { Ok(text) } else { self.array(text) }
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
        self.add_headers(&batch.headers)
    }

    fn add_event(&mut self, event: &BrokerEvent) -> Result<()> {
        let header = match event {
            BrokerEvent::PeerJoined(info) => self.add_peer(info)?,
            BrokerEvent::PeerLeft(number) => MessageHeader::event(MessageKind::Left, *number),
            BrokerEvent::Drained(number) => MessageHeader::event(MessageKind::Drained, *number),
            BrokerEvent::LeaveRequested => MessageHeader::event(MessageKind::LeaveRequested, 0),
            BrokerEvent::Destroyed => MessageHeader::event(MessageKind::Destroyed, 0),
        };
        self.add_headers(&[header.into()])
    }

    fn add_peer(&mut self, info: &PeerInfo) -> Result<MessageHeader> {
        let has_metadata = !info.metadata.is_empty();
        self.add_text(info.id.as_bytes(), info.id.is_ascii())?;
        if has_metadata {
            self.add_bytes(&info.metadata)?;
        }
        Ok(MessageHeader {
            sequence: info.thread_id.into(),
            slot: u8::from(has_metadata).into(),
            ..MessageHeader::event(MessageKind::Joined, info.number)
        })
    }

    fn add_headers(&mut self, headers: &[Header]) -> Result<()> {
        self.call.port.message_numbers.write(self.headers, headers)?;
        self.headers += headers.len();
        Ok(())
    }

    fn add_text(&mut self, text: &[u8], is_ascii: bool) -> Result<()> {
        self.bytes += text.len();
        self.values.push(text::create(self.call.env, text, is_ascii)?);
        Ok(())
    }

    fn add_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        let (mut buffer, mut data) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: the environment runs this callback; the buffer gets its own copy.
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
        self.values.push(buffer);
        Ok(())
    }

    fn array(&self, text: sys::napi_value) -> Result<sys::napi_value> {
        let mut array = ptr::null_mut();
        // SAFETY: the environment runs this callback, in whose scope all these values are.
        check_status!(unsafe {
            sys::napi_create_array_with_length(self.call.env, self.values.len() + 1, &mut array)
        })?;
        for (at, value) in (0..).zip(std::iter::once(&text).chain(&self.values)) {
            // SAFETY: as above.
            check_status!(unsafe { sys::napi_set_element(self.call.env, array, at, *value) })?;
        }
        Ok(array)
    }
}
