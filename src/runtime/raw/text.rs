//! Arguments that are texts: keys, which are hashed, and others, which are read.

use std::mem::MaybeUninit;
use std::ptr;
use std::slice;

use napi::bindgen_prelude::Result;
use napi::{check_status, sys};
use sluice_core::client_key::AddressText;
use sluice_core::runtime::key_hash::{self, KeyHash, KeyHasher, SHORT};

use super::Call;
use crate::runtime::error;

/// Code units of a key that are read without asking for its length first.
const SHORT_KEY: usize = 256;

/// Keys that cross as arguments of one call: enough that what the call costs is little for each of them.
pub(crate) const KEYS_AT_ONCE: usize = 16;

/// Room for the text of any address.
const SHORT_TEXT: usize = 64;

/// Which hash function keys are hashed by.
trait Hashing: Copy {
    fn short(self, block: &[u16; SHORT], length: usize) -> Option<KeyHash>;

    fn utf16(self, units: &[u16]) -> KeyHash;
}

/// The one of the process.
#[derive(Clone, Copy)]
struct OfProcess;

impl Hashing for OfProcess {
    #[inline(always)]
    fn short(self, block: &[u16; SHORT], length: usize) -> Option<KeyHash> {
        key_hash::hash_short(block, length)
    }

    #[inline]
    fn utf16(self, units: &[u16]) -> KeyHash {
        key_hash::hash_utf16(units)
    }
}

impl Hashing for &KeyHasher {
    #[inline(always)]
    fn short(self, block: &[u16; SHORT], length: usize) -> Option<KeyHash> {
        KeyHasher::short(self, block, length)
    }

    #[inline]
    fn utf16(self, units: &[u16]) -> KeyHash {
        KeyHasher::utf16(self, units)
    }
}

impl<const N: usize> Call<'_, N> {
    /// A key, exactly: any non-empty string of any code units.
    #[inline(always)]
    pub(crate) fn key(&self, index: usize) -> Result<KeyHash> {
        let key = self.key_of(self.args[index], OfProcess)?;
        key.ok_or_else(|| error::invalid_key(self.env, self.args[index]))
    }

    /// As [`key`](Self::key), by the hash function of what is shared with other processes. `None` for what is no key: no
    /// error is thrown, and so no JavaScript runs.
    #[inline(always)]
    pub(crate) fn key_by(&self, index: usize, hasher: &KeyHasher) -> Result<Option<KeyHash>> {
        self.key_of(self.args[index], hasher)
    }

    /// Reads the first `count` arguments, all of them keys, into `keys`; those that it has read.
    #[inline(always)]
    pub(crate) fn first_keys<'k>(&self, count: i32, keys: &'k mut [KeyHash; N]) -> Result<&'k [KeyHash]> {
        let count = usize::try_from(count).unwrap_or(0).min(N);
        let keys = &mut keys[..count];
        for (index, key) in keys.iter_mut().enumerate() {
            *key = self.key(index)?;
        }
        Ok(keys)
    }

    /// As [`first_keys`](Self::first_keys), by the hash function of what is shared with other processes; how many it has
    /// read.
    pub(crate) fn first_keys_by(
        &self,
        count: i32,
        keys: &mut [KeyHash; N],
        hasher: &KeyHasher,
    ) -> Result<Option<usize>> {
        let count = usize::try_from(count).unwrap_or(0).min(N);
        for (index, key) in keys[..count].iter_mut().enumerate() {
            let Some(read) = self.key_by(index, hasher)? else { return Ok(None) };
            *key = read;
        }
        Ok(Some(count))
    }

    /// `None` for what is no key. Inlined, so that the hash stays in registers.
    #[inline(always)]
    fn key_of(&self, value: sys::napi_value, hashing: impl Hashing) -> Result<Option<KeyHash>> {
        let mut units = [const { MaybeUninit::<u16>::uninit() }; SHORT_KEY];
        // What is hashed at once: zeros follow a short key.
        units[..SHORT].fill(MaybeUninit::new(0));
        let mut length = 0;
        // SAFETY: an argument of the running callback; Node writes at most `SHORT_KEY` units.
        let status = unsafe {
            sys::napi_get_value_string_utf16(
                self.env,
                value,
                units.as_mut_ptr().cast(),
                SHORT_KEY,
                &mut length,
            )
        };
        if status == sys::Status::napi_ok && (1..=SHORT).contains(&length) {
            // SAFETY: they were written above; Node wrote the text and its terminator over the first of them.
            let block = unsafe { &*units.as_ptr().cast::<[u16; SHORT]>() };
            if let Some(hash) = hashing.short(block, length) {
                return Ok(Some(hash));
            }
        }
        if status != sys::Status::napi_ok || length == 0 {
            return Ok(None);
        }
        // SAFETY: Node wrote the first `length` units.
        let units = unsafe { slice::from_raw_parts(units.as_ptr().cast(), length) };
        self.longer_key(value, units, hashing).map(Some)
    }

    /// A key that is not short, or not of one-byte code units. Out of line, so that what most keys need stays in registers.
    #[inline(never)]
    fn longer_key(&self, value: sys::napi_value, units: &[u16], hashing: impl Hashing) -> Result<KeyHash> {
        if units.len() == SHORT_KEY - 1 {
            // It may go on: Node cuts what does not fit.
            return Ok(hashing.utf16(&self.long_text(value)?));
        }
        Ok(hashing.utf16(units))
    }

    /// The code units of a text argument.
    pub(crate) fn units(&self, index: usize) -> Result<Vec<u16>> {
        self.long_text(self.args[index])
    }

    #[cold]
    fn long_text(&self, value: sys::napi_value) -> Result<Vec<u16>> {
        let mut length = 0;
        // SAFETY: a string argument of the running callback; without a buffer Node returns its length.
        check_status!(unsafe {
            sys::napi_get_value_string_utf16(self.env, value, ptr::null_mut(), 0, &mut length)
        })?;
        let mut units = vec![0_u16; length + 1];
        // SAFETY: the buffer has room for the text and the terminator Node appends.
        check_status!(unsafe {
            sys::napi_get_value_string_utf16(self.env, value, units.as_mut_ptr(), units.len(), &mut length)
        })?;
        units.truncate(length);
        Ok(units)
    }

    /// A text argument; `None` for `undefined` and anything else that is no string.
    pub(crate) fn text(&self, index: usize) -> Option<String> {
        self.with_text(index, str::to_owned)
    }

    /// Runs `body` on a text argument, which is not copied to the heap where it is short.
    pub(crate) fn with_text<R>(&self, index: usize, body: impl FnOnce(&str) -> R) -> Option<R> {
        let mut units = [const { MaybeUninit::uninit() }; SHORT_TEXT];
        let mut bytes = [0; SHORT_TEXT];
        match self.short_units(index, &mut units).and_then(|units| ascii(units, &mut bytes)) {
            Some(text) => Some(body(text)),
            None => self.with_any_text(index, body),
        }
    }

    /// As [`with_text`](Self::with_text), for an address: one of IPv4 is read where it lies.
    pub(crate) fn with_address<R>(&self, index: usize, body: impl FnOnce(AddressText<'_>) -> R) -> Option<R> {
        let mut units = [const { MaybeUninit::uninit() }; SHORT_TEXT];
        let mut bytes = [0; SHORT_TEXT];
        let units = self.short_units(index, &mut units);
        if let Some(address) = units.and_then(AddressText::dotted) {
            return Some(body(address));
        }
        match units.and_then(|units| ascii(units, &mut bytes)) {
            Some(text) => Some(body(text.into())),
            None => self.with_any_text(index, |text| body(text.into())),
        }
    }

    /// The code units of a short text argument, which are cheaper to read than UTF-8.
    #[inline]
    fn short_units<'b>(
        &self,
        index: usize,
        units: &'b mut [MaybeUninit<u16>; SHORT_TEXT],
    ) -> Option<&'b [u16]> {
        let mut length = 0;
        // SAFETY: an argument of the running callback; Node writes at most `SHORT_TEXT` units.
        let status = unsafe {
            sys::napi_get_value_string_utf16(
                self.env,
                self.args[index],
                units.as_mut_ptr().cast(),
                SHORT_TEXT,
                &mut length,
            )
        };
        // The last unit is the terminator: a text that fills the rest may go on.
        if status != sys::Status::napi_ok || length >= SHORT_TEXT - 1 {
            return None;
        }
        // SAFETY: Node wrote the first `length` units.
        Some(unsafe { slice::from_raw_parts(units.as_ptr().cast(), length) })
    }

    fn with_any_text<R>(&self, index: usize, body: impl FnOnce(&str) -> R) -> Option<R> {
        let mut bytes = [const { MaybeUninit::<u8>::uninit() }; SHORT_KEY];
        let mut length = 0;
        // SAFETY: an argument of the running callback; Node writes at most `SHORT_KEY` bytes.
        let status = unsafe {
            sys::napi_get_value_string_utf8(
                self.env,
                self.args[index],
                bytes.as_mut_ptr().cast(),
                SHORT_KEY,
                &mut length,
            )
        };
        if status != sys::Status::napi_ok {
            return None;
        }
        // Node stops before a character that does not fit: the last three bytes may be missing.
        if length + 4 >= SHORT_KEY {
            return self
                .long_text(self.args[index])
                .ok()
                .map(|units| body(&String::from_utf16_lossy(&units)));
        }
        // SAFETY: Node wrote the first `length` bytes.
        let bytes = unsafe { &*(&raw const bytes[..length] as *const [u8]) };
        Some(body(&String::from_utf8_lossy(bytes)))
    }

    /// As much of a text argument as fits the buffer in whole characters, less the terminator; `None` for what is no
    /// string. The text is whole when four bytes or more of the buffer stay free.
    #[inline]
    pub(crate) fn text_start<'b, const BYTES: usize>(
        &self,
        index: usize,
        buffer: &'b mut TextBuffer<BYTES>,
    ) -> Option<&'b str> {
        let length = self.ascii_to(index, buffer).or_else(|| self.utf8_to(index, buffer))?;
        // SAFETY: the first `length` bytes were written.
        let bytes = unsafe { &*(&raw const buffer.0[..length] as *const [u8]) };
        // Node writes a replacement for what is no character, so all of it is UTF-8.
        str::from_utf8(bytes).ok()
    }

    /// Reads a text that is short and plain, by its code units; returns its length.
    #[inline]
    fn ascii_to<const BYTES: usize>(&self, index: usize, buffer: &mut TextBuffer<BYTES>) -> Option<usize> {
        const { assert!(SHORT_TEXT <= BYTES) };
        let mut units = [const { MaybeUninit::<u16>::uninit() }; SHORT_TEXT];
        let mut length = 0;
        // SAFETY: an argument of the running callback; Node writes at most `SHORT_TEXT` units.
        let status = unsafe {
            sys::napi_get_value_string_utf16(
                self.env,
                self.args[index],
                units.as_mut_ptr().cast(),
                SHORT_TEXT,
                &mut length,
            )
        };
        // The last unit is the terminator: a text that fills the rest may go on.
        if status != sys::Status::napi_ok || length >= SHORT_TEXT - 1 {
            return None;
        }
        // SAFETY: Node wrote the first `length` units.
        let units = unsafe { &*(&raw const units[..length] as *const [u16]) };
        let mut all = 0;
        for (byte, unit) in buffer.0.iter_mut().zip(units) {
            all |= *unit;
            byte.write(unit.to_le_bytes()[0]);
        }
        (all < 0x80).then_some(length)
    }

    #[inline(never)]
    fn utf8_to<const BYTES: usize>(&self, index: usize, buffer: &mut TextBuffer<BYTES>) -> Option<usize> {
        let mut length = 0;
        // SAFETY: an argument of the running callback; Node writes at most the buffer's length.
        let status = unsafe {
            sys::napi_get_value_string_utf8(
                self.env,
                self.args[index],
                buffer.0.as_mut_ptr().cast(),
                BYTES,
                &mut length,
            )
        };
        (status == sys::Status::napi_ok).then_some(length)
    }
}

/// Where a text is read to. Only what is read is written.
pub(crate) struct TextBuffer<const BYTES: usize>([MaybeUninit<u8>; BYTES]);

impl<const BYTES: usize> TextBuffer<BYTES> {
    pub(crate) const fn new() -> Self {
        Self([const { MaybeUninit::uninit() }; BYTES])
    }
}

/// Code units as text, where all of them are ASCII, as those of addresses are.
fn ascii<'b>(units: &[u16], bytes: &'b mut [u8; SHORT_TEXT]) -> Option<&'b str> {
    let bytes = bytes.get_mut(..units.len())?;
    for (byte, unit) in bytes.iter_mut().zip(units) {
        *byte = u8::try_from(*unit).ok().filter(u8::is_ascii)?;
    }
    str::from_utf8(bytes).ok()
}
