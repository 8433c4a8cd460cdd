//! Raw Node-API callbacks: arguments in, a number or text out, nothing allocated on the way.

use std::cell::RefCell;
use std::ffi::{CString, c_void};
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::slice;

use napi::bindgen_prelude::{Env, Object, Result};
use napi::{Error, Status, check_status, sys};
use sluice_core::runtime::key_hash::{self, KeyHash};

use crate::runtime::error;
use crate::runtime::numbers::integer;
use crate::runtime::port::Port;
use crate::runtime::seam;
use crate::runtime::slab::{Held, Slab};

/// Code units of a key that are read without asking for its length first.
const SHORT_KEY: usize = 256;

/// Room for the text of any address.
const SHORT_TEXT: usize = 64;

/// Elements of an array that are held at once while it is read.
const SCOPE: u32 = 64;

/// The largest integer a JavaScript number counts exactly.
const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;

type Callback = unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value;

/// The exports of the module that is being loaded.
pub(crate) struct Exports<'a> {
    env: sys::napi_env,
    object: sys::napi_value,
    port: &'a Port,
}

impl<'a> Exports<'a> {
    pub(crate) fn new(env: &Env, object: &Object<'_>, port: &'a Port) -> Self {
        Self { env: env.raw(), object: napi::JsValue::raw(object), port }
    }

    /// Adds a function whose calls reach `callback` with this port. Its signature is as TypeScript has it:
    /// `name(argument: type): result`; what JavaScript passes is not checked against it here.
    pub(crate) fn function(&self, signature: &'static str, callback: Callback) -> Result<()> {
        seam::register_function(signature);
        let name = signature.split('(').next().unwrap_or(signature);
        let c_name = CString::new(name).map_err(|_| Error::from_status(Status::InvalidArg))?;
        let mut function = ptr::null_mut();
        let port = (&raw const *self.port).cast_mut().cast::<c_void>();
        // SAFETY: the environment is loading us; the port outlives every JavaScript call of its thread.
        check_status!(unsafe {
            sys::napi_create_function(
                self.env,
                c_name.as_ptr(),
                name.len() as isize,
                Some(callback),
                port,
                &mut function,
            )
        })?;
        // SAFETY: both values belong to this environment and live in its current scope.
        check_status!(unsafe {
            sys::napi_set_named_property(self.env, self.object, c_name.as_ptr(), function)
        })
    }
}

/// One call with `N` arguments; missing ones are `undefined`.
pub(crate) struct Call<'a, const N: usize> {
    pub(crate) env: sys::napi_env,
    pub(crate) args: [sys::napi_value; N],
    pub(crate) port: &'a Port,
}

impl<const N: usize> Call<'_, N> {
    /// Runs `body` and gives its value to JavaScript: errors are thrown, a panic becomes an error.
    ///
    /// Only for use inside a callback that [`Exports::function`] registered.
    pub(crate) fn answer(
        env: sys::napi_env,
        info: sys::napi_callback_info,
        body: impl FnOnce(&Call<'_, N>) -> Result<sys::napi_value>,
    ) -> sys::napi_value {
        let mut args = [ptr::null_mut(); N];
        let mut count = N;
        let mut data = ptr::null_mut();
        // SAFETY: Node passes `env` and `info` of the running callback; `args` has room for `count`.
        let status = unsafe {
            sys::napi_get_cb_info(env, info, &mut count, args.as_mut_ptr(), ptr::null_mut(), &mut data)
        };
        if status != sys::Status::napi_ok || data.is_null() {
            return ptr::null_mut();
        }
        // SAFETY: `Exports::function` passed a port, which lives as long as its thread runs JavaScript.
        let port = unsafe { &*data.cast::<Port>() };
        let call = Call { env, args, port };
        match catch_unwind(AssertUnwindSafe(|| body(&call))) {
            Ok(Ok(value)) => value,
            Ok(Err(error)) => error::throw_napi(env, &error),
            Err(_) => error::throw_fault(env),
        }
    }

    pub(crate) fn u32(&self, index: usize) -> Result<u32> {
        let mut value = 0;
        // SAFETY: an argument of the running callback.
        check_status!(unsafe { sys::napi_get_value_uint32(self.env, self.args[index], &mut value) })?;
        Ok(value)
    }

    pub(crate) fn flag(&self, index: usize) -> Result<bool> {
        let mut value = false;
        // SAFETY: an argument of the running callback.
        check_status!(unsafe { sys::napi_get_value_bool(self.env, self.args[index], &mut value) })?;
        Ok(value)
    }

    pub(crate) fn f64(&self, index: usize) -> Result<f64> {
        let mut value = 0.0;
        // SAFETY: an argument of the running callback.
        check_status!(unsafe { sys::napi_get_value_double(self.env, self.args[index], &mut value) })?;
        Ok(value)
    }

    /// A cost: an integer from 1 to 2^53 - 1.
    pub(crate) fn cost(&self, index: usize) -> Result<u64> {
        match self.f64(index) {
            Ok(cost) if (1.0..=MAX_SAFE_INTEGER).contains(&cost) && cost.fract() == 0.0 => Ok(integer(cost)),
            _ => Err(error::invalid_cost(self.env, self.args[index])),
        }
    }

    /// A key, exactly: any non-empty string of any code units.
    #[inline]
    pub(crate) fn key(&self, index: usize) -> Result<KeyHash> {
        self.key_of(self.args[index])?.ok_or_else(|| error::invalid_key(self.env, self.args[index]))
    }

    /// The keys of an array; or the place of the first value that is none.
    pub(crate) fn keys(&self, index: usize) -> Result<std::result::Result<Vec<KeyHash>, usize>> {
        let mut length = 0;
        // SAFETY: an argument of the running callback.
        check_status!(unsafe { sys::napi_get_array_length(self.env, self.args[index], &mut length) })?;
        let mut keys = Vec::with_capacity(length as usize);
        for first in (0..length).step_by(SCOPE as usize) {
            let last = length.min(first + SCOPE);
            let mistake = self.in_scope(|| {
                for at in first..last {
                    match self.key_of(self.element(index, at)?)? {
                        Some(key) => keys.push(key),
                        None => return Ok(Some(at as usize)),
                    }
                }
                Ok(None)
            })?;
            if let Some(mistake) = mistake {
                return Ok(Err(mistake));
            }
        }
        Ok(Ok(keys))
    }

    fn element(&self, index: usize, at: u32) -> Result<sys::napi_value> {
        let mut element = ptr::null_mut();
        // SAFETY: an argument of the running callback.
        check_status!(unsafe { sys::napi_get_element(self.env, self.args[index], at, &mut element) })?;
        Ok(element)
    }

    /// Values that `body` makes are given up after it.
    fn in_scope<R>(&self, body: impl FnOnce() -> Result<R>) -> Result<R> {
        let mut scope = ptr::null_mut();
        // SAFETY: the environment runs this callback; the scope is closed before it returns.
        check_status!(unsafe { sys::napi_open_handle_scope(self.env, &mut scope) })?;
        let result = body();
        // SAFETY: the scope that was opened last.
        check_status!(unsafe { sys::napi_close_handle_scope(self.env, scope) })?;
        result
    }

    /// `None` for what is no key.
    #[inline]
    fn key_of(&self, value: sys::napi_value) -> Result<Option<KeyHash>> {
        let mut units = [const { MaybeUninit::<u16>::uninit() }; SHORT_KEY];
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
        if status != sys::Status::napi_ok || length == 0 {
            return Ok(None);
        }
        if length == SHORT_KEY - 1 {
            // It may go on: Node cuts what does not fit.
            return Ok(Some(key_hash::hash_utf16(&self.long_text(value)?)));
        }
        // SAFETY: Node wrote the first `length` units; they are read as bytes.
        let bytes = unsafe { slice::from_raw_parts(units.as_ptr().cast(), 2 * length) };
        Ok(Some(key_hash::hash_bytes(bytes)))
    }

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
        let mut ascii = [0; SHORT_TEXT];
        match self.short_ascii(index, &mut ascii) {
            Some(text) => Some(body(text)),
            None => self.with_any_text(index, body),
        }
    }

    /// A text argument that is short and plain, as addresses are: code units are cheaper to come by than UTF-8.
    #[inline]
    fn short_ascii<'b>(&self, index: usize, buffer: &'b mut [u8; SHORT_TEXT]) -> Option<&'b str> {
        let mut units = [0_u16; SHORT_TEXT];
        let mut length = 0;
        // SAFETY: an argument of the running callback; Node writes at most `SHORT_TEXT` units.
        let status = unsafe {
            sys::napi_get_value_string_utf16(
                self.env,
                self.args[index],
                units.as_mut_ptr(),
                SHORT_TEXT,
                &mut length,
            )
        };
        // The last unit is the terminator: a text that fills the rest may go on.
        if status != sys::Status::napi_ok || length >= SHORT_TEXT - 1 {
            return None;
        }
        for (byte, unit) in buffer.iter_mut().zip(&units[..length]) {
            *byte = u8::try_from(*unit).ok().filter(u8::is_ascii)?;
        }
        std::str::from_utf8(&buffer[..length]).ok()
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
    pub(crate) fn text_start<'b>(&self, index: usize, buffer: &'b mut [u8]) -> Option<&'b str> {
        let mut length = 0;
        // SAFETY: an argument of the running callback; Node writes at most the buffer's length.
        let status = unsafe {
            sys::napi_get_value_string_utf8(
                self.env,
                self.args[index],
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                &mut length,
            )
        };
        if status != sys::Status::napi_ok {
            return None;
        }
        // Node writes a replacement for what is no character, so all of it is UTF-8.
        str::from_utf8(&buffer[..length]).ok()
    }

    pub(crate) fn is_undefined(&self, index: usize) -> Result<bool> {
        let mut kind = sys::ValueType::napi_undefined;
        // SAFETY: an argument of the running callback.
        check_status!(unsafe { sys::napi_typeof(self.env, self.args[index], &mut kind) })?;
        Ok(kind == sys::ValueType::napi_undefined)
    }

    /// The memory of a `Float64Array` of at least `length` numbers, kept for the life of the port.
    pub(crate) fn pinned_floats(&self, index: usize, length: usize) -> Result<*mut f64> {
        let data = self.typed_array(index, sys::TypedarrayType::float64_array, length)?;
        self.reference(index, true)?;
        Ok(data.cast())
    }

    /// Runs `body` on the memory of a `Uint8Array` of at least `length` bytes. It runs no JavaScript.
    pub(crate) fn with_bytes<R>(
        &self,
        index: usize,
        length: usize,
        body: impl FnOnce(&mut [u8]) -> Result<R>,
    ) -> Result<R> {
        let data = self.typed_array(index, sys::TypedarrayType::uint8_array, length)?;
        if length == 0 {
            return body(&mut []);
        }
        // SAFETY: the array has so many bytes, an argument keeps it, and no JavaScript runs while `body` does.
        body(unsafe { slice::from_raw_parts_mut(data.cast(), length) })
    }

    fn typed_array(
        &self,
        index: usize,
        kind: sys::napi_typedarray_type,
        length: usize,
    ) -> Result<*mut c_void> {
        let (mut found_kind, mut found, mut data) = (0, 0, ptr::null_mut());
        // SAFETY: an argument of the running callback.
        check_status!(unsafe {
            sys::napi_get_typedarray_info(
                self.env,
                self.args[index],
                &mut found_kind,
                &mut found,
                &mut data,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        })?;
        if found_kind != kind || found < length {
            return Err(Error::new(Status::InvalidArg, "sluice: a longer typed array is needed"));
        }
        Ok(data)
    }

    /// A reference to an argument, which ends with the port. It keeps its value only where `keeps` says so.
    pub(crate) fn reference(&self, index: usize, keeps: bool) -> Result<sys::napi_ref> {
        let (mut reference, count) = (ptr::null_mut(), u32::from(keeps));
        // SAFETY: an argument of the running callback.
        check_status!(unsafe {
            sys::napi_create_reference(self.env, self.args[index], count, &mut reference)
        })?;
        self.port.hold(reference);
        Ok(reference)
    }

    pub(crate) fn int(&self, value: i32) -> Result<sys::napi_value> {
        let mut result = ptr::null_mut();
        // SAFETY: the environment runs this callback.
        check_status!(unsafe { sys::napi_create_int32(self.env, value, &mut result) })?;
        Ok(result)
    }

    pub(crate) fn number(&self, value: f64) -> Result<sys::napi_value> {
        let mut result = ptr::null_mut();
        // SAFETY: the environment runs this callback.
        check_status!(unsafe { sys::napi_create_double(self.env, value, &mut result) })?;
        Ok(result)
    }

    pub(crate) fn string(&self, text: &str) -> Result<sys::napi_value> {
        let mut result = ptr::null_mut();
        // SAFETY: the environment runs this callback; the text is valid UTF-8 of this length.
        check_status!(unsafe {
            sys::napi_create_string_utf8(self.env, text.as_ptr().cast(), text.len() as isize, &mut result)
        })?;
        Ok(result)
    }

    pub(crate) fn boolean(&self, value: bool) -> Result<sys::napi_value> {
        let mut result = ptr::null_mut();
        // SAFETY: the environment runs this callback.
        check_status!(unsafe { sys::napi_get_boolean(self.env, value, &mut result) })?;
        Ok(result)
    }

    pub(crate) fn undefined(&self) -> Result<sys::napi_value> {
        let mut result = ptr::null_mut();
        // SAFETY: the environment runs this callback.
        check_status!(unsafe { sys::napi_get_undefined(self.env, &mut result) })?;
        Ok(result)
    }

    /// Runs `body` on an instance of this thread, by the handle of argument 0. The borrow of the thread's
    /// handles ends before JavaScript runs again.
    pub(crate) fn on<H: Held, R>(
        &self,
        slab: &RefCell<Slab<H>>,
        body: impl FnOnce(&H::Instance) -> R,
    ) -> Result<R> {
        let handle = self.u32(0)?;
        Ok(body(slab.borrow().get(handle)?.instance()))
    }

    /// A core error, to be thrown.
    pub(crate) fn check<T>(&self, result: sluice_core::Result<T>) -> Result<T> {
        result.map_err(|core| error::throw_core(self.env, self.port, &core))
    }
}
