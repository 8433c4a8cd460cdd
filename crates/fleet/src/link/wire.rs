//! Bytes to and from a server: commands out, replies in, in their order.
//!
//! The parser is the codec of the crate `redis`. Its connection is not used: it passes each call through a task and two
//! channels more than this, which is about a tenth of a decision's time and of its CPU.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use redis::{Cmd, RedisError, Value, ValueCodec};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::codec::Decoder;

use super::integers::read_array;
use super::outlet::Socket;
use super::stream::Stream;

/// Bytes that are read at once.
const READ_AT_ONCE: usize = 16 * 1024;

/// No reply to what is asked here is larger.
const LARGEST_REPLY: usize = 16 * 1024 * 1024;

/// A connection to a server.
pub(crate) struct Wire {
    stream: Box<dyn Stream>,
    outgoing: Vec<u8>,
    /// Bytes of `outgoing` that were written.
    written: usize,
    must_flush: bool,
    incoming: BytesMut,
    codec: ValueCodec,
    /// The codec has read a part of a reply.
    is_midway: bool,
    chunk: Box<[u8]>,
}

impl Wire {
    pub(super) fn new(stream: impl Stream + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            outgoing: Vec::new(),
            written: 0,
            must_flush: false,
            incoming: BytesMut::new(),
            codec: ValueCodec::default(),
            is_midway: false,
            chunk: vec![0; READ_AT_ONCE].into(),
        }
    }

    /// The socket for other threads. None where only the stream can write to it, or the system has no descriptor left: then
    /// the thread of the link writes everything.
    pub(super) fn socket(&self) -> Option<Socket> {
        self.stream.socket().ok().flatten()
    }

    /// Adds what was put into an outlet.
    pub(super) fn put_bytes(&mut self, bytes: &[u8]) {
        self.outgoing.extend_from_slice(bytes);
    }

    pub(super) fn has_outgoing(&self) -> bool {
        self.written < self.outgoing.len()
    }

    /// Adds a command to what is to be written.
    pub(crate) fn put(&mut self, command: &Cmd) {
        command.write_packed_command(&mut self.outgoing);
    }

    /// The next reply that has arrived whole. Messages that are no replies are passed over.
    pub(super) fn take_reply(&mut self) -> Result<Option<Value>, RedisError> {
        loop {
            match self.take_any()? {
                Some(Value::Push { .. }) => {}
                reply => return Ok(reply),
            }
        }
    }

    /// As [`take_reply`](Self::take_reply), with messages that are no replies.
    pub(crate) fn take_any(&mut self) -> Result<Option<Value>, RedisError> {
        if self.incoming.is_empty() {
            return Ok(None);
        }
        if !self.is_midway
            && let Some((integers, length)) = read_array(&self.incoming)
        {
            self.incoming.advance(length);
            return Ok(Some(integers));
        }
        let value = self.codec.decode(&mut self.incoming)?;
        self.is_midway = value.is_none();
        Ok(value)
    }

    /// Writes what there is, and resolves once bytes have arrived. Nothing is lost when it is dropped before.
    pub(crate) async fn exchange(&mut self) -> io::Result<()> {
        poll_fn(|context| self.poll_exchange(context)).await
    }

    /// Asks while nothing else is under way; an error that the server answers is an error.
    pub(crate) async fn ask(&mut self, command: &Cmd) -> Result<Value, RedisError> {
        self.put(command);
        loop {
            match self.take_reply()? {
                Some(Value::ServerError(error)) => return Err(error.into()),
                Some(reply) => return Ok(reply),
                None => self.exchange().await?,
            }
        }
    }

    fn poll_exchange(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(Err(error)) = self.poll_write(context) {
            return Poll::Ready(Err(error));
        }
        let mut chunk = ReadBuf::new(&mut self.chunk);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut chunk))?;
        if chunk.filled().is_empty() {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        if self.incoming.len() > LARGEST_REPLY {
            return Poll::Ready(Err(io::Error::other("a reply without end")));
        }
        self.incoming.extend_from_slice(chunk.filled());
        Poll::Ready(Ok(()))
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.outgoing.len() {
            let rest = &self.outgoing[self.written..];
            let count = ready!(Pin::new(&mut self.stream).poll_write(context, rest))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
            self.must_flush = true;
        }
        self.outgoing.clear();
        self.written = 0;
        if self.must_flush {
            ready!(Pin::new(&mut self.stream).poll_flush(context))?;
            self.must_flush = false;
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
