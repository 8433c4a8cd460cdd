//! Raw Node-API callbacks: arguments in, a number or text out, nothing allocated on the way.

mod text;

use std::cell::RefCell;
use std::ffi::{CString, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::slice;

use napi::bindgen_prelude::{Env, Object, Result};
use napi::{Error, Status, check_status, sys};

use crate::runtime::error;
use crate::runtime::numbers::integer;
use crate::runtime::port::Port;
use crate::runtime::seam;
use crate::runtime::slab::{Held, Slab};

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
